//! Uploads in ranges, by clients that do not keep to the order of things.

use fulmar_proto::{
    digest::Digest,
    error::ErrorCode,
    grants::Grants,
    hello::{Features, Hello},
    range::Range,
    reply::Reply,
    request::Request,
    upload::{BeginUpload, Begun, OnExists},
    version::UploadId,
};

use crate::{
    peer::{Peer, Stranger, code, content, identity, plain_hello, range, trailer, upload},
    rig::{Rig, Setup, run},
};

const KIB64: usize = 64 * 1024;
const LEN: usize = 3 * KIB64 + 5;

/// The ranges in which the files of these tests travel.
fn ranges() -> [Range; 4] {
    let full = u32::try_from(KIB64).expect("64 KiB");
    [range(0, full), range(1 << 16, full), range(2 << 16, full), range(3 << 16, 5)]
}

async fn begin(peer: &Peer, upload: BeginUpload) -> Begun {
    match peer.ask(&Request::Begin { upload, first: None }).await {
        Reply::Begun(begun) => begun,
        other => panic!("not begun: {other:?}"),
    }
}

async fn write(peer: &Peer, begun: &Begun, range: Range, bytes: &[u8]) -> Reply {
    let (upload_id, generation) = (begun.upload_id, begun.generation);
    let start = usize::try_from(range.offset()).expect("small");
    let piece = &bytes[start..start + range.len() as usize];
    let request = Request::Write { upload_id, generation, range };
    peer.ask_with(&request, piece, &trailer(range.offset(), piece)).await
}

fn commit(begun: &Begun, bytes: &[u8]) -> Request {
    let (upload_id, generation) = (begun.upload_id, begun.generation);
    Request::Commit { upload_id, generation, size: bytes.len() as u64, root: Digest::of(bytes) }
}

#[test]
fn ranges_in_any_order_make_the_file_and_a_commit_may_be_repeated() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let bytes = content(LEN);
        let begun = begin(&peer, upload("a", LEN as u64)).await;
        for range in [3, 1, 0].map(|index| ranges()[index]) {
            assert_eq!(write(&peer, &begun, range, &bytes).await, Reply::Written);
        }
        assert_eq!(peer.refused(&commit(&begun, &bytes)).await, ErrorCode::INCOMPLETE);
        assert!(!rig.has("a").await);
        assert_eq!(write(&peer, &begun, ranges()[2], &bytes).await, Reply::Written);
        assert!(!rig.has("a").await, "nothing has the name before the commit");
        let stored = peer.ask(&commit(&begun, &bytes)).await;
        assert!(
            matches!(&stored, Reply::Stored(stored) if !stored.already_there && stored.root == Digest::of(&bytes))
        );
        assert_eq!(peer.ask(&commit(&begun, &bytes)).await, stored, "the same answer");
        assert!(peer.fetch("a").await == bytes);
    });
}

#[test]
fn the_first_range_may_come_with_begin() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let bytes = content(KIB64 + 5);
        let mut stream = peer.stream().await;
        let first = ranges()[0];
        stream.send(&Request::Begin { upload: upload("a", bytes.len() as u64), first: Some(first) }).await;
        stream.offer(&bytes[..KIB64], &trailer(0, &bytes[..KIB64])).await;
        let Reply::Begun(begun) = stream.final_reply().await else { panic!("not begun") };
        assert_eq!(stream.final_reply().await, Reply::Written);
        assert_eq!(write(&peer, &begun, range(1 << 16, 5), &bytes).await, Reply::Written);
        assert!(matches!(peer.ask(&commit(&begun, &bytes)).await, Reply::Stored(_)));
        assert!(peer.fetch("a").await == bytes);
    });
}

#[test]
fn a_first_range_that_is_there_already_is_not_taken_again() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let bytes = content(KIB64 + 5);
        let first = ranges()[0];
        let request = Request::Begin { upload: upload("a", bytes.len() as u64), first: Some(first) };
        let mut have = 0;
        for expected in [Some(Reply::Written), None] {
            let mut stream = peer.stream().await;
            stream.send(&request).await;
            stream.offer(&bytes[..KIB64], &trailer(0, &bytes[..KIB64])).await;
            let Reply::Begun(begun) = stream.final_reply().await else { panic!("not begun") };
            assert_eq!(begun.have.nodes().len(), have);
            assert_eq!(stream.try_reply().await.expect("no error"), expected);
            have = 1;
        }
        let begun = begin(&peer, upload("a", bytes.len() as u64)).await;
        assert_eq!(write(&peer, &begun, range(1 << 16, 5), &bytes).await, Reply::Written);
        assert!(matches!(peer.ask(&commit(&begun, &bytes)).await, Reply::Stored(_)));
        assert!(peer.fetch("a").await == bytes);
    });
}

/// A client that sends commits before the ranges have arrived.
async fn eager() -> (Rig, Peer) {
    let identity = identity();
    let rig = Setup::default().with(&identity, Grants::ALL).start();
    let hello = Hello { features: Features::EARLY_COMMIT, ..plain_hello() };
    let peer = Stranger::dial(&rig, &identity).await.admitted(&hello).await;
    assert!(peer.welcome.features.has(Features::EARLY_COMMIT));
    (rig, peer)
}

