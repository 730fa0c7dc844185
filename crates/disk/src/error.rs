//! What can go wrong on a disk, by whose fault it is, and the one place where errno becomes that.

use std::io;

use rustix::io::Errno;

/// The answer of a failed disk operation.
///
/// The first group is the fault of the request (it names something that is not there, or is not what the
/// operation needs), the second of the moment (another process, a full or read-only disk), the third of the
/// disk or this program's use of it. No variant carries a name or a path: the caller knows what it asked for,
/// and raw names do not belong into messages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The name, or a directory on the way to it, does not exist (`ENOENT`).
    #[error("not found")]
    NotFound,
    /// The name is already taken (`EEXIST`).
    #[error("already exists")]
    AlreadyExists,
    /// A directory was needed and something else was found (`ENOTDIR`).
    #[error("not a directory")]
    NotADirectory,
    /// A file was needed and a directory was found (`EISDIR`).
    #[error("is a directory")]
    IsADirectory,
    /// A regular file was needed and a FIFO, socket, device or link was found.
    #[error("not a regular file")]
    NotRegular,
    /// A symbolic link stands where none is followed (`ELOOP`).
    #[error("is a symbolic link")]
    Symlink,
    /// The path would have left its root (`EXDEV` from `openat2`).
    #[error("path leaves its root")]
    Escapes,
    /// A name with a separator or NUL, an empty one, `.` or `..` where a single name is needed.
    #[error("not a single file name")]
    BadName,
    /// A name or path longer than the file system takes (`ENAMETOOLONG`).
    #[error("name too long")]
    NameTooLong,
    /// The directory still has entries (`ENOTEMPTY`).
    #[error("directory not empty")]
    NotEmpty,
    /// The tree is nested deeper than [`crate::MAX_TREE_DEPTH`].
    #[error("directory tree too deep")]
    TooDeep,
    /// Source and target are the same file.
    #[error("source and target are the same file")]
    SameFile,
    /// A directory would be moved into itself.
    #[error("a directory cannot be moved into itself")]
    IntoItself,
    /// The directory does not know this reading position.
    #[error("unknown directory position")]
    BadCursor,

    /// No free space, or the quota is used up (`ENOSPC`, `EDQUOT`).
    #[error("no space left")]
    NoSpace,
    /// The file would be larger than the file system or a process limit allows (`EFBIG`).
    #[error("file too large for this file system")]
    FileTooLarge,
    /// The file system is mounted read-only (`EROFS`).
    #[error("read-only file system")]
    ReadOnly,
    /// This process may not do that (`EACCES`, `EPERM`).
    #[error("permission denied")]
    PermissionDenied,
    /// In use by another process, or changing too fast under us; worth another try later (`EBUSY`, `EAGAIN`).
    #[error("busy")]
    Busy,
    /// The two places are on different file systems (`EXDEV`).
    #[error("not on the same file system")]
    CrossDevice,
    /// The file changed while it was worked on.
    #[error("changed meanwhile")]
    Changed,
    /// The caller's stop flag was raised.
    #[error("stopped")]
    Stopped,

    /// Anything else the operating system answered.
    #[error("{op}: {source}")]
    Io {
        /// The operation that failed, as the name of its system call.
        op: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl DiskError {
    /// The one place where errno becomes a typed error. `op` names the system call.
    pub(crate) fn from_errno(op: &'static str, errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::NotFound,
            Errno::EXIST => Self::AlreadyExists,
            Errno::NOTDIR => Self::NotADirectory,
            Errno::ISDIR => Self::IsADirectory,
            Errno::LOOP => Self::Symlink,
            Errno::NAMETOOLONG => Self::NameTooLong,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::NOSPC | Errno::DQUOT => Self::NoSpace,
            Errno::FBIG => Self::FileTooLarge,
            Errno::ROFS => Self::ReadOnly,
            Errno::ACCESS | Errno::PERM => Self::PermissionDenied,
            Errno::BUSY | Errno::AGAIN | Errno::TXTBSY => Self::Busy,
            Errno::XDEV => Self::CrossDevice,
            other => Self::Io { op, source: other.into() },
        }
    }

    /// The same for errors of `std`; one that carries no errno keeps its own text.
    pub fn from_io(op: &'static str, error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => Self::from_errno(op, errno),
            None => Self::Io { op, source: error },
        }
    }

    /// An operation that reports success without progress would loop forever; it is an error instead.
    pub(crate) fn no_progress(op: &'static str) -> Self {
        Self::Io { op, source: io::Error::new(io::ErrorKind::WriteZero, "no progress") }
    }
}

impl Clone for DiskError {
    /// A sticky error is given to every later caller, so it must be repeatable; `io::Error` is not `Clone`
    /// and is made anew from its errno or, without one, from its kind.
    fn clone(&self) -> Self {
        match self {
            Self::NotFound => Self::NotFound,
            Self::AlreadyExists => Self::AlreadyExists,
            Self::NotADirectory => Self::NotADirectory,
            Self::IsADirectory => Self::IsADirectory,
            Self::NotRegular => Self::NotRegular,
            Self::Symlink => Self::Symlink,
            Self::Escapes => Self::Escapes,
            Self::BadName => Self::BadName,
            Self::NameTooLong => Self::NameTooLong,
            Self::NotEmpty => Self::NotEmpty,
            Self::TooDeep => Self::TooDeep,
            Self::SameFile => Self::SameFile,
            Self::IntoItself => Self::IntoItself,
            Self::BadCursor => Self::BadCursor,
            Self::NoSpace => Self::NoSpace,
            Self::FileTooLarge => Self::FileTooLarge,
            Self::ReadOnly => Self::ReadOnly,
            Self::PermissionDenied => Self::PermissionDenied,
            Self::Busy => Self::Busy,
            Self::CrossDevice => Self::CrossDevice,
            Self::Changed => Self::Changed,
            Self::Stopped => Self::Stopped,
            Self::Io { op, source } => Self::Io { op, source: repeat(source) },
        }
    }
}

/// The same `io::Error` again.
fn repeat(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::from(error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_becomes_the_typed_error() {
        assert!(matches!(DiskError::from_errno("x", Errno::DQUOT), DiskError::NoSpace));
        assert!(matches!(DiskError::from_errno("x", Errno::PERM), DiskError::PermissionDenied));
        assert!(matches!(DiskError::from_errno("x", Errno::LOOP), DiskError::Symlink));
        let io = DiskError::from_errno("fsync", Errno::IO);
        assert!(matches!(io, DiskError::Io { op: "fsync", .. }));
        let text = io.to_string();
        assert_eq!(text, io.clone().to_string());
        assert!(text.starts_with("fsync: "), "{text}");
    }

    #[test]
    fn an_error_without_errno_keeps_its_kind_when_cloned() {
        let DiskError::Io { source, .. } = DiskError::no_progress("pwrite").clone() else { panic!() };
        assert_eq!(source.kind(), io::ErrorKind::WriteZero);
    }
}
