//! Uploads and downloads over links that lose, delay, duplicate and reorder.

use std::{num::NonZeroU64, time::Duration};

use fulmar_netsim::{Change, Direction, Loss, Profile};

use fulmar_transport::{Algorithm, Sending};

use crate::world::{data, seeds, simulate};

const MIB: usize = 1 << 20;

fn lossy(ratio: f64) -> Profile {
    let direction = Direction {
        rate_mbit_per_s: Some(50.0),
        delay_ms: 20.0,
        loss_after_queue: (ratio > 0.0).then_some(Loss::Bernoulli(ratio)),
        ..Direction::default()
    };
    Profile::symmetric(&format!("loss of {ratio}"), direction)
}

/// One file there and another back, each of them right behind Hello.
fn there_and_back(seed: u64, profile: &Profile, len: usize) {
    simulate(seed, profile, async |world| {
        let visit = world.peer(0).connect_early().await.expect("a handshake");
        let bytes = data(seed, "file", len);
        visit.upload("file.bin", &bytes).await.expect("stored");
        assert_eq!(visit.list("").await.expect("a listing"), ["file.bin"]);
        visit.close().await;
        let visit = world.peer(0).connect_early().await.expect("a handshake");
        assert_eq!(visit.download("file.bin").await.expect("sent"), bytes);
        visit.close().await;
    });
}

#[test]
fn files_of_every_size_cross_a_clean_link() {
    // Nothing, one byte, one range, and both sides of the longest file that travels in one stream.
    for len in [0, 1, 64 << 10, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB + 7] {
        there_and_back(1, &lossy(0.0), len);
    }
}

#[test]
fn files_in_one_stream_and_in_ranges_cross_links_that_lose_packets() {
    for seed in seeds(2, &[]) {
        for ratio in [0.01, 0.05, 0.1, 0.2] {
            there_and_back(seed, &lossy(ratio), MIB);
            there_and_back(seed, &lossy(ratio), 3 * MIB);
        }
    }
}

#[test]
fn every_named_link_carries_files() {
    for seed in seeds(1, &[]) {
        for name in Profile::names() {
            there_and_back(seed, &Profile::named(name).expect("a named profile"), MIB);
        }
    }
}

/// When a fast link becomes a slow one, ranges that were cut for the fast one wait for each other: the last of them hears
/// nothing for minutes, and nobody is at fault.
#[test]
fn ranges_that_wait_for_each_other_are_not_given_up() {
    let collapse = Change { at_s: 1.0, rate_mbit_per_s: Some(1.0), ..Change::default() };
    let link = Direction {
        rate_mbit_per_s: Some(100.0),
        delay_ms: 20.0,
        changes: vec![collapse],
        ..Direction::default()
    };
    there_and_back(1, &Profile::symmetric("a link that collapses", link), 40 * MIB);
}

/// On a path that takes all of it at once, a file that has to be begun, sent in ranges and committed takes the round trip in which
/// it is begun and the one in which it is sent; fetching it, the one in which it is opened and the one in which the rest is asked for.
#[test]
fn no_round_trip_is_idle() {
    let direction = Direction { delay_ms: 500.0, ..Direction::default() };
    simulate(1, &Profile::symmetric("a second", direction), async |world| {
        let visit = world.peer(0).visit().await;
        // After this, both sides know what the path takes.
        visit.upload("large", &data(1, "large", 40 * MIB)).await.expect("stored");
        visit.download("large").await.expect("sent");
        let bytes = data(1, "file", 2 * MIB + MIB / 2);
        let started = world.network().elapsed();
        visit.upload("file", &bytes).await.expect("stored");
        let uploaded = world.network().elapsed();
        assert!(visit.download("file").await.expect("sent") == bytes);
        let downloaded = world.network().elapsed();
        // And the store's device has its own pace.
        let (up, down) = (uploaded - started, downloaded - uploaded);
        assert!(up < Duration::from_millis(2700) && down < Duration::from_millis(2700), "{up:?}, {down:?}");
    });
}

#[test]
fn both_sides_send_as_the_client_wishes() {
    let rate_bytes_per_s = 500_000;
    for algorithm in [Algorithm::Lrc, Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr] {
        let sending = Sending { algorithm, max_rate_bytes_per_s: NonZeroU64::new(rate_bytes_per_s) };
        simulate(1, &lossy(0.0), async |world| {
            let visit = world.peer_that_sends(0, sending).visit().await;
            assert_eq!(visit.session().stats().algorithm, algorithm);
            let bytes = data(1, "file", 3 * MIB);
            let started = world.network().elapsed();
            visit.upload("file", &bytes).await.expect("stored");
            let uploaded = world.network().elapsed();
            assert!(visit.download("file").await.expect("sent") == bytes);
            let downloaded = world.network().elapsed();
            // Not faster than the cap; and the path would take it in half a second.
            let least = Duration::from_secs_f64(0.95 * bytes.len() as f64 / rate_bytes_per_s as f64);
            for elapsed in [uploaded - started, downloaded - uploaded] {
                assert!(elapsed >= least && elapsed < 2 * least, "{algorithm:?}: {elapsed:?}, {least:?}");
            }
        });
    }
}
