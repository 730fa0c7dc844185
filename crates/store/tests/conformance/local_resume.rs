//! Uploads that outlive the process.

use std::{fs, sync::Arc};

use fulmar_proto::range::{MAX_RANGE_BYTES, Range};
use fulmar_store::{LocalOptions, LocalStore, NewUpload, StoreError, Uploads};
use tempfile::TempDir;

use crate::support::{
    ALICE, TestClock, block_on, bytes, commit, key, open_local, put, read, upload, write, write_all,
};

const MAX: u64 = MAX_RANGE_BYTES as u64;
const DAY_S: i64 = 24 * 60 * 60;

fn open(root: &TempDir) -> (Arc<LocalStore>, Arc<TestClock>) {
    open_local(root.path(), LocalOptions::default())
}

fn files(root: &TempDir, of: &str) -> usize {
    fs::read_dir(root.path().join(".fulmar").join(of)).unwrap().count()
}

fn range(index: u64) -> Range {
    Range::new(index * MAX, MAX_RANGE_BYTES).unwrap()
}

#[test]
fn an_upload_goes_on_after_a_restart() {
    let (root, content) = (TempDir::new().unwrap(), bytes(3 * MAX_RANGE_BYTES as usize));
    let wanted = upload("file", Some(3 * MAX));
    let (store, _) = open(&root);
    let first = block_on(async {
        let open = store.begin(wanted.clone()).await.unwrap();
        write(&*store, &key(ALICE, &open), range(1), &content).await.unwrap();
        open
    });
    drop(store);

    let (store, _) = open(&root);
    block_on(async {
        // Whoever still knows the upload may go on with it as it is.
        write(&*store, &key(ALICE, &first), range(2), &content).await.unwrap();
        let taken = store.open_range(&key(ALICE, &first), range(1)).await;
        assert!(matches!(taken, Err(StoreError::RangeTaken)), "{taken:?}");
    });
    drop(store);

    let (store, _) = open(&root);
    block_on(async {
        let open = store.begin(wanted).await.unwrap();
        assert_eq!((open.upload_id, open.generation), (first.upload_id, 1));
        assert_eq!(open.have.iter().map(|node| node.len).sum::<u64>(), 2 * MAX);
        let key = key(ALICE, &open);
        write(&*store, &key, range(0), &content).await.unwrap();
        store.commit(commit(key, &content)).await.unwrap();
        assert_eq!(read(&*store, "file").await, content);
    });
    assert_eq!((files(&root, "partial"), files(&root, "journal")), (0, 0));
}

#[test]
fn the_generation_survives_a_restart() {
    let root = TempDir::new().unwrap();
    for expected in 0..3 {
        let (store, _) = open(&root);
        let open = block_on(store.begin(upload("file", Some(9)))).unwrap();
        assert_eq!(open.generation, expected);
    }
}

/// A process that is killed writes no journal at its end: what it had written by then is what there is.
fn kill(store: Arc<LocalStore>, root: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(root.path().join("."))
        .arg(copy.path())
        .status()
        .unwrap();
    assert!(status.success());
    drop(store);
    copy
}

#[test]
fn the_journal_is_written_every_second_and_every_16_mib() {
    let (root, content) = (TempDir::new().unwrap(), bytes(12 * MAX_RANGE_BYTES as usize));
    let wanted = upload("file", Some(12 * MAX));
    let (store, clock) = open(&root);
    block_on(async {
        let key = key(ALICE, &store.begin(wanted.clone()).await.unwrap());
        for index in 0..7 {
            write(&*store, &key, range(index), &content).await.unwrap();
        }
        assert_eq!(files(&root, "journal"), 0, "14 MiB in no time");
        write(&*store, &key, range(7), &content).await.unwrap();
        assert_eq!(files(&root, "journal"), 1, "16 MiB");
        write(&*store, &key, range(8), &content).await.unwrap();
        clock.advance(1);
        write(&*store, &key, range(9), &content).await.unwrap();
        write(&*store, &key, range(10), &content).await.unwrap();
    });
    let copy = kill(store, &root);
    let (store, _) = open(&copy);
    let open = block_on(store.begin(wanted)).unwrap();
    let have: u64 = open.have.iter().map(|node| node.len).sum();
    assert_eq!(have, 10 * MAX, "all but the last, whose second had not passed");
}

