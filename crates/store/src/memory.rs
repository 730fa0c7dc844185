//! A store in memory, for simulations and tests: the whole contract, no IO, and the same answers for the same seeds.
//!
//! Nothing here blocks for long and nothing is offloaded, so that it runs on virtual time. Files are kept whole; how
//! many bytes they may have together is the store's capacity.

mod tree;
mod uploads;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use fulmar_proto::{
    codec::payload_len,
    digest::{Digest, RangeHasher},
    listing::{Cursor, Entry, EntryKind, MAX_PAGE_ENTRIES, Page},
    path::{DirPath, RelPath},
    upload::OnExists,
    version::UploadId,
};
use tree::{File, Node, Space, Tree};
use uploads::{Kept, Pieces};

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
    tree: Mutex<Tree>,
    space: Arc<Space>,
    catalog: MemoryCatalog,
    registry: Registry<Pieces>,
    /// The answers to commits of lasting uploads.
    kept: Mutex<BTreeMap<UploadId, Kept>>,
    environment: Environment,
}

impl Shared {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        // A refused change leaves the tree as it was, and none of them panics half-way.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
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
        let shared = Shared {
            tree: Mutex::new(Tree::new(environment.clock.now())),
            space: Arc::new(Space::new(bytes)),
            catalog: MemoryCatalog::new(Arc::clone(&environment.entropy)),
            registry: Registry::default(),
            kept: Mutex::default(),
            environment,
        };
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
            (end <= self.file.bytes.len()).then(|| self.file.bytes.slice(start..end))
        });
        let bytes = bytes.ok_or(StoreError::Changed)?;
        hasher.update(&bytes).map_err(|_| StoreError::DigestMismatch)?;
        Ok((bytes, hasher))
    }

    async fn check(&self) -> Result<(), StoreError> {
        match self.shared.tree().file(&self.path) {
            Ok(file) if file.version == self.info.version => Ok(()),
            _ => Err(StoreError::Changed),
        }
    }
}

fn seen(path: &RelPath, file: &File) -> Seen {
    Seen { path: path.clone(), version: file.version, size: file.bytes.len() as u64 }
}

impl Shared {
    fn describe(&self, path: &RelPath, entry: &mut Entry, file: Option<&File>) -> Result<(), StoreError> {
        let Some(file) = file else { return Ok(()) };
        entry.version = Some(file.version);
        entry.catalog = self.catalog.describe(&[seen(path, file)])?.pop();
        Ok(())
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
        let (mut entry, file) = self.shared.tree().stat(path)?;
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
        let tree = self.shared.tree();
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
        let file = self.shared.tree().file(path)?;
        let info = ObjectInfo {
            version: file.version,
            size: file.bytes.len() as u64,
            modified: file.modified,
            mode: file.mode,
            root: self.shared.catalog.digest(&seen(path, &file))?,
        };
        Ok(Arc::new(MemoryObject { shared: Arc::clone(&self.shared), path: path.clone(), file, info }))
    }

    async fn measure(&self, path: &DirPath, work: &Work) -> Result<Measured, StoreError> {
        work.go_on()?;
        let tree = self.shared.tree();
        let kind = tree.stat(path)?.0.kind;
        if let (EntryKind::File, Some(path)) = (kind, path.to_rel()) {
            work.advance(1);
            let bytes = tree.file(&path)?.bytes.len() as u64;
            return Ok(Measured { kind, bytes, files: 1, directories: 0 });
        }
        let (bytes, Removed { files, directories }) = tree.sum(path);
        work.advance(files + directories);
        Ok(Measured { kind, bytes, files, directories })
    }

    async fn hash(&self, path: &RelPath, reread: bool, work: &Work) -> Result<(u64, Digest), StoreError> {
        let file = self.shared.tree().file(path)?;
        let (size, seen) = (file.bytes.len() as u64, seen(path, &file));
        work.set_total(size);
        if let Some(root) = self.shared.catalog.digest(&seen)?.filter(|_| !reread) {
            work.advance(size);
            return Ok((size, root));
        }
        let mut hasher = blake3::Hasher::new();
        for piece in file.bytes.chunks(HASH_PIECE_BYTES) {
            work.go_on()?;
            hasher.update(piece);
            work.advance(piece.len() as u64);
        }
        let root = Digest(*hasher.finalize().as_bytes());
        self.shared.catalog.learn(&seen, root)?;
        Ok((size, root))
    }

    async fn make_directory(&self, path: &RelPath, parents: bool) -> Result<bool, StoreError> {
        let (mut tree, now) = (self.shared.tree(), self.shared.environment.clock.now());
        if !parents {
            return match tree.target(path)? {
                Some(_) => Err(StoreError::Exists { path: path.clone() }),
                None => tree.make_directory(path, now).map(|()| true),
            };
        }
        let (mut made, mut at) = (false, DirPath::root());
        for component in path.components() {
            let next = at.join(component).map_err(|_| StoreError::NameTooLong)?;
            match tree.target(&next)? {
                Some(Node::Directory) => {}
                Some(Node::File(_)) => return Err(StoreError::NotADirectory),
                None => {
                    tree.make_directory(&next, now)?;
                    made = true;
                }
            }
            at = next.into();
        }
        Ok(made)
    }

    async fn remove(&self, path: &RelPath, recursive: bool, work: &Work) -> Result<Removed, StoreError> {
        work.go_on()?;
        let removed = self.shared.tree().remove(path, recursive, self.shared.environment.clock.now())?;
        work.advance(removed.files + removed.directories);
        self.shared.catalog.forget(path)?;
        Ok(removed)
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, on_exists: OnExists) -> Result<Renamed, StoreError> {
        let (mut tree, now) = (self.shared.tree(), self.shared.environment.clock.now());
        let node = tree.get(from)?;
        let mut to = to.clone();
        if let Some(there) = tree.target(&to)? {
            match on_exists {
                OnExists::Fail => return Err(StoreError::Exists { path: to }),
                OnExists::Skip => return Ok(Renamed::Skipped(to)),
                OnExists::Rename => to = Shared::free_name(&tree, &to)?,
                OnExists::Overwrite if *from == to => return Ok(Renamed::To(to)),
                OnExists::Overwrite => {
                    there.into_file()?;
                    if matches!(node, Node::Directory) {
                        return Err(StoreError::NotADirectory);
                    }
                }
            }
        }
        tree.rename(from, &to, now)?;
        match node {
            // A file's version is its own; it does not change with its name.
            Node::File(file) => {
                self.shared.catalog.rename_file(from, Some(file.version), &seen(&to, &file))?;
            }
            Node::Directory => self.shared.catalog.rename_tree(from, &to)?,
        }
        Ok(Renamed::To(to))
    }
}
