//! One open directory, and what can be done in it with a single name.
//!
//! Nothing here takes a path with more than one component (only [`Dir::open_ambient`] does, for the operator's own
//! words), and nothing follows a symbolic link. A path is resolved once, by [`crate::Root`]; after that every
//! operation is "this directory, that name", which leaves no moment between check and use.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::DiskError;
use crate::list::{DirCursor, DirReader};
use crate::meta::{Kind, Meta};
use crate::resolve::{Resolver, open_dir_beneath};

/// The longest single name, in bytes, on the file systems served.
pub const MAX_LEAF_BYTES: usize = 255;

/// Flags of every directory handle: readable rather than `O_PATH`, because `fsync` needs that.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Flags of every file: a FIFO must not block, a terminal must not become ours, a link must not be followed.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// What to do with a name that is already taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Leave it and answer [`DiskError::AlreadyExists`].
    Never,
    /// Take the name from the regular file that has it. Other than regular files are never replaced.
    Always,
}

/// One open directory. Clones share the handle.
#[derive(Debug, Clone)]
pub struct Dir {
    fd: Arc<OwnedFd>,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A lock on a file, held until dropped.
#[derive(Debug)]
pub struct Lock {
    /// Closing the file releases the lock.
    _file: File,
}

impl Dir {
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self { fd: Arc::new(fd) }
    }

