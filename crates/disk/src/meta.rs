//! What is known about one file or directory, and the token that tells two states of it apart.

use fulmar_proto::time::Timestamp;
use fulmar_proto::version::Version;
use rustix::fs::{FileType, Stat};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, itself: links are never followed.
    Link,
    /// A FIFO, socket or device: never served.
    Other,
}

impl Kind {
    /// `None` when the file system does not say (`DT_UNKNOWN`).
    pub(crate) fn from_file_type(file_type: FileType) -> Option<Self> {
        match file_type {
            FileType::RegularFile => Some(Self::File),
            FileType::Directory => Some(Self::Directory),
            FileType::Symlink => Some(Self::Link),
            FileType::Unknown => None,
            _ => Some(Self::Other),
        }
    }
}

/// What `fstat` says about one file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Length in bytes; for other than files, what the file system says.
    pub size: u64,
    /// When the content was last changed (`st_mtime`).
    pub modified: Timestamp,
    /// When content or metadata were last changed (`st_ctime`); nobody can set it back.
    pub changed: Timestamp,
    /// The file's number on its device.
    pub inode: u64,
    /// The device (file system) it is on.
    pub device: u64,
    /// Permission bits including setuid, setgid and sticky: `0..=0o7777`.
    pub mode: u32,
    /// How many names the file has.
    pub links: u64,
}

impl Meta {
    #[allow(clippy::unnecessary_cast, reason = "st_nlink is narrower on some architectures")]
    pub(crate) fn from_stat(stat: &Stat) -> Self {
        let kind = Kind::from_file_type(FileType::from_raw_mode(stat.st_mode)).unwrap_or(Kind::Other);
        Self {
            kind,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: timestamp(stat.st_mtime, stat.st_mtime_nsec),
            changed: timestamp(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
            device: stat.st_dev,
            mode: stat.st_mode & 0o7777,
            links: stat.st_nlink as u64,
        }
    }

    /// An opaque token that differs whenever size, times, inode or device differ.
    ///
    /// It proves "unchanged since" between two looks at one file; it says nothing about the content of another.
    pub fn version(&self) -> Version {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"fulmar disk version 1\0");
        hasher.update(&self.size.to_le_bytes());
        for time in [&self.modified, &self.changed] {
            hasher.update(&time.secs().to_le_bytes());
            hasher.update(&time.nanos().to_le_bytes());
        }
        hasher.update(&self.inode.to_le_bytes());
        hasher.update(&self.device.to_le_bytes());
        Version(*hasher.finalize().as_bytes())
    }

    /// Whether any execute bit is set.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// Whether both describe the same file (device and inode), whatever its state.
    pub fn same_file(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }
}

/// The kernel keeps nanoseconds below one second; a file system that does not is read as the whole second.
fn timestamp(secs: i64, nanos: impl TryInto<u32>) -> Timestamp {
    let nanos = nanos.try_into().unwrap_or(0);
    Timestamp::new(secs, nanos).or_else(|_| Timestamp::new(secs, 0)).unwrap_or(Timestamp::EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Meta {
        let time = Timestamp::new(5, 6).unwrap();
        Meta {
            kind: Kind::File,
            size: 1,
            modified: time,
            changed: time,
            inode: 2,
            device: 3,
            mode: 0o644,
            links: 1,
        }
    }

    #[test]
    fn the_version_changes_with_each_of_its_parts_and_with_nothing_else() {
        let base = sample();
        let later = Timestamp::new(5, 7).unwrap();
        let others = [
            Meta { size: 2, ..base },
            Meta { modified: later, ..base },
            Meta { changed: later, ..base },
            Meta { inode: 3, ..base },
            Meta { device: 4, ..base },
        ];
        for other in others {
            assert_ne!(base.version(), other.version(), "{other:?}");
        }
        assert_eq!(base.version(), Meta { links: 2, mode: 0o600, ..base }.version());
    }

    #[test]
    fn a_time_outside_its_range_is_the_whole_second() {
        assert_eq!(timestamp(-1, 1_000_000_000_u64), Timestamp::new(-1, 0).unwrap());
        assert_eq!(timestamp(9, 999_999_999_u64), Timestamp::new(9, 999_999_999).unwrap());
    }
}
