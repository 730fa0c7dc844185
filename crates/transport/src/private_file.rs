//! Small files of a state folder: keys, pins, authorised clients.
//!
//! They are replaced atomically and durably (temporary file in the same folder, `fsync`, rename, `fsync` of the
//! folder), so that a crash leaves the old or the new content and never a part of either. They are read through one
//! open handle, on which ownership and mode are checked, so that nothing can be swapped in between check and read.
//!
//! These functions block on the file system; call them at start-up or from a blocking thread.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use zeroize::Zeroizing;

/// Mode of private files: the owner may read and write, nobody else may do anything.
const PRIVATE_MODE: u32 = 0o600;
/// Mode of files that hold nothing secret.
const PUBLIC_MODE: u32 = 0o644;
/// Mode of state folders made here.
const FOLDER_MODE: u32 = 0o700;

/// Why a file of the state folder was refused or could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// The path names a symbolic link, which could lead anywhere.
    #[error("{}: is a symbolic link; put the file itself there", .0.display())]
    Symlink(PathBuf),
    /// The path names a directory, a pipe, a socket or a device.
    #[error("{}: is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// The file belongs to another user.
    #[error("{}: belongs to another user (uid {owner})", .path.display())]
    WrongOwner {
        /// The file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// Others may read a secret, or write what only its owner should.
    #[error("{}: its permissions ({mode:04o}) are too open; run: chmod 600 {}", .path.display(), .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is longer than the caller accepts.
    #[error("{}: is longer than {limit_bytes} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The caller's limit in bytes.
        limit_bytes: usize,
    },
    /// The path has no file name, such as `/` or `..`.
    #[error("{}: does not name a file", .0.display())]
    NoFileName(PathBuf),
    /// The file system refused an operation.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl PrivateFileError {
    fn io(path: &Path, action: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Io { path: path.to_owned(), action, source: source.into() }
    }
}

/// Replaces the file at `path` by `bytes`, atomically and durably, with mode 0600.
///
/// Missing parent folders are made with mode 0700. When this returns, the new content survives a power cut; when it
/// fails, the old content is untouched.
///
/// # Errors
/// [`PrivateFileError::NoFileName`] and [`PrivateFileError::Io`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    replace(path, bytes, PRIVATE_MODE)
}

/// As [`write_private`], for a file that holds nothing secret (mode 0644).
pub(crate) fn write_public(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    replace(path, bytes, PUBLIC_MODE)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PrivateFileError> {
    let temporary = Temporary::write(path, bytes, mode)?;
    std::fs::rename(&temporary.path, path).map_err(|e| PrivateFileError::io(path, "replace", e))?;
    temporary.published();
    sync_folder(path)
}

/// Makes the file at `path` with `bytes` and mode 0600 unless there is something at that path already.
///
/// The file appears with its whole content or not at all. Returns whether it was made; of several callers at once
/// exactly one makes it.
///
/// # Errors
/// [`PrivateFileError::NoFileName`] and [`PrivateFileError::Io`].
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<bool, PrivateFileError> {
    let temporary = Temporary::write(path, bytes, PRIVATE_MODE)?;
    // A hard link refuses an existing name; a rename would replace it.
    match std::fs::hard_link(&temporary.path, path) {
        Ok(()) => {
            drop(temporary);
            sync_folder(path)?;
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(PrivateFileError::io(path, "create", e)),
    }
}

/// Reads a secret: at most `max_len` bytes of a regular file that is ours and that nobody else may read or write.
///
/// `None` when there is no such file. The buffer is wiped when dropped.
///
/// # Errors
/// Any [`PrivateFileError`]: symbolic links, other owners, open permissions and longer files are refused.
pub fn read_private(path: &Path, max_len: usize) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
    Ok(read_checked(path, max_len, 0o077)?.map(Zeroizing::new))
}

/// Reads what is not secret but trusted: at most `max_len` bytes of a regular file that is ours and that nobody else
/// may write.
///
/// `None` when there is no such file.
///
/// # Errors
/// As [`read_private`], except that others may be able to read the file.
pub fn read_trusted(path: &Path, max_len: usize) -> Result<Option<Vec<u8>>, PrivateFileError> {
    read_checked(path, max_len, 0o022)
}

fn read_checked(path: &Path, max_len: usize, refused_bits: u32) -> Result<Option<Vec<u8>>, PrivateFileError> {
    let Some(file) = open_checked(path, refused_bits)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_len).unwrap_or(u64::MAX).saturating_add(1);
    File::from(file)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|e| PrivateFileError::io(path, "read", e))?;
    if bytes.len() > max_len {
        return Err(PrivateFileError::TooLarge { path: path.to_owned(), limit_bytes: max_len });
    }
    Ok(Some(bytes))
}

