//! Commits: what gets which name, and who is told what.

use std::collections::BTreeSet;

use fulmar_proto::{
    digest::Digest,
    fingerprint::Fingerprint,
    range::{MAX_RANGE_BYTES, MIN_RANGE_BYTES, Range},
    time::Timestamp,
    upload::{Mode, OnExists},
    version::{SourceToken, Version},
};
use fulmar_store::{CommitUpload, NewUpload, StoreError, UploadKey, Work};

use crate::support::{
    ALICE, BOB, Fixture, Whole, bytes, commit, dir, exists, key, list_all, name, on_every_store, path, put,
    read, store_as, upload, write, write_all,
};

on_every_store!(
    a_stored_file_has_its_times_and_bits,
    a_commit_can_be_repeated,
    commits_at_the_same_time_agree,
    an_incomplete_upload_stays_open,
    a_wrong_digest_ends_the_upload,
    of_two_commits_to_one_name_one_wins,
    the_same_bytes_are_already_there,
    an_existing_target_is_refused,
    an_existing_file_is_replaced_when_asked,
    a_file_takes_the_next_number,
    many_commits_at_once_all_arrive,
    a_commit_needs_its_directory_still,
    many_takers_never_mix,
);

async fn a_stored_file_has_its_times_and_bits(fixture: Fixture) {
    let store = &*fixture.store;
    let modified = Timestamp::new(1_234_567_890, 123_456_789).unwrap();
    let wanted =
        NewUpload { modified: Some(modified), mode: Some(Mode::masked(0o7777)), ..upload("file", Some(4)) };
    let stored = store_as(store, wanted, b"1234").await.unwrap();
    assert_eq!((stored.path.clone(), stored.size, stored.already_there), (path("file"), 4, false));
    let entry = store.stat(&dir("file")).await.unwrap();
    assert_eq!(entry.modified, modified);
    assert!(entry.mode.executable());
    let known = entry.catalog.unwrap();
    assert_eq!((known.id, known.root, known.uploaded_by), (stored.id, Some(stored.root), Some(ALICE)));
    assert_eq!(known.uploaded.map(Timestamp::secs), Some(1_700_000_000));

    put(store, "other", b"x").await;
    let other = store.stat(&dir("other")).await.unwrap();
    assert_eq!(other.modified.secs(), 1_700_000_000, "without a time of its own: that of the commit");
    assert!(!other.mode.executable());
}

async fn a_commit_can_be_repeated(fixture: Fixture) {
    let store = &*fixture.store;
    let key = key(ALICE, &store.begin(upload("file", Some(4))).await.unwrap());
    write_all(store, &key, b"1234").await.unwrap();
    let stored = store.commit(commit(key, b"1234")).await.unwrap();
    assert_eq!(store.commit(commit(key, b"1234")).await.unwrap(), stored);
    let stale = UploadKey { generation: key.generation + 1, ..key };
    assert!(matches!(store.commit(commit(stale, b"1234")).await, Err(StoreError::StaleGeneration)));
    // Also when the file has gone since: the answer is about the upload, not about what is there.
    store.remove(&path("file"), false, &Work::default()).await.unwrap();
    assert_eq!(store.commit(commit(key, b"1234")).await.unwrap(), stored);
    assert!(!exists(store, "file").await);
    // The next upload of the same source is a new one.
    let again = store.begin(upload("file", Some(4))).await.unwrap();
    assert!(again.upload_id != key.upload_id && again.have.is_empty());
}

async fn commits_at_the_same_time_agree(fixture: Fixture) {
    let store = &*fixture.store;
    let key = key(ALICE, &store.begin(upload("file", Some(4))).await.unwrap());
    write_all(store, &key, b"1234").await.unwrap();
    let (one, two, three) = tokio::join!(
        store.commit(commit(key, b"1234")),
        store.commit(commit(key, b"1234")),
        store.commit(commit(key, b"1234"))
    );
    let one = one.unwrap();
    assert_eq!((two.unwrap(), three.unwrap()), (one.clone(), one));
    assert_eq!(list_all(store, "", false, 10).await.len(), 1);
}

