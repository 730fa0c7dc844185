//! A directory of the local file system as a store.
//!
//! The directory is the truth about what exists. Beside it, in `.fulmar`, lie the lock that keeps a second server out,
//! the catalog with the ledger of uploads, staged files (`partial`) and their journals (`journal`):
//!
//! ```text
//! .fulmar/lock              held while a server serves the directory
//! .fulmar/catalog.sqlite    what is known about files; the ledger of uploads
//! .fulmar/partial/ID        an upload's bytes, until they get their final name
//! .fulmar/journal/ID        which of these bytes are durable, for lasting uploads
//! ```
//!
//! Every system call runs inside the environment's executor, those of one command in as few jobs as possible.
//!
//! # Commits and crashes
//!
//! A commit is: the staged file durable; the *intent* (final name, identity of the staged file, the answer) durable in
//! the ledger; the rename; the directory durable; the *settlement* (catalog record, answer) in the ledger; the answer
//! given. What the next start finds decides what becomes of an interrupted commit:
//!
//! | the ledger has | the staged file | the final name | then |
//! |---|---|---|---|
//! | no intent | there | | the upload is open as before; the client repeats the commit |
//! | an intent | there | another file or none | the rename did not happen: the upload is open, its bytes known to be complete; the client repeats the commit |
//! | an intent | there | the same file | the rename was done by linking and stopped half-way: the staged name is removed, then as the next row |
//! | an intent | gone | the same file | published: its directory is made durable, its version recorded, the answer kept |
//! | an intent | gone | another file or none | it was published, then replaced or removed: the answer is kept |
//! | a settlement | gone | | the answer is kept |
//!
//! "The same file" means device, inode, length and modification time. Uploads that are not lasting keep nothing: where
//! the table says open, they are given up, and no answer is kept. Staged files and journals that the ledger does not
//! know are removed at the start, lasting uploads after a week, and answers after a day.

mod commit;
mod errors;
mod group;
mod listing;
mod object;
mod open;
mod place;
mod probe;
mod recovery;
mod slot;
mod transfer;
mod tree;
mod uploads;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use fulmar_disk::{Buffers, Dir, DiskError, Lock, Root};
use fulmar_proto::{
    digest::Digest,
    listing::{Cursor, Entry, Page},
    path::{DirPath, RelPath},
    upload::OnExists,
};

use crate::{
    Catalog, CatalogError, Environment, Measured, Object, Removed, Renamed, Store, StoreError, Work,
    catalog::SqliteCatalog, registry::Registry,
};
use group::Group;
#[doc(hidden)]
pub use probe::{CrashPoint, Probe};
use slot::Slot;

/// How much memory is kept for reading while nothing is read, in bytes: a dozen or two of pieces.
const KEPT_BYTES: usize = 4 << 20;

/// How a directory is served.
#[derive(Clone, Debug, Default)]
pub struct LocalOptions {
    /// Nothing is changed on behalf of clients. The catalog is kept on disk all the same where that is possible.
    pub read_only: bool,
    /// For tests: where to stop as if the power had gone.
    #[doc(hidden)]
    pub probe: Option<Arc<dyn Probe>>,
}

/// Why a directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server has it.
    #[error("another server serves this directory already")]
    Locked,
    /// It cannot be made or opened.
    #[error("cannot open the directory: {0}")]
    Root(DiskError),
    /// Its private directory, `.fulmar`, cannot be made or used.
    #[error("cannot use the directory's .fulmar: {0}")]
    Private(DiskError),
    /// Its catalog cannot be used.
    #[error("{0}")]
    Catalog(#[from] CatalogError),
}

/// A directory of the local file system as a store.
pub struct LocalStore {
    shared: Arc<Shared>,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore").field("read_only", &self.is_read_only()).finish_non_exhaustive()
    }
}

