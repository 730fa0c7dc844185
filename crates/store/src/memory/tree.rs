//! The files and directories of a store in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use fulmar_proto::{
    listing::{Entry, EntryKind, EntryName},
    path::{DirPath, Name, RelPath},
    text::Text,
    time::Timestamp,
    upload::Mode,
    version::Version,
};

use super::device::Content;
use crate::{Removed, StoreError};

/// How many bytes a store may hold, and holds.
#[derive(Debug)]
pub(super) struct Space {
    capacity: u64,
    used: AtomicU64,
}

/// Some bytes of a store's space, given back on drop.
#[derive(Debug)]
pub(super) struct Held {
    space: Arc<Space>,
    bytes: u64,
}

impl Space {
    pub(super) fn new(capacity: u64) -> Self {
        Self { capacity, used: AtomicU64::new(0) }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whether so many bytes would fit now.
    pub(super) fn check(&self, bytes: u64) -> Result<(), StoreError> {
        let free = self.capacity.saturating_sub(self.used.load(Ordering::Relaxed));
        if bytes > free { Err(StoreError::NoSpace) } else { Ok(()) }
    }

    pub(super) fn nothing(self: &Arc<Self>) -> Held {
        Held { space: Arc::clone(self), bytes: 0 }
    }
}

impl Held {
    /// Takes more of the space.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), StoreError> {
        let (used, capacity) = (&self.space.used, self.space.capacity);
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= capacity);
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| StoreError::NoSpace)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes over what another one held.
    pub(super) fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.space.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A regular file, immutable: another content is another file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) content: Arc<Content>,
    pub(super) modified: Timestamp,
    pub(super) mode: Mode,
    pub(super) version: Version,
    pub(super) _held: Held,
}

impl File {
    pub(super) fn bytes(&self) -> &Bytes {
        self.content.bytes()
    }
}

/// What has a name.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Directory,
    File(Arc<File>),
}

impl Node {
    pub(super) fn into_file(self) -> Result<Arc<File>, StoreError> {
        match self {
            Self::File(file) => Ok(file),
            Self::Directory => Err(StoreError::IsADirectory),
        }
    }
}

/// One directory. Names have serial numbers, so that a listing can go on where it was whatever has changed meanwhile.
#[derive(Clone, Debug)]
struct Folder {
    modified: Timestamp,
    nodes: BTreeMap<String, (u64, Node)>,
    order: BTreeMap<u64, String>,
}

impl Folder {
    fn new(modified: Timestamp) -> Self {
        Self { modified, nodes: BTreeMap::new(), order: BTreeMap::new() }
    }

    fn take(&mut self, name: &str) -> Option<Node> {
        let (serial, node) = self.nodes.remove(name)?;
        self.order.remove(&serial);
        Some(node)
    }
}

/// One listed thing: its serial number, where it is, what it is, and the file if it is one.
pub(super) type Listed = (u64, RelPath, Entry, Option<Arc<File>>);

/// All directories, by path. The root always exists.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    folders: BTreeMap<DirPath, Folder>,
    counter: u64,
}

impl Tree {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { folders: BTreeMap::from([(DirPath::root(), Folder::new(now))]), counter: 0 }
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Counts on from where `other` is, so that no number is given twice.
    pub(super) fn count_on_from(&mut self, other: &Self) {
        self.counter = self.counter.max(other.counter);
    }

    /// Puts another file in the place of each.
    pub(super) fn replace_files(
        &mut self,
        mut replace: impl FnMut(&File) -> Result<File, StoreError>,
    ) -> Result<(), StoreError> {
        let nodes = self.folders.values_mut().flat_map(|folder| folder.nodes.values_mut());
        for (_, node) in nodes {
            if let Node::File(file) = node {
                *file = Arc::new(replace(file)?);
            }
        }
        Ok(())
    }

    /// A version that no file has had.
    pub(super) fn new_version(&mut self) -> Version {
        let mut version = [0; 32];
        version[..8].copy_from_slice(&self.count().to_be_bytes());
        Version(version)
    }

    fn folder(&self, path: &DirPath) -> Result<&Folder, StoreError> {
        if let Some(folder) = self.folders.get(path) {
            return Ok(folder);
        }
        let path = path.to_rel().ok_or(StoreError::NotFound)?;
        let parent = self.folder(&path.parent())?;
        Err(if parent.nodes.contains_key(path.name()) {
            StoreError::NotADirectory
        } else {
            StoreError::NotFound
        })
    }

    fn parent_mut(&mut self, path: &RelPath) -> Result<&mut Folder, StoreError> {
        let parent = path.parent();
        self.folder(&parent).map_err(no_parent)?;
        self.folders.get_mut(&parent).ok_or(StoreError::NoParent)
    }

    pub(super) fn get(&self, path: &RelPath) -> Result<Node, StoreError> {
        let parent = self.folder(&path.parent())?;
        parent.nodes.get(path.name()).map(|(_, node)| node.clone()).ok_or(StoreError::NotFound)
    }

    pub(super) fn file(&self, path: &RelPath) -> Result<Arc<File>, StoreError> {
        self.get(path)?.into_file()
    }

    /// What has the name, if anything, and that its directory exists.
    pub(super) fn target(&self, path: &RelPath) -> Result<Option<Node>, StoreError> {
        let parent = self.folder(&path.parent()).map_err(no_parent)?;
        Ok(parent.nodes.get(path.name()).map(|(_, node)| node.clone()))
    }

    /// Gives `node` the name, whatever had it before. A name that is taken over keeps its place in listings.
    pub(super) fn put(&mut self, path: &RelPath, node: Node, now: Timestamp) -> Result<(), StoreError> {
        let counted = self.count();
        let folder = self.parent_mut(path)?;
        folder.modified = now;
        let serial = folder.nodes.get(path.name()).map_or(counted, |(serial, _)| *serial);
        folder.order.insert(serial, path.name().to_owned());
        folder.nodes.insert(path.name().to_owned(), (serial, node));
        Ok(())
    }