/// Opens `path` and checks the opened file's kind, owner and mode.
fn open_checked(path: &Path, refused_bits: u32) -> Result<Option<OwnedFd>, PrivateFileError> {
    // NONBLOCK keeps a pipe put in the file's place from hanging the open.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP) => return Err(PrivateFileError::Symlink(path.to_owned())),
        Err(e) => return Err(PrivateFileError::io(path, "open", e)),
    };
    let stat = rustix::fs::fstat(&file).map_err(|e| PrivateFileError::io(path, "examine", e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(PrivateFileError::NotRegular(path.to_owned()));
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(PrivateFileError::WrongOwner { path: path.to_owned(), owner: stat.st_uid });
    }
    let mode = stat.st_mode & 0o7777;
    if mode & refused_bits != 0 {
        return Err(PrivateFileError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(Some(file))
}

/// Excludes other holders of the same lock for as long as it lives.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct FileLock {
    // Closing the handle releases the lock, also when the process is killed.
    _file: File,
}

/// Waits for the advisory lock `NAME.lock` beside the file at `path`, to be held over a read-modify-write of it.
///
/// Locks are kept between handles, so two callers of one process exclude each other too. The lock file stays.
///
/// # Errors
/// [`PrivateFileError::NoFileName`], [`PrivateFileError::Symlink`] and [`PrivateFileError::Io`].
pub fn lock(path: &Path) -> Result<FileLock, PrivateFileError> {
    let (folder, name) = split(path)?;
    make_folder(folder)?;
    let mut lock_name = name.to_owned();
    lock_name.push(".lock");
    let lock_path = folder.join(lock_name);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = match rustix::fs::open(&lock_path, flags, Mode::from_raw_mode(PRIVATE_MODE)) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => return Err(PrivateFileError::Symlink(lock_path)),
        Err(e) => return Err(PrivateFileError::io(&lock_path, "open", e)),
    };
    file.lock().map_err(|e| PrivateFileError::io(&lock_path, "lock", e))?;
    Ok(FileLock { _file: file })
}

/// A whole, synced file under a temporary name, removed on drop unless it was renamed.
struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn write(target: &Path, bytes: &[u8], mode: u32) -> Result<Self, PrivateFileError> {
        let (folder, name) = split(target)?;
        make_folder(folder)?;
        let mut random = [0u8; 8];
        getrandom::fill(&mut random)
            .map_err(|e| PrivateFileError::io(target, "draw a random name for", io::Error::from(e)))?;
        let mut temporary_name = std::ffi::OsString::from(".");
        temporary_name.push(name);
        temporary_name.push(format!(".{:016x}.tmp", u64::from_le_bytes(random)));
        let path = folder.join(temporary_name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(&path, flags, Mode::from_raw_mode(mode))
            .map_err(|e| PrivateFileError::io(&path, "create", e))?;
        let temporary = Self { path, renamed: false };
        let mut file = File::from(file);
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|e| PrivateFileError::io(&temporary.path, "write", e))?;
        Ok(temporary)
    }

    /// The temporary name is gone: nothing is left to remove.
    fn published(mut self) {
        self.renamed = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing useful can be done about a failure; the name is random and never used again.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The folder and the name of a file; the folder of a bare name is `.`.
fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr), PrivateFileError> {
    let name = path.file_name().ok_or_else(|| PrivateFileError::NoFileName(path.to_owned()))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok((folder, name))
}

fn make_folder(folder: &Path) -> Result<(), PrivateFileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(|e| PrivateFileError::io(folder, "create", e))
}

/// Makes the names in the folder of `path` durable.
fn sync_folder(path: &Path) -> Result<(), PrivateFileError> {
    let (folder, _) = split(path)?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| PrivateFileError::io(folder, "sync", e))
}

#[cfg(test)]
mod tests;