#[test]
fn an_early_commit_waits_for_the_ranges_before_it() {
    run(async {
        let (rig, peer) = eager().await;
        let bytes = content(LEN);
        let begun = begin(&peer, upload("a", LEN as u64)).await;
        let mut early = peer.stream().await;
        early.send(&commit(&begun, &bytes)).await;
        for range in ranges() {
            // Round trips enough for it to be answered if it would.
            peer.check_alive().await;
            assert!(!rig.has("a").await);
            assert_eq!(write(&peer, &begun, range, &bytes).await, Reply::Written);
        }
        assert!(
            matches!(early.final_reply().await, Reply::Stored(stored) if stored.root == Digest::of(&bytes))
        );
        assert!(peer.fetch("a").await == bytes);
        // Of an upload that began elsewhere, or never, nothing is on its way here.
        let unknown = Begun { upload_id: UploadId([9; 16]), ..begun };
        assert_eq!(peer.refused(&commit(&unknown, &bytes)).await, ErrorCode::UNKNOWN_UPLOAD);
    });
}

#[test]
fn an_early_commit_may_be_taken_back_and_does_not_outlive_its_attempt() {
    run(async {
        let (rig, peer) = eager().await;
        let bytes = content(LEN);
        let begun = begin(&peer, upload("a", LEN as u64)).await;
        let mut early = peer.stream().await;
        early.send(&commit(&begun, &bytes)).await;
        peer.check_alive().await;
        drop(early);
        for range in ranges() {
            assert_eq!(write(&peer, &begun, range, &bytes).await, Reply::Written);
        }
        peer.check_alive().await;
        assert!(!rig.has("a").await, "it was taken back");
        let mut early = peer.stream().await;
        let more = begin(&peer, upload("b", 5)).await;
        early.send(&commit(&more, &bytes[..5])).await;
        peer.check_alive().await;
        begin(&peer, upload("b", 5)).await;
        assert_eq!(code(&early.final_reply().await), ErrorCode::STALE_GENERATION);
        assert!(matches!(peer.ask(&commit(&begun, &bytes)).await, Reply::Stored(_)));
        assert!(peer.fetch("a").await == bytes && !rig.has("b").await);
    });
}

#[test]
fn a_commit_that_lies_stores_nothing() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let bytes = content(LEN);
        for lie in ["root", "size"] {
            let begun = begin(&peer, upload("a", LEN as u64)).await;
            for range in ranges() {
                assert_eq!(write(&peer, &begun, range, &bytes).await, Reply::Written);
            }
            let (upload_id, generation) = (begun.upload_id, begun.generation);
            let (size, root) = match lie {
                "root" => (LEN as u64, Digest::EMPTY),
                _ => (LEN as u64 - 1, Digest::of(&bytes[..LEN - 1])),
            };
            let request = Request::Commit { upload_id, generation, size, root };
            assert_eq!(peer.refused(&request).await, ErrorCode::DIGEST_MISMATCH, "{lie}");
            assert_eq!(peer.refused(&commit(&begun, &bytes)).await, ErrorCode::UNKNOWN_UPLOAD, "it is gone");
            assert!(!rig.has("a").await);
        }
        peer.check_alive().await;
    });
}

#[test]
fn a_newer_begin_shuts_the_older_one_out_and_keeps_what_is_there() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let bytes = content(LEN);
        let old = begin(&peer, upload("a", LEN as u64)).await;
        assert_eq!(write(&peer, &old, ranges()[1], &bytes).await, Reply::Written);
        let new = begin(&peer, upload("a", LEN as u64)).await;
        assert_eq!(new.upload_id, old.upload_id);
        assert!(new.generation > old.generation);
        let have: Vec<_> = new.have.nodes().iter().map(|node| (node.offset, node.len)).collect();
        assert_eq!(have, [(1 << 16, 1 << 16)]);
        assert_eq!(code(&write(&peer, &old, ranges()[0], &bytes).await), ErrorCode::STALE_GENERATION);
        assert_eq!(peer.refused(&commit(&old, &bytes)).await, ErrorCode::STALE_GENERATION);
        for index in [0, 2, 3] {
            assert_eq!(write(&peer, &new, ranges()[index], &bytes).await, Reply::Written);
        }
        assert!(matches!(peer.ask(&commit(&new, &bytes)).await, Reply::Stored(_)));
        assert!(peer.fetch("a").await == bytes);
    });
}

