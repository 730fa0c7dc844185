//! Making directories, removing, renaming, and finding out where a destination leads.

use fulmar_proto::{
    path::Name,
    upload::{Destination, OnExists},
};
use fulmar_store::{Removed, Renamed, StoreError, Work};

use crate::support::{Fixture, bytes, dir, exists, on_every_store, path, put, read};

on_every_store!(
    directories_are_made,
    files_and_trees_are_removed,
    a_stopped_removal_removes_nothing_more,
    a_rename_keeps_what_is_known,
    a_rename_respects_what_is_there,
    a_tree_is_renamed_with_all_in_it,
    destinations_are_resolved,
);

async fn directories_are_made(fixture: Fixture) {
    let store = &*fixture.store;
    assert!(store.make_directory(&path("a"), false).await.unwrap());
    assert!(matches!(store.make_directory(&path("a"), false).await, Err(StoreError::Exists { .. })));
    assert!(matches!(store.make_directory(&path("b/c"), false).await, Err(StoreError::NoParent)));
    assert!(store.make_directory(&path("b/c/d"), true).await.unwrap());
    assert!(!store.make_directory(&path("b/c/d"), true).await.unwrap());
    put(store, "file", b"x").await;
    assert!(matches!(store.make_directory(&path("file"), false).await, Err(StoreError::Exists { .. })));
    for below in ["file", "file/x"] {
        let made = store.make_directory(&path(below), true).await;
        assert!(matches!(made, Err(StoreError::NotADirectory)), "{below}: {made:?}");
    }
    assert!(matches!(store.make_directory(&path("file/x"), false).await, Err(StoreError::NotADirectory)));
}

async fn files_and_trees_are_removed(fixture: Fixture) {
    let (store, work) = (&*fixture.store, Work::default());
    store.make_directory(&path("a/b"), true).await.unwrap();
    put(store, "a/one", b"1").await;
    put(store, "a/b/two", b"2").await;
    put(store, "ab", b"not below a").await;
    assert!(matches!(store.remove(&path("a"), false, &work).await, Err(StoreError::NotEmpty)));
    let removed = store.remove(&path("a/b/two"), false, &work).await.unwrap();
    assert_eq!(removed, Removed { files: 1, directories: 0 });
    let removed = store.remove(&path("a/b"), false, &work).await.unwrap();
    assert_eq!(removed, Removed { files: 0, directories: 1 });
    store.make_directory(&path("a/b"), false).await.unwrap();
    let work = Work::default();
    let removed = store.remove(&path("a"), true, &work).await.unwrap();
    assert_eq!(removed, Removed { files: 1, directories: 2 });
    assert_eq!(work.progress().0, 3);
    assert!(!exists(store, "a").await);
    assert_eq!(read(store, "ab").await, b"not below a");
    assert!(matches!(store.remove(&path("a"), true, &work).await, Err(StoreError::NotFound)));
    assert_eq!(
        store.remove(&path("ab"), true, &work).await.unwrap(),
        Removed { files: 1, directories: 0 },
        "a file is removed whether recursively or not"
    );
}

async fn a_stopped_removal_removes_nothing_more(fixture: Fixture) {
    fixture.store.make_directory(&path("a"), false).await.unwrap();
    put(&*fixture.store, "a/one", b"1").await;
    let work = Work::default();
    work.stop();
    assert!(matches!(fixture.store.remove(&path("a"), true, &work).await, Err(StoreError::Stopped)));
    assert!(exists(&*fixture.store, "a/one").await);
}

async fn a_rename_keeps_what_is_known(fixture: Fixture) {
    let store = &*fixture.store;
    let stored = put(store, "before.txt", b"content").await;
    let uploaded = store.stat(&dir("before.txt")).await.unwrap().catalog.unwrap();
    let renamed = store.rename(&path("before.txt"), &path("after.html"), OnExists::Fail).await.unwrap();
    assert_eq!(renamed, Renamed::To(path("after.html")));
    let known = store.stat(&dir("after.html")).await.unwrap().catalog.unwrap();
    assert_eq!((known.id, known.root), (stored.id, Some(stored.root)));
    assert_eq!((known.uploaded_by, known.uploaded), (uploaded.uploaded_by, uploaded.uploaded));
    assert_eq!(known.media_type.as_str(), "text/html");
    assert!(!exists(store, "before.txt").await);
    // The old name is a new file's from now on.
    let other = put(store, "before.txt", b"other").await;
    assert_ne!(other.id, stored.id);
}

