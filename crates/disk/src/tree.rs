//! Removing a whole directory tree, with handles only: no path is built and no link followed on the way down.

use std::sync::atomic::{AtomicBool, Ordering};

use fulmar_proto::path::RelPath;

use crate::dir::Dir;
use crate::error::DiskError;
use crate::list::DirReader;
use crate::meta::Kind;
use crate::root::Root;

/// How deep a tree may be nested for [`Root::remove_tree`], the named directory included. Each level holds two open
/// handles.
pub const MAX_TREE_DEPTH: usize = 64;

/// A directory that others keep filling is emptied this often before the answer is [`DiskError::NotEmpty`].
const MAX_PASSES: u32 = 16;

/// What a recursive removal has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Files, links and other entries that are no directories.
    pub files: u64,
    /// Directories.
    pub directories: u64,
}

/// One directory on the way down.
struct Level {
    dir: Dir,
    name: Vec<u8>,
    entries: DirReader,
    passes: u32,
}

impl Root {
    /// Removes `path` and, when it is a directory, everything in it. Links are removed themselves, never followed. It
    /// stays on one file system and never enters the root itself or its private directory, even where they are
    /// mounted a second time. `progress` hears of every removed entry; raising `stop` ends the work after the entry
    /// at hand. The removal of the top is durable afterwards.
    ///
    /// # Errors
    /// What has been removed by then stays removed, as `progress` said: [`DiskError::Stopped`],
    /// [`DiskError::TooDeep`], [`DiskError::CrossDevice`], [`DiskError::NotEmpty`] when others keep adding entries,
    /// and as [`Root::dir`].
    pub fn remove_tree(
        &self,
        path: &RelPath,
        stop: &AtomicBool,
        mut progress: impl FnMut(Removed),
    ) -> Result<Removed, DiskError> {
        let parent = self.parent(path)?;
        let mut removed = Removed::default();
        match parent.stat_leaf(path.name())?.kind {
            Kind::Directory => {
                let mut removal = Removal { root: self, stop, progress: &mut progress, removed };
                removal.run(&parent, path.name().as_bytes())?;
                removed = removal.removed;
            }
            Kind::File | Kind::Link | Kind::Other => {
                parent.remove_file_leaf(path.name())?;
                removed.files += 1;
                progress(removed);
            }
        }
        parent.sync()?;
        Ok(removed)
    }
}

struct Removal<'a> {
    root: &'a Root,
    stop: &'a AtomicBool,
    progress: &'a mut dyn FnMut(Removed),
    removed: Removed,
}

impl Removal<'_> {
    fn run(&mut self, top_parent: &Dir, top: &[u8]) -> Result<(), DiskError> {
        let device = top_parent.meta()?.device;
        let mut levels = vec![self.enter(top_parent, top, device)?];
        while let Some(level) = levels.last_mut() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(DiskError::Stopped);
            }
            if let Some(entry) = level.entries.next() {
                let entry = entry?;
                if self.remove_entry(&level.dir, &entry.name, entry.kind)? {
                    continue;
                }
                if levels.len() >= MAX_TREE_DEPTH {
                    return Err(DiskError::TooDeep);
                }
                let parent = levels.last().map_or(top_parent, |level| &level.dir);
                match self.enter(parent, &entry.name, device) {
                    // It is gone, or no directory any more; the next pass sees what it is now.
                    Err(DiskError::NotFound | DiskError::NotADirectory | DiskError::Symlink) => {}
                    other => levels.push(other?),
                }
                continue;
            }
            let Some(done) = levels.pop() else { break };
            let parent = levels.last().map_or(top_parent, |level| &level.dir);
            if let Some(again) = self.leave(parent, done)? {
                levels.push(again);
            }
        }
        Ok(())
    }

    /// Removes what is no directory; `false` says that the entry is one.
    fn remove_entry(&mut self, dir: &Dir, name: &[u8], hint: Option<Kind>) -> Result<bool, DiskError> {
        if hint == Some(Kind::Directory) {
            return Ok(false);
        }
        match dir.remove_file_leaf(name) {
            Ok(()) => {
                self.removed.files += 1;
                (self.progress)(self.removed);
                Ok(true)
            }
            Err(DiskError::NotFound) => Ok(true),
            Err(DiskError::IsADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn enter(&self, parent: &Dir, name: &[u8], device: u64) -> Result<Level, DiskError> {
        let dir = parent.open_dir_leaf(name)?;
        let meta = dir.meta()?;
        if meta.device != device {
            return Err(DiskError::CrossDevice);
        }
        if self.root.is_reserved(&meta)? {
            return Err(DiskError::PermissionDenied);
        }
        let entries = dir.read_dir(None)?;
        Ok(Level { dir, name: name.to_vec(), entries, passes: 1 })
    }

    /// Removes the emptied directory; gives it back for another pass when others have added to it meanwhile.
    fn leave(&mut self, parent: &Dir, level: Level) -> Result<Option<Level>, DiskError> {
        match parent.remove_dir_leaf(&level.name) {
            Ok(()) => {
                self.removed.directories += 1;
                (self.progress)(self.removed);
                Ok(None)
            }
            Err(DiskError::NotFound) => Ok(None),
            Err(DiskError::NotEmpty) if level.passes < MAX_PASSES => {
                let entries = level.dir.read_dir(None)?;
                Ok(Some(Level { entries, passes: level.passes + 1, ..level }))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
