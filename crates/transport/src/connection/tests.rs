use bytes::Bytes;
use quinn::{ApplicationClose, ConnectionClose, ConnectionError, TransportErrorCode, VarInt};

use super::*;

fn closed_by_peer(code: u64, reason: &[u8]) -> ConnectionLost {
    ConnectionLost::from(ConnectionError::ApplicationClosed(ApplicationClose {
        error_code: VarInt::from_u64(code).unwrap(),
        reason: Bytes::copy_from_slice(reason),
    }))
}

fn refused_by_peer(error_code: TransportErrorCode) -> ConnectionLost {
    ConnectionLost::from(ConnectionError::ConnectionClosed(ConnectionClose {
        error_code,
        frame_type: None,
        reason: Bytes::from_static(b"\x9b2J"),
    }))
}

#[test]
fn the_peers_words_are_bounded_and_escaped() {
    let lost = closed_by_peer(3, b"\x1b[31mrestart\r\n\xff");
    assert_eq!(
        lost.to_string(),
        "the peer closed the connection: shutting down (code 3): \\u{1b}[31mrestart\\u{d}\\n\u{fffd}"
    );
    let ConnectionLost::ClosedByPeer { reason, .. } = closed_by_peer(0, &[b'x'; 5000]) else {
        panic!("another variant")
    };
    assert_eq!(reason.as_str().len(), 256);
    assert!(!refused_by_peer(TransportErrorCode::INTERNAL_ERROR).to_string().contains('\u{9b}'));
}

#[test]
fn codes_beyond_32_bits_become_one_that_no_table_holds() {
    let code = |lost| match lost {
        ConnectionLost::ClosedByPeer { code, .. } => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(closed_by_peer(u64::from(u32::MAX) - 1, b"")), CloseCode(u32::MAX - 1));
    assert_eq!(code(closed_by_peer(u64::from(u32::MAX) + 1, b"")), CloseCode(u32::MAX));
    assert_eq!(code(closed_by_peer(VarInt::MAX.into_inner(), b"")), CloseCode(u32::MAX));
}

#[test]
fn tls_alerts_are_told_apart_from_other_errors() {
    assert_eq!(refused_by_peer(TransportErrorCode::crypto(0)).tls_alert(), Some(0));
    assert_eq!(refused_by_peer(TransportErrorCode::crypto(120)).tls_alert(), Some(120));
    assert_eq!(refused_by_peer(TransportErrorCode::crypto(255)).tls_alert(), Some(255));
    assert_eq!(refused_by_peer(TransportErrorCode::CONNECTION_REFUSED).tls_alert(), None);
    assert_eq!(ConnectionLost::TimedOut.tls_alert(), None);
}

#[test]
fn mapped_ipv4_addresses_are_shown_as_ipv4() {
    for (from, to) in [
        ("[::ffff:192.0.2.7]:5", "192.0.2.7:5"),
        ("[2001:db8::1]:5", "[2001:db8::1]:5"),
        ("1.2.3.4:5", "1.2.3.4:5"),
    ] {
        assert_eq!(canonical(from.parse().unwrap()), to.parse().unwrap());
    }
}

#[test]
fn the_window_grows_with_the_path_and_never_shrinks() {
    let (receive_bytes, send_bytes) = (4 << 20, 4 << 20);
    let (short, long) = (Duration::from_micros(100), tuning::FULL_WINDOW_RTT);
    let most = tuning::CLIENT_RECEIVE_WINDOW;
    let window = ReceiveWindow::new(Some(SocketBuffers { receive_bytes, send_bytes }), most);
    assert_eq!(fitted(&window, short), Some(3 << 20));
    assert_eq!(fitted(&window, short), None);
    assert_eq!(fitted(&window, long), Some(most), "the peer has moved to a longer path");
    assert_eq!(fitted(&window, short), None, "what it may send already is not given twice");
    assert_eq!(fitted(&window, long), None);

    let virtual_network = ReceiveWindow::new(None, most);
    assert_eq!(fitted(&virtual_network, short), Some(most));

    let stranger = ReceiveWindow::new(Some(SocketBuffers { receive_bytes, send_bytes }), 0);
    assert_eq!(fitted(&stranger, long), None, "nothing before admission");
}

/// What the window is set to.
fn fitted(window: &ReceiveWindow, rtt: Duration) -> Option<u32> {
    let mut set = None;
    window.fit(rtt, |bytes| set = Some(bytes));
    set
}

#[test]
fn a_path_that_has_become_longer_is_noticed_and_a_queue_is_not() {
    let millis = Duration::from_millis;
    assert_eq!(path_rtt(millis(1), millis(9)), millis(1), "its own queue");
    assert_eq!(path_rtt(millis(1), millis(80)), millis(80), "another network");
    assert_eq!(path_rtt(millis(80), millis(90)), millis(90));
}

/// On loopback the socket's buffer overran: the window grew by the time that data had waited there, and let more of it wait.
#[test]
fn a_short_path_borrows_nothing_for_its_own_queue() {
    let growth = Growth::new(None);
    growth.lend(BytePool::new(1 << 30));
    growth.rebase(3 << 20, |_| {});
    let (start, mut stats) = (Instant::now(), quinn::ConnectionStats::default());
    (stats.path.min_rtt, stats.path.rtt) = (Duration::from_micros(100), Duration::from_millis(5));
    for step in 0..10 {
        // 1 GB/s.
        stats.udp_rx.bytes = u64::from(step) * 100_000_000;
        let glance = glance(start + step * Duration::from_millis(100), &stats, 0);
        growth.look(glance, |grown| assert_eq!(grown, Grown::default(), "step {step}"));
    }
}

#[test]
fn a_window_that_is_never_full_counts_for_no_more_than_twice_what_was_in_flight() {
    assert_eq!(used_window(160 << 20, 3 << 20), 6 << 20);
    assert_eq!(used_window(3 << 20, 3 << 20), 3 << 20);
    assert_eq!(used_window(u64::MAX, u64::MAX), u64::MAX);
    let mut stats = quinn::ConnectionStats::default();
    stats.path.cwnd = 1 << 33;
    assert_eq!(glance(Instant::now(), &stats, 1000).congestion_window_bytes, 2000);
}
