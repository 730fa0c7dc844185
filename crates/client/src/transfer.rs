//! Transfers: one file going one way, in ranges that are in flight together.

pub(crate) mod download;
pub(crate) mod fetch;
mod flight;
mod plan;
pub(crate) mod present;
mod reader;
pub(crate) mod source;
mod turn;
pub(crate) mod upload;

use std::{fmt, path::PathBuf, time::Duration};

use fulmar_proto::{digest::Digest, upload::OnExists};

/// The most ranges in flight of an upload that is read as it comes, in pieces of a mebibyte.
pub(crate) const MAX_IN_FLIGHT: usize = 16;

/// Where the bytes of an upload come from.
pub enum UploadSource {
    /// A regular file. Links are followed: the path is the caller's own.
    File(PathBuf),
    /// Anything that can be read once, of unknown length. The destination must then be a new name.
    Reader(Box<dyn std::io::Read + Send>),
}

impl fmt::Debug for UploadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Reader(_) => f.write_str("Reader(..)"),
        }
    }
}

/// Where the bytes of a download go.
pub enum DownloadTarget {
    /// A directory that exists, or a new name in one.
    Path {
        /// The directory or the new name.
        path: PathBuf,
        /// Only a directory will do.
        must_be_directory: bool,
    },
    /// Anything that can be written to. What has been written cannot be taken back: a failure leaves a part there.
    Writer(Box<dyn std::io::Write + Send>),
}

impl fmt::Debug for DownloadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, .. } => f.debug_tuple("Path").field(path).finish(),
            Self::Writer(_) => f.write_str("Writer(..)"),
        }
    }
}

/// How a transfer is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferOptions {
    /// What to do when the target exists.
    pub on_exists: OnExists,
    /// Give the target the source's modification time.
    pub keep_modified: bool,
    /// Make the target executable when the source is.
    pub keep_executable: bool,
}

impl Default for TransferOptions {
    /// Refuse existing targets, keep the modification time, and not the executable bit.
    fn default() -> Self {
        Self { on_exists: OnExists::Fail, keep_modified: true, keep_executable: false }
    }
}

/// What became of a transfer that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file is there, durably.
    Stored,
    /// The target held the same bytes already.
    AlreadyThere,
    /// The target exists and the options said to skip then. Digest and sizes are those of no file.
    Skipped,
}

/// A transfer that succeeded. Names are not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Where the bytes came from; `-` for a reader.
    pub source: String,
    /// Where they are now; `-` for a writer.
    pub destination: String,
    /// The length of the file in bytes.
    pub bytes: u64,
    /// File bytes that crossed the network this time.
    pub sent_bytes: u64,
    /// File bytes that the receiver had already.
    pub resumed_bytes: u64,
    /// The file's digest.
    pub root: Digest,
    /// From the call to the durable end.
    pub elapsed: Duration,
    /// What became of it.
    pub outcome: Outcome,
}

/// What happens during a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The transfer has begun, or begun anew.
    Started {
        /// The length of the file in bytes, when it is known.
        size: Option<u64>,
    },
    /// The receiver has this many bytes by now.
    Acknowledged {
        /// All bytes so far, those of an earlier attempt that are kept included.
        bytes: u64,
    },
    /// A digest is being computed, on either side.
    Hashing {
        /// Bytes hashed.
        done: u64,
        /// Out of how many; 0 when that is unknown.
        total: u64,
    },
    /// The source has changed; the transfer begins anew, once.
    Restarted,
}

/// Is told what happens during a transfer, from whichever task it happens in.
pub trait Observer: Send + Sync {
    /// Takes note of an event. Must not block.
    fn on(&self, event: Event);
}

/// Takes note of nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn on(&self, _event: Event) {}
}
