//! Times without any packet, and partitions. All that end in less than 20 s are survived.

use std::time::Duration;

use fulmar_client::ErrorKind;
use fulmar_netsim::{During, Profile};
use tokio::time::sleep;

use crate::{
    links::{clean, dark, lossy},
    world::{SERVER, World, data, peer_ip, seeds, simulate},
};

const LEN: usize = 3 << 20;

/// An upload and a download over a link that goes dark `from_s` after Welcome, and again that long after the upload.
fn survived(seed: u64, link: &Profile, from_s: f64, for_s: f64, packets: During) {
    simulate(seed, link, async |world| {
        let visit = world.peer(0).visit().await;
        let bytes = data(seed, "file", LEN);
        world.join(0, &dark(link, from_s, for_s, packets));
        visit.upload("file.bin", &bytes).await.expect("stored");
        world.join(0, &dark(link, from_s, for_s, packets));
        assert!(visit.download("file.bin").await.expect("sent") == bytes);
        visit.close().await;
    });
}

#[test]
fn blackouts_of_less_than_20_s() {
    for seed in seeds(1, &[]) {
        for packets in [During::Drop, During::Hold] {
            for for_s in [0.5, 3.0, 10.0, 19.9] {
                for from_s in [0.0, 0.05, 0.3, 0.9] {
                    survived(seed, &clean(), from_s, for_s, packets);
                }
            }
        }
    }
}

#[test]
fn blackouts_of_links_that_also_lose_packets() {
    for seed in seeds(2, &[]) {
        for ratio in [0.01, 0.1, 0.2] {
            for from_s in [0.1, 0.7] {
                survived(seed, &lossy(ratio), from_s, 19.9, During::Drop);
            }
        }
    }
}

#[test]
fn a_blackout_while_nothing_happens() {
    for seed in seeds(2, &[]) {
        simulate(seed, &clean(), async |world| {
            let visit = world.peer(0).visit().await;
            world.join(0, &dark(&clean(), 1.0, 19.9, During::Drop));
            sleep(Duration::from_secs(30)).await;
            visit.upload("a", b"later").await.expect("stored");
            // Whoever asks in the middle of it waits.
            world.join(0, &dark(&clean(), 0.0, 19.9, During::Drop));
            visit.upload("b", b"meanwhile").await.expect("stored");
            assert_eq!(visit.list("").await.expect("a listing"), ["a", "b"]);
        });
    }
}

#[test]
fn commands_that_begin_just_before_a_blackout() {
    for seed in seeds(3, &[]) {
        simulate(seed, &lossy(0.2), async |world| {
            let visit = world.peer(0).visit().await;
            // Some of their first packets arrive and some do not, before and while nothing does.
            world.join(0, &dark(&lossy(0.2), 0.025, 19.9, During::Drop));
            let upload = async |number: usize| {
                let bytes = data(seed, &number.to_string(), 700);
                visit.upload(&number.to_string(), &bytes).await.expect("stored");
            };
            futures_util::future::join_all((0..60).map(upload)).await;
        });
    }
}

/// Blocks one direction for a while, in the middle of an upload and of a download.
async fn one_way(world: &World, seed: u64, up: bool, after: Duration, lasting: Duration) {
    let (from, to) = if up { (peer_ip(0), SERVER.ip()) } else { (SERVER.ip(), peer_ip(0)) };
    let block = async || {
        sleep(after).await;
        world.network().block(from, to);
        sleep(lasting).await;
        world.network().unblock(from, to);
    };
    let visit = world.peer(0).visit().await;
    let bytes = data(seed, "file", LEN);
    let (stored, ()) = tokio::join!(visit.upload("file.bin", &bytes), block());
    stored.expect("stored");
    let (read, ()) = tokio::join!(visit.download("file.bin"), block());
    assert!(read.expect("sent") == bytes);
    visit.close().await;
}

#[test]
fn one_way_partitions_that_heal() {
    for seed in seeds(1, &[]) {
        for up in [true, false] {
            for (after_ms, lasting_ms) in [(0, 5_000), (100, 19_900), (600, 1_000), (600, 19_900)] {
                let (after, lasting) = (Duration::from_millis(after_ms), Duration::from_millis(lasting_ms));
                simulate(seed, &clean(), async |world| one_way(world, seed, up, after, lasting).await);
            }
        }
    }
}

#[test]
fn partitions_that_do_not_heal_are_an_error_in_time() {
    for seed in seeds(1, &[]) {
        for (up, down) in [(true, true), (true, false), (false, true)] {
            simulate(seed, &clean(), async |world| {
                let visit = world.peer(0).visit().await;
                let cut = async || {
                    sleep(Duration::from_millis(300)).await;
                    let (client, server) = (peer_ip(0), SERVER.ip());
                    if up {
                        world.network().block(client, server);
                    }
                    if down {
                        world.network().block(server, client);
                    }
                };
                let before = world.network().elapsed();
                let bytes = data(seed, "file", LEN);
                let (ended, ()) = tokio::join!(visit.upload("file.bin", &bytes), cut());
                let error = ended.expect_err("nothing gets through");
                assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
                assert!((world.network().elapsed() - before).as_secs() < 200);
                world.network().heal(peer_ip(0), SERVER.ip());
                let again = world.peer(0).visit().await;
                again.upload("file.bin", &bytes).await.expect("stored");
            });
        }
    }
}
