use std::{collections::BTreeSet, time::Duration};

use fulmar_disk::Offload;
use fulmar_proto::{
    digest::{Digest, RangeDigest},
    fingerprint::Fingerprint,
    path::{DirPath, RelPath},
    range::{MAX_RANGE_BYTES, ranges_of},
    time::Timestamp,
    upload::{Mode, OnExists, Stored},
    version::SourceToken,
};
use tokio::{task::JoinHandle, time::sleep};

use super::*;
use crate::{
    CommitUpload, NewUpload, Renamed, Store, StoreError, SystemClock, SystemEntropy, UploadKey, Uploads, Work,
};

const CLIENT: Fingerprint = Fingerprint([7; 32]);

const STEP: Duration = Duration::from_millis(10);

const SEEDS: std::ops::Range<u64> = 0..40;

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test);
}

/// A store whose every step takes 10 ms.
fn store() -> Arc<MemoryStore> {
    let environment = Environment {
        offload: Offload::inline(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    MemoryStore::on_device(environment, DeviceLatency { sync: STEP, name: STEP, directory_sync: STEP })
}

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

fn bytes(byte: u8) -> Vec<u8> {
    vec![byte; 1000]
}

/// Stages an upload and gives what is left to do.
async fn staged(store: &MemoryStore, to: &str, content: &[u8], on_exists: OnExists) -> CommitUpload {
    let upload = NewUpload {
        client: CLIENT,
        path: path(to),
        size: Some(content.len() as u64),
        modified: None,
        mode: None,
        source_token: SourceToken(*blake3::hash(content).as_bytes()),
        on_exists,
        lasting: true,
    };
    let open = store.begin(upload).await.unwrap();
    let key = UploadKey { client: CLIENT, upload_id: open.upload_id, generation: open.generation };
    for range in ranges_of(content.len() as u64, MAX_RANGE_BYTES) {
        let mut writer = store.open_range(&key, range).await.unwrap();
        writer.write(Bytes::copy_from_slice(content)).await.unwrap();
        writer.finish(RangeDigest::of(range, content).unwrap()).await.unwrap();
    }
    let (size, root) = (content.len() as u64, Digest::of(content));
    CommitUpload { key, size, root, may_compare: true, may_replace: true }
}

async fn put(store: &MemoryStore, to: &str, content: &[u8]) -> Stored {
    let commit = staged(store, to, content, OnExists::Overwrite).await;
    store.commit(commit).await.unwrap()
}

fn read(store: &MemoryStore, from: &str) -> Option<Vec<u8>> {
    store.shared.names().file(&path(from)).ok().map(|file| file.bytes().to_vec())
}

/// Lets `operation` begin and looks, at every half step on its way, at what each seed would leave of the store.
async fn at_each_moment<T: Send + 'static>(
    store: &Arc<MemoryStore>,
    operation: impl Future<Output = T> + Send + 'static,
    mut look: impl FnMut(u32, bool, &MemoryStore),
) {
    let running: JoinHandle<T> = tokio::spawn(operation);
    for moment in 0.. {
        sleep(STEP / 2).await;
        let acknowledged = running.is_finished();
        SEEDS.for_each(|seed| look(moment, acknowledged, &store.power_cut(seed).unwrap()));
        if acknowledged {
            break;
        }
    }
}

#[test]
fn a_commit_is_whole_or_not_at_all_and_stays_once_acknowledged() {
    run(async {
        let store = store();
        let commit = staged(&store, "a", &bytes(1), OnExists::Fail).await;
        let mut seen = BTreeSet::new();
        let committing = store.clone();
        at_each_moment(
            &store,
            async move { committing.commit(commit).await },
            |moment, acknowledged, left| {
                let found = read(left, "a");
                assert!(found.is_none() || found == Some(bytes(1)), "{found:?}");
                // The third of the steps is the first after which there is a name.
                assert!(found.is_none() || moment >= 3);
                seen.insert((acknowledged, found.is_some()));
            },
        )
        .await;
        assert_eq!(seen, BTreeSet::from([(false, false), (false, true), (true, true)]));
    });
}

#[test]
fn an_overwritten_file_is_the_old_or_the_new_one() {
    run(async {
        let store = store();
        put(&store, "a", &bytes(1)).await;
        let commit = staged(&store, "a", &bytes(2), OnExists::Overwrite).await;
        let (mut old, mut new) = (0, 0);
        let committing = store.clone();
        at_each_moment(&store, async move { committing.commit(commit).await }, |_, acknowledged, left| {
            let found = read(left, "a").expect("one of them is there");
            assert!(found == bytes(2) || (found == bytes(1) && !acknowledged));
            *(if found == bytes(1) { &mut old } else { &mut new }) += 1;
        })
        .await;
        assert!(old > 0 && new > 0, "{old} {new}");
    });
}

#[test]
fn an_acknowledged_removal_stays() {
    run(async {
        let store = store();
        put(&store, "a", &bytes(1)).await;
        let mut came_back = 0;
        let removing = store.clone();
        let removal = async move { removing.remove(&path("a"), false, &Work::default()).await };
        at_each_moment(&store, removal, |_, acknowledged, left| {
            let found = read(left, "a");
            assert!(found.is_none() || (found == Some(bytes(1)) && !acknowledged));
            came_back += usize::from(found.is_some());
        })
        .await;
        assert!(came_back > 0);
    });
}

#[test]
fn a_renamed_file_has_one_of_its_names_and_the_new_one_once_acknowledged() {
    run(async {
        let store = store();
        store.make_directory(&path("d"), false).await.unwrap();
        put(&store, "a", &bytes(1)).await;
        let renaming = store.clone();
        let rename = async move { renaming.rename(&path("a"), &path("d/b"), OnExists::Fail).await };
        at_each_moment(&store, rename, |_, acknowledged, left| {
            let (old, new) = (read(left, "a"), read(left, "d/b"));
            assert!(old.is_some() != new.is_some());
            assert!(!acknowledged || new == Some(bytes(1)));
        })
        .await;
    });
}

#[test]
fn a_made_directory_stays_with_what_was_put_into_it() {
    run(async {
        let store = store();
        assert!(store.make_directory(&path("d/e"), true).await.unwrap());
        put(&store, "d/e/f", &bytes(1)).await;
        let renamed = store.rename(&path("d"), &path("g"), OnExists::Fail).await.unwrap();
        assert_eq!(renamed, Renamed::To(path("g")));
        for seed in SEEDS {
            assert_eq!(read(&store.power_cut(seed).unwrap(), "g/e/f"), Some(bytes(1)));
        }
    });
}

/// Gives `content` the name "a" in one step.
fn name(store: &MemoryStore, content: Arc<Content>) {
    let mut names = store.shared.names();
    let (modified, mode, version) = (Timestamp::EPOCH, Mode::masked(0o644), names.new_version());
    let file = File { content, modified, mode, version, _held: store.shared.space.nothing() };
    names.put(&path("a"), Arc::new(file), Timestamp::EPOCH).unwrap();
}

#[test]
fn bytes_that_were_named_before_they_were_durable_are_wrong() {
    run(async {
        let store = store();
        let content = Content::new(bytes(1).into());
        name(&store, Arc::clone(&content));
        store.shared.sync_name(&path("a")).await;
        assert_eq!(read(&store, "a"), Some(bytes(1)));
        let left = |seed| read(&store.power_cut(seed).unwrap(), "a").expect("the name is durable");
        let all: Vec<_> = SEEDS.map(left).collect();
        assert!(all.iter().all(|left| *left != bytes(1)));
        assert!(all.contains(&bytes(0)));
        assert!(all.iter().any(|left| left.len() < 1000));
        assert!(all.iter().any(|left| left.len() == 1000 && left[0] == 1 && left[999] == 0));
        store.shared.device.sync(&content).await;
        assert!(SEEDS.map(left).all(|left| left == bytes(1)));
    });
}

#[test]
fn a_name_that_was_not_made_durable_is_lost_with_some_seeds() {
    run(async {
        let store = store();
        let content = Content::new(bytes(1).into());
        store.shared.device.sync(&content).await;
        name(&store, content);
        // Another directory's names have nothing to do with it.
        store.shared.sync_name(&path("d/other")).await;
        let kept = SEEDS.filter(|seed| read(&store.power_cut(*seed).unwrap(), "a").is_some()).count();
        assert!((1..SEEDS.count()).contains(&kept), "{kept}");
    });
}

#[test]
fn the_same_seed_leaves_the_same() {
    run(async {
        let store = store();
        name(&store, Content::new(bytes(1).into()));
        let left = |seed| read(&store.power_cut(seed).unwrap(), "a");
        assert!(SEEDS.into_iter().all(|seed| left(seed) == left(seed)));
        let all: BTreeSet<_> = SEEDS.map(left).collect();
        assert!(all.len() > 3, "{}", all.len());
    });
}

#[test]
fn a_given_answer_is_given_again() {
    run(async {
        let store = store();
        let commit = staged(&store, "a", &bytes(1), OnExists::Rename).await;
        let stored = store.commit(commit).await.unwrap();
        // Cut twice: what the first start found is durable.
        let left = store.power_cut(1).unwrap().power_cut(2).unwrap();
        assert_eq!(left.commit(commit).await.unwrap(), stored);
        let known = left.stat(&path("a").into()).await.unwrap().catalog.unwrap();
        assert_eq!((known.id, known.root), (stored.id, Some(stored.root)));
    });
}

#[test]
fn an_answer_that_was_lost_with_the_power_is_given_if_the_file_is_there() {
    run(async {
        let store = store();
        let commit = staged(&store, "a", &bytes(1), OnExists::Rename).await;
        let committing = store.clone();
        let running = tokio::spawn(async move { committing.commit(commit).await });
        sleep(STEP * 5 / 2).await;
        assert!(!running.is_finished() && read(&store, "a").is_some());
        let (mut stored, mut unknown) = (0, 0);
        for seed in SEEDS {
            let left = store.power_cut(seed).unwrap();
            match left.commit(commit).await {
                Ok(answer) => {
                    assert_eq!(read(&left, answer.path.as_str()), Some(bytes(1)));
                    stored += 1;
                }
                Err(StoreError::UnknownUpload) => {
                    assert_eq!(read(&left, "a"), None);
                    unknown += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(stored > 0 && unknown > 0, "{stored} {unknown}");
    });
}

#[test]
fn a_commit_that_nobody_waits_for_goes_on_to_its_end() {
    run(async {
        let store = store();
        let commit = staged(&store, "a", &bytes(1), OnExists::Fail).await;
        let given_up = tokio::time::timeout(STEP / 2, store.commit(commit)).await;
        assert!(given_up.is_err() && read(&store, "a").is_none());
        sleep(STEP * 4).await;
        assert_eq!(read(&store, "a"), Some(bytes(1)));
        assert_eq!(store.commit(commit).await.unwrap().path, path("a"));
    });
}

#[test]
fn a_store_goes_on_after_a_power_cut() {
    run(async {
        let store = store();
        put(&store, "a", &bytes(1)).await;
        let before = store.open(&path("a")).await.unwrap();
        let left = store.power_cut(3).unwrap();
        let after = left.open(&path("a")).await.unwrap();
        assert_eq!(after.info(), before.info());
        after.check().await.unwrap();
        put(&left, "a", &bytes(2)).await;
        assert!(after.check().await.is_err(), "a new file has a version of its own");
        let listed = left.list(&DirPath::root(), None, false, 10, 60_000).await.unwrap();
        assert_eq!(listed.into_parts().0.len(), 1);
    });
}

#[test]
fn a_store_without_a_device_has_no_power_to_cut() {
    let environment = Environment {
        offload: Offload::inline(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    assert!(MemoryStore::new(environment).power_cut(0).is_none());
}
