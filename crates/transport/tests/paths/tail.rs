//! The last packets of a transfer are repaired about as fast as those in its middle.

use std::time::Duration;

use fulmar_netsim::virtual_net;
use fulmar_transport::Sending;
use tokio::time::{Instant, sleep};

use crate::rig::{SERVER, Site, host, link, stream};

const RTT: Duration = Duration::from_millis(100);

/// How long a message takes of which nothing arrives at first.
async fn repair(bytes: usize) -> Duration {
    let site = Site::new();
    let pair = site.connect(0, &link(100.0, RTT.as_secs_f64() * 1e3), Sending::default()).await;
    let ((mut send, _hears), (_answers, mut receive)) = stream(&pair).await;
    // The round trip is known, and nothing is in flight.
    for _ in 0..20 {
        send.send(&1u8).await.expect("the connection lives");
        assert_eq!(receive.recv::<u8>().await.expect("the connection lives"), Some(1));
        sleep(3 * RTT).await;
    }
    let started = Instant::now();
    site.network.block(host(0), SERVER);
    send.send_bytes(vec![7; bytes].into()).await.expect("the connection lives");
    sleep(Duration::from_millis(8)).await;
    site.network.unblock(host(0), SERVER);
    let mut left = bytes;
    while left > 0 {
        left -= receive.read_body_chunk(left).await.expect("the connection lives").len();
    }
    started.elapsed()
}

#[test]
fn packets_lost_at_the_end_are_repaired_in_one_round_trip_and_a_quarter() {
    virtual_net::run(async {
        for bytes in [1000, 20_000] {
            let took = repair(bytes).await;
            // Half a round trip more for the way there. A probe timeout would come after 1.3 round trips at the earliest,
            // and of twenty packets it would repair two.
            assert!(took <= RTT * 19 / 10, "{bytes} bytes: {took:?}");
        }
    });
}

#[test]
fn a_connection_with_nothing_to_say_falls_silent() {
    virtual_net::run(async {
        for rtt_ms in [1.0, 5.0, 20.0, 100.0] {
            let site = Site::new();
            let pair = site.connect(0, &link(100.0, rtt_ms), Sending::default()).await;
            let ((mut send, mut hears), (mut answers, mut receive)) = stream(&pair).await;
            send.send(&1u8).await.expect("the connection lives");
            assert_eq!(receive.recv::<u8>().await.expect("the connection lives"), Some(1));
            answers.send(&2u8).await.expect("the connection lives");
            assert_eq!(hears.recv::<u8>().await.expect("the connection lives"), Some(2));
            let sent = || [&pair.client, &pair.server].map(|side| side.stats().sent_packets);
            let before = sent();
            sleep(Duration::from_secs(10)).await;
            for (after, before) in sent().into_iter().zip(before) {
                // Keep-alives and what answers them, and the probes of one tail.
                assert!(after - before < 30, "{rtt_ms} ms: {} packets in 10 s", after - before);
            }
        }
    });
}

#[test]
fn what_is_kept_for_sending_is_given_back_only_when_all_has_arrived() {
    virtual_net::run(async {
        let site = Site::new();
        let pair = site.connect(0, &link(100.0, RTT.as_secs_f64() * 1e3), Sending::default()).await;
        let ((_send, mut hears), (mut answers, _receive)) = stream(&pair).await;
        sleep(3 * RTT).await;
        assert!(pair.server.rest(), "nothing was sent");
        answers.send_bytes(vec![7; 20_000].into()).await.expect("the connection lives");
        sleep(RTT / 10).await;
        assert!(!pair.server.rest(), "all of it is on its way");
        let mut left = 20_000;
        while left > 0 {
            left -= hears.read_body_chunk(left).await.expect("the connection lives").len();
        }
        sleep(2 * RTT).await;
        assert!(pair.server.rest(), "all of it has arrived");
    });
}
