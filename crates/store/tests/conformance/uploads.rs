//! Uploads up to the commit: ranges, generations, limits.

use bytes::Bytes;
use fulmar_proto::{
    digest::{Digest, DigestTree, Node, RangeDigest},
    range::{MAX_RANGE_BYTES, MIN_RANGE_BYTES, Range},
    upload::HaveNode,
    version::{SourceToken, UploadId},
};
use fulmar_store::{NewUpload, OpenUpload, Store, StoreError, UploadKey, Uploads};

use crate::support::{
    ALICE, BOB, Fixture, bytes, commit, exists, key, on_every_store, path, put, read, store_as, upload,
    write, write_all,
};

const MIN: u64 = MIN_RANGE_BYTES as u64;
const MAX: u64 = MAX_RANGE_BYTES as u64;

on_every_store!(
    every_size_arrives,
    a_length_may_be_unknown_until_the_commit,
    ranges_of_all_lengths_go_together,
    a_range_belongs_to_one_writer,
    wrong_bytes_are_refused,
    ranges_beyond_the_file_are_refused,
    a_newer_begin_takes_over,
    another_file_under_the_same_token_starts_anew,
    an_upload_is_its_clients_own,
    an_abandoned_upload_is_gone,
    uploads_from_one_stream_are_not_found_again,
    a_client_has_a_limit,
    given_up_uploads_make_room,
    a_begin_needs_a_directory,
    a_file_that_cannot_fit_is_refused_at_once,
);

async fn every_size_arrives(fixture: Fixture) {
    let sizes = [
        (0, "no range at all, a digest that no range has"),
        (1, "a chunk of one byte"),
        (1024, "one BLAKE3 chunk"),
        (1025, "the first inner node"),
        (MIN - 1, "a short range just below the shortest full one"),
        (MIN, "the shortest full range, as a whole file"),
        (MIN + 1, "a short range of the next nominal length"),
        (MAX - 1, "a short range just below the longest"),
        (MAX, "the longest range, as a whole file: its root is not its chaining value"),
        (MAX + 1, "a second range of one byte"),
        (2 * MAX, "two halves that only the root may join"),
        (2 * MAX + MIN + 1, "an unbalanced tree with a short last range"),
    ];
    for (size, why) in sizes {
        let content = bytes(usize::try_from(size).unwrap());
        let to = format!("file of {size}");
        let stored = store_as(&*fixture.store, upload(&to, Some(size)), &content).await;
        let stored = stored.unwrap_or_else(|error| panic!("{size} bytes ({why}): {error:?}"));
        assert_eq!((stored.size, stored.root), (size, Digest::of(&content)), "{why}");
        assert_eq!(read(&*fixture.store, &to).await, content, "{why}");
    }
}

async fn a_length_may_be_unknown_until_the_commit(fixture: Fixture) {
    for size in [0, 1, MIN, MAX, MAX + 1, 2 * MAX] {
        let content = bytes(usize::try_from(size).unwrap());
        let to = format!("stream of {size}");
        let stored = store_as(&*fixture.store, upload(&to, None), &content).await.unwrap();
        assert_eq!(stored.root, Digest::of(&content));
        assert_eq!(read(&*fixture.store, &to).await, content);
    }
    // A writer that ran ahead and never finished leaves no bytes behind the end.
    let content = bytes(usize::try_from(MIN).unwrap());
    let key = key(ALICE, &fixture.store.begin(upload("ran ahead", None)).await.unwrap());
    let mut ahead = fixture.store.open_range(&key, Range::new(MAX, MIN_RANGE_BYTES).unwrap()).await.unwrap();
    ahead.write(Bytes::from_static(b"never finished")).await.unwrap();
    write_all(&*fixture.store, &key, &content).await.unwrap();
    fixture.store.commit(commit(key, &content)).await.unwrap();
    assert_eq!(read(&*fixture.store, "ran ahead").await, content);
    let late = ahead.write(Bytes::from_static(b"too late")).await;
    assert!(matches!(late, Err(StoreError::UnknownUpload)), "{late:?}");
}

