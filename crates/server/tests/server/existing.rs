//! Uploads to a name that is taken.

use fulmar_proto::{
    digest::Digest,
    error::ErrorCode,
    grants::Grants,
    reply::Reply,
    request::Request,
    upload::{BeginUpload, Destination, OnExists},
};

use crate::{
    peer::{Peer, code, identity, path, range, trailer, upload},
    rig::{Setup, run},
};

fn onto(name: &str, size: u64, on_exists: OnExists) -> BeginUpload {
    BeginUpload { on_exists, ..upload(name, size) }
}

#[test]
fn every_wish_for_a_name_that_is_taken() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let root = peer.put("a.txt", b"old").await.root;
        match peer.put_upload(onto("a.txt", 3, OnExists::Fail), b"new").await {
            Reply::Present(present) => {
                assert_eq!((present.path, present.size, present.root), (path("a.txt"), 3, Some(root)));
            }
            other => panic!("{other:?}"),
        }
        let longer = peer.put_upload(onto("a.txt", 4, OnExists::Fail), b"more").await;
        assert_eq!(code(&longer), ErrorCode::EXISTS);
        let skipped = peer.put_upload(onto("a.txt", 4, OnExists::Skip), b"more").await;
        assert_eq!(skipped, Reply::Skipped { path: path("a.txt") });
        assert_eq!(peer.fetch("a.txt").await, b"old");
        for expected in ["a (1).txt", "a (2).txt"] {
            let reply = peer.put_upload(onto("a.txt", 4, OnExists::Rename), b"more").await;
            assert!(matches!(reply, Reply::Stored(stored) if stored.path == path(expected)));
            assert_eq!(peer.fetch(expected).await, b"more");
        }
        let replaced = peer.put_upload(onto("a.txt", 4, OnExists::Overwrite), b"more").await;
        assert!(matches!(replaced, Reply::Stored(stored) if stored.path == path("a.txt")));
        assert_eq!(peer.fetch("a.txt").await, b"more");
        assert!(!rig.has("a (3).txt").await);
    });
}

#[test]
fn a_directory_is_entered_and_never_replaced() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        peer.ask(&Request::MakeDirectory { path: path("d/a"), parents: true }).await;
        let named = |to: &str, name: &str, on_exists| BeginUpload {
            source_name: Some(name.parse().expect("a name")),
            ..onto(to, 1, on_exists)
        };
        let stored = peer.put_upload(named("d", "b", OnExists::Fail), b"x").await;
        assert!(matches!(stored, Reply::Stored(stored) if stored.path == path("d/b")));
        for on_exists in [OnExists::Fail, OnExists::Overwrite] {
            let reply = peer.put_upload(named("d", "a", on_exists), b"x").await;
            assert_eq!(code(&reply), ErrorCode::IS_A_DIRECTORY);
        }
        assert_eq!(code(&peer.put_upload(upload("d", 1), b"x").await), ErrorCode::IS_A_DIRECTORY);
        assert_eq!(code(&peer.put_upload(upload("no/where", 1), b"x").await), ErrorCode::NO_PARENT);
        assert_eq!(code(&peer.put_upload(upload("d/b/c", 1), b"x").await), ErrorCode::NOT_A_DIRECTORY);
        let destination = Destination { path: "new".parse().expect("a path"), must_be_directory: true };
        let demanding = BeginUpload { destination, ..named("", "b", OnExists::Fail) };
        assert_eq!(code(&peer.put_upload(demanding, b"x").await), ErrorCode::NO_PARENT);
        assert!(rig.has("d/a").await && !rig.has("new").await);
    });
}

#[test]
fn what_is_there_is_told_only_to_those_who_may_read() {
    run(async {
        let (writer, owner) = (identity(), identity());
        let setup =
            Setup::default().with(&writer, Grants::LIST.with(Grants::WRITE)).with(&owner, Grants::ALL);
        let rig = setup.start();
        let (writer, owner) = (Peer::connect(&rig, &writer).await, Peer::connect(&rig, &owner).await);
        owner.put("a", b"old").await;
        for bytes in [b"old", b"new"] {
            let reply = writer.put_upload(upload("a", 3), bytes).await;
            assert_eq!(code(&reply), ErrorCode::EXISTS, "equal or not");
            let begin = Request::Begin { upload: upload("a", 3), first: None };
            assert_eq!(writer.refused(&begin).await, ErrorCode::EXISTS);
        }
    });
}

/// Replacing destroys, and needs the grant for that at the moment when it happens.
#[test]
fn an_upload_that_would_replace_does_not_outlive_the_grant_to_delete() {
    run(async {
        let client = identity();
        let rig = Setup::default().with(&client, Grants::ALL).start();
        let peer = Peer::connect(&rig, &client).await;
        peer.put("a", b"old").await;
        let begin = Request::Begin { upload: onto("a", 3, OnExists::Overwrite), first: None };
        let Reply::Begun(begun) = peer.ask(&begin).await else { panic!("not begun") };
        let (upload_id, generation) = (begun.upload_id, begun.generation);
        let write = Request::Write { upload_id, generation, range: range(0, 3) };
        assert_eq!(peer.ask_with(&write, b"new", &trailer(0, b"new")).await, Reply::Written);

        let writer = Grants::ALL.without(Grants::DELETE);
        rig.enrol_only(&[(&client, writer)]);
        rig.until_granted(&client, writer).await;
        let commit = Request::Commit { upload_id, generation, size: 3, root: Digest::of(b"new") };
        let reply = peer.ask(&commit).await;
        assert!(matches!(&reply, Reply::Failed(_)), "{reply:?}");
        assert_eq!(peer.fetch("a").await, b"old");
    });
}
