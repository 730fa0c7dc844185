//! Listing and describing.

use std::collections::BTreeSet;

use fulmar_proto::{
    listing::{Cursor, EntryKind, MAX_CURSOR_BYTES},
    upload::Mode,
};
use fulmar_store::{NewUpload, StoreError};

use crate::support::{Fixture, Whole, dir, list_all, name, on_every_store, path, put, store_as, upload};

on_every_store!(
    an_empty_root_has_no_entries,
    pages_show_each_entry_once,
    pages_go_on_while_the_directory_changes,
    pages_keep_to_their_bytes,
    entries_say_what_they_are,
    foreign_cursors_are_refused,
    what_is_no_directory_is_not_listed,
);

async fn an_empty_root_has_no_entries(fixture: Fixture) {
    assert!(list_all(&*fixture.store, "", false, 1000).await.is_empty());
    assert_eq!(fixture.store.stat(&dir("")).await.unwrap().kind, EntryKind::Directory);
}

async fn make_files(store: &dyn Whole, count: usize) -> BTreeSet<String> {
    let names: BTreeSet<String> = (0..count).map(|number| format!("file {number}")).collect();
    for name in &names {
        put(store, name, name.as_bytes()).await;
    }
    names
}

async fn pages_show_each_entry_once(fixture: Fixture) {
    let names = make_files(&*fixture.store, 25).await;
    for (max_entries, details) in [(1, false), (7, true), (25, false), (26, true), (1000, true)] {
        let listed: Vec<String> =
            list_all(&*fixture.store, "", details, max_entries).await.iter().map(name).collect();
        assert_eq!(listed.len(), names.len(), "pages of {max_entries}");
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), names);
    }
}

async fn pages_go_on_while_the_directory_changes(fixture: Fixture) {
    let store = &*fixture.store;
    let names = make_files(store, 20).await;
    let page = store.list(&dir(""), None, false, 5, 60_000).await.unwrap();
    let (entries, mut cursor) = page.into_parts();
    let mut listed: Vec<String> = entries.iter().map(name).collect();
    // What was listed goes, something new comes: nothing of that may hide or repeat another entry.
    let gone: Vec<String> = listed.clone();
    for name in &gone {
        store.remove(&path(name), false, &fulmar_store::Work::default()).await.unwrap();
    }
    put(store, "newcomer", b"").await;
    while let Some(at) = cursor {
        let (entries, next) = store.list(&dir(""), Some(&at), false, 5, 60_000).await.unwrap().into_parts();
        listed.extend(entries.iter().map(name));
        cursor = next;
    }
    let kept: Vec<&String> = names.iter().filter(|name| !gone.contains(name)).collect();
    for name in kept {
        assert_eq!(listed.iter().filter(|listed| *listed == name).count(), 1, "{name}");
    }
}

async fn pages_keep_to_their_bytes(fixture: Fixture) {
    make_files(&*fixture.store, 20).await;
    for max_bytes in [0, 1, 200, 1000] {
        let (mut cursor, mut listed) = (None, 0);
        loop {
            let page = fixture.store.list(&dir(""), cursor.as_ref(), true, 1000, max_bytes).await.unwrap();
            let len = fulmar_proto::codec::payload_len(&page).unwrap();
            let (entries, next) = page.into_parts();
            // One entry is always on a page, however little room there is; the page itself adds a few bytes.
            assert!(len <= max_bytes + 16 || entries.len() == 1, "{len} of {max_bytes}");
            listed += entries.len();
            if next.is_none() {
                break;
            }
            cursor = next;
        }
        assert_eq!(listed, 20);
    }
}

async fn entries_say_what_they_are(fixture: Fixture) {
    let store = &*fixture.store;
    store.make_directory(&path("sub"), false).await.unwrap();
    let wanted = NewUpload { mode: Some(Mode::masked(0o755)), ..upload("sub/run.sh", None) };
    let stored = store_as(store, wanted, b"#!/bin/sh\n").await.unwrap();
    put(store, "sub/page.html", b"<p>").await;

    let plain = list_all(store, "sub", false, 10).await;
    assert!(plain.iter().all(|entry| entry.version.is_none() && entry.catalog.is_none()));
    let detailed = list_all(store, "sub", true, 10).await;
    let find = |wanted: &str| detailed.iter().find(|entry| name(entry) == wanted).unwrap();
    let (script, page) = (find("run.sh"), find("page.html"));
    assert_eq!((script.kind, script.size), (EntryKind::File, 10));
    assert!(script.mode.executable() && !page.mode.executable());
    assert_eq!(script.catalog.as_ref().unwrap().id, stored.id);
    assert_eq!(page.catalog.as_ref().unwrap().media_type.as_str(), "text/html");
    assert_eq!(*script, store.stat(&dir("sub/run.sh")).await.unwrap());

    let sub = store.stat(&dir("sub")).await.unwrap();
    assert_eq!((sub.kind, sub.size, sub.version, sub.catalog), (EntryKind::Directory, 0, None, None));
}

async fn foreign_cursors_are_refused(fixture: Fixture) {
    make_files(&*fixture.store, 2).await;
    for bytes in [vec![], vec![0], vec![b'L'], vec![0xff; 9], vec![0; MAX_CURSOR_BYTES]] {
        let cursor = Cursor::try_from(bytes.clone()).unwrap();
        let listed = fixture.store.list(&dir(""), Some(&cursor), false, 10, 60_000).await;
        assert!(matches!(listed, Err(StoreError::BadCursor)), "{bytes:?}: {listed:?}");
    }
}

async fn what_is_no_directory_is_not_listed(fixture: Fixture) {
    put(&*fixture.store, "file", b"x").await;
    let cases = [("file", "NotADirectory"), ("file/below", "NotADirectory"), ("missing", "NotFound")];
    for (of, expected) in cases {
        let error = fixture.store.list(&dir(of), None, false, 10, 60_000).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{of}");
    }
    assert!(matches!(fixture.store.stat(&dir("missing")).await, Err(StoreError::NotFound)));
    assert!(matches!(fixture.store.stat(&dir("file/below")).await, Err(StoreError::NotADirectory)));
}
