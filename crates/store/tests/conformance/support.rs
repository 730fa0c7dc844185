//! Stores to try things on, and short words for what is tried.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use fulmar_disk::Offload;
use fulmar_proto::{
    digest::{Digest, RangeDigest},
    fingerprint::Fingerprint,
    listing::{Entry, EntryName},
    path::{DirPath, RelPath},
    range::{MAX_RANGE_BYTES, Range, ranges_of},
    time::Timestamp,
    upload::{OnExists, Stored},
    version::SourceToken,
};
use fulmar_store::{
    Clock, CommitUpload, DeviceLatency, Entropy, Environment, LocalOptions, LocalStore, MemoryStore,
    NewUpload, OpenUpload, Store, StoreError, UploadKey, Uploads,
};
use tempfile::TempDir;

pub(crate) const ALICE: Fingerprint = Fingerprint([0xa1; 32]);
pub(crate) const BOB: Fingerprint = Fingerprint([0xb0; 32]);

/// A store with both of its sides.
pub(crate) trait Whole: Store + Uploads {}
impl<T: Store + Uploads> Whole for T {}

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(crate) fn advance(&self, secs: i64) {
        let mut now = self.0.lock().unwrap();
        *now = Timestamp::new(now.secs() + secs, now.nanos()).unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Numbers that differ from each other, also between two stores of one test.
#[derive(Debug)]
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = blake3::hash(&count.to_le_bytes()).as_bytes()[index % 32];
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Memory,
    MemoryOnDevice,
    LocalInline,
    LocalThreads,
}

/// A store, and what it is made of.
pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn Whole>,
    pub(crate) clock: Arc<TestClock>,
    /// The served directory, when there is one.
    pub(crate) dir: Option<TempDir>,
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

pub(crate) fn environment(offload: Offload) -> (Environment, Arc<TestClock>) {
    let clock = Arc::new(TestClock(Mutex::new(Timestamp::new(1_700_000_000, 5).unwrap())));
    let entropy = Arc::new(Counting);
    (Environment { offload, clock: Arc::clone(&clock) as Arc<dyn Clock>, entropy }, clock)
}

impl Fixture {
    pub(crate) fn new(kind: Kind) -> Self {
        let offload = match kind {
            Kind::Memory | Kind::MemoryOnDevice | Kind::LocalInline => Offload::inline(),
            Kind::LocalThreads => Offload::threads(4).unwrap(),
        };
        let (environment, clock) = environment(offload);
        match kind {
            Kind::Memory => Self { store: MemoryStore::new(environment), clock, dir: None },
            Kind::MemoryOnDevice => {
                let store = MemoryStore::on_device(environment, DeviceLatency::default());
                Self { store, clock, dir: None }
            }
            Kind::LocalInline | Kind::LocalThreads => {
                let dir = TempDir::new().unwrap();
                let store = LocalStore::open(dir.path(), LocalOptions::default(), environment).unwrap();
                Self { store, clock, dir: Some(dir) }
            }
        }
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Opens a directory as a store, inline.
pub(crate) fn open_local(dir: &Path, options: LocalOptions) -> (Arc<LocalStore>, Arc<TestClock>) {
    let (environment, clock) = environment(Offload::inline());
    (LocalStore::open(dir, options, environment).unwrap(), clock)
}

/// Each function is a test of every store.
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::support::{Fixture, Kind, block_on};

            #[test]
            fn memory() {
                block_on(super::$name(Fixture::new(Kind::Memory)));
            }

            #[test]
            fn memory_on_device() {
                block_on(super::$name(Fixture::new(Kind::MemoryOnDevice)));
            }

            #[test]
            fn local_inline() {
                block_on(super::$name(Fixture::new(Kind::LocalInline)));
            }

            #[test]
            fn local_threads() {
                block_on(super::$name(Fixture::new(Kind::LocalThreads)));
            }
        }
    )*};
}
pub(crate) use on_every_store;

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

pub(crate) fn dir(text: &str) -> DirPath {
    DirPath::parse(text).unwrap()
}