    /// Opens the directory that the operator named; links on the way are followed, for they are the operator's.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::NotADirectory`], [`DiskError::PermissionDenied`] and the like.
    pub fn open_ambient(path: &Path) -> Result<Self, DiskError> {
        let fd = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())
            .map_err(|errno| DiskError::from_errno("openat", errno))?;
        Ok(Self::from_fd(fd))
    }

    /// What `fstat` says about this directory.
    ///
    /// # Errors
    /// [`DiskError::Io`].
    pub fn meta(&self) -> Result<Meta, DiskError> {
        fstat(self)
    }

    /// What `name` stands for; a link is described itself.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::BadName`] and the like.
    pub fn stat_leaf(&self, name: impl AsRef<[u8]>) -> Result<Meta, DiskError> {
        let leaf = single(name.as_ref())?;
        let stat = rustix::fs::statat(&self.fd, leaf, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| DiskError::from_errno("fstatat", errno))?;
        Ok(Meta::from_stat(&stat))
    }

    /// Opens the directory `name`.
    ///
    /// # Errors
    /// [`DiskError::Symlink`] for a link to anything, [`DiskError::NotADirectory`] for other things that are none.
    pub fn open_dir_leaf(&self, name: impl AsRef<[u8]>) -> Result<Self, DiskError> {
        open_directory(self.as_fd(), single(name.as_ref())?, DIRECTORY).map(Self::from_fd)
    }

    /// Opens the directory that `path` leads to from here: names with single slashes between them, or nothing for this
    /// directory itself. No link is followed on the way, and nothing leads out of this directory.
    ///
    /// # Errors
    /// [`DiskError::BadName`] when `path` is none of that, [`DiskError::Symlink`], [`DiskError::NotADirectory`],
    /// [`DiskError::NotFound`].
    pub fn open_beneath(&self, path: &str) -> Result<Self, DiskError> {
        if path.is_empty() {
            return Ok(self.clone());
        }
        path.split('/').try_for_each(|name| single(name.as_bytes()).map(drop))?;
        open_dir_beneath(self, path, Resolver::default())
    }

    /// Opens the regular file `name` for reading.
    ///
    /// # Errors
    /// [`DiskError::IsADirectory`], [`DiskError::Symlink`]; [`DiskError::NotRegular`] for FIFOs, sockets, devices.
    pub fn open_file_leaf(&self, name: impl AsRef<[u8]>) -> Result<(File, Meta), DiskError> {
        self.open_regular(single(name.as_ref())?, OFlags::RDONLY, Mode::empty())
    }

    /// Opens the existing regular file `name` for reading and writing.
    ///
    /// # Errors
    /// As [`Self::open_file_leaf`].
    pub fn open_file_leaf_rw(&self, name: impl AsRef<[u8]>) -> Result<(File, Meta), DiskError> {
        self.open_regular(single(name.as_ref())?, OFlags::RDWR, Mode::empty())
    }

    /// Creates the regular file `name` for reading and writing, with the permission bits `mode` less the umask;
    /// setuid, setgid and sticky are dropped. Unless `exclusive`, an existing regular file is opened as it is.
    ///
    /// # Errors
    /// [`DiskError::AlreadyExists`] when `exclusive` and the name is taken by anything, a dangling link included.
    pub fn create_leaf(&self, name: impl AsRef<[u8]>, mode: u32, exclusive: bool) -> Result<File, DiskError> {
        let mut flags = OFlags::RDWR | OFlags::CREATE;
        flags.set(OFlags::EXCL, exclusive);
        let mode = Mode::from_raw_mode(mode & 0o777);
        self.open_regular(single(name.as_ref())?, flags, mode).map(|(file, _)| file)
    }

    fn open_regular(&self, leaf: &[u8], access: OFlags, mode: Mode) -> Result<(File, Meta), DiskError> {
        let opened = rustix::fs::openat(&self.fd, leaf, access | FILE, mode);
        // A socket, or a FIFO without a reader, refuses to be opened before its kind can be seen.
        let fd = opened.map_err(|errno| match errno {
            Errno::NXIO | Errno::NODEV => DiskError::NotRegular,
            other => DiskError::from_errno("openat", other),
        })?;
        let meta = fstat(&fd)?;
        match meta.kind {
            Kind::File => Ok((File::from(fd), meta)),
            Kind::Directory => Err(DiskError::IsADirectory),
            Kind::Link => Err(DiskError::Symlink),
            Kind::Other => Err(DiskError::NotRegular),
        }
    }

    /// Makes the directory `name` with the permission bits `mode` less the umask.
    ///
    /// # Errors
    /// [`DiskError::AlreadyExists`] when the name is taken by anything.
    pub fn make_dir_leaf(&self, name: impl AsRef<[u8]>, mode: u32) -> Result<(), DiskError> {
        let leaf = single(name.as_ref())?;
        rustix::fs::mkdirat(&self.fd, leaf, Mode::from_raw_mode(mode & 0o777))
            .map_err(|errno| DiskError::from_errno("mkdirat", errno))
    }

    /// Removes the name of a file, or of a link itself.
    ///
    /// # Errors
    /// [`DiskError::IsADirectory`] for a directory.
    pub fn remove_file_leaf(&self, name: impl AsRef<[u8]>) -> Result<(), DiskError> {
        let leaf = single(name.as_ref())?;
        rustix::fs::unlinkat(&self.fd, leaf, AtFlags::empty())
            .map_err(|errno| DiskError::from_errno("unlinkat", errno))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`DiskError::NotEmpty`], [`DiskError::NotADirectory`] (a link is none).
    pub fn remove_dir_leaf(&self, name: impl AsRef<[u8]>) -> Result<(), DiskError> {
        let leaf = single(name.as_ref())?;
        rustix::fs::unlinkat(&self.fd, leaf, AtFlags::REMOVEDIR).map_err(|errno| match errno {
            // POSIX lets rmdir say either for a directory that has entries.
            Errno::EXIST => DiskError::NotEmpty,
            other => DiskError::from_errno("unlinkat", other),
        })
    }

    /// Moves `from` in this directory to `to` in another one of the same file system, in one step: at every moment
    /// `to` is what it was before or what `from` was. Neither directory is synced here.
    ///
    /// # Errors
    /// With [`Replace::Never`], [`DiskError::AlreadyExists`]. With [`Replace::Always`], [`DiskError::IsADirectory`],
    /// [`DiskError::NotRegular`] or [`DiskError::Symlink`] when the name is taken by other than a regular file, and
    /// [`DiskError::SameFile`] when both names are the same file already, which the kernel would leave alone.
    pub fn rename_leaf(
        &self,
        from: impl AsRef<[u8]>,
        to_dir: &Dir,
        to: impl AsRef<[u8]>,
        replace: Replace,
    ) -> Result<(), DiskError> {
        let (from, to) = (single(from.as_ref())?, single(to.as_ref())?);
        match replace {
            Replace::Never => self.rename_new(from, to_dir, to),
            Replace::Always => self.rename_over(from, to_dir, to),
        }
    }

    fn rename_new(&self, from: &[u8], to_dir: &Dir, to: &[u8]) -> Result<(), DiskError> {
        match rustix::fs::renameat_with(&self.fd, from, to_dir, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => self.link_then_unlink(from, to_dir, to),
            other => other.map_err(|errno| DiskError::from_errno("renameat2", errno)),
        }
    }

    /// The same effect on a file system without `RENAME_NOREPLACE`: a link refuses a taken name by itself, so there is
    /// no moment between check and use. Directories cannot be linked; for them the answer is the kernel's refusal.
    pub(crate) fn link_then_unlink(&self, from: &[u8], to_dir: &Dir, to: &[u8]) -> Result<(), DiskError> {
        rustix::fs::linkat(&self.fd, from, to_dir, to, AtFlags::empty())
            .map_err(|errno| DiskError::from_errno("linkat", errno))?;
        match self.remove_file_leaf(from) {
            Err(DiskError::NotFound) => Ok(()),
            other => other,
        }
    }

    fn rename_over(&self, from: &[u8], to_dir: &Dir, to: &[u8]) -> Result<(), DiskError> {
        match to_dir.stat_leaf(to) {
            Err(DiskError::NotFound) => {}
            Err(error) => return Err(error),
            Ok(target) => {
                let source = self.stat_leaf(from)?;
                if target.same_file(&source) {
                    return Err(DiskError::SameFile);
                }
                check_replaceable(target.kind)?;
            }
        }
        // Whatever takes the name from here on, rename replaces the name itself and follows nothing.
        rustix::fs::renameat(&self.fd, from, to_dir, to)
            .map_err(|errno| DiskError::from_errno("renameat", errno))
    }

    /// Makes the names in this directory durable (`fsync`).
    ///
    /// # Errors
    /// [`DiskError::Io`]; what was renamed or made in here may then exist or not after a power cut.
    pub fn sync(&self) -> Result<(), DiskError> {
        rustix::fs::fsync(&self.fd).map_err(|errno| DiskError::from_errno("fsync", errno))
    }

    /// How many bytes an unprivileged process may still write on this file system.
    ///
    /// # Errors
    /// [`DiskError::Io`].
    pub fn available_bytes(&self) -> Result<u64, DiskError> {
        let stat =
            rustix::fs::fstatvfs(&self.fd).map_err(|errno| DiskError::from_errno("fstatvfs", errno))?;
        let unit = if stat.f_frsize == 0 { stat.f_bsize } else { stat.f_frsize };
        Ok(stat.f_bavail.saturating_mul(unit))
    }

    /// Takes the lock on the file `name`, which is created when absent, without waiting.
    ///
    /// # Errors
    /// [`DiskError::Busy`] when another process, or another part of this one, holds it.
    pub fn lock_exclusive(&self, name: impl AsRef<[u8]>) -> Result<Lock, DiskError> {
        let file = self.create_leaf(name, 0o600, false)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| DiskError::from_errno("flock", errno))?;
        Ok(Lock { _file: file })
    }

    /// Reads the entries from `cursor` on, or from the start, without loading the directory.
    ///
    /// # Errors
    /// [`DiskError::BadCursor`] for a cursor that this directory cannot take.
    pub fn read_dir(&self, cursor: Option<DirCursor>) -> Result<DirReader, DiskError> {
        // Reading moves the handle's position, so each reader has a handle of its own.
        let fd = rustix::fs::openat(&self.fd, c".", DIRECTORY, Mode::empty())
            .map_err(|errno| DiskError::from_errno("openat", errno))?;
        DirReader::new(fd, cursor)
    }
}