async fn ranges_of_all_lengths_go_together(fixture: Fixture) {
    let content = bytes(usize::try_from(MAX + MAX / 2 + 5).unwrap());
    let store = &*fixture.store;
    let key = key(ALICE, &store.begin(upload("mixed", Some(content.len() as u64))).await.unwrap());
    let ranges = [
        (MAX + MAX / 2, 5),
        (MAX / 2, MAX_RANGE_BYTES / 2),
        (MAX, MAX_RANGE_BYTES / 2),
        (MIN, MIN_RANGE_BYTES),
        (0, MIN_RANGE_BYTES),
        (2 * MIN, 2 * MIN_RANGE_BYTES),
        (MAX / 4, MAX_RANGE_BYTES / 4),
        (MAX / 8, MAX_RANGE_BYTES / 8),
    ];
    for (offset, len) in ranges {
        write(store, &key, Range::new(offset, len).unwrap(), &content).await.unwrap();
    }
    store.commit(commit(key, &content)).await.unwrap();
    assert_eq!(read(store, "mixed").await, content);
}

async fn a_range_belongs_to_one_writer(fixture: Fixture) {
    let (store, content) = (&*fixture.store, bytes(usize::try_from(2 * MAX).unwrap()));
    let key = key(ALICE, &store.begin(upload("file", Some(2 * MAX))).await.unwrap());
    let whole = Range::new(0, MAX_RANGE_BYTES).unwrap();
    let part = Range::new(MIN, MIN_RANGE_BYTES).unwrap();
    let beside = Range::new(MAX, MAX_RANGE_BYTES).unwrap();
    let writer = store.open_range(&key, whole).await.unwrap();
    for taken in [whole, part] {
        let opened = store.open_range(&key, taken).await;
        assert!(matches!(opened, Err(StoreError::RangeTaken)), "{opened:?}");
    }
    write(store, &key, beside, &content).await.unwrap();
    // A writer that is dropped gives its range back.
    drop(writer);
    write(store, &key, part, &content).await.unwrap();
    let opened = store.open_range(&key, whole).await;
    assert!(matches!(opened, Err(StoreError::RangeTaken)), "a part of it is there: {opened:?}");
}

async fn wrong_bytes_are_refused(fixture: Fixture) {
    let (store, content) = (&*fixture.store, bytes(usize::try_from(MIN).unwrap()));
    let key = key(ALICE, &store.begin(upload("file", Some(MIN))).await.unwrap());
    let range = Range::new(0, MIN_RANGE_BYTES).unwrap();
    let claimed = RangeDigest::of(range, &content).unwrap();

    let mut altered = content.clone();
    altered[1234] ^= 1;
    let mut writer = store.open_range(&key, range).await.unwrap();
    writer.write(altered.into()).await.unwrap();
    assert!(matches!(writer.finish(claimed).await, Err(StoreError::DigestMismatch)));

    let mut writer = store.open_range(&key, range).await.unwrap();
    writer.write(content[..1000].to_vec().into()).await.unwrap();
    assert!(matches!(writer.finish(claimed).await, Err(StoreError::DigestMismatch)), "too few bytes");

    let mut writer = store.open_range(&key, range).await.unwrap();
    writer.write(content.clone().into()).await.unwrap();
    let more = writer.write(Bytes::from_static(b"x")).await;
    assert!(matches!(more, Err(StoreError::DigestMismatch)), "too many bytes: {more:?}");
    drop(writer);

    let incomplete = store.commit(commit(key, &content)).await;
    assert!(matches!(incomplete, Err(StoreError::Incomplete)), "nothing counts so far: {incomplete:?}");
    write(store, &key, range, &content).await.unwrap();
    store.commit(commit(key, &content)).await.unwrap();
}

async fn ranges_beyond_the_file_are_refused(fixture: Fixture) {
    let store = &*fixture.store;
    let known = key(ALICE, &store.begin(upload("file", Some(MIN + 5))).await.unwrap());
    for (offset, len) in [(0, MAX_RANGE_BYTES), (MIN, 6), (MAX, 1), (MIN, 4), (1 << 62, 1)] {
        let opened = store.open_range(&known, Range::new(offset, len).unwrap()).await;
        assert!(matches!(opened, Err(StoreError::OverLimit)), "{len} bytes at {offset}: {opened:?}");
    }
    // Without a known length the far end of the largest file is as good as any other place.
    let unknown = key(ALICE, &store.begin(upload("stream", None)).await.unwrap());
    drop(store.open_range(&unknown, Range::new(1 << 62, 1).unwrap()).await.unwrap());
}

fn covered(have: &[HaveNode], size: u64) -> u64 {
    let node = |have: &HaveNode| Node {
        offset: have.offset,
        len: have.len,
        chaining_value: have.chaining_value,
        root: None,
    };
    assert!(have.is_sorted_by_key(|node| node.offset));
    DigestTree::from_nodes(Some(size), have.iter().map(node)).unwrap().covered_bytes()
}

