//! The power goes while files are stored, replaced, moved and removed, at any moment of any step.

use std::time::Duration;

use fulmar_client::Error;
use fulmar_netsim::{Direction, Profile, Stream};
use fulmar_proto::upload::OnExists;
use tokio::time::{sleep, timeout};

use crate::world::{Restart, Visit, World, data, seeds, simulate};

/// How often the power goes in one run.
const CUTS: u32 = 8;

const CLIENTS: u8 = 3;

/// All clients use the same few names.
const NAMES: u64 = 4;

/// One change after another.
async fn change(visit: &Visit, seed: u64, stream: &mut Stream) -> Result<(), Error> {
    let (first, step) = (stream.below(NAMES), 1 + stream.below(NAMES - 1));
    let (one, other) = (format!("{first}"), format!("{}", (first + step) % NAMES));
    match stream.below(6) {
        0 => visit.remove(&one).await,
        1 => visit.rename(&one, &other, OnExists::Overwrite).await,
        _ => {
            let len = usize::try_from(1 + stream.below(8_000)).expect("short");
            let bytes = data(seed, &stream.number().to_string(), len);
            visit.upload_with(&one, &bytes, OnExists::Overwrite).await.map(drop)
        }
    }
}

async fn client(world: &World, number: u8, round: u32) {
    let visit = world.peer(number).visit().await;
    let mut stream = Stream::new(world.seed(), &format!("client {number} {round}"));
    loop {
        // That there is nothing to remove or rename is no matter here.
        drop(change(&visit, world.seed(), &mut stream).await);
    }
}

#[test]
fn the_power_goes_at_any_moment() {
    let near = Profile::symmetric("near", Direction { delay_ms: 1.0, ..Direction::default() });
    for seed in seeds(12, &[]) {
        simulate(seed, &near, async |world| {
            let mut stream = Stream::new(seed, "cuts");
            for round in 0..CUTS {
                let clients = (0..CLIENTS).map(|number| client(world, number, round));
                let until = Duration::from_millis(20 + stream.below(1_000));
                drop(timeout(until, futures_util::future::join_all(clients)).await);
                world.restart(Restart::PowerCut).await;
                // Now, and not only in the end: what comes later may hide it.
                world.check_store().await;
            }
            // Let the last goodbyes pass.
            sleep(Duration::from_secs(1)).await;
        });
    }
}