async fn a_rename_respects_what_is_there(fixture: Fixture) {
    let store = &*fixture.store;
    put(store, "a", b"a").await;
    put(store, "b", b"b").await;
    put(store, "b (1)", b"b1").await;
    store.make_directory(&path("d"), false).await.unwrap();
    let rename = |from: &str, to: &str, on_exists| {
        let (from, to) = (path(from), path(to));
        async move { store.rename(&from, &to, on_exists).await }
    };
    assert!(
        matches!(rename("a", "b", OnExists::Fail).await, Err(StoreError::Exists { path: at }) if at == path("b"))
    );
    assert_eq!(rename("a", "b", OnExists::Skip).await.unwrap(), Renamed::Skipped(path("b")));
    assert!(matches!(rename("a", "x/y", OnExists::Fail).await, Err(StoreError::NoParent)));
    assert!(matches!(rename("missing", "y", OnExists::Fail).await, Err(StoreError::NotFound)));
    assert!(matches!(rename("a", "d", OnExists::Overwrite).await, Err(StoreError::IsADirectory)));
    assert!(matches!(rename("d", "a", OnExists::Overwrite).await, Err(StoreError::NotADirectory)));
    assert!(matches!(rename("d", "d/e", OnExists::Fail).await, Err(StoreError::NoParent)));
    assert!(matches!(rename("a", "a", OnExists::Fail).await, Err(StoreError::Exists { .. })));
    assert_eq!(rename("a", "a", OnExists::Overwrite).await.unwrap(), Renamed::To(path("a")));
    assert_eq!(read(store, "a").await, b"a", "nothing has happened so far");

    assert_eq!(rename("a", "b", OnExists::Rename).await.unwrap(), Renamed::To(path("b (2)")));
    assert_eq!(rename("b (2)", "b", OnExists::Overwrite).await.unwrap(), Renamed::To(path("b")));
    assert_eq!(read(store, "b").await, b"a");
    assert!(!exists(store, "b (2)").await && !exists(store, "a").await);
}

async fn a_tree_is_renamed_with_all_in_it(fixture: Fixture) {
    let store = &*fixture.store;
    store.make_directory(&path("old/sub"), true).await.unwrap();
    let content = bytes(1000);
    let stored = put(store, "old/sub/file", &content).await;
    put(store, "old file", b"beside").await;
    store.rename(&path("old"), &path("new"), OnExists::Fail).await.unwrap();
    assert!(!exists(store, "old").await);
    assert_eq!(read(store, "new/sub/file").await, content);
    let known = store.stat(&dir("new/sub/file")).await.unwrap().catalog.unwrap();
    assert_eq!((known.id, known.root), (stored.id, Some(stored.root)));
    assert_eq!(read(store, "old file").await, b"beside");
    put(store, "new/sub/another", b"works").await;
}

async fn destinations_are_resolved(fixture: Fixture) {
    let store = &*fixture.store;
    store.make_directory(&path("sub"), false).await.unwrap();
    put(store, "sub/there", b"x").await;
    put(store, "file", b"x").await;
    let source = Name::parse("source").unwrap();
    let there = Name::parse("there").unwrap();
    let resolve = |to: &str, must_be_directory, name: Option<&Name>| {
        let destination = Destination { path: dir(to), must_be_directory };
        let name = name.cloned();
        async move {
            match store.resolve(&destination, name.as_ref()).await {
                Ok(target) => format!("{} {}", target.path.as_str(), target.existing.is_some()),
                Err(error) => format!("{error:?}"),
            }
        }
    };
    assert_eq!(resolve("", false, Some(&source)).await, "source false");
    assert_eq!(resolve("sub", false, Some(&source)).await, "sub/source false");
    assert_eq!(resolve("sub", true, Some(&there)).await, "sub/there true");
    assert_eq!(resolve("sub", false, None).await, "IsADirectory");
    assert_eq!(resolve("new", false, Some(&source)).await, "new false");
    assert_eq!(resolve("file", false, Some(&source)).await, "file true");
    assert_eq!(resolve("file", true, Some(&source)).await, "NotADirectory");
    assert_eq!(resolve("new", true, Some(&source)).await, "NoParent");
    assert_eq!(resolve("missing/new", false, Some(&source)).await, "NoParent");
    assert_eq!(resolve("file/new", false, Some(&source)).await, "NotADirectory");
}
