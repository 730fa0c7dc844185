//! Listings in pages.

use std::collections::BTreeSet;

use fulmar_proto::{
    error::ErrorCode,
    listing::{Cursor, EntryName, MAX_PAGE_ENTRIES, Page},
    path::DirPath,
    reply::Reply,
    request::Request,
};
use fulmar_store::Store;

use crate::{
    peer::{Peer, Stream, path},
    rig::{Rig, run},
};

const COUNT: usize = 2 * MAX_PAGE_ENTRIES + 7;

fn list(cursor: Option<Cursor>) -> Request {
    Request::List { directory: DirPath::root(), cursor, details: false }
}

async fn furnished() -> (Rig, Peer) {
    let (rig, peer) = Peer::alone().await;
    for index in 0..COUNT {
        let made = rig.memory.make_directory(&path(&format!("{index}")), false).await;
        assert!(made.expect("the store takes it"));
    }
    (rig, peer)
}

async fn page(stream: &mut Stream) -> Page {
    match stream.reply().await {
        Reply::Page(page) => page,
        other => panic!("not a page: {other:?}"),
    }
}

/// Adds the names of a page, none of which may have been seen; gives its cursor.
fn take(names: &mut BTreeSet<String>, page: Page) -> Option<Cursor> {
    let (entries, next) = page.into_parts();
    assert!(entries.len() <= MAX_PAGE_ENTRIES);
    assert!(!entries.is_empty() || next.is_none(), "a page that goes on holds something");
    for entry in entries {
        let EntryName::Servable(name) = entry.name else { panic!("{entry:?}") };
        assert!(names.insert(name.as_str().to_owned()), "{name:?} twice");
    }
    next
}

#[test]
fn all_pages_come_on_one_stream() {
    run(async {
        let (_rig, peer) = furnished().await;
        let mut stream = peer.stream().await;
        stream.send(&list(None)).await;
        let (mut names, mut pages) = (BTreeSet::new(), 1);
        while take(&mut names, page(&mut stream).await).is_some() {
            pages += 1;
        }
        assert_eq!((names.len(), pages), (COUNT, 3));
        assert_eq!(stream.try_reply().await, Ok(None), "nothing follows the last page");
    });
}

#[test]
fn a_listing_goes_on_from_any_cursor() {
    run(async {
        let (rig, peer) = furnished().await;
        let (mut names, mut cursor) = (BTreeSet::new(), None);
        loop {
            // One page of each listing, as if the connection had been lost behind it.
            let mut stream = peer.stream().await;
            stream.send(&list(cursor.clone())).await;
            cursor = take(&mut names, page(&mut stream).await);
            if cursor.is_none() {
                break;
            }
            // What has been listed already may go meanwhile.
            let gone = names.first().expect("listed names").clone();
            if rig.has(&gone).await {
                let remove = Request::Remove { path: path(&gone), recursive: false };
                assert!(matches!(peer.ask(&remove).await, Reply::Removed { .. }));
            }
        }
        assert_eq!(names.len(), COUNT);
    });
}

#[test]
fn a_cursor_of_nobody_is_malformed() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        for len in [0, 1, 64] {
            let cursor = Cursor::try_from(vec![0xff; len]).expect("short");
            assert_eq!(peer.refused(&list(Some(cursor))).await, ErrorCode::MALFORMED, "{len} bytes");
        }
        peer.check_alive().await;
    });
}
