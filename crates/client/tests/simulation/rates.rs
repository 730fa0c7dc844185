//! How often a transfer succeeds, by link and by what happens to it. Printed; and 100 % wherever nothing but the link is
//! against it.

use std::{
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use fulmar_netsim::{Blackout, Direction, During, Profile, Stream};
use tokio::time::sleep;

use crate::{
    links::lossy,
    world::{Repeat, Restart, SERVER, World, data, peer_ip, seeds, simulate},
};

const UP_BYTES: usize = 1 << 20;
const DOWN_BYTES: usize = 256 << 10;

/// What happens to a transfer, beside its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Nothing.
    None,
    /// Up to 20 s without a packet, once, after Welcome.
    Blackout,
    /// Others see the client at another address.
    Rebind,
    /// One direction stops for up to 10 s.
    OneWay,
    /// The server is killed and started again.
    Restart,
}

impl Trouble {
    const ALL: [Self; 5] = [Self::None, Self::Blackout, Self::Rebind, Self::OneWay, Self::Restart];

    /// Whether every transfer must survive it.
    fn is_survived(self) -> bool {
        self != Self::Restart
    }

    /// Makes it happen, in the first two seconds after Welcome.
    async fn happen(self, world: &World, link: &Profile, client: std::net::SocketAddr) {
        let mut stream = Stream::new(world.seed(), "trouble");
        sleep(Duration::from_secs_f64(2.0 * stream.unit())).await;
        match self {
            Self::None => {}
            Self::Blackout => world.join(0, &darkened(link, 19.9 * stream.unit())),
            Self::Rebind => {
                let public = (peer_ip(77), 7777).into();
                world.network().rebind(client, public).expect("a free address");
            }
            Self::OneWay => {
                let ends = [peer_ip(0), SERVER.ip()];
                let first = usize::from(stream.chance(0.5));
                world.network().block(ends[first], ends[1 - first]);
                sleep(Duration::from_secs_f64(10.0 * stream.unit())).await;
                world.network().unblock(ends[first], ends[1 - first]);
            }
            Self::Restart => world.restart(Restart::Killed).await,
        }
    }
}

/// `link` with so long a blackout at its beginning.
fn darkened(link: &Profile, for_s: f64) -> Profile {
    let dark = |way: &Direction| {
        let blackout =
            Blackout { from_s: 0.0, for_s: for_s.max(0.001), every_s: None, packets: During::Drop };
        Direction { blackouts: [&[blackout], way.blackouts.as_slice()].concat(), ..way.clone() }
    };
    Profile { up: dark(&link.up), down: dark(&link.down), ..link.clone() }
}

/// An upload and a download, or why not. What fails the checks at the end panics.
fn transfer(seed: u64, link: &Profile, trouble: Trouble) -> Result<(), String> {
    simulate(seed, link, async |world| {
        let down = data(seed, "down", DOWN_BYTES);
        world.place("down.bin", &down).await;
        let peer = world.peer(0);
        let visit = peer.visit().await;
        let work = async {
            let up = visit.upload("up.bin", &data(seed, "up", UP_BYTES)).await;
            up.map_err(|error| format!("upload: {error}"))?;
            let read = visit.download("down.bin").await.map_err(|error| format!("download: {error}"))?;
            assert!(read == down);
            Ok(())
        };
        let (ended, ()) = tokio::join!(work, trouble.happen(world, link, peer.addr()));
        ended
    })
}

/// Runs all seeds on one link with one trouble; prints the rate, and gives what must not have failed.
fn failures(seeds: &[u64], link: &Profile, trouble: Trouble) -> Vec<String> {
    let (mut succeeded, mut failed) = (0, Vec::new());
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| transfer(*seed, link, trouble))) {
            Ok(Ok(())) => succeeded += 1,
            // The client has been told so.
            Ok(Err(_)) if !trouble.is_survived() => {}
            Ok(Err(why)) => failed.push((why, *seed)),
            Err(_) => failed.push(("panicked".to_owned(), *seed)),
        }
    }
    let (percent, all, name) = (100.0 * f64::from(succeeded) / seeds.len() as f64, seeds.len(), &link.name);
    let line = format!("success {percent:>7.2} % of {all:>5}  {name:<17} {trouble:?}\n");
    // Past the harness, which keeps what a test prints to itself when it succeeds.
    let _ = std::io::stderr().write_all(line.as_bytes());
    let told = |(why, seed)| format!("{name}, {trouble:?}: {why}; {}", Repeat::line(seed));
    failed.into_iter().map(told).collect()
}

/// Every named link, and what is harder than most of them.
fn links() -> Vec<Profile> {
    let named = Profile::names().filter_map(Profile::named);
    named.chain([0.05, 0.1, 0.2].map(lossy)).collect()
}

#[test]
fn every_transfer_succeeds_whatever_its_link_and_its_troubles() {
    let seeds = seeds(2, &[]);
    let mut failed = Vec::new();
    for link in links() {
        for trouble in Trouble::ALL {
            failed.extend(failures(&seeds, &link, trouble));
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}