async fn an_incomplete_upload_stays_open(fixture: Fixture) {
    let (store, content) = (&*fixture.store, bytes(2 * MIN_RANGE_BYTES as usize));
    for (to, size) in [("known", Some(content.len() as u64)), ("unknown", None)] {
        let key = key(ALICE, &store.begin(upload(to, size)).await.unwrap());
        let incomplete = |outcome| matches!(outcome, Err(StoreError::Incomplete));
        assert!(incomplete(store.commit(commit(key, &content)).await));
        write(store, &key, Range::new(u64::from(MIN_RANGE_BYTES), MIN_RANGE_BYTES).unwrap(), &content)
            .await
            .unwrap();
        assert!(incomplete(store.commit(commit(key, &content)).await));
        assert!(!exists(store, to).await);
        write(store, &key, Range::new(0, MIN_RANGE_BYTES).unwrap(), &content).await.unwrap();
        store.commit(commit(key, &content)).await.unwrap();
        assert_eq!(read(store, to).await, content);
    }
}

async fn a_wrong_digest_ends_the_upload(fixture: Fixture) {
    let store = &*fixture.store;
    let right = commit(
        UploadKey { client: ALICE, upload_id: fulmar_proto::version::UploadId([0; 16]), generation: 0 },
        b"1234",
    );
    let wrong = [
        ("root", CommitUpload { root: Digest::of(b"other"), ..right }),
        ("shorter", CommitUpload { size: 3, root: Digest::of(b"123"), ..right }),
        ("longer", CommitUpload { size: 5, root: Digest::of(b"12345"), ..right }),
        ("huge", CommitUpload { size: u64::MAX, ..right }),
    ];
    for (what, wrong) in wrong {
        for size in [Some(4), None] {
            let key = key(ALICE, &store.begin(upload("file", size)).await.unwrap());
            write_all(store, &key, b"1234").await.unwrap();
            let refused = store.commit(CommitUpload { key, ..wrong }).await;
            assert!(matches!(refused, Err(StoreError::DigestMismatch)), "{what}: {refused:?}");
            let gone = store.commit(CommitUpload { key, ..right }).await;
            assert!(matches!(gone, Err(StoreError::UnknownUpload)), "{what}: {gone:?}");
        }
    }
    assert!(list_all(store, "", false, 10).await.is_empty());
}

/// An upload of Alice's or Bob's that only lacks its commit.
async fn ready(store: &dyn Whole, client: Fingerprint, wanted: NewUpload, content: &[u8]) -> CommitUpload {
    let key = key(client, &store.begin(NewUpload { client, ..wanted }).await.unwrap());
    write_all(store, &key, content).await.unwrap();
    commit(key, content)
}

