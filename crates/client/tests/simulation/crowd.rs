//! Many clients at once, and several of them at one name.

use std::time::Duration;

use fulmar_client::{ErrorKind, Outcome};
use fulmar_proto::upload::OnExists;
use tokio::time::sleep;

use crate::{
    links::{clean, lossy},
    world::{Visit, World, data, seeds, simulate},
};

const CLIENTS: u8 = 12;

const LEN: usize = 400 << 10;

/// Connects the first `count` clients, all at the same time.
async fn visits(world: &World, count: u8) -> Vec<Visit> {
    let connect = async |number| world.peer(number).visit().await;
    futures_util::future::join_all((0..count).map(connect)).await
}

#[test]
fn twelve_clients_at_once() {
    for seed in seeds(1, &[]) {
        for ratio in [0.0, 0.1] {
            simulate(seed, &lossy(ratio), async |world| {
                let visits = visits(world, CLIENTS).await;
                let work = visits.iter().zip(0..).map(async |(visit, number): (&Visit, u8)| {
                    let (name, bytes) = (format!("{number}.bin"), data(seed, &number.to_string(), LEN));
                    visit.upload(&name, &bytes).await.expect("stored");
                    assert!(visit.download(&name).await.expect("sent") == bytes);
                });
                futures_util::future::join_all(work).await;
                assert_eq!(visits[0].list("").await.expect("a listing").len(), usize::from(CLIENTS));
            });
        }
    }
}

#[test]
fn of_several_uploads_to_one_new_name_one_succeeds() {
    for seed in seeds(3, &[]) {
        for len in [LEN, 3 << 20] {
            simulate(seed, &lossy(0.05), async |world| {
                let visits = visits(world, 4).await;
                let work = visits.iter().zip(0..).map(async |(visit, number): (&Visit, u8)| {
                    visit.upload("one.bin", &data(seed, &number.to_string(), len)).await
                });
                let ended = futures_util::future::join_all(work).await;
                let (stored, refused): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
                assert_eq!(stored.len(), 1, "{stored:?}");
                for error in refused.into_iter().filter_map(Result::err) {
                    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
                }
            });
        }
    }
}

#[test]
fn several_uploads_of_the_same_bytes_to_one_name_all_succeed() {
    for seed in seeds(3, &[]) {
        simulate(seed, &lossy(0.05), async |world| {
            let visits = visits(world, 4).await;
            let bytes = data(seed, "same", LEN);
            let work =
                visits.iter().map(async |visit| visit.upload("one.bin", &bytes).await.expect("stored"));
            let ended = futures_util::future::join_all(work).await;
            assert_eq!(ended.iter().filter(|done| done.outcome == Outcome::Stored).count(), 1);
        });
    }
}

#[test]
fn uploads_that_replace_each_other_leave_one_of_them() {
    for seed in seeds(3, &[]) {
        for ratio in [0.0, 0.2] {
            simulate(seed, &lossy(ratio), async |world| {
                let visits = visits(world, 3).await;
                let work = visits.iter().zip(0..).map(async |(visit, number): (&Visit, u8)| {
                    for round in 0..4 {
                        let bytes = data(seed, &format!("{number} {round}"), LEN + round);
                        visit.upload_with("one.bin", &bytes, OnExists::Overwrite).await.expect("stored");
                    }
                });
                futures_util::future::join_all(work).await;
            });
        }
    }
}

#[test]
fn uploads_that_may_be_numbered_are_all_there() {
    for seed in seeds(2, &[]) {
        simulate(seed, &lossy(0.1), async |world| {
            let visits = visits(world, 4).await;
            let work = visits.iter().zip(0..).map(async |(visit, number): (&Visit, u8)| {
                let bytes = data(seed, &number.to_string(), LEN);
                visit.upload_with("one.bin", &bytes, OnExists::Rename).await.expect("stored").destination
            });
            let names = futures_util::future::join_all(work).await;
            let mut listed = visits[0].list("").await.expect("a listing");
            listed.sort();
            assert_eq!(listed, ["one (1).bin", "one (2).bin", "one (3).bin", "one.bin"]);
            assert_eq!(names.into_iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        });
    }
}

#[test]
fn a_download_while_the_file_is_replaced_removed_and_moved() {
    for seed in seeds(3, &[]) {
        for pause_ms in [50, 300, 900] {
            simulate(seed, &clean(), async |world| {
                let visits = visits(world, 2).await;
                let len = 3 << 20;
                visits[0].upload("one.bin", &data(seed, "old", len)).await.expect("stored");
                let change = async {
                    sleep(Duration::from_millis(pause_ms)).await;
                    let new = data(seed, "new", len);
                    visits[0].upload_with("one.bin", &new, OnExists::Overwrite).await.expect("stored");
                    sleep(Duration::from_millis(pause_ms)).await;
                    visits[0].rename("one.bin", "two.bin", OnExists::Fail).await.expect("renamed");
                    visits[0].remove("two.bin").await.expect("removed");
                };
                let read = async {
                    // What is read is whole, or there is a reason: it keeps changing, or it is gone.
                    for _ in 0..4 {
                        if let Err(error) = visits[1].download("one.bin").await {
                            let known = matches!(error.kind(), ErrorKind::Changed | ErrorKind::NotFound);
                            assert!(known, "{error}");
                        }
                    }
                };
                tokio::join!(change, read);
            });
        }
    }
}
