//! Files that somebody changes behind the server's back.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use fulmar_proto::{digest::Digest, listing::EntryKind, upload::OnExists};
use fulmar_store::{LocalOptions, NewUpload, Renamed, Store, StoreError, Uploads, Work};
use tempfile::TempDir;

use crate::support::{
    ALICE, block_on, commit, dir, key, list_all, name, open_local, path, put, read, store_as, upload,
    write_all,
};

#[test]
fn files_copied_in_by_hand_are_served_and_catalogued() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("sub")).unwrap();
    fs::write(root.path().join("sub/by hand.txt"), b"hello").unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    block_on(async {
        assert_eq!(read(&*store, "sub/by hand.txt").await, b"hello");
        let entry = store.stat(&dir("sub/by hand.txt")).await.unwrap();
        let known = entry.catalog.unwrap();
        assert_eq!((known.root, known.uploaded_by), (None, None), "nothing is hashed unasked");
        assert_eq!(known.media_type.as_str(), "text/plain");
        store.hash(&path("sub/by hand.txt"), false, &Work::default()).await.unwrap();
        let hashed = store.stat(&dir("sub/by hand.txt")).await.unwrap().catalog.unwrap();
        assert_eq!((hashed.id, hashed.root), (known.id, Some(Digest::of(b"hello"))));
    });
}

#[test]
fn a_file_edited_by_hand_never_shows_a_stale_digest() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    let at = root.path().join("file");
    block_on(async {
        let stored = put(&*store, "file", b"before").await;
        let object = store.open(&path("file")).await.unwrap();
        assert_eq!(object.info().root, Some(stored.root));
        // Same length, same modification time, same inode: only the time of the last change tells.
        let modified = fs::metadata(&at).unwrap().modified().unwrap();
        fs::write(&at, b"AFTER!").unwrap();
        fs::File::options().write(true).open(&at).unwrap().set_modified(modified).unwrap();

        assert!(matches!(object.check().await, Err(StoreError::Changed)));
        let entry = store.stat(&dir("file")).await.unwrap();
        let known = entry.catalog.unwrap();
        assert_eq!((known.id, known.root, known.uploaded_by), (stored.id, None, None));
        assert_eq!(store.open(&path("file")).await.unwrap().info().root, None);
        let hashed = store.hash(&path("file"), false, &Work::default()).await.unwrap();
        assert_eq!(hashed, (6, Digest::of(b"AFTER!")));
        // What is compared with at a commit is what is there, too.
        let again = store_as(&*store, upload("file", Some(6)), b"before").await;
        assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    });
}

#[test]
fn a_file_replaced_by_hand_has_changed() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    block_on(async {
        put(&*store, "file", b"same bytes").await;
        let object = store.open(&path("file")).await.unwrap();
        fs::write(root.path().join("other"), b"same bytes").unwrap();
        fs::rename(root.path().join("other"), root.path().join("file")).unwrap();
        assert!(matches!(object.check().await, Err(StoreError::Changed)));
        let known = store.stat(&dir("file")).await.unwrap().catalog.unwrap();
        assert_eq!(known.root, None);
    });
}

#[test]
fn a_file_that_shrinks_while_it_is_read_has_changed() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    block_on(async {
        put(&*store, "file", &[7; 1000]).await;
        let object = store.open(&path("file")).await.unwrap();
        fs::write(root.path().join("file"), b"short").unwrap();
        let range = fulmar_proto::range::Range::new(0, 1000).unwrap();
        let read = object.read(0, 1000, fulmar_proto::digest::RangeHasher::new(range)).await;
        assert!(matches!(read, Err(StoreError::Changed)), "{read:?}");
    });
}

#[test]
fn links_are_listed_and_never_followed() {
    let (root, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    symlink(outside.path().join("secret"), root.path().join("to file")).unwrap();
    symlink(outside.path(), root.path().join("to directory")).unwrap();
    symlink("nowhere", root.path().join("dangling")).unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    block_on(async {
        let entries = list_all(&*store, "", true, 10).await;
        assert_eq!(entries.len(), 3);
        for entry in &entries {
            assert_eq!((entry.kind, entry.size), (EntryKind::Link, 0), "{}", name(entry));
            assert_eq!((&entry.version, &entry.catalog), (&None, &None));
        }
        for link in ["to file", "to directory", "dangling"] {
            assert!(matches!(store.open(&path(link)).await, Err(StoreError::NotServable)), "{link}");
            assert_eq!(store.stat(&dir(link)).await.unwrap().kind, EntryKind::Link);
            let renamed = store.rename(&path(link), &path("moved"), OnExists::Fail).await;
            assert!(matches!(renamed, Err(StoreError::NotServable)), "{renamed:?}");
            // A link is in the way of an upload, and is neither replaced nor written through.
            for on_exists in [OnExists::Fail, OnExists::Overwrite] {
                let wanted = NewUpload { on_exists, ..upload(link, Some(6)) };
                let stored = store_as(&*store, wanted, b"hacked").await;
                assert!(
                    matches!(stored, Err(StoreError::Exists { .. } | StoreError::NotServable)),
                    "{link}: {stored:?}"
                );
            }
        }
        assert!(store.open(&path("to directory/secret")).await.is_err());
        assert!(store.list(&dir("to directory"), None, false, 10, 60_000).await.is_err());
        assert!(store.begin(upload("to directory/new", Some(1))).await.is_err());
        assert_eq!(store.measure(&dir(""), &Work::default()).await.unwrap().bytes, 0);
        store.remove(&path("to directory"), true, &Work::default()).await.unwrap();
        store.remove(&path("to file"), false, &Work::default()).await.unwrap();
    });
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_commit_gives_no_more_than_the_executable_bits() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    block_on(async {
        let mode = Some(fulmar_proto::upload::Mode::masked(0o777));
        store_as(&*store, NewUpload { mode, ..upload("program", Some(1)) }, b"x").await.unwrap();
        put(&*store, "data", b"x").await;
    });
    let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("program") & !0o777, 0);
    assert_eq!(mode("program") & 0o100, 0o100);
    assert_eq!(mode("data") & 0o111, 0);
    assert_eq!(mode(".fulmar"), 0o700);
    assert_eq!(mode(".fulmar/catalog.sqlite"), 0o600);
}

#[test]
fn an_upload_and_a_file_made_by_hand_do_not_replace_each_other() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    block_on(async {
        let key = key(ALICE, &store.begin(upload("file", Some(6))).await.unwrap());
        write_all(&*store, &key, b"theirs").await.unwrap();
        fs::write(root.path().join("file"), b"by hand").unwrap();
        assert!(matches!(store.commit(commit(key, b"theirs")).await, Err(StoreError::Exists { .. })));
        assert_eq!(fs::read(root.path().join("file")).unwrap(), b"by hand");
        let renamed = store.rename(&path("file"), &path("moved"), OnExists::Fail).await.unwrap();
        assert_eq!(renamed, Renamed::To(path("moved")));
    });
}