/// Opens the directory `leaf` below `parent` and never through a link.
pub(crate) fn open_directory(
    parent: BorrowedFd<'_>,
    leaf: &[u8],
    flags: OFlags,
) -> Result<OwnedFd, DiskError> {
    match rustix::fs::openat(parent, leaf, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(fd) => Ok(fd),
        // With O_DIRECTORY the kernel answers ENOTDIR for a link too; look again, only to name the reason.
        Err(Errno::NOTDIR) => match rustix::fs::statat(parent, leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if Meta::from_stat(&stat).kind == Kind::Link => Err(DiskError::Symlink),
            _ => Err(DiskError::NotADirectory),
        },
        Err(errno) => Err(DiskError::from_errno("openat", errno)),
    }
}

/// Only regular files are ever replaced.
pub(crate) fn check_replaceable(kind: Kind) -> Result<(), DiskError> {
    match kind {
        Kind::File => Ok(()),
        Kind::Directory => Err(DiskError::IsADirectory),
        Kind::Link => Err(DiskError::Symlink),
        Kind::Other => Err(DiskError::NotRegular),
    }
}

/// `fstat` on any handle.
pub(crate) fn fstat(fd: impl AsFd) -> Result<Meta, DiskError> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| DiskError::from_errno("fstat", errno))?;
    Ok(Meta::from_stat(&stat))
}

/// A name that cannot lead anywhere else: not empty, no separator, no NUL, not `.` or `..`.
fn single(name: &[u8]) -> Result<&[u8], DiskError> {
    if name.is_empty() || name == b"." || name == b".." || name.iter().any(|&byte| byte == b'/' || byte == 0)
    {
        return Err(DiskError::BadName);
    }
    if name.len() > MAX_LEAF_BYTES {
        return Err(DiskError::NameTooLong);
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
