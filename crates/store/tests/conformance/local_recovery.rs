//! One test for each row of the table of crash points.

use std::{fs, sync::Arc};

use fulmar_proto::{
    fingerprint::Fingerprint,
    upload::{OnExists, Stored},
};
use fulmar_store::{
    CommitUpload, LocalOptions, LocalStore, NewUpload, Store, StoreError, Uploads,
    local::{CrashPoint, Probe},
};
use tempfile::TempDir;

use crate::support::{
    ALICE, BOB, block_on, commit, dir, exists, key, open_local, path, put, read, upload, write_all,
};

const CONTENT: &[u8] = b"what was uploaded";

/// Stops at one point.
#[derive(Debug)]
struct StopAt(CrashPoint);

impl Probe for StopAt {
    fn stops_at(&self, point: CrashPoint) -> bool {
        point == self.0
    }
}

/// Commits `wanted` and crashes at `point`. Gives the commit to repeat.
fn crash(root: &TempDir, point: CrashPoint, wanted: NewUpload) -> CommitUpload {
    let probe: Option<Arc<dyn Probe>> = Some(Arc::new(StopAt(point)));
    let (store, _) = open_local(root.path(), LocalOptions { probe, ..LocalOptions::default() });
    block_on(async {
        let key = key(wanted.client, &store.begin(wanted).await.unwrap());
        write_all(&*store, &key, CONTENT).await.unwrap();
        let answer = store.commit(commit(key, CONTENT)).await;
        assert!(matches!(answer, Err(StoreError::UnknownOutcome)), "{answer:?}");
        commit(key, CONTENT)
    })
}

fn open(root: &TempDir) -> Arc<LocalStore> {
    open_local(root.path(), LocalOptions::default()).0
}

fn partials(root: &TempDir) -> usize {
    fs::read_dir(root.path().join(".fulmar/partial")).unwrap().count()
}

fn wanted() -> NewUpload {
    upload("file", Some(CONTENT.len() as u64))
}

/// The commit is repeated, twice, and the file is there with all that is known about it.
fn succeeds(store: &LocalStore, repeat: CommitUpload) -> Stored {
    block_on(async {
        let stored = store.commit(repeat).await.unwrap();
        assert_eq!(store.commit(repeat).await.unwrap(), stored);
        assert!(!stored.already_there);
        assert_eq!(read(store, stored.path.as_str()).await, CONTENT);
        let known = store.stat(&stored.path.clone().into()).await.unwrap().catalog.unwrap();
        assert_eq!((known.id, known.root), (stored.id, Some(stored.root)));
        assert_eq!(known.uploaded_by, Some(ALICE));
        stored
    })
}

#[test]
fn before_the_intent_the_upload_is_open() {
    let root = TempDir::new().unwrap();
    let repeat = crash(&root, CrashPoint::BeforeIntent, wanted());
    assert_eq!(partials(&root), 1);
    let store = open(&root);
    assert!(!block_on(exists(&*store, "file")));
    // Nothing says that the bytes are complete; the client sends what the journal lacks and commits.
    block_on(async {
        let again = store.commit(repeat).await;
        assert!(matches!(again, Err(StoreError::Incomplete)), "{again:?}");
        let key = key(ALICE, &store.begin(wanted()).await.unwrap());
        write_all(&*store, &key, CONTENT).await.unwrap();
        store.commit(commit(key, CONTENT)).await.unwrap();
    });
}

#[test]
fn an_intent_with_the_staged_file_there_is_rolled_back() {
    let root = TempDir::new().unwrap();
    let repeat = crash(&root, CrashPoint::AfterIntent, wanted());
    let store = open(&root);
    assert!(!block_on(exists(&*store, "file")));
    assert_eq!(partials(&root), 1);
    succeeds(&store, repeat);
    assert_eq!(partials(&root), 0);
}

#[test]
fn a_rolled_back_upload_is_rolled_back_again_at_a_second_start() {
    let root = TempDir::new().unwrap();
    let repeat = crash(&root, CrashPoint::AfterIntent, wanted());
    drop(open(&root));
    succeeds(&open(&root), repeat);
}

#[test]
fn a_rolled_back_upload_can_be_begun_anew() {
    let root = TempDir::new().unwrap();
    let repeat = crash(&root, CrashPoint::AfterIntent, wanted());
    let store = open(&root);
    block_on(async {
        let open = store.begin(wanted()).await.unwrap();
        let key = key(ALICE, &open);
        assert_eq!((key.upload_id, key.generation), (repeat.key.upload_id, repeat.key.generation + 1));
        assert!(matches!(store.commit(repeat).await, Err(StoreError::StaleGeneration)));
        write_all(&*store, &key, CONTENT).await.unwrap();
        store.commit(commit(key, CONTENT)).await.unwrap();
        assert_eq!(read(&*store, "file").await, CONTENT);
    });
}

