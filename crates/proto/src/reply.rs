//! What a server answers. Each reply is a frame on the stream of its command.

use serde::{Deserialize, Serialize};

use crate::{
    codec::Growing,
    digest::Digest,
    error::Failure,
    hello::Welcome,
    listing::{Entry, EntryKind, Page},
    path::RelPath,
    time::Timestamp,
    upload::{Begun, Mode, Present, Stored},
    version::Version,
};

/// What is told of a file that was opened for download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The state of the file that all further reads must name.
    pub version: Version,
    /// Its length in bytes.
    pub size: u64,
    /// Its modification time.
    pub modified: Timestamp,
    /// Its permission bits.
    pub mode: Mode,
    /// Its digest, when the catalog knows it.
    pub root: Option<Digest>,
    /// How many bytes follow as the body, from offset 0. Their trailer follows in any case.
    pub body_bytes: u32,
}

/// A reply. Variants are only ever appended; the number behind each is its discriminant on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// `0`: The command is still being worked on; more replies follow.
    Working {
        /// How much is done, in the command's own unit (bytes hashed, files removed).
        done: u64,
        /// Out of how much; 0 while that is unknown.
        total: u64,
    },
    /// `1`: The command failed. Always final.
    Failed(Failure),
    /// `2`: The answer to a Hello that is admitted.
    Welcome(Welcome),
    /// `3`: One page of a listing; final when it has no cursor.
    Page(Page),
    /// `4`: One entry.
    Entry(Entry),
    /// `5`: A file or a tree was summed.
    Measured {
        /// What it is.
        kind: EntryKind,
        /// The sum of the sizes of all regular files, in bytes.
        bytes: u64,
        /// How many regular files.
        files: u64,
        /// How many directories, itself not counted.
        directories: u64,
    },
    /// `6`: A file's digest.
    Hashed {
        /// The file's length in bytes.
        size: u64,
        /// Its digest.
        root: Digest,
    },
    /// `7`: A directory is there.
    DirectoryMade {
        /// False when it was there before.
        created: bool,
    },
    /// `8`: Something was removed.
    Removed {
        /// How many files (and links and other things that are not directories).
        files: u64,
        /// How many directories.
        directories: u64,
    },
    /// `9`: Something was renamed.
    Renamed {
        /// The name that it has now.
        path: RelPath,
        /// Nothing was done: the target exists and the request said to skip then.
        skipped: bool,
    },
    /// `10`: A file was opened; a body and a trailer follow.
    Opened(Opened),
    /// `11`: A range; a body and a trailer follow.
    Body {
        /// The length of the body in bytes.
        len: u32,
    },
    /// `12`: An upload has begun.
    Begun(Begun),
    /// `13`: The target exists and has the size of the source: compare digests.
    Present(Present),
    /// `14`: The target exists and the request said to skip then.
    Skipped {
        /// The target.
        path: RelPath,
    },
    /// `15`: A range was written.
    Written,
    /// `16`: A file is stored, durably.
    Stored(Stored),
    /// `17`: An upload was given up.
    Abandoned,
}

impl Growing for Reply {
    const VARIANTS: u32 = 18;
}

impl Reply {
    /// The reply's name in messages about a reply that does not fit its request.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Working { .. } => "working",
            Self::Failed(_) => "failed",
            Self::Welcome(_) => "welcome",
            Self::Page(_) => "page",
            Self::Entry(_) => "entry",
            Self::Measured { .. } => "measured",
            Self::Hashed { .. } => "hashed",
            Self::DirectoryMade { .. } => "directory made",
            Self::Removed { .. } => "removed",
            Self::Renamed { .. } => "renamed",
            Self::Opened(_) => "opened",
            Self::Body { .. } => "body",
            Self::Begun(_) => "begun",
            Self::Present(_) => "present",
            Self::Skipped { .. } => "skipped",
            Self::Written => "written",
            Self::Stored(_) => "stored",
            Self::Abandoned => "abandoned",
        }
    }
}
