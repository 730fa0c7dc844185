//! The same seed gives the same packets.

use std::time::Duration;

use fulmar_netsim::virtual_net::{self, Trace};
use tokio::time::sleep;

use crate::rig::{MIB, Rig, addr, client, connect, data, hosts, lossy, send, server};

/// A transfer in which everything happens that draws random numbers.
fn eventful(seed: u64) -> Trace {
    virtual_net::run(async {
        let rig = Rig::new(seed, &lossy(0.05));
        rig.network.keep_records();
        let (below, above) = hosts();
        rig.network.corrupt(below, above, 0.02);
        let connection = connect(&rig.client).await;
        let events = async {
            sleep(Duration::from_millis(150)).await;
            rig.network.rebind(client(), addr("192.0.2.5:1")).expect("free");
            rig.network.inject(addr("203.0.113.1:1"), server(), &data(9, 1200));
            sleep(Duration::from_millis(150)).await;
            rig.network.partition(below, above);
            sleep(Duration::from_millis(400)).await;
            rig.network.heal(below, above);
            rig.network.join(below, above, &lossy(0.1)).expect("in range");
        };
        let bytes = data(1, MIB);
        let (sent, ()) = tokio::join!(send(&connection, &bytes), events);
        assert!(sent.expect("sent"));
        rig.network.trace()
    })
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let (one, other) = (eventful(seed), eventful(seed));
        let difference = one.records.iter().zip(&other.records).find(|(one, other)| one != other);
        assert!(one == other, "seed {seed}: {difference:?}");
        assert!(
            one.tallies.lost > 0 && one.tallies.corrupted > 0 && one.tallies.blocked > 0,
            "{:?}",
            one.tallies
        );
        assert_eq!(
            one.records.len() as u64,
            one.tallies.sent + one.tallies.nobody_there + one.tallies.injected
        );
    }
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(eventful(1).hash, eventful(2).hash);
}
