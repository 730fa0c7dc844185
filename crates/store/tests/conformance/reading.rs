//! Opening, reading, hashing and summing.

use fulmar_proto::{
    digest::{Digest, RangeHasher},
    listing::EntryKind,
    range::Range,
    upload::OnExists,
};
use fulmar_store::{Measured, NewUpload, StoreError, Work};

use crate::support::{Fixture, bytes, dir, on_every_store, path, put, read, store_as, upload};

on_every_store!(
    a_file_reads_as_it_was_stored,
    reading_beyond_the_end_is_a_change,
    a_replaced_file_has_changed,
    a_digest_is_known_or_computed,
    hashing_can_be_watched_and_stopped,
    trees_are_summed,
    what_is_no_file_is_not_opened,
    a_file_that_is_there_can_be_made_durable,
);

async fn a_file_reads_as_it_was_stored(fixture: Fixture) {
    let content = bytes(3 * 1024 * 1024 + 17);
    let stored = put(&*fixture.store, "file", &content).await;
    assert_eq!(read(&*fixture.store, "file").await, content);
    let object = fixture.store.open(&path("file")).await.unwrap();
    assert_eq!(object.info().size, content.len() as u64);
    assert_eq!(object.info().root, Some(stored.root));
    assert_eq!(object.info().version, fixture.store.stat(&dir("file")).await.unwrap().version.unwrap());
}

async fn reading_beyond_the_end_is_a_change(fixture: Fixture) {
    put(&*fixture.store, "file", &bytes(100)).await;
    let object = fixture.store.open(&path("file")).await.unwrap();
    for (offset, len) in [(0, 101), (100, 1), (u64::from(u32::MAX) << 16, 1), (65536, 1)] {
        let hasher = RangeHasher::new(Range::new(0, 2 * 1024 * 1024).unwrap());
        let read = object.read(offset, len, hasher).await;
        assert!(matches!(read, Err(StoreError::Changed)), "{len} bytes at {offset}: {read:?}");
    }
}

async fn a_replaced_file_has_changed(fixture: Fixture) {
    let store = &*fixture.store;
    put(store, "file", b"old").await;
    let object = store.open(&path("file")).await.unwrap();
    object.check().await.unwrap();
    let wanted = NewUpload { on_exists: OnExists::Overwrite, ..upload("file", Some(3)) };
    store_as(store, wanted, b"new").await.unwrap();
    assert!(matches!(object.check().await, Err(StoreError::Changed)));
    assert_eq!(read(store, "file").await, b"new");

    let object = store.open(&path("file")).await.unwrap();
    store.remove(&path("file"), false, &Work::default()).await.unwrap();
    assert!(matches!(object.check().await, Err(StoreError::Changed)));
    assert!(matches!(store.open(&path("file")).await, Err(StoreError::NotFound)));
}

async fn a_digest_is_known_or_computed(fixture: Fixture) {
    let content = bytes(70_000);
    put(&*fixture.store, "file", &content).await;
    for reread in [false, true, false] {
        let work = Work::default();
        let (size, root) = fixture.store.hash(&path("file"), reread, &work).await.unwrap();
        assert_eq!((size, root), (70_000, Digest::of(&content)));
        assert_eq!(work.progress(), (70_000, 70_000));
    }
    put(&*fixture.store, "empty", b"").await;
    assert_eq!(fixture.store.hash(&path("empty"), true, &Work::default()).await.unwrap(), (0, Digest::EMPTY));
}

async fn hashing_can_be_watched_and_stopped(fixture: Fixture) {
    put(&*fixture.store, "file", &bytes(70_000)).await;
    let work = Work::default();
    work.stop();
    let hashed = fixture.store.hash(&path("file"), true, &work).await;
    assert!(matches!(hashed, Err(StoreError::Stopped)), "{hashed:?}");
    assert_eq!(work.progress(), (0, 70_000));
}

async fn trees_are_summed(fixture: Fixture) {
    let store = &*fixture.store;
    store.make_directory(&path("a/b/c"), true).await.unwrap();
    put(store, "a/one", &bytes(1)).await;
    put(store, "a/b/two", &bytes(20)).await;
    put(store, "a/b/c/three", &bytes(300)).await;
    put(store, "beside", &bytes(4000)).await;
    let (directory, file) = (EntryKind::Directory, EntryKind::File);
    let cases = [
        ("", Measured { kind: directory, bytes: 4321, files: 4, directories: 3 }),
        ("a", Measured { kind: directory, bytes: 321, files: 3, directories: 2 }),
        ("a/b/c", Measured { kind: directory, bytes: 300, files: 1, directories: 0 }),
        ("a/b/two", Measured { kind: file, bytes: 20, files: 1, directories: 0 }),
    ];
    for (at, expected) in cases {
        let work = Work::default();
        assert_eq!(store.measure(&dir(at), &work).await.unwrap(), expected, "{at:?}");
        assert_eq!(work.progress().0, expected.files + expected.directories, "{at:?}");
    }
    let work = Work::default();
    work.stop();
    assert!(matches!(store.measure(&dir("a"), &work).await, Err(StoreError::Stopped)));
    assert!(matches!(store.measure(&dir("missing"), &Work::default()).await, Err(StoreError::NotFound)));
}

async fn what_is_no_file_is_not_opened(fixture: Fixture) {
    fixture.store.make_directory(&path("sub"), false).await.unwrap();
    assert!(matches!(fixture.store.open(&path("sub")).await, Err(StoreError::IsADirectory)));
    assert!(matches!(fixture.store.open(&path("missing")).await, Err(StoreError::NotFound)));
    let hashed = fixture.store.hash(&path("sub"), false, &Work::default()).await;
    assert!(matches!(hashed, Err(StoreError::IsADirectory)), "{hashed:?}");
}

async fn a_file_that_is_there_can_be_made_durable(fixture: Fixture) {
    put(&*fixture.store, "file", b"content").await;
    fixture.store.make_directory(&path("directory"), false).await.unwrap();
    fixture.store.make_durable(&path("file")).await.unwrap();
    assert_eq!(read(&*fixture.store, "file").await, b"content");
    let of = async |name| fixture.store.make_durable(&path(name)).await;
    assert!(matches!(of("directory").await, Err(StoreError::IsADirectory)));
    assert!(matches!(of("nothing").await, Err(StoreError::NotFound)));
}
