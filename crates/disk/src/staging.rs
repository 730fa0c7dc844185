//! A file that is being received: invisible until it is complete, gone when nobody keeps it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use fulmar_proto::time::Timestamp;
use rustix::fs::{FallocateFlags, FlockOperation, Mode, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use crate::dir::{Dir, fstat};
use crate::error::DiskError;
use crate::meta::Meta;
use crate::umask::umask;

/// A staging file, locked against every other holder.
///
/// Several threads may write different parts at the same time. The first failed write, resize or sync is the answer
/// of every later one, so that a file with a hole in it is never published by a caller who missed one error. Dropping
/// it removes the file, unless [`Staging::keep`] was called.
#[derive(Debug)]
pub struct Staging {
    place: Place,
    file: File,
    failed: OnceLock<DiskError>,
    modified: Mutex<Option<Timestamp>>,
    executable: AtomicBool,
}

/// A staging file whose content and metadata are durable: the only thing that can be published.
#[derive(Debug)]
pub struct SyncedStaging {
    pub(crate) place: Place,
    pub(crate) file: File,
}

/// The name of a staging file, removed on drop unless kept.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: Dir,
    pub(crate) leaf: String,
    pub(crate) keep: AtomicBool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep.load(Ordering::Relaxed) {
            // A name left behind is swept up later; there is nobody to tell here.
            drop(self.dir.remove_file_leaf(&self.leaf));
        }
    }
}

impl Staging {
    /// Creates the file `leaf` in `dir` (mode 0600), and reserves space where its length is known: `expected_len`
    /// bytes, as far as the file system supports that.
    ///
    /// # Errors
    /// [`DiskError::AlreadyExists`]; [`DiskError::NoSpace`] at once when fewer than `expected_len` bytes are
    /// available; nothing is left behind then.
    pub fn create(dir: &Dir, leaf: &str, expected_len: Option<u64>) -> Result<Self, DiskError> {
        let expected_len = expected_len.unwrap_or(0);
        if expected_len > dir.available_bytes()? {
            return Err(DiskError::NoSpace);
        }
        let file = dir.create_leaf(leaf, 0o600, true)?;
        let place = Place { dir: dir.clone(), leaf: leaf.to_owned(), keep: AtomicBool::new(false) };
        let staging = Self::new(place, file)?;
        if expected_len > 0 {
            staging.reserve(expected_len)?;
        }
        Ok(staging)
    }

    /// Opens the file of an interrupted transfer. It is kept on drop, as it was before.
    ///
    /// # Errors
    /// [`DiskError::Busy`] while someone else holds it. [`DiskError::NotFound`], also when the file has been published:
    /// a name that an interrupted publication left behind is removed, for writing to it would change the published
    /// file.
    pub fn reopen(dir: &Dir, leaf: &str) -> Result<Self, DiskError> {
        let (file, _) = dir.open_file_leaf_rw(leaf)?;
        let place = Place { dir: dir.clone(), leaf: leaf.to_owned(), keep: AtomicBool::new(true) };
        let staging = Self::new(place, file)?;
        // The last holder may have published or discarded the file between our opening and locking it.
        let meta = staging.meta()?;
        if !dir.stat_leaf(leaf)?.same_file(&meta) {
            return Err(DiskError::NotFound);
        }
        if meta.links > 1 {
            staging.discard()?;
            return Err(DiskError::NotFound);
        }
        Ok(staging)
    }