async fn a_newer_begin_takes_over(fixture: Fixture) {
    let (store, size) = (&*fixture.store, 3 * MAX);
    let content = bytes(usize::try_from(size).unwrap());
    let wanted = upload("file", Some(size));
    let first = store.begin(wanted.clone()).await.unwrap();
    assert!(first.have.is_empty());
    let old = key(ALICE, &first);
    let range = |index: u64| Range::new(index * MAX, MAX_RANGE_BYTES).unwrap();
    write(store, &old, range(2), &content).await.unwrap();
    let mut lagging = store.open_range(&old, range(0)).await.unwrap();
    lagging.write(content[..10].to_vec().into()).await.unwrap();

    let second = store.begin(wanted).await.unwrap();
    assert_eq!((second.upload_id, second.generation), (first.upload_id, first.generation + 1));
    assert_eq!(covered(&second.have, size), MAX, "what was finished is there");
    assert_eq!(second.unit_bytes % MAX_RANGE_BYTES, 0);
    let new = key(ALICE, &second);
    let stale = |outcome: Result<(), StoreError>| matches!(outcome, Err(StoreError::StaleGeneration));
    assert!(stale(lagging.write(content[10..20].to_vec().into()).await));
    assert!(stale(lagging.finish(RangeDigest::of(range(0), &content[..2_097_152]).unwrap()).await));
    assert!(stale(store.open_range(&old, range(1)).await.map(drop)));
    assert!(stale(store.commit(commit(old, &content)).await.map(drop)));
    assert!(stale(store.abandon(&old).await));
    write(store, &new, range(0), &content).await.unwrap();
    write(store, &new, range(1), &content).await.unwrap();
    store.commit(commit(new, &content)).await.unwrap();
    assert_eq!(read(store, "file").await, content);
}

