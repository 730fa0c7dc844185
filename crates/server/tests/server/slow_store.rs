//! A store in which hashing takes as long as the test wants.

use std::sync::Arc;

use async_trait::async_trait;
use fulmar_proto::{
    digest::Digest,
    listing::{Cursor, Entry, Page},
    path::{DirPath, RelPath},
    upload::OnExists,
};
use fulmar_store::{Measured, MemoryStore, Object, Removed, Renamed, Store, StoreError, Work};
use tokio::sync::{Notify, mpsc};

/// What became of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    /// It has begun.
    Begun,
    /// Nobody waits for it any more; says whether it had been asked to stop.
    Dropped {
        /// Whether it had been asked to stop.
        stopped: bool,
    },
}

/// A store in memory whose hash waits to be released.
#[derive(Debug)]
pub(crate) struct SlowStore {
    inner: Arc<MemoryStore>,
    release: Notify,
    events: mpsc::UnboundedSender<Hash>,
}

impl SlowStore {
    pub(crate) fn new(inner: Arc<MemoryStore>) -> (Arc<Self>, mpsc::UnboundedReceiver<Hash>) {
        let (events, happened) = mpsc::unbounded_channel();
        (Arc::new(Self { inner, release: Notify::new(), events }), happened)
    }

    /// Lets one hash go on.
    pub(crate) fn release(&self) {
        self.release.notify_one();
    }
}

/// Tells when a hash is dropped before its end.
struct Guard<'a> {
    work: &'a Work,
    events: Option<&'a mpsc::UnboundedSender<Hash>>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(events) = self.events {
            // The test may have ended by now.
            let _ = events.send(Hash::Dropped { stopped: self.work.is_stopped() });
        }
    }
}

#[async_trait]
impl Store for SlowStore {
    async fn stat(&self, path: &DirPath) -> Result<Entry, StoreError> {
        self.inner.stat(path).await
    }

    async fn list(
        &self,
        directory: &DirPath,
        cursor: Option<&Cursor>,
        details: bool,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Page, StoreError> {
        self.inner.list(directory, cursor, details, max_entries, max_bytes).await
    }

    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Object>, StoreError> {
        self.inner.open(path).await
    }

    async fn measure(&self, path: &DirPath, work: &Work) -> Result<Measured, StoreError> {
        self.inner.measure(path, work).await
    }

    async fn hash(&self, path: &RelPath, reread: bool, work: &Work) -> Result<(u64, Digest), StoreError> {
        work.set_total(100);
        work.advance(42);
        let mut guard = Guard { work, events: Some(&self.events) };
        let _ = self.events.send(Hash::Begun);
        self.release.notified().await;
        guard.events = None;
        self.inner.hash(path, reread, &Work::default()).await
    }

    async fn make_directory(&self, path: &RelPath, parents: bool) -> Result<bool, StoreError> {
        self.inner.make_directory(path, parents).await
    }

    async fn remove(&self, path: &RelPath, recursive: bool, work: &Work) -> Result<Removed, StoreError> {
        self.inner.remove(path, recursive, work).await
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, on_exists: OnExists) -> Result<Renamed, StoreError> {
        self.inner.rename(from, to, on_exists).await
    }

    async fn make_durable(&self, path: &RelPath) -> Result<(), StoreError> {
        self.inner.make_durable(path).await
    }
}