#[test]
fn a_rolled_back_upload_does_not_pass_for_other_bytes() {
    let root = TempDir::new().unwrap();
    let repeat = crash(&root, CrashPoint::AfterIntent, wanted());
    let other = commit(repeat.key, b"what was UPLOADED");
    let refused = block_on(open(&root).commit(other));
    assert!(matches!(refused, Err(StoreError::DigestMismatch)), "{refused:?}");
}

#[test]
fn after_the_rename_the_file_is_stored() {
    let points = [CrashPoint::AfterRename, CrashPoint::AfterDirectorySync, CrashPoint::AfterSettlement];
    for point in points {
        for on_exists in [OnExists::Fail, OnExists::Overwrite, OnExists::Rename] {
            let root = TempDir::new().unwrap();
            let replaced = on_exists != OnExists::Fail;
            if replaced {
                block_on(put(&*open(&root), "file", b"was there"));
            }
            let repeat = crash(&root, point, NewUpload { on_exists, ..wanted() });
            let stored = succeeds(&open(&root), repeat);
            let expected = if on_exists == OnExists::Rename { "file (1)" } else { "file" };
            assert_eq!(stored.path, path(expected), "{point:?} {on_exists:?}");
            assert_eq!(partials(&root), 0);
        }
    }
}

#[test]
fn a_file_that_was_removed_after_its_rename_is_stored_all_the_same() {
    for replace in [false, true] {
        let root = TempDir::new().unwrap();
        let repeat = crash(&root, CrashPoint::AfterRename, wanted());
        fs::remove_file(root.path().join("file")).unwrap();
        if replace {
            fs::write(root.path().join("file"), b"something else").unwrap();
        }
        let store = open(&root);
        block_on(async {
            let stored = store.commit(repeat).await.unwrap();
            assert_eq!(store.commit(repeat).await.unwrap(), stored);
            assert_eq!(exists(&*store, "file").await, replace);
            if replace {
                let known = store.stat(&dir("file")).await.unwrap().catalog.unwrap();
                assert_eq!((known.root, known.uploaded_by), (None, None), "that is not what was uploaded");
            }
        });
    }
}

#[test]
fn a_file_edited_after_its_rename_is_not_taken_for_the_upload() {
    let root = TempDir::new().unwrap();
    crash(&root, CrashPoint::AfterRename, wanted());
    // In place: the same inode, the same length.
    fs::write(root.path().join("file"), b"WHAT WAS UPLOADED").unwrap();
    let store = open(&root);
    let known = block_on(store.stat(&dir("file"))).unwrap().catalog.unwrap();
    assert_eq!(known.root, None);
}

#[test]
fn a_link_that_was_not_yet_unlinked_is_finished() {
    let root = TempDir::new().unwrap();
    let repeat = crash(&root, CrashPoint::AfterIntent, wanted());
    let staged = fs::read_dir(root.path().join(".fulmar/partial")).unwrap().next().unwrap().unwrap().path();
    fs::hard_link(&staged, root.path().join("file")).unwrap();
    succeeds(&open(&root), repeat);
    assert!(!staged.exists());
}

#[test]
fn an_upload_from_one_stream_is_all_or_nothing() {
    let points = [
        (CrashPoint::BeforeIntent, false),
        (CrashPoint::AfterIntent, false),
        (CrashPoint::AfterRename, true),
        (CrashPoint::AfterDirectorySync, true),
        (CrashPoint::AfterSettlement, true),
    ];
    for (point, is_there) in points {
        let root = TempDir::new().unwrap();
        let repeat = crash(&root, point, NewUpload { lasting: false, ..wanted() });
        let store = open(&root);
        block_on(async {
            assert_eq!(exists(&*store, "file").await, is_there, "{point:?}");
            if is_there {
                assert_eq!(read(&*store, "file").await, CONTENT);
                let known = store.stat(&dir("file")).await.unwrap().catalog.unwrap();
                assert_eq!((known.root, known.uploaded_by), (Some(repeat.root), Some(ALICE)), "{point:?}");
            }
            let again = store.commit(repeat).await;
            assert!(matches!(again, Err(StoreError::UnknownUpload)), "{point:?}: {again:?}");
        });
        assert_eq!(partials(&root), 0);
    }
}

#[test]
fn a_name_taken_after_a_crash_is_refused() {
    let root = TempDir::new().unwrap();
    let repeat = crash(&root, CrashPoint::AfterIntent, wanted());
    let store = open(&root);
    block_on(async {
        let size = Some(3);
        let his: Fingerprint = BOB;
        let wanted = NewUpload { client: his, ..upload("file", size) };
        crate::support::store_as(&*store, wanted, b"his").await.unwrap();
        let refused = store.commit(repeat).await;
        assert!(matches!(refused, Err(StoreError::Exists { .. })), "{refused:?}");
        assert_eq!(read(&*store, "file").await, b"his");
    });
}
