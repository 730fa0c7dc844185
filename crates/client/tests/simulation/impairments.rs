//! Uploads and downloads over links that lose in bursts, delay unevenly, duplicate, reorder, and carry no long packets.

use fulmar_client::ErrorKind;
use fulmar_netsim::{Direction, Loss, Profile};

use crate::{
    links::{bursty, clean, narrow, wire},
    world::{data, seeds, simulate},
};

const MIB: usize = 1 << 20;

/// One file of several ranges there, and back.
fn there_and_back(seed: u64, profile: &Profile) {
    simulate(seed, profile, async |world| {
        let visit = world.peer(0).visit().await;
        let bytes = data(seed, "file", 3 * MIB);
        visit.upload("file.bin", &bytes).await.expect("stored");
        assert!(visit.download("file.bin").await.expect("sent") == bytes);
        visit.close().await;
    });
}

#[test]
fn bursts_of_loss() {
    // Those that are counted in packets are short: on a path that has fallen silent a packet passes every few seconds, and
    // a long burst would be an outage of minutes.
    let in_packets = [(0.01, 3.0), (0.05, 3.0), (0.1, 2.0), (0.2, 3.0)].map(|(p, len)| Loss::bursts(p, len));
    let in_time = [(0.01, 100.0), (0.05, 20.0), (0.1, 300.0), (0.2, 5.0), (0.2, 80.0)]
        .map(|(p, ms)| Loss::spells(p, ms));
    for seed in seeds(1, &[]) {
        for loss in in_packets.into_iter().chain(in_time) {
            there_and_back(seed, &bursty(loss));
        }
    }
}

#[test]
fn jitter_reordering_and_duplication() {
    for seed in seeds(1, &[]) {
        for jitter_ms in [2.0, 20.0] {
            for reordering in [false, true] {
                let way = Direction { jitter_ms, reordering, duplication: 0.1, ..wire() };
                there_and_back(seed, &Profile::symmetric("uneven", way));
            }
        }
        there_and_back(seed, &Profile::symmetric("twice", Direction { duplication: 1.0, ..wire() }));
    }
}

#[test]
fn a_path_that_carries_no_long_packets() {
    // The shortest that QUIC can use: 1,200 bytes and the headers of UDP and IPv4.
    for seed in seeds(2, &[]) {
        for mtu_bytes in [1228, 1280, 1400] {
            there_and_back(seed, &narrow(mtu_bytes, None));
        }
    }
}

#[test]
fn a_path_that_stops_carrying_long_packets() {
    for seed in seeds(2, &[]) {
        for from_s in [0.2, 0.5, 0.9] {
            there_and_back(seed, &narrow(1228, Some(from_s)));
        }
    }
}

#[test]
fn a_path_that_carries_too_little_is_an_error_in_time() {
    for seed in seeds(1, &[]) {
        simulate(seed, &narrow(1227, None), async |world| {
            let error = world.peer(0).connect().await.err().expect("nothing arrives");
            assert_eq!(error.kind(), ErrorKind::CannotConnect, "{error}");
        });
        // The path becomes that bad while something is on its way.
        simulate(seed, &clean(), async |world| {
            let visit = world.peer(0).visit().await;
            world.join(0, &narrow(1227, Some(0.3)));
            let before = world.network().elapsed();
            let error = visit.upload("file.bin", &data(seed, "file", 3 * MIB)).await.expect_err("no path");
            assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
            assert!((world.network().elapsed() - before).as_secs() < 200);
        });
    }
}
