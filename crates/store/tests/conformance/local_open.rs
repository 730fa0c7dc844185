//! Opening a directory as a store, and what keeps it from being one.

use std::{fs, path::Path};

use fulmar_disk::Offload;
use fulmar_proto::{listing::EntryKind, upload::OnExists};
use fulmar_store::{CatalogError, LocalOptions, LocalStore, OpenError, Store, StoreError, Uploads, Work};
use tempfile::TempDir;

use crate::support::{block_on, dir, environment, list_all, open_local, path, put, read, upload};

fn try_open(root: &Path) -> Result<(), OpenError> {
    LocalStore::open(root, LocalOptions::default(), environment(Offload::inline()).0).map(drop)
}

#[test]
fn a_directory_is_made_with_those_above_it() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(&root.path().join("a/b"), LocalOptions::default());
    block_on(async { put(&*store, "file", b"x").await });
    assert!(root.path().join("a/b/file").exists());
}

#[test]
fn a_second_server_is_kept_out() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    assert!(matches!(try_open(root.path()), Err(OpenError::Locked)));
    drop(store);
    try_open(root.path()).unwrap();
}

#[test]
fn a_file_is_no_store() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("file"), b"").unwrap();
    assert!(matches!(try_open(&root.path().join("file")), Err(OpenError::Root(_))));
    fs::write(root.path().join(".fulmar"), b"in the way").unwrap();
    assert!(matches!(try_open(root.path()), Err(OpenError::Private(_))));
}

#[test]
fn what_is_known_is_known_after_a_restart() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    let before = block_on(async {
        put(&*store, "file", b"content").await;
        list_all(&*store, "", true, 10).await
    });
    drop(store);
    let (store, _) = open_local(root.path(), LocalOptions::default());
    assert_eq!(block_on(list_all(&*store, "", true, 10)), before);
}

fn nothing_can_be_changed(store: &LocalStore) {
    block_on(async {
        assert!(store.is_read_only());
        let read_only = |error: StoreError| assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
        read_only(store.begin(upload("new", Some(1))).await.unwrap_err());
        read_only(store.make_directory(&path("new"), true).await.unwrap_err());
        read_only(store.remove(&path("file"), true, &Work::default()).await.unwrap_err());
        read_only(store.rename(&path("file"), &path("new"), OnExists::Fail).await.unwrap_err());
    });
}

#[test]
fn a_store_that_is_only_read_is_not_changed() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("file"), b"content").unwrap();
    let (store, _) = open_local(root.path(), LocalOptions { read_only: true, ..LocalOptions::default() });
    nothing_can_be_changed(&store);
    block_on(async { assert_eq!(read(&*store, "file").await, b"content") });
    assert!(matches!(try_open(root.path()), Err(OpenError::Locked)));
}

#[test]
fn a_root_that_cannot_be_written_to_is_served_read_only() {
    // Not even a superuser makes a directory here.
    let root = Path::new("/sys/kernel");
    if !root.is_dir() {
        println!("skipped: {} is not there", root.display());
        return;
    }
    let (store, _) = open_local(root, LocalOptions::default());
    assert!(!root.join(".fulmar").exists());
    nothing_can_be_changed(&store);
    block_on(async {
        assert_eq!(store.stat(&dir("")).await.unwrap().kind, EntryKind::Directory);
        let page = store.list(&dir(""), None, true, 10, 60_000).await.unwrap();
        assert!(!page.into_parts().0.is_empty());
    });
}

#[test]
fn a_damaged_catalog_is_reported_and_left_alone() {
    let root = TempDir::new().unwrap();
    drop(open_local(root.path(), LocalOptions::default()));
    let file = root.path().join(".fulmar/catalog.sqlite");
    let garbage = vec![0x5a; 8192];
    fs::write(&file, &garbage).unwrap();
    let error = try_open(root.path()).unwrap_err();
    assert!(matches!(error, OpenError::Catalog(CatalogError::Damaged)), "{error:?}");
    assert!(error.to_string().contains("move .fulmar/catalog.sqlite"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), garbage);
    // What the message advises helps.
    fs::rename(&file, root.path().join("moved away")).unwrap();
    try_open(root.path()).unwrap();
}

#[test]
fn two_hundred_thousand_entries_are_listed_in_pages_of_a_thousand() {
    // Hard links are quick to make; 40 files have 5,000 names each.
    const NAMES: usize = 200_000;
    let root = TempDir::new().unwrap();
    for number in 0..NAMES {
        let at = root.path().join(format!("{number:06}"));
        if number % 5_000 == 0 {
            fs::write(&at, b"").unwrap();
        } else {
            fs::hard_link(root.path().join(format!("{:06}", number - number % 5_000)), &at).unwrap();
        }
    }
    let (store, _) = open_local(root.path(), LocalOptions::default());
    let mut seen = vec![false; NAMES];
    block_on(async {
        for entry in list_all(&*store, "", false, 1000).await {
            let number: usize = crate::support::name(&entry).parse().unwrap();
            assert!(!std::mem::replace(&mut seen[number], true), "{number} twice");
        }
    });
    assert!(seen.iter().all(|seen| *seen));
}
