//! Bodies that end too early, lie or are given up: nothing of them ever has a name.

use fulmar_proto::{
    code::ResetCode,
    digest::{ChainingValue, Digest, RangeDigest},
    error::{ErrorCode, Failure},
    reply::Reply,
    request::Request,
    trailer::Trailer,
    upload::{BeginUpload, OnExists},
};
use fulmar_server::AuditKind;
use fulmar_transport::StreamError;

use crate::{
    peer::{Peer, Stream, code, content, range, trailer, upload},
    rig::{Rig, run},
};

const LEN: usize = 300_000;

/// A stream on which the Put of [`LEN`] bytes to `a` has begun.
async fn begin_put(peer: &Peer) -> Stream {
    let mut stream = peer.stream().await;
    stream.send(&Request::Put { upload: upload("a", LEN as u64) }).await;
    stream
}

/// A stream whose body the server is in the middle of.
async fn inside_a_body(peer: &Peer) -> Stream {
    let mut stream = peer.stream().await;
    let first = Some(range(0, u32::try_from(LEN).expect("short")));
    stream.send(&Request::Begin { upload: upload("a", LEN as u64), first }).await;
    stream.raw(&content(LEN)[..LEN / 2]).await;
    assert!(matches!(stream.final_reply().await, Reply::Begun(_)));
    stream
}

/// Nothing has the name, and the same client can still store the same file on the same connection.
async fn assert_nothing_stayed(rig: &Rig, peer: &Peer) {
    assert!(!rig.has("a").await);
    let bytes = content(LEN);
    let stored = peer.put("a", &bytes).await;
    assert!(!stored.already_there);
    assert!(peer.fetch("a").await == bytes);
}

#[test]
fn an_end_without_a_trailer_stores_nothing() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let mut stream = begin_put(&peer).await;
        stream.raw(&content(LEN)).await;
        let mut receiver = stream.finish();
        let reply = receiver.recv_growing().await.expect("a reply arrives").expect("a reply comes");
        assert_eq!(code(&reply), ErrorCode::MALFORMED);
        assert_nothing_stayed(&rig, &peer).await;
    });
}

#[test]
fn an_end_inside_the_body_stores_nothing() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        for len in [0, 1, LEN / 2, LEN - 1] {
            let mut stream = begin_put(&peer).await;
            stream.raw(&content(LEN)[..len]).await;
            let mut receiver = stream.finish();
            let reply = receiver.recv_growing::<Reply>().await;
            assert!(matches!(reply, Err(StreamError::Reset(_))), "cut to {len}: {reply:?}");
        }
        assert_nothing_stayed(&rig, &peer).await;
    });
}

#[test]
fn a_body_that_is_reset_stores_nothing() {
    run(async {
        let (mut rig, peer) = Peer::alone().await;
        let mut stream = begin_put(&peer).await;
        stream.raw(&content(LEN)[..LEN / 2]).await;
        let Stream { sender, receiver } = stream;
        sender.reset(ResetCode::CANCELLED);
        // The reset may overtake the request itself.
        assert_eq!(rig.record(AuditKind::Command).await.result, "cancelled");
        drop(receiver);
        let Stream { sender, receiver } = inside_a_body(&peer).await;
        sender.reset(ResetCode::CANCELLED);
        let ended = rig.record(AuditKind::Command).await;
        assert_eq!((ended.step, ended.result.as_str()), ("begin", "cancelled"));
        drop(receiver);
        assert_nothing_stayed(&rig, &peer).await;
    });
}

#[test]
fn a_connection_that_ends_inside_a_body_stores_nothing() {
    run(async {
        let client = crate::peer::identity();
        let mut rig = crate::rig::Setup::default().with(&client, fulmar_proto::grants::Grants::ALL).start();
        let peer = Peer::connect(&rig, &client).await;
        let _stream = inside_a_body(&peer).await;
        peer.connection.close(fulmar_proto::code::CloseCode::DONE, "");
        let ended = rig.record(AuditKind::Command).await;
        assert_eq!((ended.step, ended.result.as_str()), ("begin", "connection-lost"));
        let again = Peer::connect(&rig, &client).await;
        assert_nothing_stayed(&rig, &again).await;
    });
}