async fn of_two_commits_to_one_name_one_wins(fixture: Fixture) {
    let store = &*fixture.store;
    for round in 0..8 {
        let to = format!("name {round}");
        let hers = ready(store, ALICE, upload(&to, Some(5)), b"alice").await;
        let his = ready(store, BOB, upload(&to, Some(3)), b"bob").await;
        let (hers, his) = tokio::join!(store.commit(hers), store.commit(his));
        let content = read(store, &to).await;
        match (hers, his) {
            (Ok(_), Err(StoreError::Exists { path: at })) => {
                assert_eq!((content, at), (b"alice".to_vec(), path(&to)));
            }
            (Err(StoreError::Exists { path: at }), Ok(_)) => {
                assert_eq!((content, at), (b"bob".to_vec(), path(&to)));
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn the_same_bytes_are_already_there(fixture: Fixture) {
    let store = &*fixture.store;
    let stored = put(store, "file", b"content").await;
    for on_exists in [OnExists::Fail, OnExists::Skip] {
        let again = ready(store, BOB, NewUpload { on_exists, ..upload("file", Some(7)) }, b"content").await;
        let answer = store.commit(again).await.unwrap();
        assert!(answer.already_there);
        assert_eq!((answer.id, answer.root, &answer.path), (stored.id, stored.root, &stored.path));
        assert_eq!(store.commit(again).await.unwrap(), answer, "this answer is kept, too");
    }
    let known = store.stat(&dir("file")).await.unwrap().catalog.unwrap();
    assert_eq!(known.uploaded_by, Some(ALICE), "it is still hers");
    let blind = ready(store, BOB, upload("file", Some(7)), b"content").await;
    let refused = store.commit(CommitUpload { may_compare: false, ..blind }).await;
    assert!(
        matches!(refused, Err(StoreError::Exists { .. })),
        "whoever may not read learns nothing: {refused:?}"
    );
}

async fn an_existing_target_is_refused(fixture: Fixture) {
    let store = &*fixture.store;
    put(store, "file", b"content").await;
    store.make_directory(&path("sub"), false).await.unwrap();
    for (to, content) in [("file", b"CONTENT".as_slice()), ("file", b"longer content"), ("sub", b"")] {
        let wanted = ready(store, BOB, upload(to, Some(content.len() as u64)), content).await;
        let refused = store.commit(wanted).await;
        assert!(matches!(&refused, Err(StoreError::Exists { path: at }) if *at == path(to)), "{refused:?}");
        assert!(matches!(store.commit(wanted).await, Err(StoreError::UnknownUpload)), "and gone");
    }
    assert_eq!(read(store, "file").await, b"content");
}

async fn an_existing_file_is_replaced_when_asked(fixture: Fixture) {
    let store = &*fixture.store;
    let old = put(store, "file", b"old").await;
    let before = store.stat(&dir("file")).await.unwrap().version.unwrap();
    let wanted = NewUpload { on_exists: OnExists::Overwrite, ..upload("file", Some(3)) };
    let stored = store.commit(ready(store, BOB, wanted.clone(), b"new").await).await.unwrap();
    assert_eq!(stored.id, old.id, "the name keeps its identifier");
    assert_eq!(read(store, "file").await, b"new");
    let entry = store.stat(&dir("file")).await.unwrap();
    assert_ne!(entry.version, Some::<Version>(before));
    let known = entry.catalog.unwrap();
    assert_eq!((known.root, known.uploaded_by), (Some(Digest::of(b"new")), Some(BOB)));
    // A directory is never replaced; the upload waits for a better idea.
    store.make_directory(&path("sub"), false).await.unwrap();
    let onto = ready(store, BOB, NewUpload { path: path("sub"), ..wanted }, b"new").await;
    for _ in 0..2 {
        assert!(matches!(store.commit(onto).await, Err(StoreError::IsADirectory)));
    }
    store.remove(&path("sub"), false, &Work::default()).await.unwrap();
    store.commit(onto).await.unwrap();
    assert_eq!(read(store, "sub").await, b"new");
}

async fn a_file_takes_the_next_number(fixture: Fixture) {
    let store = &*fixture.store;
    put(store, "a.txt", b"0").await;
    put(store, "a (2).txt", b"2").await;
    let mut commits = Vec::new();
    for number in 0..3u8 {
        let source_token = SourceToken([number; 32]);
        let wanted = NewUpload { on_exists: OnExists::Rename, source_token, ..upload("a.txt", Some(1)) };
        commits.push(ready(store, ALICE, wanted, &[number]).await);
    }
    let (first, second, third) =
        tokio::join!(store.commit(commits[0]), store.commit(commits[1]), store.commit(commits[2]));
    let stored = [first.unwrap(), second.unwrap(), third.unwrap()];
    for (number, stored) in stored.iter().enumerate() {
        assert_eq!(read(store, stored.path.as_str()).await, [u8::try_from(number).unwrap()]);
        assert_eq!(store.commit(commits[number]).await.unwrap(), *stored);
    }
    let paths: BTreeSet<&str> = stored.iter().map(|stored| stored.path.as_str()).collect();
    assert_eq!(paths, BTreeSet::from(["a (1).txt", "a (3).txt", "a (4).txt"]));
    let ids: BTreeSet<_> = stored.iter().map(|stored| stored.id).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(read(store, "a.txt").await, b"0");
}

async fn many_commits_at_once_all_arrive(fixture: Fixture) {
    // More than one group's worth, in several directories.
    const FILES: usize = 300;
    let store = &*fixture.store;
    let mut commits = Vec::new();
    for directory in 0..3 {
        store.make_directory(&path(&format!("d{directory}")), false).await.unwrap();
    }
    for number in 0..FILES {
        let to = format!("d{}/{number}", number % 3);
        let wanted = NewUpload { lasting: number % 2 == 0, ..upload(&to, Some(to.len() as u64)) };
        commits.push((to.clone(), ready(store, ALICE, wanted, to.as_bytes()).await));
    }
    let mut running = tokio::task::JoinSet::new();
    for (to, commit) in commits {
        let store = std::sync::Arc::clone(&fixture.store);
        running.spawn(async move { (to, store.commit(commit).await) });
    }
    let mut arrived = 0;
    while let Some(joined) = running.join_next().await {
        let (to, stored) = joined.unwrap();
        assert_eq!(stored.unwrap().path.as_str(), to);
        assert_eq!(read(store, &to).await, to.as_bytes());
        arrived += 1;
    }
    assert_eq!(arrived, FILES);
    let listed: Vec<String> = list_all(store, "d0", true, 1000).await.iter().map(name).collect();
    assert_eq!(listed.len(), FILES / 3);
}

async fn a_commit_needs_its_directory_still(fixture: Fixture) {
    let (store, content) = (&*fixture.store, bytes(MAX_RANGE_BYTES as usize + 1));
    store.make_directory(&path("sub"), false).await.unwrap();
    let wanted = ready(store, ALICE, upload("sub/file", Some(content.len() as u64)), &content).await;
    store.remove(&path("sub"), false, &Work::default()).await.unwrap();
    for _ in 0..2 {
        let refused = store.commit(wanted).await;
        assert!(matches!(refused, Err(StoreError::NoParent)), "{refused:?}");
    }
    store.make_directory(&path("sub"), false).await.unwrap();
    store.commit(wanted).await.unwrap();
    assert_eq!(read(store, "sub/file").await, content);
}

async fn many_takers_never_mix(fixture: Fixture) {
    // Every one begins anew whenever another has taken over, so at each moment at most one generation writes.
    let content: std::sync::Arc<[u8]> = bytes(6 * MIN_RANGE_BYTES as usize + 1).into();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (store, content) = (std::sync::Arc::clone(&fixture.store), std::sync::Arc::clone(&content));
        running.spawn(async move {
            loop {
                let open = store.begin(upload("file", Some(content.len() as u64))).await.unwrap();
                let key = key(ALICE, &open);
                for range in fulmar_proto::range::ranges_of(content.len() as u64, MIN_RANGE_BYTES) {
                    match write(&*store, &key, range, &content).await {
                        Ok(()) | Err(StoreError::RangeTaken) => {}
                        Err(StoreError::StaleGeneration | StoreError::UnknownUpload | StoreError::Busy) => {
                            break;
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                match store.commit(commit(key, &content)).await {
                    Ok(stored) => return stored,
                    Err(StoreError::StaleGeneration | StoreError::UnknownUpload | StoreError::Incomplete) => {
                        tokio::task::yield_now().await;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
    }
    let mut stored = Vec::new();
    while let Some(joined) = running.join_next().await {
        stored.push(joined.unwrap());
    }
    assert_eq!(read(&*fixture.store, "file").await, *content);
    assert_eq!(stored.iter().filter(|stored| !stored.already_there).count(), 1);
}
