//! Summing, making, removing and renaming.

use fulmar_disk::{Dir, DirReader, DiskError, Kind, MAX_TREE_DEPTH, Meta, Replace};
use fulmar_proto::{
    listing::EntryKind,
    path::{DirPath, PathError, RelPath},
    upload::OnExists,
};

use super::{
    Shared,
    errors::{not_created, refused},
    listing::seen,
};
use crate::{Measured, Removed, Renamed, StoreError, Work, numbered};

/// One directory on the way down while summing.
struct Level {
    dir: Dir,
    entries: DirReader,
}

impl Shared {
    fn check_writable(&self) -> Result<(), StoreError> {
        self.area().map(drop)
    }

    pub(super) fn measure(&self, path: &DirPath, work: &Work) -> Result<Measured, StoreError> {
        let meta = self.root.stat(path).map_err(refused)?;
        let mut measured = Measured { kind: EntryKind::File, bytes: 0, files: 0, directories: 0 };
        match meta.kind {
            Kind::File => {
                work.advance(1);
                measured.bytes = meta.size;
                measured.files = 1;
            }
            Kind::Directory => {
                measured.kind = EntryKind::Directory;
                self.sum(path, work, &mut measured)?;
            }
            Kind::Link => measured.kind = EntryKind::Link,
            Kind::Other => measured.kind = EntryKind::Other,
        }
        Ok(measured)
    }

    fn sum(&self, path: &DirPath, work: &Work, sum: &mut Measured) -> Result<(), StoreError> {
        let dir = self.root.dir(path).map_err(refused)?;
        let entries = dir.read_dir(None).map_err(refused)?;
        let mut levels = vec![Level { dir, entries }];
        while let Some(level) = levels.last_mut() {
            work.go_on()?;
            let Some(entry) = level.entries.next() else {
                levels.pop();
                continue;
            };
            let entry = entry.map_err(refused)?;
            // Only the root has names of the server's in it; its own files are no part of what is served.
            if path.is_root() && levels.len() == 1 && is_reserved(&entry.name) {
                continue;
            }
            if let Some(deeper) = count(levels.last().map(|level| &level.dir), &entry.name, sum)? {
                if levels.len() >= MAX_TREE_DEPTH {
                    return Err(StoreError::OverLimit);
                }
                levels.push(deeper);
            }
            work.advance(1);
        }
        Ok(())
    }

    pub(super) fn make_directory(&self, path: &RelPath, parents: bool) -> Result<bool, StoreError> {
        self.check_writable()?;
        if parents {
            return match self.root.make_dir_all(&path.clone().into()) {
                Ok(made) => Ok(made > 0),
                // A link or a file on the way is not a directory, and that is all that matters here.
                Err(DiskError::Symlink) => Err(StoreError::NotADirectory),
                Err(error) => Err(refused(error)),
            };
        }
        self.root.make_dir(path).map(|()| true).map_err(not_created(path))
    }

    pub(super) fn remove(&self, path: &RelPath, recursive: bool, work: &Work) -> Result<Removed, StoreError> {
        self.check_writable()?;
        work.go_on()?;
        let removed = if recursive {
            let mut before = 0;
            let progress = |removed: fulmar_disk::Removed| {
                let sum = removed.files + removed.directories;
                work.advance(sum - before);
                before = sum;
            };
            let removed = self.root.remove_tree(path, work.stop_flag(), progress).map_err(refused)?;
            Removed { files: removed.files, directories: removed.directories }
        } else {
            let removed = self.remove_one(path)?;
            work.advance(1);
            removed
        };
        self.catalog.forget(path)?;
        Ok(removed)
    }

    /// Syncs a file and the directory of its name.
    pub(super) fn sync_file(&self, path: &RelPath) -> Result<(), StoreError> {
        let dir = self.root.parent(path).map_err(refused)?;
        let (file, _) = dir.open_file_leaf(path.name()).map_err(refused)?;
        file.sync_all().map_err(|error| StoreError::Disk(format!("fsync: {error}")))?;
        dir.sync().map_err(refused)
    }

    fn remove_one(&self, path: &RelPath) -> Result<Removed, StoreError> {
        match self.root.stat(&path.clone().into()).map_err(refused)?.kind {
            Kind::Directory => {
                self.root.remove_dir(path).map_err(refused)?;
                Ok(Removed { files: 0, directories: 1 })
            }
            Kind::File | Kind::Link | Kind::Other => {
                self.root.remove_file(path).map_err(refused)?;
                Ok(Removed { files: 1, directories: 0 })
            }
        }
    }

