//! Connecting and listing.

use fulmar_client::ErrorKind;
use fulmar_netsim::Profile;

use crate::{
    links::{clean, lossy},
    world::{SERVER, peer_ip, seeds, simulate},
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