    pub(super) fn make_directory(&mut self, path: &RelPath, now: Timestamp) -> Result<(), StoreError> {
        self.put(path, Node::Directory, now)?;
        self.folders.insert(path.clone().into(), Folder::new(now));
        Ok(())
    }

    /// The directories at and below `path`.
    fn folders_at(&self, path: &RelPath) -> Vec<DirPath> {
        let below = format!("{}/", path.as_str());
        let is_there =
            |folder: &&DirPath| folder.as_str() == path.as_str() || folder.as_str().starts_with(&below);
        self.folders.keys().filter(is_there).cloned().collect()
    }

    /// Counts what is at and below `path`.
    pub(super) fn sum(&self, path: &DirPath) -> (u64, Removed) {
        let mut sum = (0, Removed::default());
        let folders = path
            .to_rel()
            .map_or_else(|| self.folders.keys().cloned().collect(), |path| self.folders_at(&path));
        for node in
            folders.iter().filter_map(|path| self.folders.get(path)).flat_map(|folder| folder.nodes.values())
        {
            match &node.1 {
                Node::File(file) => {
                    sum.0 += file.bytes().len() as u64;
                    sum.1.files += 1;
                }
                Node::Directory => sum.1.directories += 1,
            }
        }
        sum
    }

    /// Removes what has the name, and all below it when `recursive`.
    pub(super) fn remove(
        &mut self,
        path: &RelPath,
        recursive: bool,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        let mut removed = Removed { files: 1, directories: 0 };
        if matches!(self.get(path)?, Node::Directory) {
            let dir = DirPath::from(path.clone());
            if !recursive && !self.folder(&dir)?.nodes.is_empty() {
                return Err(StoreError::NotEmpty);
            }
            removed = self.sum(&dir).1;
            removed.directories += 1;
            for folder in self.folders_at(path) {
                self.folders.remove(&folder);
            }
        }
        let parent = self.parent_mut(path)?;
        parent.take(path.name());
        parent.modified = now;
        Ok(removed)
    }

    /// Moves what is at `from` to the free or replaceable name `to`.
    pub(super) fn rename(&mut self, from: &RelPath, to: &RelPath, now: Timestamp) -> Result<(), StoreError> {
        let node = self.get(from)?;
        if let Node::Directory = node {
            self.rename_folders(from, to)?;
        }
        self.put(to, node, now)?;
        let parent = self.parent_mut(from)?;
        parent.take(from.name());
        parent.modified = now;
        Ok(())
    }

    fn rename_folders(&mut self, from: &RelPath, to: &RelPath) -> Result<(), StoreError> {
        if to.as_str().starts_with(&format!("{}/", from.as_str())) {
            return Err(StoreError::NoParent);
        }
        let rename = |path: DirPath| {
            let rest = path.as_str().get(from.as_str().len()..).unwrap_or_default();
            let renamed =
                DirPath::parse(&format!("{}{rest}", to.as_str())).map_err(|_| StoreError::NameTooLong)?;
            Ok((path, renamed))
        };
        let renamed: Result<Vec<_>, StoreError> = self.folders_at(from).into_iter().map(rename).collect();
        for (old, new) in renamed? {
            if let Some(folder) = self.folders.remove(&old) {
                self.folders.insert(new, folder);
            }
        }
        Ok(())
    }

    /// The entries of a directory behind `after`, in the order in which they came, with their serial numbers.
    pub(super) fn list(
        &self,
        path: &DirPath,
        after: u64,
    ) -> Result<impl Iterator<Item = Listed>, StoreError> {
        let folder = self.folder(path)?;
        let behind = folder.order.range(after.saturating_add(1)..);
        Ok(behind.filter_map(move |(serial, name)| {
            let (_, node) = folder.nodes.get(name)?;
            let path = path.join(name).ok()?;
            let (entry, file) = self.entry(&path, node);
            Some((*serial, path, entry, file))
        }))
    }

    /// Describes what is at `path`.
    pub(super) fn stat(&self, path: &DirPath) -> Result<(Entry, Option<Arc<File>>), StoreError> {
        match path.to_rel() {
            Some(path) => Ok(self.entry(&path, &self.get(&path)?)),
            None => Ok((
                directory_entry(EntryName::Unservable(Text::default()), self.folder(path)?.modified),
                None,
            )),
        }
    }

    fn entry(&self, path: &RelPath, node: &Node) -> (Entry, Option<Arc<File>>) {
        let name = Name::parse(path.name())
            .map_or_else(|_| EntryName::Unservable(Text::new(path.name())), EntryName::Servable);
        match node {
            Node::Directory => {
                let folder = self.folders.get(&DirPath::from(path.clone()));
                (directory_entry(name, folder.map_or(Timestamp::EPOCH, |folder| folder.modified)), None)
            }
            Node::File(file) => {
                let entry = Entry {
                    name,
                    kind: EntryKind::File,
                    size: file.bytes().len() as u64,
                    modified: file.modified,
                    mode: file.mode,
                    version: None,
                    catalog: None,
                };
                (entry, Some(Arc::clone(file)))
            }
        }
    }
}

fn directory_entry(name: EntryName, modified: Timestamp) -> Entry {
    let (kind, mode) = (EntryKind::Directory, Mode::masked(0o755));
    Entry { name, kind, size: 0, modified, mode, version: None, catalog: None }
}

/// What is missing on the way to a new name is its directory.
fn no_parent(error: StoreError) -> StoreError {
    if matches!(error, StoreError::NotFound) { StoreError::NoParent } else { error }
}
