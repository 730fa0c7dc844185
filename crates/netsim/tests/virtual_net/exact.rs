//! The exact clock.

use std::time::Duration;

use fulmar_netsim::{
    Direction, Profile,
    virtual_net::{self, Network},
};
use quinn::{AsyncUdpSocket as _, udp::Transmit};
use tokio::time::{Instant, sleep};

use crate::rig::{MIB, Rig, addr, connect, data, lossy, send};

/// When datagrams arrive that are sent at once, over 10 Mbit/s and 300 us.
async fn arrivals() -> Vec<Duration> {
    let network = Network::new(1);
    let link = Direction { rate_mbit_per_s: Some(10.0), delay_ms: 0.3, ..Direction::default() };
    network.join_others(&Profile::symmetric("short", link)).expect("in range");
    let (from, to) = (network.bind(addr("10.0.0.2:1")), network.bind(addr("10.0.0.1:2")));
    let (from, to) = (from.expect("free"), to.expect("free"));
    let contents = [0; 222];
    for _ in 0..3 {
        let destination = to.addr();
        let transmit =
            Transmit { destination, ecn: None, contents: &contents, segment_size: None, src_ip: None };
        from.try_send(&transmit).expect("sent");
    }
    let mut at = Vec::new();
    while at.len() < 3 {
        let mut buffer = [0; 1500];
        let mut metas = [quinn::udp::RecvMeta::default(); 1];
        let received = std::future::poll_fn(|cx| {
            to.poll_recv(cx, &mut [std::io::IoSliceMut::new(&mut buffer)], &mut metas)
        });
        let count = received.await.expect("open");
        at.extend(vec![network.elapsed(); count]);
    }
    at
}

#[test]
fn packets_arrive_at_the_very_moment() {
    // 250 bytes at 10 Mbit/s are 200 us.
    let us = |us: [u64; 3]| us.map(Duration::from_micros).to_vec();
    assert_eq!(virtual_net::run_exactly(arrivals()), us([500, 700, 900]));
    assert_eq!(virtual_net::run(arrivals()), us([1000, 1000, 1000]));
}

#[test]
fn timers_of_tokio_keep_to_their_ticks() {
    virtual_net::run_exactly(async {
        let start = Instant::now();
        for expected_ms in [2, 4, 6] {
            let (slept, arrived) = tokio::join!(
                async {
                    sleep(Duration::from_micros(1500)).await;
                    start.elapsed()
                },
                arrivals()
            );
            assert_eq!(slept, Duration::from_millis(expected_ms));
            assert_eq!(arrived[0], Duration::from_micros(500));
        }
    });
}

#[test]
fn a_transfer_is_the_same_every_time_and_faster_than_by_ticks() {
    let transfer = async || {
        let rig = Rig::new(7, &lossy(0.05));
        let connection = connect(&rig.client).await;
        assert!(send(&connection, &data(1, MIB)).await.expect("sent"));
        (rig.network.trace().hash, rig.network.elapsed())
    };
    let exact = virtual_net::run_exactly(transfer());
    assert_eq!(virtual_net::run_exactly(transfer()), exact);
    assert!(exact.1 < virtual_net::run(transfer()).1);
}
