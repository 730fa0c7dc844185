//! Senders that lie about digests, or end before they are done. Nothing of theirs may get a name.

use fulmar_proto::{
    digest::{ChainingValue, Digest, RangeDigest},
    error::ErrorCode,
    reply::Reply,
    request::Request,
    trailer::Trailer,
    upload::Begun,
};
use fulmar_transport::StreamError;

use crate::{
    links::lossy,
    world::{Raw, data, raw, seeds, simulate},
};

const LEN: usize = 100_000;

/// The ranges of a file of two, as offset and length.
const RANGES: [(usize, usize); 2] = [(0, 2 << 20), (2 << 20, LEN)];

/// Every way in which a trailer can disagree with its body.
fn lies(bytes: &[u8]) -> Vec<Trailer> {
    let RangeDigest { chaining_value, root } = raw::digest(0, bytes);
    let flipped = ChainingValue(chaining_value.0.map(|byte| !byte));
    vec![
        Trailer::Range(RangeDigest { chaining_value: flipped, root }),
        Trailer::Range(RangeDigest { chaining_value, root: Some(Digest::EMPTY) }),
        Trailer::Range(RangeDigest { chaining_value, root: None }),
        Trailer::Range(raw::digest(0, &bytes[1..])),
    ]
}

/// Shows that nothing has been stored, and that an honest sender on the same connection still can.
async fn nothing_stored(peer: &Raw, seed: u64) {
    let (name, bytes) = ("honest.bin", data(seed, "honest", LEN));
    assert_eq!(peer.names().await, Vec::<String>::new());
    let reply = peer.put(name, &bytes, Some(&Trailer::Range(raw::digest(0, &bytes)))).await;
    assert!(matches!(reply, Ok(Some(Reply::Stored(_)))), "{reply:?}");
    assert_eq!(peer.names().await, [name]);
    assert_eq!(
        raw::code(&peer.ask(&Request::Remove { path: raw::path(name), recursive: false }).await),
        None
    );
}

#[test]
fn a_file_in_one_stream_with_a_digest_that_lies_is_refused() {
    for seed in seeds(2, &[]) {
        simulate(seed, &lossy(0.05), async |world| {
            let (peer, bytes) = (world.raw(0).await, data(seed, "file", LEN));
            for lie in lies(&bytes) {
                let reply =
                    peer.put("file.bin", &bytes, Some(&lie)).await.expect("an answer").expect("an answer");
                assert_eq!(raw::code(&reply), Some(ErrorCode::DIGEST_MISMATCH), "{lie:?}");
            }
            let other = data(seed, "other", LEN);
            let reply = peer.put("file.bin", &other, Some(&Trailer::Range(raw::digest(0, &bytes)))).await;
            let code = raw::code(&reply.expect("an answer").expect("an answer"));
            assert_eq!(code, Some(ErrorCode::DIGEST_MISMATCH));
            nothing_stored(&peer, seed).await;
        });
    }
}

/// Begins an upload of two ranges and writes them, with these digests.
async fn write_ranges(
    peer: &Raw,
    bytes: &[u8],
    digests: [RangeDigest; 2],
) -> (Begun, Vec<Option<ErrorCode>>) {
    let begun = peer.begin("file.bin", bytes.len()).await;
    let mut codes = Vec::new();
    for ((offset, len), digest) in RANGES.into_iter().zip(digests) {
        let trailer = Trailer::Range(digest);
        let reply = peer.write(&begun, offset, &bytes[offset..offset + len], Some(&trailer)).await;
        codes.push(raw::code(&reply.expect("an answer").expect("an answer")));
    }
    (begun, codes)
}

#[test]
fn a_range_with_a_digest_that_lies_is_refused() {
    for seed in seeds(1, &[]) {
        simulate(seed, &lossy(0.05), async |world| {
            let (peer, bytes) = (world.raw(0).await, data(seed, "file", RANGES[1].0 + LEN));
            let other = data(seed, "other", bytes.len());
            let of =
                |bytes: &[u8]| RANGES.map(|(offset, len)| raw::digest(offset, &bytes[offset..offset + len]));
            let (honest, lying) = (of(&bytes), of(&other));
            let (begun, codes) = write_ranges(&peer, &bytes, [honest[0], lying[1]]).await;
            assert_eq!(codes, [None, Some(ErrorCode::DIGEST_MISMATCH)]);
            // Whoever insists is told what is missing.
            let code = raw::code(&peer.commit(&begun, bytes.len(), Digest::of(&other)).await);
            assert_eq!(code, Some(ErrorCode::INCOMPLETE));
            peer.abandon(&begun).await;
            nothing_stored(&peer, seed).await;
        });
    }
}

#[test]
fn a_digest_of_the_whole_that_lies_is_refused() {
    for seed in seeds(1, &[]) {
        simulate(seed, &lossy(0.05), async |world| {
            let (peer, bytes) = (world.raw(0).await, data(seed, "file", RANGES[1].0 + LEN));
            let honest = RANGES.map(|(offset, len)| raw::digest(offset, &bytes[offset..offset + len]));
            let (begun, codes) = write_ranges(&peer, &bytes, honest).await;
            assert_eq!(codes, [None, None]);
            let reply = peer.commit(&begun, bytes.len(), Digest::of(b"something else")).await;
            assert_eq!(raw::code(&reply), Some(ErrorCode::DIGEST_MISMATCH));
            nothing_stored(&peer, seed).await;
        });
    }
}

#[test]
fn a_stream_that_ends_early_stores_nothing() {
    for seed in seeds(2, &[]) {
        simulate(seed, &lossy(0.05), async |world| {
            let (peer, bytes) = (world.raw(0).await, data(seed, "file", LEN));
            // Before the body, in it, behind it, and each time with a clean end of the stream.
            for len in [0, 1, LEN / 2, LEN - 1, LEN] {
                let reply = peer.put_part("file.bin", &bytes, len).await;
                let stored = matches!(reply, Ok(Some(Reply::Stored(_))));
                assert!(!stored && !matches!(reply, Err(StreamError::Lost(_))), "{len}: {reply:?}");
            }
            nothing_stored(&peer, seed).await;
        });
    }
}

#[test]
fn a_range_whose_stream_ends_early_is_not_there() {
    for seed in seeds(1, &[]) {
        simulate(seed, &lossy(0.05), async |world| {
            let (peer, bytes) = (world.raw(0).await, data(seed, "file", RANGES[1].0 + LEN));
            let begun = peer.begin("file.bin", bytes.len()).await;
            let (first, last) = bytes.split_at(RANGES[1].0);
            let honest = Trailer::Range(raw::digest(0, first));
            assert_eq!(peer.write(&begun, 0, first, Some(&honest)).await, Ok(Some(Reply::Written)));
            for len in [0, 1, LEN - 1, LEN] {
                let reply = peer.write_part(&begun, RANGES[1].0, last, len).await;
                assert!(!matches!(reply, Ok(Some(Reply::Written))), "{len}: {reply:?}");
            }
            let code = raw::code(&peer.commit(&begun, bytes.len(), Digest::of(&bytes)).await);
            assert_eq!(code, Some(ErrorCode::INCOMPLETE));
            peer.abandon(&begun).await;
            nothing_stored(&peer, seed).await;
        });
    }
}