    fn new(place: Place, file: File) -> Result<Self, DiskError> {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Some network file systems have no locks; the lock on the whole root has to do there.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOLCK) => {}
            Err(errno) => return Err(DiskError::from_errno("flock", errno)),
        }
        Ok(Self {
            place,
            file,
            failed: OnceLock::new(),
            modified: Mutex::new(None),
            executable: AtomicBool::new(false),
        })
    }

    fn reserve(&self, len: u64) -> Result<(), DiskError> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, len) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Ok(()),
            Err(errno) => Err(DiskError::from_errno("fallocate", errno)),
        }
    }

    /// Writes all of `bytes` at `offset` (both in bytes). Durable only after a sync.
    ///
    /// # Errors
    /// [`DiskError::NoSpace`], [`DiskError::FileTooLarge`], [`DiskError::Io`]; then the same one for ever.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.guard(|| write_all_at(&self.file, bytes, offset))
    }

    /// Fills `buffer` from `offset`, to verify what was written.
    ///
    /// # Errors
    /// [`DiskError::Io`]; the end of the file within `buffer` is one.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        self.file.read_exact_at(buffer, offset).map_err(|error| DiskError::from_io("pread", error))
    }

    /// Sets the length to `len` bytes; what is added reads as zeros.
    ///
    /// # Errors
    /// As [`Self::write_at`].
    pub fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.guard(|| self.file.set_len(len).map_err(|error| DiskError::from_io("ftruncate", error)))
    }

    /// Notes the modification time the file gets when it is synced, for any write would change it before.
    pub fn set_modified(&self, modified: Timestamp) {
        *self.modified.lock().unwrap_or_else(PoisonError::into_inner) = Some(modified);
    }

    /// Notes whether the file is made executable when it is synced. It gets the permissions the umask leaves, with
    /// the execute bits or without; never setuid, setgid or sticky.
    pub fn set_executable(&self, executable: bool) {
        self.executable.store(executable, Ordering::Relaxed);
    }

    /// What `fstat` says about the file as it is.
    ///
    /// # Errors
    /// [`DiskError::Io`].
    pub fn meta(&self) -> Result<Meta, DiskError> {
        fstat(&self.file)
    }

    /// Lets the file stay when this handle is dropped, so that the transfer can go on later.
    pub fn keep(&self) {
        self.place.keep.store(true, Ordering::Relaxed);
    }

    /// Makes what was written so far durable (`fdatasync`), for the journal to say so afterwards.
    ///
    /// # Errors
    /// [`DiskError::Io`], and from then on for ever: after a failed sync the kernel counts the lost pages as clean, so
    /// that a second try would answer success without having written them.
    pub fn sync_data(&self) -> Result<(), DiskError> {
        self.guard(|| {
            rustix::fs::fdatasync(&self.file).map_err(|errno| DiskError::from_errno("fdatasync", errno))
        })
    }

    /// Sets permissions and modification time, then makes everything durable (`fsync`).
    ///
    /// # Errors
    /// The first error of this file; the file is removed then, even when it was to be kept.
    pub fn sync(self) -> Result<SyncedStaging, DiskError> {
        let synced = self.guard(|| self.apply_metadata()).and_then(|()| {
            self.guard(|| {
                rustix::fs::fsync(&self.file).map_err(|errno| DiskError::from_errno("fsync", errno))
            })
        });
        match synced {
            Ok(()) => Ok(SyncedStaging { place: self.place, file: self.file }),
            Err(error) => {
                // An abandoned file has no name any more; what is called so now is another's.
                if !matches!(error, DiskError::Stopped) {
                    self.place.keep.store(false, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }

    fn apply_metadata(&self) -> Result<(), DiskError> {
        let wanted = if self.executable.load(Ordering::Relaxed) { 0o777 } else { 0o666 };
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(wanted & !umask()))
            .map_err(|errno| DiskError::from_errno("fchmod", errno))?;
        let modified = *self.modified.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(modified) = modified else { return Ok(()) };
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: modified.secs(), tv_nsec: modified.nanos().into() },
        };
        rustix::fs::futimens(&self.file, &times).map_err(|errno| DiskError::from_errno("futimens", errno))
    }

    /// Removes the file now and says whether that worked.
    ///
    /// # Errors
    /// As [`Dir::remove_file_leaf`].
    pub fn discard(self) -> Result<(), DiskError> {
        self.place.discard()
    }

    /// Takes the file's name away at once, while other threads may still hold it: what they write from now on fails, and
    /// it can neither be synced nor published any more.
    pub fn abandon(&self) {
        self.failed.get_or_init(|| DiskError::Stopped);
        if !self.place.keep.swap(true, Ordering::Relaxed) {
            // A name left behind is swept up later; there is nobody to tell here.
            drop(self.place.dir.remove_file_leaf(&self.place.leaf));
        }
    }

    /// Runs `operation` unless one has failed before, and remembers the first failure.
    fn guard(&self, operation: impl FnOnce() -> Result<(), DiskError>) -> Result<(), DiskError> {
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        operation().map_err(|error| self.failed.get_or_init(|| error).clone())
    }
}

impl SyncedStaging {
    /// Lets a test publish without waiting for a disk.
    #[cfg(test)]
    pub(crate) fn unsynced(staging: Staging) -> Self {
        Self { place: staging.place, file: staging.file }
    }

    /// What `fstat` says about the file.
    ///
    /// # Errors
    /// [`DiskError::Io`].
    pub fn meta(&self) -> Result<Meta, DiskError> {
        fstat(&self.file)
    }

    /// Fills `buffer` from `offset`, to compare with what is there already under the wanted name.
    ///
    /// # Errors
    /// As [`Staging::read_at`].
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        self.file.read_exact_at(buffer, offset).map_err(|error| DiskError::from_io("pread", error))
    }

    /// Lets the file stay when this handle is dropped.
    pub fn keep(&self) {
        self.place.keep.store(true, Ordering::Relaxed);
    }

    /// Removes the file now and says whether that worked.
    ///
    /// # Errors
    /// As [`Dir::remove_file_leaf`].
    pub fn discard(self) -> Result<(), DiskError> {
        self.place.discard()
    }
}

impl Place {
    fn discard(self) -> Result<(), DiskError> {
        self.keep.store(true, Ordering::Relaxed);
        self.dir.remove_file_leaf(&self.leaf)
    }
}

/// Positioned writing by anything that may write less than it was asked to.
pub(crate) trait PositionedWrite {
    /// Writes some of `bytes` at `offset` and says how many.
    fn write_some_at(&self, bytes: &[u8], offset: u64) -> Result<usize, Errno>;
}

impl PositionedWrite for File {
    fn write_some_at(&self, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
        rustix::io::pwrite(self, bytes, offset)
    }
}

/// Writes all of `bytes` at `offset`; a write of nothing is an error, not another round.
pub(crate) fn write_all_at(
    to: &impl PositionedWrite,
    mut bytes: &[u8],
    mut offset: u64,
) -> Result<(), DiskError> {
    while !bytes.is_empty() {
        let written = match to.write_some_at(bytes, offset) {
            Ok(0) => return Err(DiskError::no_progress("pwrite")),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(DiskError::from_errno("pwrite", errno)),
        };
        bytes = bytes.get(written..).ok_or(DiskError::no_progress("pwrite"))?;
        offset = offset.checked_add(written as u64).ok_or(DiskError::FileTooLarge)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