/// A write of the old generation that stands still inside its body does not hold the new one up.
#[test]
fn a_write_that_stands_still_is_shut_out_too() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let bytes = content(LEN);
        let old = begin(&peer, upload("a", LEN as u64)).await;
        let (upload_id, generation) = (old.upload_id, old.generation);
        let mut still = peer.stream().await;
        still.send(&Request::Write { upload_id, generation, range: ranges()[0] }).await;
        still.raw(&bytes[..KIB64 / 2]).await;
        let new = begin(&peer, upload("a", LEN as u64)).await;
        let mut other = bytes.clone();
        other[7] ^= 1;
        assert_eq!(write(&peer, &new, ranges()[0], &bytes).await, Reply::Written);
        still.offer(&other[KIB64 / 2..KIB64], &trailer(0, &bytes[..KIB64])).await;
        assert_eq!(code(&still.final_reply().await), ErrorCode::STALE_GENERATION);
        for range in &ranges()[1..] {
            assert_eq!(write(&peer, &new, *range, &bytes).await, Reply::Written);
        }
        assert!(matches!(peer.ask(&commit(&new, &bytes)).await, Reply::Stored(_)));
        assert!(peer.fetch("a").await == bytes);
    });
}

#[test]
fn an_upload_belongs_to_its_client() {
    run(async {
        let (owner, other) = (identity(), identity());
        let rig = Setup::default().with(&owner, Grants::ALL).with(&other, Grants::ALL).start();
        let (owner, other) = (Peer::connect(&rig, &owner).await, Peer::connect(&rig, &other).await);
        let bytes = content(LEN);
        let begun = begin(&owner, upload("a", LEN as u64)).await;
        for range in ranges() {
            assert_eq!(code(&write(&other, &begun, range, &bytes).await), ErrorCode::UNKNOWN_UPLOAD);
            assert_eq!(write(&owner, &begun, range, &bytes).await, Reply::Written);
        }
        let theirs = begin(&other, upload("a", LEN as u64)).await;
        assert_ne!(theirs.upload_id, begun.upload_id);
        assert!(theirs.have.nodes().is_empty());
        assert_eq!(other.refused(&commit(&begun, &bytes)).await, ErrorCode::UNKNOWN_UPLOAD);
        let (upload_id, generation) = (begun.upload_id, begun.generation);
        assert_eq!(other.ask(&Request::Abandon { upload_id, generation }).await, Reply::Abandoned);
        assert!(matches!(owner.ask(&commit(&begun, &bytes)).await, Reply::Stored(_)), "it is still there");
        assert_eq!(other.refused(&commit(&begun, &bytes)).await, ErrorCode::UNKNOWN_UPLOAD);
    });
}

#[test]
fn a_range_is_written_once_and_inside_the_file() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let bytes = content(4 * KIB64);
        let begun = begin(&peer, upload("a", LEN as u64)).await;
        assert_eq!(write(&peer, &begun, ranges()[0], &bytes).await, Reply::Written);
        assert_eq!(code(&write(&peer, &begun, ranges()[0], &bytes).await), ErrorCode::MALFORMED);
        let twice = range(0, 2 << 16);
        assert_eq!(code(&write(&peer, &begun, twice, &bytes).await), ErrorCode::MALFORMED);
        let (beyond, short) = (range(3 << 16, 6), range(1 << 16, 5));
        assert_eq!(code(&write(&peer, &begun, beyond, &bytes).await), ErrorCode::OVER_LIMIT);
        assert_eq!(code(&write(&peer, &begun, short, &bytes).await), ErrorCode::OVER_LIMIT);
        peer.check_alive().await;
    });
}

#[test]
fn an_abandoned_upload_is_gone() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let bytes = content(LEN);
        let begun = begin(&peer, upload("a", LEN as u64)).await;
        assert_eq!(write(&peer, &begun, ranges()[0], &bytes).await, Reply::Written);
        let (upload_id, generation) = (begun.upload_id, begun.generation);
        for _ in 0..2 {
            assert_eq!(peer.ask(&Request::Abandon { upload_id, generation }).await, Reply::Abandoned);
        }
        assert_eq!(code(&write(&peer, &begun, ranges()[1], &bytes).await), ErrorCode::UNKNOWN_UPLOAD);
        let again = begin(&peer, upload("a", LEN as u64)).await;
        assert!(again.have.nodes().is_empty());
        assert!(!rig.has("a").await);
    });
}

/// Overwriting needs `delete`, also when the file has come to exist behind the upload's back.
#[test]
fn who_may_not_delete_replaces_nothing_at_commit() {
    run(async {
        let (writer, owner) = (identity(), identity());
        let setup = Setup::default().with(&writer, Grants::WRITE).with(&owner, Grants::ALL);
        let rig = setup.start();
        let (writer, owner) = (Peer::connect(&rig, &writer).await, Peer::connect(&rig, &owner).await);
        let bytes = content(LEN);
        let begun = begin(&writer, upload("a", LEN as u64)).await;
        for range in ranges() {
            assert_eq!(write(&writer, &begun, range, &bytes).await, Reply::Written);
        }
        owner.put("a", b"first").await;
        assert_eq!(writer.refused(&commit(&begun, &bytes)).await, ErrorCode::EXISTS);
        assert_eq!(owner.fetch("a").await, b"first");
        let overwrite = BeginUpload { on_exists: OnExists::Overwrite, ..upload("a", LEN as u64) };
        let refused = writer.refused(&Request::Begin { upload: overwrite, first: None }).await;
        assert_eq!(refused, ErrorCode::NOT_GRANTED);
    });
}
