//! Servers that end and come back, in the middle of everything, with and without what their device had not got yet.

use std::time::Duration;

use fulmar_client::{Error, ErrorKind};
use fulmar_netsim::{Direction, Profile, Stream};
use fulmar_proto::upload::OnExists;
use tokio::time::sleep;

use crate::{
    links::{clean, lossy},
    world::{Restart, World, data, seeds, simulate},
};

const HOWS: [Restart; 3] = [Restart::Killed, Restart::PowerCut, Restart::Orderly];

/// What a call may come to when its server ends: it is told so, or finds out.
fn check(error: &Error) {
    let known =
        matches!(error.kind(), ErrorKind::ConnectionLost | ErrorKind::CannotConnect | ErrorKind::Refused);
    assert!(known, "{:?}: {error}", error.kind());
}

/// Restarts the server at a moment that the seed decides on, up to `within` from now.
async fn restart(world: &World, how: Restart, within: Duration) {
    let share = Stream::new(world.seed(), "restart").unit();
    sleep(within.mul_f64(share)).await;
    world.restart(how).await;
}

#[test]
fn what_was_stored_is_there_after_either_kind_of_restart() {
    let profile = Profile::named("wan").expect("a named profile");
    for seed in seeds(2, &[]) {
        for how in HOWS {
            simulate(seed, &profile, async |world| {
                let before = world.peer(0).visit().await;
                let bytes = data(seed, "file", 3 << 20);
                before.upload("file.bin", &bytes).await.expect("stored");
                world.restart(how).await;
                let after = world.peer(0).visit().await;
                assert_eq!(after.download("file.bin").await.expect("sent"), bytes);
                assert_eq!(before.session().is_going_away(), how == Restart::Orderly);
                let lost = before.download("file.bin").await.expect_err("the connection is gone");
                assert!(matches!(lost, Error::Lost(_)), "{how:?}: {lost:?}");
            });
        }
    }
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing_or_everything() {
    let profile = Profile::named("wifi").expect("a named profile");
    for seed in seeds(5, &[]) {
        simulate(seed, &profile, async |world| {
            let visit = world.peer(0).visit().await;
            let bytes = data(seed, "file", 3 << 20);
            let after_ms = 50 * (seed + 1);
            let cut = async {
                sleep(Duration::from_millis(after_ms)).await;
                world.restart(Restart::Killed).await;
            };
            let (uploaded, ()) = tokio::join!(visit.upload("file.bin", &bytes), cut);
            // The harness holds the store against the answer; here only that the same can be done again.
            let again = world.peer(0).visit().await;
            if uploaded.is_err() {
                again.upload("file.bin", &bytes).await.expect("stored");
            }
            assert_eq!(again.download("file.bin").await.expect("sent"), bytes);
        });
    }
}

#[test]
fn a_transfer_during_a_restart_succeeds_or_is_an_error_and_can_be_repeated() {
    for how in HOWS {
        for seed in seeds(4, &[]) {
            for len in [200 << 10, 3 << 20] {
                simulate(seed, &lossy(0.02), async |world| {
                    let peer = world.peer(0);
                    let visit = peer.visit().await;
                    let bytes = data(seed, "file", len);
                    let file = visit.local_file("file.bin", &bytes);
                    let within = Duration::from_millis(200 + len as u64 / 1500);
                    let uploading = visit.upload_file(&file, "file.bin", OnExists::Fail);
                    let (ended, ()) = tokio::join!(uploading, restart(world, how, within));
                    let _ = ended.inspect_err(check);
                    let again = peer.visit().await;
                    again.upload_file(&file, "file.bin", OnExists::Fail).await.expect("stored");
                    let (ended, ()) = tokio::join!(again.download("file.bin"), restart(world, how, within));
                    let _ = ended.inspect_err(check);
                    let again = peer.visit().await;
                    assert!(again.download("file.bin").await.expect("sent") == bytes);
                });
            }
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut_at_once() {
    for seed in seeds(8, &[]) {
        simulate(seed, &clean(), async |world| {
            let peer = world.peer(0);
            for round in 0..4 {
                let visit = peer.visit().await;
                let name = format!("{}", round % 2);
                let bytes = data(seed, &round.to_string(), 5_000);
                visit.upload_with(&name, &bytes, OnExists::Overwrite).await.expect("stored");
                world.restart(Restart::PowerCut).await;
                let visit = peer.visit().await;
                visit.rename(&name, "moved", OnExists::Overwrite).await.expect("renamed");
                world.restart(Restart::PowerCut).await;
                let visit = peer.visit().await;
                assert!(visit.download("moved").await.expect("sent") == bytes);
                visit.remove("moved").await.expect("removed");
                world.restart(Restart::PowerCut).await;
            }
        });
    }
}

#[test]
fn the_same_bytes_from_two_clients_are_there_after_a_power_cut() {
    // The second one is told that they are there already; that must then be as true as if it had sent them.
    let near = Profile::symmetric("near", Direction { delay_ms: 1.0, ..Direction::default() });
    for seed in seeds(24, &[]) {
        simulate(seed, &near, async |world| {
            let (one, other) = (world.peer(0), world.peer(1));
            let (one, other) = (one.visit().await, other.visit().await);
            let bytes = data(seed, "same", 20_000);
            let first = one.upload("same.bin", &bytes);
            let second = async {
                sleep(Duration::from_millis(Stream::new(seed, "second").below(100))).await;
                let ended = other.upload("same.bin", &bytes).await;
                world.restart(Restart::PowerCut).await;
                ended.expect("stored or there already");
            };
            let (ended, ()) = tokio::join!(first, second);
            let _ = ended.inspect_err(check);
        });
    }
}
