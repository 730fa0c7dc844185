//! Whatever quinn tells, in whatever order and at whatever times, the controller lives and stays in its bounds.

use proptest::{collection::vec, prelude::*};

use super::*;

/// One call of quinn's.
#[derive(Clone, Copy, Debug)]
enum Call {
    /// Time passes, in microseconds.
    Wait(u64),
    Sent(u64),
    /// Something that left so many departures ago is acknowledged; then the batch ends.
    Acked {
        ago: usize,
        bytes: u64,
        batch_ends: bool,
        app_limited: bool,
    },
    Lost {
        ago: usize,
        bytes: u64,
    },
    Mtu(u16),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0_u64..50_000).prop_map(Call::Wait),
        1 => (0_u64..20_000_000).prop_map(Call::Wait),
        4 => (1_u64..15_000).prop_map(Call::Sent),
        6 => (0_usize..300, 1_u64..15_000, any::<bool>(), any::<bool>())
            .prop_map(|(ago, bytes, batch_ends, app_limited)| Call::Acked { ago, bytes, batch_ends, app_limited }),
        2 => (0_usize..300, 0_u64..100_000).prop_map(|(ago, bytes)| Call::Lost { ago, bytes }),
        1 => (1200_u16..9000).prop_map(Call::Mtu),
    ]
}

