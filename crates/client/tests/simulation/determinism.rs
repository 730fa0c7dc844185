//! The same seed gives the same run.

use fulmar_netsim::{Profile, virtual_net::Trace};

use tokio::task::JoinSet;

use crate::world::{Restart, SERVER, data, peer_ip, seeds, traced};

const MIB: usize = 1 << 20;

/// Several clients, everything that a client does, and everything that may go wrong.
fn eventful(seed: u64, profile: &Profile) -> (Vec<String>, Trace) {
    traced(seed, profile, async |world| {
        let mut told = Vec::new();
        let first = world.peer(0);
        let (one, other) = tokio::join!(first.connect(), async { world.peer(1).connect().await });
        let (one, other) = (one.expect("admitted"), other.expect("admitted"));
        world.network().corrupt(peer_ip(1), SERVER.ip(), 0.02);
        let (a, b) = (data(seed, "a", 3 * MIB), data(seed, "b", MIB));
        let (stored_a, stored_b) = tokio::join!(one.upload("a.bin", &a), other.upload("b.bin", &b));
        told.push(format!("{:?}", stored_a.map(|done| done.elapsed)));
        told.push(format!("{:?}", stored_b.map(|done| done.elapsed)));
        let mut small = JoinSet::new();
        for number in 0..12 {
            let (visit, bytes) = (one.clone(), data(seed, &number.to_string(), 1000 * number));
            small.spawn(async move {
                visit.upload(&format!("small {number}"), &bytes).await.map(|done| done.elapsed)
            });
        }
        while let Some(stored) = small.join_next().await {
            told.push(format!("{stored:?}"));
        }
        let public = (peer_ip(77), 7777).into();
        world.network().rebind(first.addr(), public).expect("a new public address");
        let (back, listed) = tokio::join!(one.download("a.bin"), other.list(""));
        told.push(format!("{:?} {listed:?}", back.map(|bytes| bytes == a)));
        world.network().inject((peer_ip(99), 9).into(), SERVER, &data(seed, "garbage", 1200));
        world.restart(Restart::Killed).await;
        told.push(format!("{:?}", one.download("b.bin").await.map(|bytes| bytes == b)));
        let again = world.peer(2).visit().await;
        told.push(format!("{:?}", again.remove("b.bin").await));
        again.close().await;
        told
    })
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in seeds(3, &[]) {
        for name in ["wifi", "lossy-10"] {
            let profile = Profile::named(name).expect("a named profile");
            let (one, other) = (eventful(seed, &profile), eventful(seed, &profile));
            let difference = one.1.records.iter().zip(&other.1.records).find(|(one, other)| one != other);
            assert_eq!(one.0, other.0, "seed {seed} on {name}: the calls ended differently");
            assert!(one.1 == other.1, "seed {seed} on {name}: {difference:?}");
            assert!(one.1.tallies.sent > 1000, "seed {seed} on {name}: {:?}", one.1.tallies);
        }
    }
}

#[test]
fn another_seed_gives_another_trace() {
    let profile = Profile::named("lossy-10").expect("a named profile");
    assert_ne!(eventful(1, &profile).1.hash, eventful(2, &profile).1.hash);
}
