//! What exists: listing, reading, removing, renaming.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use fulmar_proto::{
    digest::{Digest, RangeHasher},
    listing::{Cursor, Entry, EntryKind, Page},
    path::{DirPath, Name, RelPath},
    time::Timestamp,
    upload::{Destination, Mode, OnExists},
    version::Version,
};

use crate::{StoreError, Work};

/// What an opened file is, at the moment of opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its state.
    pub version: Version,
    /// Its length in bytes.
    pub size: u64,
    /// Its modification time.
    pub modified: Timestamp,
    /// Its permission bits.
    pub mode: Mode,
    /// Its digest, when it is known for these bytes.
    pub root: Option<Digest>,
}

/// A file that is open for reading.
#[async_trait]
pub trait Object: Send + Sync + fmt::Debug {
    /// What it was when it was opened.
    fn info(&self) -> &ObjectInfo;

    /// Reads exactly `len` bytes at `offset` and gives them to `hasher` in the same job.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when the file has become shorter; [`StoreError::Disk`].
    async fn read(
        &self,
        offset: u64,
        len: u32,
        hasher: RangeHasher,
    ) -> Result<(Bytes, RangeHasher), StoreError>;

    /// Says whether the file is still in the state of [`Object::info`], also under its name.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it is not.
    async fn check(&self) -> Result<(), StoreError>;
}

/// Where a new name would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name, with its directory resolved.
    pub path: RelPath,
    /// What is there already.
    pub existing: Option<Entry>,
}

/// The sum over a file or a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What was summed.
    pub kind: EntryKind,
    /// The bytes of all regular files.
    pub bytes: u64,
    /// How many regular files.
    pub files: u64,
    /// How many directories, the summed one not counted.
    pub directories: u64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Removed {
    /// Files, links and other things that are not directories.
    pub files: u64,
    /// Directories.
    pub directories: u64,
}

/// What a rename came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renamed {
    /// It has this name now.
    To(RelPath),
    /// This target exists and the caller said to skip then.
    Skipped(RelPath),
}

/// What exists in a store. All paths are relative to its root; the reserved names never reach it.
///
/// Every method gives [`StoreError::NotFound`], [`StoreError::Permission`], [`StoreError::Disk`] or
/// [`StoreError::Catalog`] where these apply; further errors are named with each.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Describes a file or directory, with details (version and catalog entry, for regular files). A link is described
    /// as a link. The root's name is the empty path's: callers must not rely on it.
    async fn stat(&self, path: &DirPath) -> Result<Entry, StoreError>;

    /// One page of a directory: at most `max_entries` (1..=1000) entries and about `max_bytes` of encoding. Every entry
    /// that exists throughout the whole listing appears exactly once. Memory does not grow with the directory.
    ///
    /// # Errors
    /// [`StoreError::NotADirectory`]; [`StoreError::BadCursor`].
    async fn list(
        &self,
        directory: &DirPath,
        cursor: Option<&Cursor>,
        details: bool,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Page, StoreError>;

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`StoreError::IsADirectory`], [`StoreError::NotServable`].
    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Object>, StoreError>;

    /// Sums a file or a tree; `work` counts entries. Links are not followed and count nothing.
    async fn measure(&self, path: &DirPath, work: &Work) -> Result<Measured, StoreError>;

    /// A file's length and digest: the catalog's when it is valid and `reread` is not set, else read anew (and then
    /// remembered). `work` counts bytes.
    ///
    /// # Errors
    /// [`StoreError::IsADirectory`], [`StoreError::NotServable`], [`StoreError::Changed`], [`StoreError::Stopped`].
    async fn hash(&self, path: &RelPath, reread: bool, work: &Work) -> Result<(u64, Digest), StoreError>;

    /// Makes a directory durably; with `parents` also the missing ones above it, and one that exists is accepted. Says
    /// whether anything was made.
    ///
    /// # Errors
    /// [`StoreError::NoParent`], [`StoreError::Exists`], [`StoreError::NotADirectory`], [`StoreError::ReadOnly`].
    async fn make_directory(&self, path: &RelPath, parents: bool) -> Result<bool, StoreError>;

    /// Removes a file, a link, an empty directory or, when `recursive`, a tree; `work` counts entries. Links are removed
    /// and never followed.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`], [`StoreError::ReadOnly`], [`StoreError::OverLimit`], [`StoreError::Stopped`].
    async fn remove(&self, path: &RelPath, recursive: bool, work: &Work) -> Result<Removed, StoreError>;

    /// Renames a file or directory to exactly `to`, durably and atomically. A directory is never replaced.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::NoParent`], [`StoreError::NotServable`], [`StoreError::ReadOnly`],
    /// [`StoreError::UnknownOutcome`].
    async fn rename(&self, from: &RelPath, to: &RelPath, on_exists: OnExists) -> Result<Renamed, StoreError>;

    /// Makes sure that a regular file that is there survives a power cut, with its name. Somebody else may have stored it a
    /// moment ago, or put it there by other means; whoever is told that it is there may rely on it from then on.
    ///
    /// # Errors
    /// [`StoreError::IsADirectory`], [`StoreError::NotServable`].
    async fn make_durable(&self, path: &RelPath) -> Result<(), StoreError>;

    /// Finds out where `destination` leads for something that is called `source_name`: into an existing directory under
    /// its own name, or to a new name in an existing directory.
    ///
    /// # Errors
    /// [`StoreError::NoParent`] when the directory does not exist; [`StoreError::NotADirectory`];
    /// [`StoreError::IsADirectory`] when the destination is a directory and there is no name of its own.
    async fn resolve(
        &self,
        destination: &Destination,
        source_name: Option<&Name>,
    ) -> Result<Target, StoreError> {
        resolve(self, destination, source_name).await
    }
}

async fn stat_if_there<S: Store + ?Sized>(store: &S, path: &DirPath) -> Result<Option<Entry>, StoreError> {
    match store.stat(path).await {
        Ok(entry) => Ok(Some(entry)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn resolve<S: Store + ?Sized>(
    store: &S,
    destination: &Destination,
    source_name: Option<&Name>,
) -> Result<Target, StoreError> {
    let there = stat_if_there(store, &destination.path).await?;
    let into_directory = matches!(&there, Some(entry) if entry.kind == EntryKind::Directory);
    if into_directory {
        let name = source_name.ok_or(StoreError::IsADirectory)?;
        let path = destination.path.join(name.as_str()).map_err(|_| StoreError::NameTooLong)?;
        let existing = stat_if_there(store, &path.clone().into()).await?;
        return Ok(Target { path, existing });
    }
    match (destination.must_be_directory, &there) {
        (true, Some(_)) => return Err(StoreError::NotADirectory),
        (true, None) => return Err(StoreError::NoParent),
        (false, _) => {}
    }
    // The root always exists, so what is not an existing directory has a name of its own.
    let path = destination.path.to_rel().ok_or(StoreError::NotFound)?;
    if there.is_none() {
        let parent = stat_if_there(store, &path.parent()).await?.ok_or(StoreError::NoParent)?;
        if parent.kind != EntryKind::Directory {
            return Err(StoreError::NotADirectory);
        }
    }
    Ok(Target { path, existing: there })
}