/// What every job has a handle to.
#[derive(Debug)]
struct Shared {
    root: Root,
    /// For the pieces of files that are read.
    buffers: Buffers,
    catalog: Arc<dyn Catalog>,
    environment: Environment,
    /// None on a store that is only read.
    uploads: Option<UploadArea>,
    probe: Option<Arc<dyn Probe>>,
    /// A probe has stopped everything.
    crashed: AtomicBool,
    /// None where nothing can be written.
    _lock: Option<Lock>,
}

/// What uploads need.
#[derive(Debug)]
struct UploadArea {
    partial: Dir,
    journal: Dir,
    ledger: Arc<SqliteCatalog>,
    registry: Registry<Slot>,
    group: Group,
}

impl Shared {
    fn area(&self) -> Result<&UploadArea, StoreError> {
        self.uploads.as_ref().ok_or(StoreError::ReadOnly)
    }

    /// Stops everything when a test wants it to stop here.
    fn stops_at(&self, point: CrashPoint) -> bool {
        let stops = self.probe.as_ref().is_some_and(|probe| probe.stops_at(point));
        if stops {
            self.crashed.store(true, Ordering::Relaxed);
        }
        stops
    }
}

impl LocalStore {
    /// Whether nothing can be changed: because that was asked for, or because the directory cannot be written to.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.shared.uploads.is_none()
    }

    /// Runs one job on the executor.
    async fn job<T: Send + 'static>(&self, job: impl FnOnce(&Arc<Shared>) -> T + Send + 'static) -> T {
        let shared = Arc::clone(&self.shared);
        self.shared.environment.offload.run(move || job(&shared)).await
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        if !self.shared.crashed.load(Ordering::Relaxed) {
            // A server that ends leaves journals that say all that is there. Whoever comes back finds it.
            self.shared.flush_all();
        }
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn stat(&self, path: &DirPath) -> Result<Entry, StoreError> {
        let path = path.clone();
        self.job(move |shared| shared.stat(&path)).await
    }

    async fn list(
        &self,
        directory: &DirPath,
        cursor: Option<&Cursor>,
        details: bool,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Page, StoreError> {
        let (directory, cursor) = (directory.clone(), cursor.cloned());
        let limits = listing::Limits { details, max_entries, max_bytes };
        self.job(move |shared| shared.list(&directory, cursor.as_ref(), limits)).await
    }

    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Object>, StoreError> {
        let path = path.clone();
        self.job(move |shared| object::open(shared, path)).await
    }

    async fn measure(&self, path: &DirPath, work: &Work) -> Result<Measured, StoreError> {
        let (path, work) = (path.clone(), work.clone());
        self.job(move |shared| shared.measure(&path, &work)).await
    }

    async fn hash(&self, path: &RelPath, reread: bool, work: &Work) -> Result<(u64, Digest), StoreError> {
        let (path, work) = (path.clone(), work.clone());
        let mut step = self.job(move |shared| object::start_hash(shared, path, reread, work)).await?;
        loop {
            match step {
                object::HashStep::Done(size, root) => return Ok((size, root)),
                object::HashStep::More(hashing) => {
                    step = self.job(move |shared| hashing.go_on(shared)).await?;
                }
            }
        }
    }

    async fn make_directory(&self, path: &RelPath, parents: bool) -> Result<bool, StoreError> {
        let path = path.clone();
        self.job(move |shared| shared.make_directory(&path, parents)).await
    }

    async fn remove(&self, path: &RelPath, recursive: bool, work: &Work) -> Result<Removed, StoreError> {
        let (path, work) = (path.clone(), work.clone());
        self.job(move |shared| shared.remove(&path, recursive, &work)).await
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, on_exists: OnExists) -> Result<Renamed, StoreError> {
        let (from, to) = (from.clone(), to.clone());
        self.job(move |shared| shared.rename(&from, &to, on_exists)).await
    }

    async fn make_durable(&self, path: &RelPath) -> Result<(), StoreError> {
        let path = path.clone();
        self.job(move |shared| shared.sync_file(&path)).await
    }
}
