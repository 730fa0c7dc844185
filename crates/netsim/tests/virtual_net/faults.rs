//! What may go wrong besides losses.

use std::time::Duration;

use fulmar_netsim::virtual_net;
use quinn::ConnectionError;
use tokio::time::sleep;

use crate::rig::{MIB, Rig, addr, client, connect, data, hosts, lossy, send, server, start_server};

#[test]
fn a_client_behind_a_translator_survives_new_addresses() {
    virtual_net::run(async {
        let rig = Rig::new(1, &lossy(0.02));
        let connection = connect(&rig.client).await;
        let rebinding = async {
            for public in ["10.0.0.2:6000", "192.0.2.7:6000"] {
                sleep(Duration::from_millis(100)).await;
                rig.network.rebind(client(), addr(public)).expect("bound and free");
                assert_eq!(rig.network.public_addr(client()), addr(public));
            }
        };
        let bytes = data(1, 2 * MIB);
        let (sent, ()) = tokio::join!(send(&connection, &bytes), rebinding);
        assert!(sent.expect("sent"));
        // What the server sent to the former addresses found nobody.
        assert!(rig.network.trace().tallies.nobody_there > 0);
        assert_eq!(
            rig.network.rebind(addr("10.0.0.2:1"), server()).unwrap_err().kind(),
            std::io::ErrorKind::NotFound
        );
        assert_eq!(rig.network.rebind(client(), server()).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    });
}

#[test]
fn a_killed_server_is_silent_and_another_takes_its_address() {
    virtual_net::run(async {
        let rig = Rig::new(1, &lossy(0.0));
        let connection = connect(&rig.client).await;
        assert!(send(&connection, &data(1, MIB)).await.expect("sent"));
        assert!(rig.network.close(server()));
        assert!(!rig.network.close(server()), "it is closed already");
        assert!(rig.server.accept().await.is_none(), "its endpoint has ended");
        let tallies = rig.network.trace().tallies;
        let second = start_server(&rig.network, 3);
        let again = connect(&rig.client).await;
        assert!(send(&again, &data(2, MIB)).await.expect("sent"));
        assert_eq!(tallies.nobody_there, 0);
        // Nobody knows the old connection any more, and nobody who does may say so in its place.
        assert!(send(&connection, b"anyone?").await.is_err());
        let lost = connection.close_reason().expect("the end of the connection");
        assert!(matches!(lost, ConnectionError::TimedOut | ConnectionError::Reset), "{lost:?}");
        drop(second);
    });
}

#[test]
fn partitions_of_either_kind_heal() {
    let (below, above) = hosts();
    for (ways, seed) in
        [(vec![(below, above), (above, below)], 1), (vec![(below, above)], 2), (vec![(above, below)], 3)]
    {
        virtual_net::run(async {
            let rig = Rig::new(seed, &lossy(0.0));
            let connection = connect(&rig.client).await;
            let bytes = data(1, 4 * MIB);
            let outage = async {
                sleep(Duration::from_millis(200)).await;
                ways.iter().for_each(|(from, to)| rig.network.block(*from, *to));
                sleep(Duration::from_secs(10)).await;
                let stalled_at = rig.network.trace().tallies.delivered;
                rig.network.heal(below, above);
                stalled_at
            };
            let (sent, stalled_at) = tokio::join!(send(&connection, &bytes), outage);
            assert!(sent.expect("sent"));
            assert!(rig.network.elapsed() > Duration::from_secs(10));
            let tallies = rig.network.trace().tallies;
            assert!(tallies.blocked > 0 && tallies.delivered > stalled_at, "{tallies:?}");
        });
    }
}

#[test]
fn a_partition_for_longer_than_the_idle_timeout_ends_the_connection() {
    virtual_net::run(async {
        let rig = Rig::new(1, &lossy(0.0));
        let connection = connect(&rig.client).await;
        rig.network.partition(hosts().0, hosts().1);
        assert!(matches!(connection.closed().await, ConnectionError::TimedOut));
        assert!(rig.network.elapsed() >= Duration::from_secs(60));
    });
}

#[test]
fn flipped_bits_never_reach_the_application() {
    for seed in 0..5 {
        virtual_net::run(async {
            let rig = Rig::new(seed, &lossy(0.0));
            let (below, above) = hosts();
            rig.network.corrupt(below, above, 0.05);
            rig.network.corrupt(above, below, 0.05);
            let connection = connect(&rig.client).await;
            assert!(send(&connection, &data(1, MIB)).await.expect("sent"));
            assert!(rig.network.trace().tallies.corrupted > 10);
        });
    }
}

#[test]
fn garbage_and_replays_do_no_harm() {
    virtual_net::run(async {
        let rig = Rig::new(1, &lossy(0.0));
        let (below, above) = hosts();
        rig.network.overhear(below, above, 8);
        let connection = connect(&rig.client).await;
        let overheard = rig.network.overheard(below, above);
        assert!((1..=8).contains(&overheard.len()), "{}", overheard.len());
        let noise = async {
            for round in 0..20 {
                for payload in &overheard {
                    rig.network.inject(client(), server(), payload);
                    rig.network.inject(addr("203.0.113.9:99"), server(), payload);
                }
                rig.network.inject(server(), client(), &data(round, 900));
                sleep(Duration::from_millis(10)).await;
            }
        };
        let bytes = data(1, MIB);
        let (sent, ()) = tokio::join!(send(&connection, &bytes), noise);
        assert!(sent.expect("sent"));
        assert_eq!(rig.network.trace().tallies.injected, 20 * (2 * overheard.len() as u64 + 1));
    });
}
