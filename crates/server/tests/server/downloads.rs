//! Downloads, as a client of another make would see them.

use fulmar_proto::{
    codec,
    digest::{Digest, DigestTree, RangeDigest},
    error::{ErrorCode, Failure},
    grants::Grants,
    range::{Range, ranges_of},
    reply::{Opened, Reply},
    request::Request,
    trailer::Trailer,
    upload::{BeginUpload, OnExists},
    version::Version,
};

use fulmar_server::AuditKind;

use crate::{
    peer::{Peer, Stream, content, identity, path, range, upload},
    rig::{Setup, run},
    tight::TightPeer,
};

const KIB64: u32 = 64 * 1024;

fn open(first_bytes: u32) -> Request {
    Request::Open { path: path("a"), first_bytes }
}

fn read(version: Version, range: Range) -> Request {
    Request::Read { path: path("a"), version, range }
}

async fn body(stream: &mut Stream, len: u32) -> (Vec<u8>, Trailer) {
    let mut bytes = vec![0; len as usize];
    stream.receiver.read_body(&mut bytes).await.expect("the body arrives");
    let trailer = stream.receiver.recv_growing().await.expect("a trailer arrives").expect("a trailer comes");
    assert_eq!(stream.try_reply().await, Ok(None), "nothing follows the trailer");
    (bytes, trailer)
}

async fn opened(peer: &Peer, first_bytes: u32) -> (Opened, Vec<u8>, Trailer) {
    let mut stream = peer.stream().await;
    stream.send(&open(first_bytes)).await;
    let Reply::Opened(opened) = stream.final_reply().await else { panic!("not opened") };
    let (bytes, trailer) = body(&mut stream, opened.body_bytes).await;
    (opened, bytes, trailer)
}

#[test]
fn the_first_bytes_are_a_range_or_none() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let bytes = content(200_000);
        peer.put("a", &bytes).await;
        let cases = [
            (0, 0),
            (1, 0),
            (KIB64 - 1, 0),
            (KIB64, KIB64),
            (KIB64 + 1, KIB64),
            (2 * KIB64, 2 * KIB64),
            (199_999, 2 * KIB64),
            (200_000, 200_000),
            (2 << 20, 200_000),
        ];
        for (wanted, expected) in cases {
            let (opened, first, trailer) = opened(&peer, wanted).await;
            assert_eq!((opened.size, opened.body_bytes), (200_000, expected), "of {wanted}");
            assert!(first == bytes[..expected as usize]);
            let expected = match expected {
                0 => Trailer::Empty,
                len => Trailer::Range(RangeDigest::of(range(0, len), &first).expect("a whole range")),
            };
            assert_eq!(trailer, expected);
        }
    });
}

#[test]
fn an_empty_file_has_an_empty_body() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        assert_eq!(peer.put("a", b"").await.root, Digest::EMPTY);
        for wanted in [0, 1, 2 << 20] {
            let (opened, first, trailer) = opened(&peer, wanted).await;
            assert_eq!((opened.size, first.len(), trailer), (0, 0, Trailer::Empty));
        }
    });
}

#[test]
fn ranges_of_any_length_merge_to_the_root() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let bytes = content(600_001);
        let stored = peer.put("a", &bytes).await;
        let (opened, ..) = opened(&peer, 0).await;
        assert_eq!(opened.root, Some(stored.root));
        for len in [KIB64, 4 * KIB64, 2 << 20] {
            let mut tree = DigestTree::new(Some(opened.size));
            for range in ranges_of(opened.size, len) {
                let mut stream = peer.stream().await;
                stream.send(&read(opened.version, range)).await;
                assert_eq!(stream.final_reply().await, Reply::Body { len: range.len() });
                let (piece, trailer) = body(&mut stream, range.len()).await;
                let start = usize::try_from(range.offset()).expect("small");
                assert!(piece == bytes[start..start + range.len() as usize]);
                let Trailer::Range(digest) = trailer else { panic!("{trailer:?}") };
                tree.insert(range, digest).expect("a piece of this file");
            }
            assert_eq!(tree.root(), Ok(stored.root), "in ranges of {len}");
        }
    });
}

#[test]
fn ranges_that_the_file_does_not_have_are_refused() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        peer.put("a", &content(100_000)).await;
        let (opened, ..) = opened(&peer, 0).await;
        for range in [range(0, 5), range(0, 100_001), range(1 << 16, 1), range(1 << 17, 1), range(1 << 40, 7)]
        {
            assert_eq!(peer.refused(&read(opened.version, range)).await, ErrorCode::MALFORMED, "{range:?}");
        }
        let last = peer.ask(&read(opened.version, range(1 << 16, 100_000 - KIB64))).await;
        assert_eq!(last, Reply::Body { len: 100_000 - KIB64 });
    });
}

#[test]
fn a_file_that_was_replaced_has_changed() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        peer.put("a", b"old").await;
        let (old, ..) = opened(&peer, 0).await;
        let replace = BeginUpload { on_exists: OnExists::Overwrite, ..upload("a", 3) };
        assert!(matches!(peer.put_upload(replace, b"new").await, Reply::Stored(_)));
        assert_eq!(peer.refused(&read(old.version, range(0, 3))).await, ErrorCode::CHANGED);
        let (new, first, _) = opened(&peer, 3).await;
        assert_ne!(new.version, old.version);
        assert_eq!(first, b"new");
        let remove = Request::Remove { path: path("a"), recursive: false };
        assert!(matches!(peer.ask(&remove).await, Reply::Removed { .. }));
        assert_eq!(peer.refused(&read(new.version, range(0, 3))).await, ErrorCode::NOT_FOUND);
        assert_eq!(peer.refused(&open(0)).await, ErrorCode::NOT_FOUND);
    });
}

#[test]
fn a_file_that_changes_under_way_ends_in_a_trailer_and_a_log_line_that_say_so() {
    run(async {
        let owner = identity();
        let setup = Setup { anonymous: Grants::LIST.with(Grants::READ), ..Setup::default() };
        let mut rig = setup.with(&owner, Grants::ALL).start();
        let honest = Peer::connect(&rig, &owner).await;
        honest.put("a", &content(70_000)).await;
        let tight = TightPeer::connect(&rig).await;
        // The reply has come and hardly any of the body, so the file is still being sent when it changes.
        let (_send, mut receive) = tight.ask(&open(2 << 20)).await;
        let mut start = [0; 5];
        receive.read_exact(&mut start).await.expect("a reply arrives");
        let other = BeginUpload { on_exists: OnExists::Overwrite, ..upload("a", 5) };
        assert!(matches!(honest.put_upload(other, b"other").await, Reply::Stored(_)));
        let rest = receive.read_to_end(1 << 20).await.expect("the stream ends in order");
        let failed = Trailer::Failed(Failure::new(ErrorCode::CHANGED));
        let trailer = codec::encode_frame(&failed).expect("short");
        assert!(rest.ends_with(&trailer), "{:?}", &rest[rest.len() - 16..]);
        loop {
            let record = rig.record(AuditKind::Command).await;
            if record.step == "open" {
                assert_eq!(record.result, "changed");
                break;
            }
        }
    });
}