/// Bytes that differ from one offset to the next.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&len.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A lasting upload by Alice of a file of `size` bytes.
pub(crate) fn upload(to: &str, size: Option<u64>) -> NewUpload {
    NewUpload {
        client: ALICE,
        path: path(to),
        size,
        modified: None,
        mode: None,
        source_token: SourceToken([7; 32]),
        on_exists: OnExists::Fail,
        lasting: true,
    }
}

pub(crate) fn key(client: Fingerprint, open: &OpenUpload) -> UploadKey {
    UploadKey { client, upload_id: open.upload_id, generation: open.generation }
}

pub(crate) fn commit(key: UploadKey, content: &[u8]) -> CommitUpload {
    CommitUpload {
        key,
        size: content.len() as u64,
        root: Digest::of(content),
        may_compare: true,
        may_replace: true,
    }
}

/// Writes one range of `content`, in two pieces where it has two bytes.
pub(crate) async fn write<S: Whole + ?Sized>(
    store: &S,
    key: &UploadKey,
    range: Range,
    content: &[u8],
) -> Result<(), StoreError> {
    let piece = &content[usize::try_from(range.offset()).unwrap()..usize::try_from(range.end()).unwrap()];
    let mut writer = store.open_range(key, range).await?;
    let (first, second) = piece.split_at(piece.len() / 2);
    writer.write(Bytes::copy_from_slice(first)).await?;
    writer.write(Bytes::copy_from_slice(second)).await?;
    writer.finish(RangeDigest::of(range, piece).unwrap()).await
}

/// Writes all ranges of `content`, the last one first.
pub(crate) async fn write_all<S: Whole + ?Sized>(
    store: &S,
    key: &UploadKey,
    content: &[u8],
) -> Result<(), StoreError> {
    let ranges: Vec<Range> = ranges_of(content.len() as u64, MAX_RANGE_BYTES).collect();
    for range in ranges.into_iter().rev() {
        write(store, key, range, content).await?;
    }
    Ok(())
}

/// Uploads `content` as `upload` says.
pub(crate) async fn store_as<S: Whole + ?Sized>(
    store: &S,
    upload: NewUpload,
    content: &[u8],
) -> Result<Stored, StoreError> {
    let client = upload.client;
    let key = key(client, &store.begin(upload).await?);
    write_all(store, &key, content).await?;
    store.commit(commit(key, content)).await
}

/// Stores `content` under a new name, from one stream.
pub(crate) async fn put<S: Whole + ?Sized>(store: &S, to: &str, content: &[u8]) -> Stored {
    let size = Some(content.len() as u64);
    store_as(store, NewUpload { lasting: false, ..upload(to, size) }, content).await.unwrap()
}

pub(crate) async fn read<S: Store + ?Sized>(store: &S, from: &str) -> Vec<u8> {
    let object = store.open(&path(from)).await.unwrap();
    let mut content = Vec::new();
    for range in ranges_of(object.info().size, MAX_RANGE_BYTES) {
        let hasher = fulmar_proto::digest::RangeHasher::new(range);
        let (piece, hasher) = object.read(range.offset(), range.len(), hasher).await.unwrap();
        assert_eq!(hasher.finish().unwrap(), RangeDigest::of(range, &piece).unwrap());
        content.extend_from_slice(&piece);
    }
    object.check().await.unwrap();
    content
}

pub(crate) async fn exists<S: Store + ?Sized>(store: &S, at: &str) -> bool {
    match store.stat(&dir(at)).await {
        Ok(_) => true,
        Err(StoreError::NotFound) => false,
        Err(error) => panic!("{error:?}"),
    }
}

pub(crate) fn name(entry: &Entry) -> String {
    match &entry.name {
        EntryName::Servable(name) => name.as_str().to_owned(),
        EntryName::Unservable(text) => format!("!{}", text.as_str()),
    }
}

/// All entries of a directory, in pages of `max_entries`.
pub(crate) async fn list_all<S: Store + ?Sized>(
    store: &S,
    of: &str,
    details: bool,
    max_entries: usize,
) -> Vec<Entry> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.list(&dir(of), cursor.as_ref(), details, max_entries, 60_000).await.unwrap();
        let (entries, next) = page.into_parts();
        assert!(entries.len() <= max_entries);
        all.extend(entries);
        match next {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}
