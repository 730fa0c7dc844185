//! Everything below one directory, and nothing outside it.

use std::fs::File;
use std::path::Path;

use fulmar_proto::path::{DirPath, RelPath};

use crate::dir::{Dir, Replace};
use crate::error::DiskError;
use crate::list::{DirCursor, DirReader};
use crate::meta::{Kind, Meta};
use crate::resolve::{Resolver, open_dir_beneath};

/// The directory at the root that holds staging, journals and the catalog; no path from a peer can name it.
pub const PRIVATE_DIR: &str = ".fulmar";

/// One directory that operations by path are confined to.
///
/// Every operation resolves the parent directory without following links, then acts on a single name in it. Clones
/// share the handle.
#[derive(Debug, Clone)]
pub struct Root {
    dir: Dir,
    resolver: Resolver,
}

impl Root {
    /// Opens the directory that the operator named; links on the way to it are followed.
    ///
    /// # Errors
    /// As [`Dir::open_ambient`].
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        Ok(Self::new(Dir::open_ambient(path)?, Resolver::default()))
    }

    /// Confines operations to `dir`.
    pub fn new(dir: Dir, resolver: Resolver) -> Self {
        Self { dir, resolver }
    }

    /// The root's own handle.
    pub fn handle(&self) -> &Dir {
        &self.dir
    }

    /// Opens a directory.
    ///
    /// # Errors
    /// [`DiskError::NotFound`]; [`DiskError::Symlink`] when a link stands anywhere on the way or at its end;
    /// [`DiskError::NotADirectory`]; [`DiskError::Busy`] when the path keeps changing.
    pub fn dir(&self, path: &DirPath) -> Result<Dir, DiskError> {
        if path.is_root() {
            return Ok(self.dir.clone());
        }
        open_dir_beneath(&self.dir, path.as_str(), self.resolver)
    }

    /// Opens the directory that holds `path`'s last name.
    ///
    /// # Errors
    /// As [`Self::dir`].
    pub fn parent(&self, path: &RelPath) -> Result<Dir, DiskError> {
        self.dir(&path.parent())
    }

    /// What a path stands for. A link in last place is described itself; one on the way is refused.
    ///
    /// # Errors
    /// As [`Self::dir`].
    pub fn stat(&self, path: &DirPath) -> Result<Meta, DiskError> {
        match path.to_rel() {
            None => self.dir.meta(),
            Some(path) => self.parent(&path)?.stat_leaf(path.name()),
        }
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// As [`Self::dir`], and [`DiskError::NotRegular`] or [`DiskError::IsADirectory`] for what is no file.
    pub fn open_file(&self, path: &RelPath) -> Result<(File, Meta), DiskError> {
        self.parent(path)?.open_file_leaf(path.name())
    }

    /// Makes one directory, with the permissions the umask leaves, and makes its name durable.
    ///
    /// # Errors
    /// [`DiskError::AlreadyExists`] when the name is taken by anything; [`DiskError::NotFound`] without a parent.
    pub fn make_dir(&self, path: &RelPath) -> Result<(), DiskError> {
        let parent = self.parent(path)?;
        parent.make_dir_leaf(path.name(), 0o777)?;
        parent.sync()
    }

    /// Makes a directory and those above it that are missing, and gives the number made; 0 when it was there already.
    /// Every name that was missing at the first look is durable afterwards, whoever made it, innermost first.
    ///
    /// # Errors
    /// [`DiskError::NotADirectory`] or [`DiskError::Symlink`] when something else stands in the way.
    pub fn make_dir_all(&self, path: &DirPath) -> Result<usize, DiskError> {
        let mut missing = Vec::new();
        let mut existing = path.clone();
        let mut parent = loop {
            match self.dir(&existing) {
                Ok(dir) => break dir,
                Err(DiskError::NotFound) => {}
                Err(error) => return Err(error),
            }
            let Some(rel) = existing.to_rel() else { return Err(DiskError::NotFound) };
            existing = rel.parent();
            missing.push(rel);
        };
        let (mut made, mut to_sync) = (0, Vec::new());
        for rel in missing.into_iter().rev() {
            match parent.make_dir_leaf(rel.name(), 0o777) {
                Ok(()) => made += 1,
                // Someone else was faster; whether it is a directory is seen when it is opened.
                Err(DiskError::AlreadyExists) => {}
                Err(error) => return Err(error),
            }
            to_sync.push(parent);
            parent = self.dir(&rel.into())?;
        }
        to_sync.iter().rev().try_for_each(Dir::sync)?;
        Ok(made)
    }

    /// Removes a file, or a link itself, and makes that durable.
    ///
    /// # Errors
    /// [`DiskError::IsADirectory`] for a directory.
    pub fn remove_file(&self, path: &RelPath) -> Result<(), DiskError> {
        let parent = self.parent(path)?;
        parent.remove_file_leaf(path.name())?;
        parent.sync()
    }

    /// Removes an empty directory and makes that durable.
    ///
    /// # Errors
    /// [`DiskError::NotEmpty`]; [`DiskError::NotADirectory`].
    pub fn remove_dir(&self, path: &RelPath) -> Result<(), DiskError> {
        let parent = self.parent(path)?;
        parent.remove_dir_leaf(path.name())?;
        parent.sync()
    }

    /// Moves a file or directory in one step and makes both ends durable.
    ///
    /// # Errors
    /// As [`Dir::rename_leaf`], and [`DiskError::IntoItself`] for a directory that would end up inside itself.
    pub fn rename(&self, from: &RelPath, to: &RelPath, replace: Replace) -> Result<(), DiskError> {
        let mut ends = to.components();
        if from != to && from.components().all(|component| ends.next() == Some(component)) {
            return Err(DiskError::IntoItself);
        }
        let (from_dir, to_dir) = (self.parent(from)?, self.parent(to)?);
        from_dir.rename_leaf(from.name(), &to_dir, to.name(), replace)?;
        to_dir.sync()?;
        if !from_dir.meta()?.same_file(&to_dir.meta()?) {
            from_dir.sync()?;
        }
        Ok(())
    }

    /// Reads a directory's entries from `cursor` on, or from the start. At the root that includes [`PRIVATE_DIR`]:
    /// hiding it is the caller's part.
    ///
    /// # Errors
    /// As [`Self::dir`] and [`Dir::read_dir`].
    pub fn read_dir(&self, path: &DirPath, cursor: Option<DirCursor>) -> Result<DirReader, DiskError> {
        self.dir(path)?.read_dir(cursor)
    }

    /// Opens the private directory of this root, and makes it (mode 0700) when it is absent.
    ///
    /// # Errors
    /// [`DiskError::Symlink`] or [`DiskError::NotADirectory`] when something else has the name;
    /// [`DiskError::CrossDevice`] when it is a mount of another file system, from which nothing could be published by
    /// a rename; [`DiskError::ReadOnly`] when it is absent and cannot be made.
    pub fn private(&self) -> Result<Dir, DiskError> {
        let private = match self.dir.open_dir_leaf(PRIVATE_DIR) {
            Err(DiskError::NotFound) => {
                match self.dir.make_dir_leaf(PRIVATE_DIR, 0o700) {
                    Ok(()) | Err(DiskError::AlreadyExists) => self.dir.sync()?,
                    Err(error) => return Err(error),
                }
                self.dir.open_dir_leaf(PRIVATE_DIR)?
            }
            other => other?,
        };
        if private.meta()?.device != self.dir.meta()?.device {
            return Err(DiskError::CrossDevice);
        }
        Ok(private)
    }

    /// Whether `dir` is this root or its private directory: nothing is ever removed recursively from there.
    pub(crate) fn is_reserved(&self, dir: &Meta) -> Result<bool, DiskError> {
        if dir.same_file(&self.dir.meta()?) {
            return Ok(true);
        }
        match self.dir.stat_leaf(PRIVATE_DIR) {
            Ok(private) => Ok(private.kind == Kind::Directory && dir.same_file(&private)),
            Err(DiskError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
