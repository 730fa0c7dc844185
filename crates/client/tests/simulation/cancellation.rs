//! Calls that are dropped in the middle, connections that are closed in the middle, and the same again.

use std::time::Duration;

use fulmar_proto::upload::OnExists;
use tokio::time::{sleep, timeout};

use crate::{
    links::{clean, lossy},
    world::{data, seeds, simulate},
};

/// A file in one stream, and one in ranges.
const LENGTHS: [usize; 2] = [1 << 20, 5 << 20];

/// After so long a call is dropped: before it has done anything, on the way, and near its end.
const MOMENTS_MS: [u64; 6] = [0, 30, 200, 500, 1_000, 2_400];

#[test]
fn an_upload_that_is_dropped_can_be_repeated() {
    for seed in seeds(1, &[]) {
        for len in LENGTHS {
            for moment_ms in MOMENTS_MS {
                simulate(seed, &lossy(0.02), async |world| {
                    let visit = world.peer(0).visit().await;
                    let file = visit.local_file("file.bin", &data(seed, "file", len));
                    let uploading = visit.upload_file(&file, "file.bin", OnExists::Fail);
                    // It may have ended by then.
                    drop(timeout(Duration::from_millis(moment_ms), uploading).await);
                    visit.upload_file(&file, "file.bin", OnExists::Fail).await.expect("stored");
                    assert!(visit.download("file.bin").await.expect("sent") == data(seed, "file", len));
                });
            }
        }
    }
}

#[test]
fn a_download_that_is_dropped_can_be_repeated() {
    for seed in seeds(1, &[]) {
        for len in LENGTHS {
            let bytes = data(seed, "file", len);
            for moment_ms in MOMENTS_MS {
                simulate(seed, &lossy(0.02), async |world| {
                    world.place("file.bin", &bytes).await;
                    let visit = world.peer(0).visit().await;
                    drop(timeout(Duration::from_millis(moment_ms), visit.download("file.bin")).await);
                    assert!(visit.download("file.bin").await.expect("sent") == bytes);
                });
            }
        }
    }
}

#[test]
fn a_connection_that_is_closed_in_an_upload_can_be_made_again() {
    for seed in seeds(1, &[]) {
        for len in LENGTHS {
            for moment_ms in MOMENTS_MS {
                simulate(seed, &clean(), async |world| {
                    let peer = world.peer(0);
                    let visit = peer.visit().await;
                    let file = visit.local_file("file.bin", &data(seed, "file", len));
                    let close = async {
                        sleep(Duration::from_millis(moment_ms)).await;
                        visit.clone().close().await;
                    };
                    let (ended, ()) =
                        tokio::join!(visit.upload_file(&file, "file.bin", OnExists::Fail), close);
                    let again = peer.visit().await;
                    let repeated =
                        again.upload_file(&file, "file.bin", OnExists::Fail).await.expect("stored");
                    // What was acknowledged the first time is there already.
                    assert!(ended.is_err() || repeated.sent_bytes == 0);
                });
            }
        }
    }
}

#[test]
fn a_removal_or_renaming_that_is_dropped_happened_or_did_not() {
    for seed in seeds(2, &[]) {
        for moment_ms in [0, 20, 30, 40, 50, 60] {
            simulate(seed, &clean(), async |world| {
                let visit = world.peer(0).visit().await;
                for name in ["a", "b"] {
                    visit.upload(name, name.as_bytes()).await.expect("stored");
                }
                let moment = Duration::from_millis(moment_ms);
                drop(timeout(moment, visit.remove("a")).await);
                drop(timeout(moment, visit.rename("b", "c", OnExists::Fail)).await);
                // The two of them may still be on their way when the run ends and is checked.
                sleep(Duration::from_secs(1)).await;
            });
        }
    }
}
