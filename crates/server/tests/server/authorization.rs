//! Every request against every kind of client, end to end.

use fulmar_proto::{
    codec::Growing,
    digest::Digest,
    error::ErrorCode,
    grants::Grants,
    path::DirPath,
    reply::Reply,
    request::Request,
    upload::{BeginUpload, Destination, OnExists},
    version::{UploadId, Version},
};
use fulmar_server::grants::needed;

use crate::{
    peer::{Peer, identity, path, range, trailer, upload},
    rig::{Rig, Setup, run},
};

const CHANGE: Grants = Grants(4 | 8);

/// Every kind of request that changes what is stored, what it needs by the protocol's table, and the body behind it.
fn changing() -> Vec<(Request, Grants, &'static [u8])> {
    let (upload_id, generation) = (UploadId([7; 16]), 0);
    let put = |to, on_exists| Request::Put { upload: BeginUpload { on_exists, ..upload(to, 3) } };
    let begin =
        |on_exists| Request::Begin { upload: BeginUpload { on_exists, ..upload("new", 3) }, first: None };
    let to = Destination { path: "moved".parse().expect("a path"), must_be_directory: false };
    let on_exists = OnExists::Fail;
    vec![
        (Request::MakeDirectory { path: path("folder"), parents: false }, Grants::WRITE, b""),
        (Request::Remove { path: path("victim"), recursive: true }, Grants::DELETE, b""),
        (Request::Rename { from: path("source"), to, on_exists }, CHANGE, b""),
        (begin(OnExists::Fail), Grants::WRITE, b""),
        (begin(OnExists::Overwrite), CHANGE, b""),
        (Request::Write { upload_id, generation, range: range(0, 3) }, Grants::WRITE, b"new"),
        (Request::Commit { upload_id, generation, size: 3, root: Digest::EMPTY }, Grants::WRITE, b""),
        (Request::Abandon { upload_id, generation }, Grants::WRITE, b""),
        (put("put", OnExists::Fail), Grants::WRITE, b"new"),
        (put("skipped", OnExists::Skip), Grants::WRITE, b"new"),
        (put("kept", OnExists::Rename), Grants::WRITE, b"new"),
        (put("replaced", OnExists::Overwrite), CHANGE, b"new"),
    ]
}

/// Every kind of request that changes nothing.
fn reading() -> Vec<(Request, Grants, &'static [u8])> {
    let root = DirPath::root;
    let version = Version([7; 32]);
    vec![
        (Request::List { directory: root(), cursor: None, details: true }, Grants::LIST, b""),
        (Request::Stat { path: root() }, Grants::LIST, b""),
        (Request::Measure { path: root() }, Grants::LIST, b""),
        (Request::Hash { path: path("read"), reread: true }, Grants::READ, b""),
        (Request::Open { path: path("read"), first_bytes: 100 }, Grants::READ, b""),
        (Request::Read { path: path("read"), version, range: range(0, 3) }, Grants::READ, b""),
    ]
}

fn table() -> Vec<(Request, Grants, &'static [u8])> {
    reading().into_iter().chain(changing()).collect()
}

/// What the store holds before each client comes.
async fn furnish(owner: &Peer) {
    for name in ["victim", "source", "kept", "replaced", "read", "skipped"] {
        owner.put(name, b"old").await;
    }
}

/// What the store must hold when nothing was allowed.
async fn assert_untouched(rig: &Rig, owner: &Peer) {
    for name in ["victim", "source", "kept", "replaced", "read", "skipped"] {
        assert_eq!(owner.fetch(name).await, b"old", "{name}");
    }
    for name in ["folder", "moved", "put", "new", "kept (1)"] {
        assert!(!rig.has(name).await, "{name}");
    }
}

async fn is_granted(peer: &Peer, request: &Request, body: &[u8]) -> bool {
    let mut stream = peer.stream().await;
    stream.send(request).await;
    if !body.is_empty() {
        stream.offer(body, &trailer(0, body)).await;
    }
    match stream.final_reply().await {
        Reply::Failed(failure) if failure.code == ErrorCode::NOT_GRANTED => {
            let missing: Grants = failure.detail.as_str().parse().expect("the missing grants are named");
            assert_ne!(missing, Grants::NONE);
            assert!(needed(request).allow(missing));
            false
        }
        Reply::Failed(failure) => {
            // Requests about an upload or a version that do not exist get as far as that.
            let expected = [ErrorCode::UNKNOWN_UPLOAD, ErrorCode::CHANGED];
            assert!(expected.contains(&failure.code), "{request:?}: {failure:?}");
            true
        }
        _ => true,
    }
}

/// One client with exactly these grants, enrolled or anonymous, against the whole table.
fn check(grants: Grants, anonymous: bool) {
    run(async move {
        let (owner, client) = (identity(), identity());
        let mut setup = Setup::default().with(&owner, Grants::ALL);
        if anonymous {
            setup.anonymous = grants;
        } else {
            setup = setup.with(&client, grants);
        }
        let rig = setup.start();
        let owner = Peer::connect(&rig, &owner).await;
        furnish(&owner).await;
        let peer = Peer::connect(&rig, &client).await;
        assert_eq!(peer.welcome.grants, grants);
        for (request, wanted, body) in table() {
            assert_eq!(needed(&request), wanted, "{request:?}");
            let granted = is_granted(&peer, &request, body).await;
            assert_eq!(granted, grants.allow(wanted), "{request:?} with {grants}");
        }
        if !grants.allow(Grants::WRITE) && !grants.allow(Grants::DELETE) {
            assert_untouched(&rig, &owner).await;
        }
        if !grants.allow(Grants::DELETE) {
            assert_eq!(owner.fetch("victim").await, b"old");
            assert_eq!(owner.fetch("replaced").await, b"old");
        }
    });
}

#[test]
fn the_table_has_every_request() {
    let mut verbs: Vec<_> = table().iter().map(|(request, ..)| request.verb()).collect();
    verbs.sort_unstable();
    verbs.dedup();
    assert_eq!(verbs.len(), Request::VARIANTS as usize);
}

#[test]
fn anonymous_readers() {
    check(Grants::LIST.with(Grants::READ), true);
}

#[test]
fn anonymous_writers() {
    check(Grants::LIST.with(Grants::READ).with(Grants::WRITE), true);
}

#[test]
fn who_may_list() {
    check(Grants::LIST, false);
}

#[test]
fn who_may_read() {
    check(Grants::READ, false);
}

#[test]
fn who_may_write() {
    check(Grants::WRITE, false);
}

#[test]
fn who_may_delete() {
    check(Grants::DELETE, false);
}

#[test]
fn who_may_do_nothing() {
    check(Grants::NONE, false);
}

#[test]
fn who_may_do_everything() {
    check(Grants::ALL, false);
}
