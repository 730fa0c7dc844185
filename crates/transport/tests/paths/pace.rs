//! Each connection keeps its own pace, although a server's connections share a socket.

use std::{num::NonZeroU64, time::Duration};

use fulmar_netsim::virtual_net;
use fulmar_transport::{Algorithm, Sending};
use tokio::time::Instant;

use crate::rig::{Pair, Site, host, link, send_all, stream};

const RTT_MS: f64 = 10.0;

fn capped(bytes_per_s: u64, algorithm: Algorithm) -> Sending {
    Sending { algorithm, max_rate_bytes_per_s: NonZeroU64::new(bytes_per_s) }
}

/// The share of its cap at which a server sends to a client.
async fn share_of_cap(pair: &Pair, bytes: usize, cap_bytes_per_s: u64) -> f64 {
    let (_client, (mut send, _keep)) = stream(pair).await;
    let (_, mut receive) = _client;
    let took = send_all(&mut send, &mut receive, bytes).await;
    bytes as f64 / took.as_secs_f64() / cap_bytes_per_s as f64
}

#[test]
fn three_clients_of_one_socket_are_served_at_three_rates() {
    virtual_net::run(async {
        let site = Site::new();
        let caps = [100_000, 1_000_000, 10_000_000];
        let mut pairs = Vec::new();
        for (number, cap) in (0..).zip(caps) {
            let pair = site.connect(number, &link(1000.0, RTT_MS), Sending::default()).await;
            pair.server.set_sending(capped(cap, Algorithm::Lrc));
            pairs.push(pair);
        }
        let [slow, middle, fast] = &pairs[..] else { unreachable!() };
        let seconds = |cap: u64| usize::try_from(cap * 3).unwrap();
        let shares = tokio::join!(
            share_of_cap(slow, seconds(caps[0]), caps[0]),
            share_of_cap(middle, seconds(caps[1]), caps[1]),
            share_of_cap(fast, seconds(caps[2]), caps[2]),
        );
        // What is missing are the headers of QUIC, the first round trip, and the window's slow beginning.
        for share in [shares.0, shares.1, shares.2] {
            assert!((0.93..1.02).contains(&share), "{shares:?}");
        }
    });
}

#[test]
fn every_controller_keeps_to_the_cap() {
    virtual_net::run(async {
        let site = Site::new();
        for (number, algorithm) in
            (0..).zip([Algorithm::Lrc, Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr])
        {
            let pair = site.connect(number, &link(1000.0, RTT_MS), Sending::default()).await;
            pair.server.set_sending(capped(500_000, algorithm));
            assert_eq!(pair.server.stats().algorithm, algorithm);
            let share = share_of_cap(&pair, 2_000_000, 500_000).await;
            assert!((0.93..1.02).contains(&share), "{algorithm:?}: {share}");
        }
    });
}

#[test]
fn a_client_that_moves_to_another_port_is_served_at_the_same_rate() {
    virtual_net::run(async {
        let site = Site::new();
        let pair = site.connect(0, &link(1000.0, RTT_MS), Sending::default()).await;
        pair.server.set_sending(capped(1_000_000, Algorithm::Lrc));
        let moved = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            site.network.rebind(pair.addr, (host(0), 9).into()).unwrap();
        };
        // The server hears of the new port with the client's next packet, which is an acknowledgement.
        let (share, ()) = tokio::join!(share_of_cap(&pair, 3_000_000, 1_000_000), moved);
        assert!((0.9..1.02).contains(&share), "{share}");
    });
}

#[test]
fn a_slow_pace_does_not_hold_back_answers_for_longer_than_a_packet() {
    virtual_net::run(async {
        let site = Site::new();
        let pair = site.connect(0, &link(1000.0, RTT_MS), Sending::default()).await;
        let cap = 150_000;
        pair.server.set_sending(capped(cap, Algorithm::Lrc));
        let ((mut asks, mut hears), (mut answers, mut asked)) = stream(&pair).await;
        let (_client, (mut bulk, _keep)) = stream(&pair).await;
        let (_, mut sink) = _client;
        answers.set_priority(1);
        let ask = async {
            let mut longest = Duration::ZERO;
            for _ in 0..50 {
                tokio::time::sleep(Duration::from_millis(37)).await;
                let started = Instant::now();
                asks.send(&7u8).await.unwrap();
                assert_eq!(asked.recv::<u8>().await.unwrap(), Some(7));
                answers.send(&8u8).await.unwrap();
                assert_eq!(hears.recv::<u8>().await.unwrap(), Some(8));
                longest = longest.max(started.elapsed());
            }
            longest
        };
        let (longest, _) = tokio::join!(ask, send_all(&mut bulk, &mut sink, 400_000));
        // A packet that waits for its time, and the one that the answer is in: each 9.7 ms; and the clock's ticks.
        let bound = Duration::from_secs_f64(RTT_MS / 1e3 + 2.0 * 1452.0 / cap as f64 + 0.004);
        assert!(longest <= bound, "{longest:?} of {bound:?}");
    });
}
