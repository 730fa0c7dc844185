//! What holds for every client, whatever its grants.

use fulmar_proto::{
    error::ErrorCode,
    grants::Grants,
    hello::Policies,
    path::DirPath,
    reply::Reply,
    request::Request,
    upload::{BeginUpload, Destination, OnExists},
};
use fulmar_store::Store;

use crate::{
    peer::{Peer, code, identity, path, upload},
    rig::{Rig, Setup, run},
};

async fn served_with(policies: Policies) -> (Rig, Peer) {
    let client = identity();
    let rig = Setup { policies, ..Setup::default() }.with(&client, Grants::ALL).start();
    let peer = Peer::connect(&rig, &client).await;
    assert_eq!(peer.welcome.policies, policies);
    (rig, peer)
}

fn destination(text: &str) -> Destination {
    Destination { path: text.parse().expect("a path"), must_be_directory: false }
}

/// An upload of three bytes of a source called `source`.
fn named(source: &str, to: &str, on_exists: OnExists) -> BeginUpload {
    BeginUpload { source_name: Some(source.parse().expect("a name")), on_exists, ..upload(to, 3) }
}

fn rename(from: &str, to: &str, on_exists: OnExists) -> Request {
    Request::Rename { from: path(from), to: destination(to), on_exists }
}

#[test]
fn a_read_only_server_changes_nothing() {
    run(async {
        let (rig, peer) = served_with(Policies::READ_ONLY).await;
        rig.memory.make_directory(&path("d"), false).await.expect("the store itself can be written to");
        let changing = [
            Request::MakeDirectory { path: path("e"), parents: true },
            Request::Remove { path: path("d"), recursive: true },
            rename("d", "e", OnExists::Fail),
            Request::Begin { upload: upload("a", 3), first: None },
            Request::Abandon { upload_id: fulmar_proto::version::UploadId([0; 16]), generation: 0 },
        ];
        for request in changing {
            assert_eq!(peer.refused(&request).await, ErrorCode::READ_ONLY, "{request:?}");
        }
        assert_eq!(code(&peer.put_upload(upload("a", 3), b"abc").await), ErrorCode::READ_ONLY);
        assert!(rig.has("d").await && !rig.has("e").await && !rig.has("a").await);
        let list = Request::List { directory: DirPath::root(), cursor: None, details: false };
        match peer.ask(&list).await {
            Reply::Page(page) => assert_eq!(page.into_parts().0.len(), 1),
            other => panic!("not listed: {other:?}"),
        }
    });
}

#[test]
fn extensions_are_kept_where_that_is_demanded() {
    run(async {
        let (rig, peer) = served_with(Policies::KEEP_EXTENSION).await;
        for (source, to, allowed) in [
            ("a.txt", "b.txt", true),
            ("a.txt", "c.TXT", true),
            ("a", "d", true),
            ("a.txt", "e.exe", false),
            ("a.txt", "f", false),
            ("a", "g.txt", false),
        ] {
            let reply = peer.put_upload(named(source, to, OnExists::Fail), b"abc").await;
            if allowed {
                assert!(matches!(reply, Reply::Stored(_)), "{source} to {to}: {reply:?}");
            } else {
                assert_eq!(code(&reply), ErrorCode::POLICY, "{source} to {to}");
                let begin = Request::Begin { upload: named(source, to, OnExists::Fail), first: None };
                assert_eq!(peer.refused(&begin).await, ErrorCode::POLICY);
            }
            assert_eq!(rig.has(to).await, allowed);
        }
        assert_eq!(peer.refused(&rename("b.txt", "b.exe", OnExists::Fail)).await, ErrorCode::POLICY);
        assert!(rig.has("b.txt").await);
        assert!(matches!(peer.ask(&rename("b.txt", "h.txt", OnExists::Fail)).await, Reply::Renamed { .. }));
        // A directory's name has no extension that means anything.
        peer.ask(&Request::MakeDirectory { path: path("d.d"), parents: false }).await;
        assert!(matches!(peer.ask(&rename("d.d", "e.e", OnExists::Fail)).await, Reply::Renamed { .. }));
    });
}

#[test]
fn nothing_is_replaced_where_that_is_forbidden() {
    run(async {
        let (_rig, peer) = served_with(Policies::NO_OVERWRITE).await;
        peer.put("a", b"old").await;
        peer.put("b", b"other").await;
        let replace = named("a", "a", OnExists::Overwrite);
        assert_eq!(code(&peer.put_upload(replace.clone(), b"new").await), ErrorCode::POLICY);
        assert_eq!(peer.refused(&Request::Begin { upload: replace, first: None }).await, ErrorCode::POLICY);
        assert_eq!(peer.refused(&rename("b", "a", OnExists::Overwrite)).await, ErrorCode::POLICY);
        assert_eq!(peer.fetch("a").await, b"old");
        assert_eq!(peer.fetch("b").await, b"other");
        let beside = peer.put_upload(named("a", "a", OnExists::Rename), b"new").await;
        assert!(matches!(beside, Reply::Stored(stored) if stored.path == path("a (1)")));
        let remove = Request::Remove { path: path("a"), recursive: false };
        assert!(matches!(peer.ask(&remove).await, Reply::Removed { .. }), "removing is another matter");
    });
}
