//! Connections that follow one over the same path.

use std::time::Duration;

use fulmar_netsim::{Direction, Profile};
use tokio::time::{Instant, sleep};

use crate::world::{Peer, World, data, seeds, simulate};

/// How long the files are whose times are compared, in bytes: start-up is a good part of them.
const LEN: usize = 4 << 20;

/// How long those are that went before, in bytes: they outlive start-up.
const BEFORE_LEN: usize = 32 << 20;

fn long(rate_mbit_per_s: f64) -> Profile {
    let direction =
        Direction { rate_mbit_per_s: Some(rate_mbit_per_s), delay_ms: 100.0, ..Direction::default() };
    Profile::symmetric(&format!("{rate_mbit_per_s} Mbit/s"), direction)
}

/// How long a file takes there and back on connections of their own, connecting included.
async fn there_and_back(world: &World, peer: &Peer, name: &str, len: usize) -> [Duration; 2] {
    let bytes = data(world.seed(), name, len);
    let began = Instant::now();
    let visit = peer.connect_early().await.expect("a handshake");
    visit.upload(name, &bytes).await.expect("stored");
    let there = began.elapsed();
    visit.close().await;
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let visit = peer.connect_early().await.expect("a handshake");
    assert!(visit.download(name).await.expect("sent") == bytes);
    let back = began.elapsed();
    visit.close().await;
    sleep(Duration::from_secs(1)).await;
    [there, back]
}

/// The times over `path`: from nothing, and after files over a path of 200 Mbit/s.
fn unknown_and_known(seed: u64, path: &Profile) -> [[Duration; 2]; 2] {
    [false, true].map(|known| {
        simulate(seed, &long(200.0), async |world| {
            let peer = world.peer(0);
            if known {
                there_and_back(world, &peer, "before", BEFORE_LEN).await;
            }
            world.join(0, path);
            there_and_back(world, &peer, "file", LEN).await
        })
    })
}

#[test]
fn the_next_connection_begins_with_what_the_last_one_has_found() {
    for seed in seeds(2, &[]) {
        let [unknown, known] = unknown_and_known(seed, &long(200.0));
        for (way, (unknown, known)) in ["up", "down"].into_iter().zip(unknown.into_iter().zip(known)) {
            assert!(known < unknown.mul_f64(0.9), "seed {seed}, {way}: {unknown:?}, known {known:?}");
        }
    }
}

#[test]
fn a_path_that_has_become_slower_loses_little_by_it() {
    for seed in seeds(2, &[]) {
        let [unknown, misled] = unknown_and_known(seed, &long(20.0));
        for (way, (unknown, misled)) in ["up", "down"].into_iter().zip(unknown.into_iter().zip(misled)) {
            assert!(misled < unknown.mul_f64(1.15), "seed {seed}, {way}: {unknown:?}, misled {misled:?}");
        }
    }
}