/// Every way in which a trailer can disagree with its body.
fn lies(bytes: &[u8]) -> Vec<Trailer> {
    let Trailer::Range(RangeDigest { chaining_value, root }) = trailer(0, bytes) else {
        panic!("not a range");
    };
    let mut other_value = chaining_value;
    other_value.0[31] ^= 1;
    vec![
        Trailer::Range(RangeDigest { chaining_value: other_value, root }),
        Trailer::Range(RangeDigest { chaining_value, root: None }),
        Trailer::Range(RangeDigest { chaining_value, root: Some(Digest::EMPTY) }),
        // The two of them exchanged.
        Trailer::Range(RangeDigest {
            chaining_value: ChainingValue(root.unwrap_or(Digest::EMPTY).0),
            root: Some(Digest(chaining_value.0)),
        }),
        trailer(0, &content(LEN - 1)),
    ]
}

#[test]
fn a_trailer_that_lies_stores_nothing() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let bytes = content(LEN);
        for lie in lies(&bytes) {
            let put = Request::Put { upload: upload("a", LEN as u64) };
            let reply = peer.ask_with(&put, &bytes, &lie).await;
            assert_eq!(code(&reply), ErrorCode::DIGEST_MISMATCH, "{lie:?}");
        }
        let mut changed = bytes.clone();
        changed[LEN / 2] ^= 1;
        let put = Request::Put { upload: upload("a", LEN as u64) };
        let reply = peer.ask_with(&put, &changed, &trailer(0, &bytes)).await;
        assert_eq!(code(&reply), ErrorCode::DIGEST_MISMATCH);
        assert_nothing_stayed(&rig, &peer).await;
    });
}

#[test]
fn a_trailer_of_the_wrong_kind_stores_nothing() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let put = |size| Request::Put { upload: upload("a", size) };
        let reply = peer.ask_with(&put(LEN as u64), &content(LEN), &Trailer::Empty).await;
        assert_eq!(code(&reply), ErrorCode::MALFORMED);
        let reply = peer.ask_with(&put(0), b"", &trailer(0, b"a")).await;
        assert_eq!(code(&reply), ErrorCode::MALFORMED);
        // A kind of a later version.
        let mut stream = begin_put(&peer).await;
        stream.raw(&content(LEN)).await;
        stream.frame_of(b"\x03").await;
        assert!(!matches!(stream.try_reply().await, Ok(Some(Reply::Stored(_)))));
        assert_nothing_stayed(&rig, &peer).await;
    });
}

#[test]
fn a_body_that_its_sender_gives_up_stores_nothing() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let given_up = Trailer::Failed(Failure::new(ErrorCode::CHANGED));
        let put = Request::Put { upload: upload("a", LEN as u64) };
        match peer.ask_with(&put, &content(LEN), &given_up).await {
            Reply::Failed(failure) => {
                assert_eq!((failure.code, failure.detail.as_str()), (ErrorCode::CANCELLED, "changed"));
            }
            other => panic!("not failed: {other:?}"),
        }
        let empty = Request::Put { upload: upload("a", 0) };
        assert_eq!(code(&peer.ask_with(&empty, b"", &given_up).await), ErrorCode::CANCELLED);
        assert_nothing_stayed(&rig, &peer).await;
    });
}

#[test]
fn an_existing_file_survives_a_failed_replacement() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        peer.put("a", b"old").await;
        let replace = BeginUpload { on_exists: OnExists::Overwrite, ..upload("a", LEN as u64) };
        let bytes = content(LEN);
        for lie in lies(&bytes) {
            let put = Request::Put { upload: replace.clone() };
            assert_eq!(code(&peer.ask_with(&put, &bytes, &lie).await), ErrorCode::DIGEST_MISMATCH);
            assert_eq!(peer.fetch("a").await, b"old");
        }
        assert!(matches!(peer.put_upload(replace, &bytes).await, Reply::Stored(_)));
        assert!(peer.fetch("a").await == bytes);
    });
}

#[test]
fn an_early_reply_stops_the_body() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        peer.put("a", b"old").await;
        let mut stream = begin_put(&peer).await;
        // No byte of the body has been sent, and the server does not wait for one.
        assert_eq!(code(&stream.final_reply().await), ErrorCode::EXISTS);
        assert_eq!(stream.sender.stopped().await, Ok(Some(ResetCode::NOT_NEEDED)));
        assert_eq!(peer.fetch("a").await, b"old");
    });
}
