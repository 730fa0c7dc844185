//! Connecting and listing.

use std::time::Duration;

use fulmar_client::{Error, ErrorKind};
use fulmar_netsim::{Direction, Profile};
use fulmar_proto::error::ErrorCode;

use crate::{
    links::{clean, lossy},
    world::{SERVER, World, peer_ip, seeds, simulate},
};

/// How many names are listed: several pages of them.
const NAMES: usize = 1200;

#[test]
fn a_client_is_admitted_and_lists_on_every_named_link() {
    for seed in seeds(2, &[]) {
        for name in Profile::names() {
            simulate(seed, &Profile::named(name).expect("a named profile"), async |world| {
                world.place("a.txt", b"a").await;
                let visit = world.peer(0).visit().await;
                assert_eq!(visit.list("").await.expect("a listing"), ["a.txt"]);
                visit.close().await;
            });
        }
    }
}

#[test]
fn a_client_is_admitted_whatever_is_lost() {
    for seed in seeds(10, &[]) {
        for ratio in [0.05, 0.1, 0.2] {
            simulate(seed, &lossy(ratio), async |world| {
                for _ in 0..3 {
                    let visit = world.peer(0).connect().await.expect("admitted");
                    assert!(visit.list("").await.expect("a listing").is_empty());
                    visit.close().await;
                }
            });
        }
    }
}

#[test]
fn a_long_listing_is_whole() {
    for seed in seeds(1, &[]) {
        simulate(seed, &lossy(0.1), async |world| {
            let expected: Vec<String> = (0..NAMES).map(|number| format!("{number:05}")).collect();
            for name in &expected {
                world.place(name, b"").await;
            }
            let visit = world.peer(0).visit().await;
            let mut listed = visit.list("").await.expect("a listing");
            listed.sort();
            assert_eq!(listed, expected);
            let missing = visit.list("nowhere").await.expect_err("there is no such directory");
            assert_eq!(missing.kind(), ErrorKind::NotFound);
        });
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_an_error_in_time() {
    for seed in seeds(2, &[]) {
        simulate(seed, &clean(), async |world| {
            world.network().partition(peer_ip(0), SERVER.ip());
            let before = world.network().elapsed();
            let error = world.peer(0).connect().await.err().expect("nobody answers");
            assert_eq!(error.kind(), ErrorKind::CannotConnect, "{error}");
            assert!((world.network().elapsed() - before).as_secs() <= 35);
            world.network().heal(peer_ip(0), SERVER.ip());
            assert!(world.peer(0).connect().await.is_ok());
        });
    }
}

/// How long a client takes that connects, lists, and goes.
async fn listing(world: &World, is_early: bool) -> Duration {
    let (peer, before) = (world.peer(0), world.network().elapsed());
    let connected = if is_early { peer.connect_early().await } else { peer.connect().await };
    let visit = connected.expect("admitted");
    assert!(visit.list("").await.expect("a listing").is_empty());
    let elapsed = world.network().elapsed() - before;
    visit.close().await;
    elapsed
}

#[test]
fn a_command_right_behind_hello_saves_a_round_trip() {
    let direction = Direction { delay_ms: 100.0, ..Direction::default() };
    simulate(1, &Profile::symmetric("200 ms", direction), async |world| {
        let (plain, early) = (listing(world, false).await, listing(world, true).await);
        // One for the handshake, one for the command; and one for Hello.
        assert!(early >= Duration::from_millis(400), "{early:?}");
        assert!(plain >= early + Duration::from_millis(195), "{plain:?} and {early:?}");
    });
}

#[test]
fn who_is_refused_learns_why_from_the_first_command_and_nothing_of_it_is_done() {
    for seed in seeds(3, &[]) {
        for ratio in [0.0, 0.1] {
            simulate(seed, &lossy(ratio), async |world| {
                world.enrol_nobody().await;
                let visit = world.peer(0).connect_early().await.expect("the server's key is known");
                let refused = |error: Error| match error {
                    Error::Server(failure) => assert_eq!(failure.code, ErrorCode::UNKNOWN_CLIENT),
                    other => panic!("{other}"),
                };
                // Longer than what may be sent ahead, so that the end comes in the middle of it.
                let bytes = vec![7; 1_500_000];
                refused(visit.upload("planted", &bytes).await.expect_err("refused"));
                refused(visit.list("").await.expect_err("refused"));
                refused(world.peer(1).connect().await.err().expect("refused"));
                world.enrol_all().await;
                assert!(world.peer(0).visit().await.list("").await.expect("a listing").is_empty());
            });
        }
    }
}

#[test]
fn a_server_that_never_says_welcome_is_an_error_in_time() {
    simulate(1, &clean(), async |world| {
        let visit = world.peer(0).connect_early().await.expect("the handshake is done");
        world.network().block(SERVER.ip(), peer_ip(0));
        let before = world.network().elapsed();
        let error = visit.list("").await.expect_err("nobody answers");
        assert!(matches!(error, Error::NoWelcome), "{error}");
        assert!((world.network().elapsed() - before).as_secs() <= 35);
        world.network().unblock(SERVER.ip(), peer_ip(0));
    });
}