#[test]
fn staged_bytes_without_a_journal_count_for_nothing() {
    let (root, content) = (TempDir::new().unwrap(), bytes(MAX_RANGE_BYTES as usize));
    let wanted = upload("file", Some(MAX));
    let (store, _) = open(&root);
    let first = block_on(async {
        let open = store.begin(wanted.clone()).await.unwrap();
        write(&*store, &key(ALICE, &open), range(0), &content).await.unwrap();
        open
    });
    drop(store);
    for entry in fs::read_dir(root.path().join(".fulmar/journal")).unwrap() {
        fs::write(entry.unwrap().path(), b"damaged").unwrap();
    }
    let (store, _) = open(&root);
    block_on(async {
        let open = store.begin(wanted).await.unwrap();
        assert_eq!((open.upload_id, open.have.len()), (first.upload_id, 0));
        let key = key(ALICE, &open);
        write_all(&*store, &key, &content).await.unwrap();
        store.commit(commit(key, &content)).await.unwrap();
    });
}

#[test]
fn an_answer_is_kept_for_a_day() {
    let root = TempDir::new().unwrap();
    let (store, _) = open(&root);
    let (repeat, stored) = block_on(async {
        let key = key(ALICE, &store.begin(upload("file", Some(4))).await.unwrap());
        write_all(&*store, &key, b"1234").await.unwrap();
        (commit(key, b"1234"), store.commit(commit(key, b"1234")).await.unwrap())
    });
    drop(store);
    // Each start is on the same clock, so it has to be set forward before one.
    for (after_s, kept) in [(0, true), (DAY_S, true), (DAY_S + 1, false)] {
        let (environment, clock) = crate::support::environment(fulmar_disk::Offload::inline());
        clock.advance(after_s);
        let store = LocalStore::open(root.path(), LocalOptions::default(), environment).unwrap();
        match block_on(store.commit(repeat)) {
            Ok(again) => assert!(kept && again == stored, "after {after_s} s"),
            Err(error) => {
                assert!(!kept && matches!(error, StoreError::UnknownUpload), "after {after_s} s: {error:?}");
            }
        }
    }
}

#[test]
fn an_upload_is_kept_for_a_week() {
    let root = TempDir::new().unwrap();
    let (store, _) = open(&root);
    block_on(store.begin(upload("file", Some(9)))).unwrap();
    drop(store);
    for (after_s, kept) in [(7 * DAY_S, 1), (7 * DAY_S + 1, 0)] {
        let (environment, clock) = crate::support::environment(fulmar_disk::Offload::inline());
        clock.advance(after_s);
        drop(LocalStore::open(root.path(), LocalOptions::default(), environment).unwrap());
        assert_eq!(files(&root, "partial"), kept, "after {after_s} s");
    }
}

#[test]
fn what_belongs_to_no_upload_is_swept_up() {
    let root = TempDir::new().unwrap();
    let (store, _) = open(&root);
    block_on(async {
        put(&*store, "file", b"stays").await;
        // Not lasting: it ends with the process.
        store.begin(NewUpload { lasting: false, ..upload("never", Some(1)) }).await.unwrap();
    });
    let copy = kill(store, &root);
    for at in ["partial/orphan", "journal/orphan", "journal/orphan.new"] {
        fs::write(copy.path().join(".fulmar").join(at), b"x").unwrap();
    }
    assert_eq!((files(&copy, "partial"), files(&copy, "journal")), (2, 2));
    let (store, _) = open(&copy);
    assert_eq!((files(&copy, "partial"), files(&copy, "journal")), (0, 0));
    assert_eq!(block_on(read(&*store, "file")), b"stays");
}
