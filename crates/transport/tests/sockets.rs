//! What only sockets of the system show.
#![allow(clippy::unwrap_used, reason = "a failure of the rig fails the test")]

mod common;

use std::num::NonZeroU64;

use common::{AMPLE, listen, pair, stream};
use fulmar_transport::{Algorithm, Connection, Dialer, Identity, Sending, ServerTrust};
use tokio::sync::watch;

/// Sends until the other side wants no more.
async fn send_for_ever(server: Connection) {
    let (mut send, _receive) = server.accept_stream().await.unwrap();
    while send.send_bytes(vec![7; 64 << 10].into()).await.is_ok() {}
}

/// Asks for bytes and counts them, until `enough` of them are there or somebody has enough. How many there were.
async fn count(client: Connection, enough: usize, over: watch::Sender<bool>) -> usize {
    let (mut ask, mut receive) = client.open_stream().await.unwrap();
    ask.send(&1u8).await.unwrap();
    let mut stop = over.subscribe();
    let mut bytes = 0;
    while bytes < enough {
        tokio::select! {
            chunk = receive.read_body_chunk(64 << 10) => bytes += chunk.unwrap().len(),
            _ = stop.wait_for(|over| *over) => return bytes,
        }
    }
    over.send_replace(true);
    bytes
}

#[tokio::test]
async fn three_clients_of_one_socket_are_served_at_three_rates_at_once() {
    let identity = Identity::generate().unwrap();
    let (listener, addr) = listen(&identity);
    let trust = ServerTrust::from(identity.fingerprint());
    let over = watch::Sender::new(false);
    let mut clients = Vec::new();
    for cap_bytes_per_s in [500_000, 1_000_000, 2_000_000] {
        let dialer = Dialer::new(&Identity::generate().unwrap());
        let accept = async { listener.accept().await.unwrap().finish().await };
        let (client, server) = tokio::join!(dialer.dial(addr, &trust, AMPLE), accept);
        let server = server.unwrap();
        let max_rate_bytes_per_s = NonZeroU64::new(cap_bytes_per_s);
        server.set_sending(Sending { algorithm: Algorithm::Lrc, max_rate_bytes_per_s });
        server.admit();
        tokio::spawn(send_for_ever(server));
        clients.push((dialer, client.unwrap()));
    }
    let [slow, middle, fast] = &clients[..] else { unreachable!() };
    let count = |client: &(Dialer, Connection)| count(client.1.clone(), 3_000_000, over.clone());
    let bytes = tokio::join!(count(slow), count(middle), count(fast));
    // Relations only: how long all of it takes is up to the machine, and a busy one serves the fastest less than its due.
    let is_well_below = |less: usize, more: usize| less * 13 / 10 < more;
    assert!(is_well_below(bytes.0, bytes.1) && is_well_below(bytes.1, bytes.2), "{bytes:?}");
}

/// quinn hands the kernel ten datagrams at once. Of large ones that is more than it takes, and quinn drops what it refuses.
#[tokio::test]
async fn large_datagrams_cross_loopback_without_loss() {
    let mtu = std::fs::read_to_string("/sys/class/net/lo/mtu").ok().and_then(|mtu| mtu.trim().parse().ok());
    if mtu.is_none_or(|mtu: u32| mtu < 65_536) {
        println!("skipped: the loopback interface does not take packets of 65,536 bytes");
        return;
    }
    let pair = pair().await;
    pair.server.admit();
    let ((mut send, _hears), (_answers, mut receive)) = stream(&pair).await;
    let most = fulmar_transport::tuning::MAX_DATAGRAM_BYTES;
    // So little at once that no buffer of a socket overflows, however busy the machine is.
    let piece = 256 << 10;
    let (mut pieces, mut before) = (0, pair.client.stats());
    for _ in 0..400 {
        let write = send.send_bytes(vec![7; piece].into());
        let read = async {
            let mut left = piece;
            while left > 0 {
                left -= receive.read_body_chunk(left).await.unwrap().len();
            }
        };
        let (written, ()) = tokio::join!(write, read);
        written.unwrap();
        if pair.client.stats().path_mtu_bytes < most {
            before = pair.client.stats();
        } else {
            pieces += 1;
        }
        if pieces == 64 {
            break;
        }
    }
    let after = pair.client.stats();
    assert_eq!((after.path_mtu_bytes, after.black_holes), (most, 0));
    // 16 MiB are 525 packets of the largest size; the repair of what the kernel refuses would take more.
    assert!(after.lost_packets - before.lost_packets < 50, "{before:?} {after:?}");
}
