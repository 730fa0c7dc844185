//! The server goes away and comes back.

use fulmar_client::Error;
use fulmar_netsim::Profile;

use crate::world::{Restart, data, seeds, simulate};

#[test]
fn what_was_stored_is_there_after_either_kind_of_restart() {
    let profile = Profile::named("wan").expect("a named profile");
    for seed in seeds(2, &[]) {
        for how in [Restart::Killed, Restart::Orderly] {
            simulate(seed, &profile, async |world| {
                let before = world.peer(0).connect().await.expect("admitted");
                let bytes = data(seed, "file", 3 << 20);
                before.upload("file.bin", &bytes).await.expect("stored");
                world.restart(how).await;
                let after = world.peer(0).connect().await.expect("admitted again");
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
            let visit = world.peer(0).connect().await.expect("admitted");
            let bytes = data(seed, "file", 3 << 20);
            let after_ms = 50 * (seed + 1);
            let cut = async {
                tokio::time::sleep(std::time::Duration::from_millis(after_ms)).await;
                world.restart(Restart::Killed).await;
            };
            let (uploaded, ()) = tokio::join!(visit.upload("file.bin", &bytes), cut);
            // The harness holds the store against the answer; here only that the same can be done again.
            let again = world.peer(0).connect().await.expect("admitted again");
            if uploaded.is_err() {
                again.upload("file.bin", &bytes).await.expect("stored");
            }
            assert_eq!(again.download("file.bin").await.expect("sent"), bytes);
        });
    }
}