/// Makes the calls and checks the bounds after each.
fn make(calls: &[Call], mode: Mode) -> Result<(), TestCaseError> {
    let start = Instant::now();
    let config = LrcConfig::new(mode);
    let signals = config.signals().clone();
    let mut lrc = Lrc::new(config, start, 1200);
    let (mut now, mut sent, mut in_flight) = (start, vec![start], 0_u64);
    for call in calls {
        let at = |ago: usize| sent[sent.len() - 1 - ago.min(sent.len() - 1)];
        match *call {
            Call::Wait(us) => now += Duration::from_micros(us),
            Call::Sent(bytes) => {
                lrc.on_sent(now, bytes, 0);
                sent.push(now);
                in_flight += bytes;
            }
            Call::Acked { ago, bytes, batch_ends, app_limited } => {
                lrc.note_acked(now, at(ago), bytes, 0.05);
                in_flight = in_flight.saturating_sub(bytes);
                if batch_ends {
                    lrc.on_end_acks(now, in_flight, app_limited, None);
                }
            }
            Call::Lost { ago, bytes } => lrc.on_congestion_event(now, at(ago), false, bytes),
            Call::Mtu(mtu) => lrc.on_mtu_update(mtu),
        }
        prop_assert!(lrc.window() >= 2 * 1200, "a window of {} bytes", lrc.window());
        prop_assert!(lrc.window.is_finite() && lrc.pace.is_finite(), "{} {}", lrc.window, lrc.pace);
        prop_assert!(signals.pace_bytes_per_s() >= 10_000);
        prop_assert!(signals.quantum_bytes() >= 1200 && signals.quantum_bytes() <= 90_000);
        prop_assert!((0.0..=0.4).contains(&signals.snapshot().loss_floor));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_calls_leads_astray(calls in vec(call(), 1..600)) {
        make(&calls, Mode::Paced)?;
        make(&calls, Mode::Window)?;
    }
}

#[test]
fn a_rate_cap_holds() {
    let start = Instant::now();
    let mut config = LrcConfig::new(Mode::Paced);
    config.max_rate(Some(50_000));
    let signals = config.signals().clone();
    let mut lrc = Lrc::new(config, start, 1200);
    for step in 0..2000_u32 {
        let sent = start + Duration::from_millis(u64::from(step));
        lrc.on_sent(sent, 12_000, 0);
        if step >= 50 {
            let at = start + Duration::from_millis(u64::from(step - 50));
            lrc.note_acked(sent, at, 12_000, 0.05);
            lrc.on_end_acks(sent, 600_000, false, None);
            assert!(signals.pace_bytes_per_s() <= 50_000, "{}", signals.pace_bytes_per_s());
        }
    }
}

#[test]
fn a_mark_of_the_network_is_congestion_and_no_loss() {
    let start = Instant::now();
    let mut lrc = Lrc::new(LrcConfig::default(), start, 1200);
    lrc.on_congestion_event(start, start, false, 0);
    assert!(lrc.loss.is_congested());
    assert_eq!(lrc.totals.lost_bytes, 0);
}

#[test]
fn acknowledgements_that_a_receiver_holds_back_are_no_queue() {
    let start = Instant::now();
    let mut lrc = Lrc::new(LrcConfig::new(Mode::Paced), start, 1200);
    let mut now = start;
    for request in 0..200 {
        lrc.on_sent(now, 400, 0);
        // Every other one has to wait for 25 ms.
        let rtt_ms = if request % 2 == 0 { 50 } else { 75 };
        let sent = now;
        now += Duration::from_millis(rtt_ms);
        lrc.note_acked(now, sent, 400, 0.06);
        lrc.on_end_acks(now, 0, true, None);
        now += Duration::from_millis(200);
    }
    assert_eq!(
        lrc.state(),
        State::Startup,
        "nothing was learnt of the path, so that it has yet to be looked for"
    );
    assert!(lrc.window >= INITIAL_PACKETS * 1200.0);
}

/// A controller at the end of a slow path, with five packets of 1,200 bytes on their way, one each 12 ms; and the time.
fn on_a_slow_path(config: LrcConfig) -> (Lrc, Instant) {
    let start = Instant::now();
    let mut lrc = Lrc::new(config, start, 1200);
    let at = |step: u32| start + Duration::from_millis(12) * step;
    for step in 0..500 {
        lrc.on_sent(at(step), 1200, 0);
        if step >= 5 {
            lrc.note_acked(at(step), at(step - 5), 1200, 0.06);
            lrc.on_end_acks(at(step), 6000, false, None);
        }
    }
    (lrc, at(500))
}

/// quinn 0.11 looks whether the window has room for a whole packet before it writes acknowledgements, once any other frame waits.
#[test]
fn a_receivers_acknowledgements_do_not_wait_for_its_window() {
    let (mut lrc, now) = on_a_slow_path(LrcConfig::default());
    let floor = (INITIAL_PACKETS * 1200.0) as u64;
    assert!(lrc.state() != State::Startup && lrc.window() < floor, "{} bytes", lrc.window());
    // Nothing but control frames from here on.
    lrc.on_sent(now, 50, 0);
    lrc.note_acked(now + Duration::from_millis(60), now, 50, 0.06);
    lrc.on_end_acks(now + Duration::from_millis(60), 0, true, None);
    lrc.on_sent(now + Duration::from_millis(70), 50, 0);
    lrc.note_acked(now + Duration::from_millis(130), now + Duration::from_millis(70), 50, 0.06);
    lrc.on_end_acks(now + Duration::from_millis(130), 0, true, None);
    assert!(lrc.window() >= floor, "{} bytes", lrc.window());
}

/// A client whose last handshake packet is lost while a full window of data is on its way: the repetition must not wait behind that,
/// because the server can neither read nor acknowledge it.
#[test]
fn a_lost_handshake_packet_finds_room_behind_a_full_window() {
    let start = Instant::now();
    let mut lrc = Lrc::new(LrcConfig::default(), start, 1200);
    lrc.on_sent(start, 100, 0);
    let full = lrc.window();
    lrc.on_sent(start + Duration::from_millis(1), full - 100, 0);
    lrc.on_congestion_event(start + Duration::from_millis(200), start, false, 100);
    let in_flight = full - 100;
    assert!(lrc.window() >= in_flight + 2 * 1200, "room for {} bytes", lrc.window() - in_flight);
}

#[test]
fn what_limits_the_flow_is_told() {
    let limit = |config: LrcConfig| {
        let signals = config.signals().clone();
        let (mut lrc, now) = on_a_slow_path(config);
        let full = signals.snapshot();
        lrc.on_sent(now, 1200, 0);
        lrc.note_acked(now + Duration::from_millis(60), now, 1200, 0.06);
        lrc.on_end_acks(now + Duration::from_millis(60), 0, true, None);
        (full, signals.snapshot().limit)
    };
    let (full, idle) = limit(LrcConfig::new(Mode::Paced));
    assert_eq!((full.limit, idle), (Limit::Path, Limit::Application));
    assert_eq!(full.loss, 0.0);
    let mut capped = LrcConfig::new(Mode::Paced);
    capped.max_rate(Some(20_000));
    assert_eq!(limit(capped).0.limit, Limit::RateCap);
    let new = LrcConfig::new(Mode::Paced);
    let signals = new.signals().clone();
    let _lrc = Lrc::new(new, Instant::now(), 1200);
    assert_eq!(signals.snapshot().limit, Limit::Startup);
}

#[test]
fn a_peer_that_acknowledges_nothing_fills_no_memory() {
    let start = Instant::now();
    let mut lrc = Lrc::new(LrcConfig::new(Mode::Paced), start, 1200);
    for packet in 0..200_000 {
        lrc.on_sent(start + Duration::from_micros(packet), 35, packet);
    }
    assert!(lrc.departures.len() <= 65_536, "{}", lrc.departures.len());
}

#[test]
fn acknowledgements_of_a_receiver_open_no_window() {
    let start = Instant::now();
    let mut lrc = Lrc::new(LrcConfig::new(Mode::Paced), start, 1200);
    let before = lrc.allowed();
    for round in 0..1000 {
        // A hundred acknowledgements, and credit, which is acknowledged itself.
        let sent = start + Duration::from_millis(50) * round;
        for packet in 0..100 {
            lrc.on_sent(sent + Duration::from_micros(packet), 35, packet);
        }
        let now = sent + Duration::from_millis(40);
        lrc.note_acked(now, sent, 35, 0.04);
        lrc.on_end_acks(now, 0, true, None);
    }
    assert!(lrc.allowed() < 2 * before, "{} bytes of window, {before} before", lrc.allowed());
}