async fn another_file_under_the_same_token_starts_anew(fixture: Fixture) {
    let store = &*fixture.store;
    let first = store.begin(upload("file", Some(2 * MIN))).await.unwrap();
    let content = bytes(usize::try_from(2 * MIN).unwrap());
    write(store, &key(ALICE, &first), Range::new(0, MIN_RANGE_BYTES).unwrap(), &content).await.unwrap();
    let second = store.begin(upload("file", Some(3))).await.unwrap();
    assert_ne!(first.upload_id, second.upload_id);
    assert!(second.have.is_empty());
    let gone = store.commit(commit(key(ALICE, &first), &content)).await;
    assert!(matches!(gone, Err(StoreError::UnknownUpload)), "{gone:?}");
    // Another source, another destination, another client: each is an upload of its own.
    let other = NewUpload { source_token: SourceToken([8; 32]), ..upload("file", Some(3)) };
    let ids: Vec<UploadId> = [
        store.begin(other).await.unwrap(),
        store.begin(upload("elsewhere", Some(3))).await.unwrap(),
        store.begin(NewUpload { client: BOB, ..upload("file", Some(3)) }).await.unwrap(),
        second,
    ]
    .map(|open: OpenUpload| open.upload_id)
    .to_vec();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

async fn an_upload_is_its_clients_own(fixture: Fixture) {
    let (store, content) = (&*fixture.store, b"hers");
    let open = store.begin(upload("file", Some(4))).await.unwrap();
    let (hers, his) = (key(ALICE, &open), key(BOB, &open));
    let range = Range::new(0, 4).unwrap();
    assert!(matches!(store.open_range(&his, range).await, Err(StoreError::UnknownUpload)));
    assert!(matches!(store.commit(commit(his, content)).await, Err(StoreError::UnknownUpload)));
    store.abandon(&his).await.unwrap();
    write(store, &hers, range, content).await.unwrap();
    store.commit(commit(hers, content)).await.unwrap();
    let repeated = store.commit(commit(his, content)).await;
    assert!(matches!(repeated, Err(StoreError::UnknownUpload)), "the answer is hers, too: {repeated:?}");
}

async fn an_abandoned_upload_is_gone(fixture: Fixture) {
    let store = &*fixture.store;
    for lasting in [true, false] {
        let open = store.begin(NewUpload { lasting, ..upload("file", Some(4)) }).await.unwrap();
        let key = key(ALICE, &open);
        let mut writer = store.open_range(&key, Range::new(0, 4).unwrap()).await.unwrap();
        store.abandon(&key).await.unwrap();
        store.abandon(&key).await.unwrap();
        let late = writer.write(Bytes::from_static(b"late")).await;
        assert!(matches!(late, Err(StoreError::UnknownUpload)), "{late:?}");
        let unknown = UploadKey { upload_id: UploadId([9; 16]), ..key };
        store.abandon(&unknown).await.unwrap();
        assert!(matches!(store.commit(commit(key, b"1234")).await, Err(StoreError::UnknownUpload)));
    }
    if let Some(dir) = &fixture.dir {
        let left = std::fs::read_dir(dir.path().join(".fulmar/partial")).unwrap().count();
        assert_eq!(left, 0, "staged files are removed");
    }
}

async fn uploads_from_one_stream_are_not_found_again(fixture: Fixture) {
    let wanted = NewUpload { lasting: false, ..upload("file", Some(4)) };
    let first = fixture.store.begin(wanted.clone()).await.unwrap();
    let second = fixture.store.begin(wanted).await.unwrap();
    assert_ne!(first.upload_id, second.upload_id);
    let key = key(ALICE, &first);
    write(&*fixture.store, &key, Range::new(0, 4).unwrap(), b"1234").await.unwrap();
    fixture.store.commit(commit(key, b"1234")).await.unwrap();
}

async fn a_client_has_a_limit(fixture: Fixture) {
    let begin = |number: u32, client| {
        let mut token = [0; 32];
        token[..4].copy_from_slice(&number.to_le_bytes());
        let wanted = NewUpload { client, source_token: SourceToken(token), ..upload("file", Some(0)) };
        fixture.store.begin(wanted)
    };
    for number in 0..1024 {
        begin(number, ALICE).await.unwrap();
    }
    assert!(matches!(begin(1024, ALICE).await, Err(StoreError::OverLimit)));
    begin(1024, BOB).await.unwrap();
    let again = begin(0, ALICE).await.unwrap();
    assert_eq!(again.generation, 1, "what is open can be taken over at the limit");
    fixture.store.abandon(&key(ALICE, &again)).await.unwrap();
    begin(1024, ALICE).await.unwrap();
}

async fn given_up_uploads_make_room(fixture: Fixture) {
    let begin = || fixture.store.begin(NewUpload { lasting: false, ..upload("file", Some(0)) });
    for _ in 0..1024 {
        begin().await.unwrap();
    }
    assert!(matches!(begin().await, Err(StoreError::OverLimit)));
    fixture.clock.advance(600);
    assert!(matches!(begin().await, Err(StoreError::OverLimit)));
    fixture.clock.advance(1);
    begin().await.unwrap();
}

async fn a_begin_needs_a_directory(fixture: Fixture) {
    put(&*fixture.store, "file", b"x").await;
    let begun = fixture.store.begin(upload("missing/file", Some(1))).await;
    assert!(matches!(begun, Err(StoreError::NoParent)), "{begun:?}");
    let begun = fixture.store.begin(upload("file/file", Some(1))).await;
    assert!(matches!(begun, Err(StoreError::NotADirectory)), "{begun:?}");
    assert!(!exists(&*fixture.store, "missing").await);
}

async fn a_file_that_cannot_fit_is_refused_at_once(fixture: Fixture) {
    let begun = fixture.store.begin(upload("file", Some(1 << 62))).await;
    assert!(matches!(begun, Err(StoreError::NoSpace)), "{begun:?}");
    fixture.store.begin(upload("file", Some(1 << 10))).await.unwrap();
}

#[test]
fn a_store_in_memory_holds_its_capacity_and_no_more() {
    let environment = crate::support::environment(fulmar_disk::Offload::inline()).0;
    let store = fulmar_store::MemoryStore::with_capacity(environment, 1000);
    crate::support::block_on(async {
        put(&*store, "kept", &bytes(600)).await;
        let begun = store.begin(upload("file", Some(401))).await;
        assert!(matches!(begun, Err(StoreError::NoSpace)), "{begun:?}");
        // Of an unknown length it is found out when it happens, and what is given up makes room again.
        for _ in 0..2 {
            let key = key(ALICE, &store.begin(upload("file", None)).await.unwrap());
            let mut writer = store.open_range(&key, Range::new(0, 500).unwrap()).await.unwrap();
            writer.write(bytes(400).into()).await.unwrap();
            assert!(matches!(writer.write(Bytes::from_static(b"x")).await, Err(StoreError::NoSpace)));
        }
        put(&*store, "fits", &bytes(400)).await;
        store.remove(&path("kept"), false, &fulmar_store::Work::default()).await.unwrap();
        put(&*store, "fits again", &bytes(600)).await;
    });
}
