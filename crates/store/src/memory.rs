//! A store in memory, for simulations and tests: the whole contract, no IO, and the same answers for the same seeds.
//!
//! Nothing here blocks for long and nothing is offloaded, so that it runs on virtual time. Files are kept whole; how
//! many bytes they may have together is the store's capacity. A store can be made to stand on a model of a device, which
//! says what would survive a power cut.

mod device;
mod names;
mod power_cut;
mod tree;
mod uploads;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use device::Device;
use fulmar_proto::{
    codec::payload_len,
    digest::{Digest, RangeHasher},
    listing::{Cursor, Entry, EntryKind, MAX_PAGE_ENTRIES, Page},
    path::{DirPath, RelPath},
    time::Timestamp,
    upload::OnExists,
};
use names::Names;
use tree::{File, Node, Space, Tree};
use uploads::{Answers, Pieces};

pub use device::DeviceLatency;

use crate::{
    Catalog, Environment, Measured, Object, ObjectInfo, Removed, Renamed, Store, StoreError, Work,
    catalog::{MemoryCatalog, Seen},
    numbered,
    registry::Registry,
};

/// What a store holds unless told otherwise, in bytes: 1 GiB.
pub const DEFAULT_CAPACITY_BYTES: u64 = 1024 * 1024 * 1024;

/// How many bytes are hashed between two looks at whether to stop.
const HASH_PIECE_BYTES: usize = 1024 * 1024;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    names: Mutex<Names>,
    space: Arc<Space>,
    catalog: MemoryCatalog,
    registry: Registry<Pieces>,
    answers: Mutex<Answers>,
    device: Device,
    environment: Environment,
}

