//! Reading a directory as it lies on disk, in any number of sittings, with constant memory.

use std::os::fd::OwnedFd;

use rustix::fs::SeekFrom;

use crate::error::DiskError;
use crate::meta::Kind;

/// A position in one directory: where reading goes on after an entry.
///
/// It is the file system's own cookie (`d_off` of `getdents64`) and means something only in the directory that gave
/// it. Entries that exist all the while are seen exactly once across sittings; what is made or removed meanwhile may
/// be seen or not. A cookie that no directory ever gave leads to an error or to some subset of the entries, no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirCursor(u64);

impl DirCursor {
    /// The cursor as a number that can be stored or sent.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The cursor that [`Self::to_bits`] came from.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// One entry of a directory; `.` and `..` are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name as the disk has it: any bytes but `/` and NUL, UTF-8 or not.
    pub name: Vec<u8>,
    /// What the entry was when read, where the file system says: a hint, to be proven by opening or `stat`.
    pub kind: Option<Kind>,
    /// Where reading goes on after this entry.
    pub next: DirCursor,
}

/// Iterates over a directory's entries in the order of the file system.
#[derive(Debug)]
pub struct DirReader {
    entries: rustix::fs::Dir,
}

impl DirReader {
    /// Takes a handle of its own, because reading moves the handle's position.
    pub(crate) fn new(fd: OwnedFd, cursor: Option<DirCursor>) -> Result<Self, DiskError> {
        if let Some(DirCursor(cookie)) = cursor {
            // The kernel's offsets are signed: a greater number is none of its cookies.
            if i64::try_from(cookie).is_err() {
                return Err(DiskError::BadCursor);
            }
            rustix::fs::seek(&fd, SeekFrom::Start(cookie)).map_err(|_| DiskError::BadCursor)?;
        }
        let entries = rustix::fs::Dir::new(fd).map_err(|errno| DiskError::from_errno("getdents64", errno))?;
        Ok(Self { entries })
    }
}

impl Iterator for DirReader {
    type Item = Result<DirEntry, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.entries.read()? {
                Ok(entry) => entry,
                Err(errno) => return Some(Err(DiskError::from_errno("getdents64", errno))),
            };
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                return Some(Ok(DirEntry {
                    name: name.to_vec(),
                    kind: Kind::from_file_type(entry.file_type()),
                    next: DirCursor(entry.offset().cast_unsigned()),
                }));
            }
        }
    }
}
