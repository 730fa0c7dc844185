//! From a path of several components to one open directory, without leaving the root and without following links.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::dir::{Dir, open_directory};
use crate::error::DiskError;

/// How paths are resolved. Both ways give the same answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolver {
    /// One `openat2(BENEATH|NO_SYMLINKS|NO_MAGICLINKS)`, checked by the kernel in one step. Where the kernel has no
    /// `openat2` (before 5.6) or a sandbox forbids it, each path is resolved by [`Resolver::Walk`] instead.
    #[default]
    Openat2,
    /// One directory after the other, each opened below the handle of the one before and never through a link. A
    /// directory that another process moves out of the root in the middle of a walk is the one thing it cannot see.
    Walk,
}

/// How often a path that keeps changing is tried again (`EAGAIN` of `openat2`) before the answer is
/// [`DiskError::Busy`].
const MAX_TRIES: usize = 64;

/// Opens the directory `path` below `root`. `path` must be a validated relative path: components that are not empty,
/// `.` or `..`, separated by single `/`.
pub(crate) fn open_dir_beneath(root: &Dir, path: &str, resolver: Resolver) -> Result<Dir, DiskError> {
    let fd = match resolver {
        Resolver::Walk => walk(root.as_fd(), path)?,
        Resolver::Openat2 => match openat2(root.as_fd(), path) {
            // ENOSYS: an old kernel. EPERM: a seccomp filter, which answers that for calls that it does not know.
            Err(Errno::NOSYS | Errno::PERM) => walk(root.as_fd(), path)?,
            // ENOTDIR is also the kernel's answer to a link in last place; the walk tells which it was.
            Err(Errno::NOTDIR) => return Err(walk(root.as_fd(), path).err().unwrap_or(DiskError::Busy)),
            Err(Errno::AGAIN) => return Err(DiskError::Busy),
            Err(Errno::XDEV) => return Err(DiskError::Escapes),
            other => other.map_err(|errno| DiskError::from_errno("openat2", errno))?,
        },
    };
    Ok(Dir::from_fd(fd))
}

fn openat2(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        tries += 1;
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < MAX_TRIES => {}
            Err(Errno::INTR) => return Err(Errno::AGAIN),
            other => return other,
        }
    }
}

fn walk(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, DiskError> {
    // Directories on the way need not be readable, only searchable: O_PATH asks for no more than openat2 does.
    let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let last = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut held: Option<OwnedFd> = None;
    let mut components = path.split('/').peekable();
    while let Some(component) = components.next() {
        if component.is_empty() || component == "." || component == ".." {
            return Err(DiskError::Escapes);
        }
        let flags = if components.peek().is_some() { through } else { last };
        let parent = held.as_ref().map_or(root, AsFd::as_fd);
        held = Some(open_directory(parent, component.as_bytes(), flags)?);
    }
    held.ok_or(DiskError::BadName)
}