    pub(super) fn rename(
        &self,
        from: &RelPath,
        to: &RelPath,
        on_exists: OnExists,
    ) -> Result<Renamed, StoreError> {
        self.check_writable()?;
        let before = self.root.stat(&from.clone().into()).map_err(refused)?;
        if !matches!(before.kind, Kind::File | Kind::Directory) {
            return Err(StoreError::NotServable);
        }
        let move_to = |to: &RelPath, replace: Replace| self.move_file(from, to, replace);
        let to = match (move_to(to, Replace::Never), on_exists) {
            (Ok(()), _) => to.clone(),
            (Err(StoreError::Exists { path }), OnExists::Skip) => return Ok(Renamed::Skipped(path)),
            (Err(StoreError::Exists { .. }), OnExists::Overwrite) if from == to => {
                return Ok(Renamed::To(to.clone()));
            }
            (Err(StoreError::Exists { .. }), OnExists::Overwrite) => {
                if before.kind == Kind::Directory {
                    let there = self.root.stat(&to.clone().into()).map_err(refused)?.kind;
                    let error = if there == Kind::Directory {
                        StoreError::IsADirectory
                    } else {
                        StoreError::NotADirectory
                    };
                    return Err(error);
                }
                move_to(to, Replace::Always)?;
                to.clone()
            }
            (Err(StoreError::Exists { .. }), OnExists::Rename) => self.move_beside(from, to)?,
            (Err(error), _) => return Err(error),
        };
        self.record_move(from, &before, &to)?;
        Ok(Renamed::To(to))
    }

    fn move_beside(&self, from: &RelPath, to: &RelPath) -> Result<RelPath, StoreError> {
        for candidate in numbered::candidates(to) {
            let candidate = candidate?;
            match self.move_file(from, &candidate, Replace::Never) {
                Ok(()) => return Ok(candidate),
                Err(StoreError::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Exists { path: to.clone() })
    }

    /// Moves a name in one step and makes both ends durable.
    fn move_file(&self, from: &RelPath, to: &RelPath, replace: Replace) -> Result<(), StoreError> {
        // The kernel refuses to move a directory into itself, in words that also stand for other things.
        if to.as_str().strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/')) {
            return Err(StoreError::NoParent);
        }
        let from_dir = self.root.parent(from).map_err(refused)?;
        let to_dir = self.root.parent(to).map_err(not_created(to))?;
        from_dir.rename_leaf(from.name(), &to_dir, to.name(), replace).map_err(|error| match error {
            DiskError::AlreadyExists => StoreError::Exists { path: to.clone() },
            // Two names of one file: renaming one to the other is defined to do nothing.
            DiskError::SameFile => StoreError::Exists { path: to.clone() },
            other => refused(other),
        })?;
        to_dir.sync().and_then(|()| from_dir.sync()).map_err(|_| StoreError::UnknownOutcome)
    }

    /// Lets the catalog follow a move. It knows less after an error here, never something wrong.
    fn record_move(&self, from: &RelPath, before: &Meta, to: &RelPath) -> Result<(), StoreError> {
        if before.kind == Kind::Directory {
            return Ok(self.catalog.rename_tree(from, to)?);
        }
        let Ok(after) = self.root.stat(&to.clone().into()) else { return Ok(self.catalog.forget(from)?) };
        let Some(to) = seen(to.clone(), &after) else { return Ok(self.catalog.forget(from)?) };
        // The move itself changes the time of the last change and nothing else.
        let same = after.same_file(before) && after.size == before.size && after.modified == before.modified;
        Ok(self.catalog.rename_file(from, same.then(|| before.version()), &to)?)
    }
}

/// Counts one entry; a directory is given back to be entered.
fn count(dir: Option<&Dir>, name: &[u8], sum: &mut Measured) -> Result<Option<Level>, StoreError> {
    let Some(dir) = dir else { return Ok(None) };
    let meta = match dir.stat_leaf(name) {
        Ok(meta) => meta,
        Err(DiskError::NotFound) => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    match meta.kind {
        Kind::File => {
            sum.bytes = sum.bytes.saturating_add(meta.size);
            sum.files += 1;
            Ok(None)
        }
        Kind::Directory => match dir.open_dir_leaf(name) {
            Ok(dir) => {
                sum.directories += 1;
                let entries = dir.read_dir(None).map_err(refused)?;
                Ok(Some(Level { dir, entries }))
            }
            // It is gone, or something else, by now.
            Err(DiskError::NotFound | DiskError::NotADirectory | DiskError::Symlink) => Ok(None),
            Err(error) => Err(refused(error)),
        },
        Kind::Link | Kind::Other => Ok(None),
    }
}

fn is_reserved(name: &[u8]) -> bool {
    matches!(RelPath::parse_bytes(name), Err(PathError::Reserved))
}
