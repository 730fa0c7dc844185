//! The reading side: a file that is sent, whole pieces of it, and whether it is still the same.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fulmar_proto::digest::{RangeDigest, RangeHasher};
use fulmar_proto::range::Range;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::buffers::{Buffer, Buffers};
use crate::dir::{Dir, fstat};
use crate::error::DiskError;
use crate::meta::{Kind, Meta};

/// The most bytes that [`read_piece`] reads at once.
pub const MAX_PIECE_BYTES: usize = 8 * 1024 * 1024;

/// A local file, open for reading.
#[derive(Debug)]
pub struct Source {
    file: File,
    found: Found,
    meta: Meta,
}

/// What has led to a file.
#[derive(Debug)]
enum Found {
    /// The user's own words.
    Path(PathBuf),
    /// One name in a directory.
    Leaf(Dir, String),
}

impl Source {
    /// Opens the regular file at `path`. Links are followed: the path is the user's own.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::IsADirectory`], [`DiskError::NotRegular`] for a FIFO, socket or device.
    pub fn open_local(path: &Path) -> Result<Self, DiskError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NXIO | Errno::NODEV => DiskError::NotRegular,
            other => DiskError::from_errno("openat", other),
        })?;
        let meta = fstat(&fd)?;
        match meta.kind {
            Kind::File => Ok(Self { file: File::from(fd), found: Found::Path(path.to_owned()), meta }),
            Kind::Directory => Err(DiskError::IsADirectory),
            Kind::Link | Kind::Other => Err(DiskError::NotRegular),
        }
    }

    /// Opens the regular file `name` of a directory. No link is followed.
    ///
    /// # Errors
    /// As [`Dir::open_file_leaf`].
    pub fn open_leaf(dir: &Dir, name: &str) -> Result<Self, DiskError> {
        let (file, meta) = dir.open_file_leaf(name)?;
        Ok(Self { file, found: Found::Leaf(dir.clone(), name.to_owned()), meta })
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What the file was when it was opened.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`DiskError::Changed`] when the file ends within `buffer`; [`DiskError::Io`].
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        self.file.read_exact_at(buffer, offset).map_err(changed)
    }

    /// Whether the open file is as it was at `since`, and what led to it still does.
    ///
    /// # Errors
    /// [`DiskError::Io`] when that cannot be seen. A path that leads nowhere is an answer, not an error.
    pub fn unchanged(&self, since: &Meta) -> Result<bool, DiskError> {
        if !file_unchanged(&self.file, since)? {
            return Ok(false);
        }
        let found = match &self.found {
            Found::Path(path) => rustix::fs::stat(path)
                .map(|stat| Meta::from_stat(&stat))
                .map_err(|errno| DiskError::from_errno("stat", errno)),
            Found::Leaf(dir, name) => dir.stat_leaf(name),
        };
        match found {
            Ok(found) => Ok(found.same_file(since)),
            Err(DiskError::NotFound | DiskError::NotADirectory | DiskError::Symlink) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether the open file is as it was at `since`, whatever its name leads to now.
///
/// # Errors
/// [`DiskError::Io`].
pub fn file_unchanged(file: &File, since: &Meta) -> Result<bool, DiskError> {
    Ok(fstat(file)?.version() == since.version())
}

/// Reads exactly `len` bytes (at most [`MAX_PIECE_BYTES`]) from `offset`.
///
/// # Errors
/// `UnexpectedEof` when the file ends before that; `InvalidInput` for a greater `len`.
pub fn read_piece(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    if len > MAX_PIECE_BYTES {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut piece = vec![0; len];
    file.read_exact_at(&mut piece, offset)?;
    Ok(piece)
}

/// In pieces of this many bytes a range is read: short enough to be hashed while it is in a processor's own cache, and to be lent
/// anew soon after it was sent.
const HASHED_PIECE_BYTES: usize = 256 * 1024;

/// Reads one range, in pieces, and hashes each while it is in the cache.
///
/// # Errors
/// [`DiskError::Changed`] when the file ends within the range; [`DiskError::Io`].
pub fn read_hashed(
    file: &File,
    range: Range,
    buffers: &Buffers,
) -> Result<(Vec<Buffer>, RangeDigest), DiskError> {
    let mut hasher = RangeHasher::new(range);
    let mut pieces = Vec::with_capacity((range.len() as usize).div_ceil(HASHED_PIECE_BYTES));
    let mut offset = range.offset();
    while offset < range.end() {
        let left = usize::try_from(range.end() - offset).unwrap_or(HASHED_PIECE_BYTES);
        let piece = buffers.read(file, offset, left.min(HASHED_PIECE_BYTES)).map_err(changed)?;
        offset += piece.len() as u64;
        // The pieces are exactly as long as the range together, the only thing the hasher can object to.
        hasher.update(&piece).map_err(|_| DiskError::Changed)?;
        pieces.push(piece);
    }
    Ok((pieces, hasher.finish().map_err(|_| DiskError::Changed)?))
}

/// A file that got shorter while it was read has changed; that is not the disk's fault.
fn changed(error: io::Error) -> DiskError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DiskError::Changed,
        _ => DiskError::from_io("pread", error),
    }
}

#[cfg(test)]
mod tests;