impl Shared {
    fn new(names: Names, space: Arc<Space>, device: Device, environment: Environment) -> Self {
        Self {
            names: Mutex::new(names),
            space,
            catalog: MemoryCatalog::new(Arc::clone(&environment.entropy)),
            registry: Registry::default(),
            answers: Mutex::default(),
            device,
            environment,
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // A refused change leaves the names as they were, and none of them panics half-way.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// Makes the name of what is at `path` durable.
    async fn sync_name(&self, path: &RelPath) {
        self.device.sync_directory(self, &path.parent()).await;
    }
}

impl MemoryStore {
    /// An empty store of [`DEFAULT_CAPACITY_BYTES`]. Of `environment` only the clock and the random numbers are used.
    #[must_use]
    pub fn new(environment: Environment) -> Arc<Self> {
        Self::with_capacity(environment, DEFAULT_CAPACITY_BYTES)
    }

    /// An empty store that holds at most `bytes` bytes, of stored files and of uploads together.
    #[must_use]
    pub fn with_capacity(environment: Environment, bytes: u64) -> Arc<Self> {
        let names = Names::new(Tree::new(environment.clock.now()));
        let shared = Shared::new(names, Arc::new(Space::new(bytes)), Device::default(), environment);
        Arc::new(Self { shared: Arc::new(shared) })
    }
}

/// A file that is open: its bytes as they were, and where they were found.
#[derive(Debug)]
struct MemoryObject {
    shared: Arc<Shared>,
    path: RelPath,
    file: Arc<File>,
    info: ObjectInfo,
}

#[async_trait]
impl Object for MemoryObject {
    fn info(&self) -> &ObjectInfo {
        &self.info
    }

    async fn read(
        &self,
        offset: u64,
        len: u32,
        mut hasher: RangeHasher,
    ) -> Result<(Bytes, RangeHasher), StoreError> {
        let bytes = usize::try_from(offset).ok().and_then(|start| {
            let end = start.checked_add(len as usize)?;
            (end <= self.file.bytes().len()).then(|| self.file.bytes().slice(start..end))
        });
        let bytes = bytes.ok_or(StoreError::Changed)?;
        hasher.update(&bytes).map_err(|_| StoreError::DigestMismatch)?;
        Ok((bytes, hasher))
    }

    async fn check(&self) -> Result<(), StoreError> {
        match self.shared.names().file(&self.path) {
            Ok(file) if file.version == self.info.version => Ok(()),
            _ => Err(StoreError::Changed),
        }
    }
}

fn seen(path: &RelPath, file: &File) -> Seen {
    Seen { path: path.clone(), version: file.version, size: file.bytes().len() as u64 }
}

impl Shared {
    fn describe(&self, path: &RelPath, entry: &mut Entry, file: Option<&File>) -> Result<(), StoreError> {
        let Some(file) = file else { return Ok(()) };
        entry.version = Some(file.version);
        entry.catalog = self.catalog.describe(&[seen(path, file)])?.pop();
        Ok(())
    }

    /// Makes the directories that are missing, and says which.
    fn make_directories(&self, path: &RelPath, parents: bool) -> Result<Vec<RelPath>, StoreError> {
        let (mut names, now) = (self.names(), self.now());
        if !parents {
            return match names.target(path)? {
                Some(_) => Err(StoreError::Exists { path: path.clone() }),
                None => names.make_directory(path, now).map(|()| vec![path.clone()]),
            };
        }
        let (mut made, mut at) = (Vec::new(), DirPath::root());
        for component in path.components() {
            let next = at.join(component).map_err(|_| StoreError::NameTooLong)?;
            match names.target(&next)? {
                Some(Node::Directory) => {}
                Some(Node::File(_)) => return Err(StoreError::NotADirectory),
                None => {
                    names.make_directory(&next, now)?;
                    made.push(next.clone());
                }
            }
            at = next.into();
        }
        Ok(made)
    }

    /// Renames in one step, as everybody sees it.
    fn change_name(&self, from: &RelPath, to: &RelPath, on_exists: OnExists) -> Result<Renamed, StoreError> {
        let (mut names, now) = (self.names(), self.now());
        let node = names.get(from)?;
        let mut to = to.clone();
        if let Some(there) = names.target(&to)? {
            match on_exists {
                OnExists::Fail => return Err(StoreError::Exists { path: to }),
                OnExists::Skip => return Ok(Renamed::Skipped(to)),
                OnExists::Rename => to = Self::free_name(&names, &to)?,
                OnExists::Overwrite if *from == to => return Ok(Renamed::To(to)),
                OnExists::Overwrite => {
                    there.into_file()?;
                    if matches!(node, Node::Directory) {
                        return Err(StoreError::NotADirectory);
                    }
                }
            }
        }
        names.rename(from, &to, now)?;
        match node {
            // A file's version is its own; it does not change with its name.
            Node::File(file) => {
                self.catalog.rename_file(from, Some(file.version), &seen(&to, &file))?;
            }
            Node::Directory => self.catalog.rename_tree(from, &to)?,
        }
        Ok(Renamed::To(to))
    }

    /// The first numbered name beside `path` that is free.
    fn free_name(tree: &Tree, path: &RelPath) -> Result<RelPath, StoreError> {
        for candidate in numbered::candidates(path) {
            let candidate = candidate?;
            if tree.target(&candidate)?.is_none() {
                return Ok(candidate);
            }
        }
        Err(StoreError::Exists { path: path.clone() })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn stat(&self, path: &DirPath) -> Result<Entry, StoreError> {
        let (mut entry, file) = self.shared.names().stat(path)?;
        if let Some(path) = path.to_rel() {
            self.shared.describe(&path, &mut entry, file.as_deref())?;
        }
        Ok(entry)
    }

    async fn list(
        &self,
        directory: &DirPath,
        cursor: Option<&Cursor>,
        details: bool,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Page, StoreError> {
        let after = match cursor.map(Cursor::as_bytes) {
            None => 0,
            Some(bytes) => u64::from_be_bytes(bytes.try_into().map_err(|_| StoreError::BadCursor)?),
        };
        let tree = self.shared.names();
        let mut entries = Vec::new();
        let (mut last, mut bytes, mut more) = (after, 0, false);
        for (serial, path, mut entry, file) in tree.list(directory, after)? {
            if details {
                self.shared.describe(&path, &mut entry, file.as_deref())?;
            }
            bytes += payload_len(&entry).unwrap_or(max_bytes);
            let full = bytes > max_bytes || entries.len() >= max_entries.clamp(1, MAX_PAGE_ENTRIES);
            if full && !entries.is_empty() {
                more = true;
                break;
            }
            entries.push(entry);
            last = serial;
        }
        let next = Cursor::try_from(last.to_be_bytes().to_vec()).ok().filter(|_| more);
        Page::new(entries, next).map_err(|_| StoreError::OverLimit)
    }

    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Object>, StoreError> {
        let file = self.shared.names().file(path)?;
        let info = ObjectInfo {
            version: file.version,
            size: file.bytes().len() as u64,
            modified: file.modified,
            mode: file.mode,
            root: self.shared.catalog.digest(&seen(path, &file))?,
        };
        Ok(Arc::new(MemoryObject { shared: Arc::clone(&self.shared), path: path.clone(), file, info }))
    }

    async fn measure(&self, path: &DirPath, work: &Work) -> Result<Measured, StoreError> {
        work.go_on()?;
        let tree = self.shared.names();
        let kind = tree.stat(path)?.0.kind;
        if let (EntryKind::File, Some(path)) = (kind, path.to_rel()) {
            work.advance(1);
            let bytes = tree.file(&path)?.bytes().len() as u64;
            return Ok(Measured { kind, bytes, files: 1, directories: 0 });
        }
        let (bytes, Removed { files, directories }) = tree.sum(path);
        work.advance(files + directories);
        Ok(Measured { kind, bytes, files, directories })
    }

    async fn hash(&self, path: &RelPath, reread: bool, work: &Work) -> Result<(u64, Digest), StoreError> {
        let file = self.shared.names().file(path)?;
        let (size, seen) = (file.bytes().len() as u64, seen(path, &file));
        work.set_total(size);
        if let Some(root) = self.shared.catalog.digest(&seen)?.filter(|_| !reread) {
            work.advance(size);
            return Ok((size, root));
        }
        let mut hasher = blake3::Hasher::new();
        for piece in file.bytes().chunks(HASH_PIECE_BYTES) {
            work.go_on()?;
            hasher.update(piece);
            work.advance(piece.len() as u64);
        }
        let root = Digest(*hasher.finalize().as_bytes());
        self.shared.catalog.learn(&seen, root)?;
        Ok((size, root))
    }

    async fn make_directory(&self, path: &RelPath, parents: bool) -> Result<bool, StoreError> {
        self.shared.device.before_name().await;
        let made = self.shared.make_directories(path, parents)?;
        for directory in &made {
            self.shared.sync_name(directory).await;
        }
        Ok(!made.is_empty())
    }

    async fn remove(&self, path: &RelPath, recursive: bool, work: &Work) -> Result<Removed, StoreError> {
        work.go_on()?;
        self.shared.device.before_name().await;
        let removed = self.shared.names().remove(path, recursive, self.shared.now())?;
        work.advance(removed.files + removed.directories);
        self.shared.catalog.forget(path)?;
        self.shared.sync_name(path).await;
        Ok(removed)
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, on_exists: OnExists) -> Result<Renamed, StoreError> {
        self.shared.device.before_name().await;
        let renamed = self.shared.change_name(from, to, on_exists)?;
        if let Renamed::To(to) = &renamed {
            self.shared.sync_name(to).await;
            self.shared.sync_name(from).await;
        }
        Ok(renamed)
    }

    async fn make_durable(&self, path: &RelPath) -> Result<(), StoreError> {
        let file = self.shared.names().file(path)?;
        self.shared.device.sync(&file.content).await;
        self.shared.sync_name(path).await;
        Ok(())
    }
}
