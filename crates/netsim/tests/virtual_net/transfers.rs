//! quinn moves bytes over links of every kind.

use std::time::Duration;

use fulmar_netsim::{Change, Direction, Profile, virtual_net};

use crate::rig::{MIB, Rig, connect, data, hosts, lossy, send};

#[test]
fn a_mebibyte_arrives_at_0_10_and_20_percent_loss() {
    for (seed, ratio) in [(1, 0.0), (2, 0.1), (3, 0.2)] {
        virtual_net::run(async {
            let rig = Rig::new(seed, &lossy(ratio));
            let connection = connect(&rig.client).await;
            assert!(send(&connection, &data(1, MIB)).await.expect("sent"));
            let tallies = rig.network.trace().tallies;
            let lost = tallies.lost as f64 / tallies.sent as f64;
            assert!((lost - ratio).abs() < 0.05, "{ratio}: {tallies:?}");
            assert_eq!(tallies.sent, tallies.delivered + tallies.lost);
        });
    }
}

#[test]
fn many_hosts_share_one_server() {
    virtual_net::run(async {
        let rig = Rig::new(1, &lossy(0.05));
        let sending = (0..10).map(|number| {
            let client = rig.client.clone();
            tokio::spawn(async move {
                let connection = connect(&client).await;
                send(&connection, &data(number, MIB / 4)).await.expect("sent")
            })
        });
        for sent in sending.collect::<Vec<_>>() {
            assert!(sent.await.expect("no panic"));
        }
    });
}

#[test]
fn virtual_time_is_that_of_the_link() {
    virtual_net::run(async {
        let rig = Rig::new(1, &lossy(0.0));
        let connection = connect(&rig.client).await;
        let before = rig.network.elapsed();
        assert!(send(&connection, &data(1, 4 * MIB)).await.expect("sent"));
        let took = (rig.network.elapsed() - before).as_secs_f64();
        // 50 Mbit/s take 0.7 s for the bytes alone; more than that is the start.
        assert!((0.7..1.5).contains(&took), "{took}");
        let (up, _) = rig.network.counters(hosts().0, hosts().1).expect("a link");
        assert!(up.delivered_bytes > 4 << 20, "{up:?}");
    });
}

#[test]
fn a_path_that_shrinks_on_the_way_goes_on() {
    // From 1,500 bytes to 1,280 after a second, as on a route through a tunnel (RFC 8899 section 4.3).
    let shrinks = Change { at_s: 1.0, mtu_bytes: Some(1280), ..Change::default() };
    let both = Direction {
        rate_mbit_per_s: Some(20.0),
        delay_ms: 30.0,
        mtu_bytes: Some(1500),
        changes: vec![shrinks],
        ..Direction::default()
    };
    virtual_net::run(async {
        let rig = Rig::new(1, &Profile::symmetric("shrinking", both));
        let connection = connect(&rig.client).await;
        assert!(send(&connection, &data(1, 4 * MIB)).await.expect("sent"));
        let (up, _) = rig.network.counters(hosts().0, hosts().1).expect("a link");
        assert!(up.lost_too_big_packets > 0, "{up:?}");
        assert!(connection.stats().path.black_holes_detected > 0, "{:?}", connection.stats().path);
        assert!(connection.stats().path.current_mtu <= 1252);
    });
}

#[test]
fn another_link_may_take_the_place_of_one() {
    virtual_net::run(async {
        let rig = Rig::new(1, &lossy(0.0));
        let connection = connect(&rig.client).await;
        assert!(send(&connection, &data(1, MIB)).await.expect("sent"));
        let slow = Direction { delay_ms: 200.0, ..Direction::default() };
        rig.network.join(hosts().0, hosts().1, &Profile::symmetric("slow", slow)).expect("in range");
        let before = rig.network.elapsed();
        assert!(send(&connection, b"short").await.expect("sent"));
        assert!(rig.network.elapsed() - before >= Duration::from_millis(400));
    });
}
