//! The commands of a client. Each opens one stream with one of these as its first frame.

use serde::{Deserialize, Serialize};

use crate::{
    codec::Growing,
    digest::Digest,
    listing::Cursor,
    path::{DirPath, RelPath},
    range::Range,
    upload::{BeginUpload, Destination, OnExists},
    version::{UploadId, Version},
};

/// A command. Variants are only ever appended; the number behind each is its discriminant on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// `0`: List a directory. Answered by pages, the last of which has no cursor.
    List {
        /// The directory.
        directory: DirPath,
        /// Where to go on; none for the beginning.
        cursor: Option<Cursor>,
        /// Whether each file's version and catalog entry are wanted too.
        details: bool,
    },
    /// `1`: Describe one file or directory, with details. Answered by `Entry`.
    Stat {
        /// What to describe.
        path: DirPath,
    },
    /// `2`: Sum a file or a tree. Answered by `Measured`.
    Measure {
        /// What to sum.
        path: DirPath,
    },
    /// `3`: Tell a file's digest. Answered by `Hashed`.
    Hash {
        /// The file.
        path: RelPath,
        /// Read the bytes again even when the catalog knows the digest.
        reread: bool,
    },
    /// `4`: Make a directory. Answered by `DirectoryMade`.
    MakeDirectory {
        /// The directory.
        path: RelPath,
        /// Make missing parents too, and accept a directory that exists.
        parents: bool,
    },
    /// `5`: Remove a file, an empty directory or a tree. Answered by `Removed`. Not idempotent: a lost reply leaves open
    /// whether it happened.
    Remove {
        /// What to remove.
        path: RelPath,
        /// Remove a directory with all that is in it.
        recursive: bool,
    },
    /// `6`: Rename a file or a directory. Answered by `Renamed`. Not idempotent.
    Rename {
        /// What to rename.
        from: RelPath,
        /// Its new name, or an existing directory to put it into.
        to: Destination,
        /// What to do when the target exists.
        on_exists: OnExists,
    },
    /// `7`: Open a file for download. Answered by `Opened`, the first bytes as body, and a trailer.
    Open {
        /// The file.
        path: RelPath,
        /// How many bytes to send at once, 0..=2 MiB; fewer come when the file is shorter.
        first_bytes: u32,
    },
    /// `8`: Read one range of a file that was opened. Answered by `Body`, the bytes, and a trailer.
    Read {
        /// The file.
        path: RelPath,
        /// The version that `Opened` told; any other is answered `CHANGED`.
        version: Version,
        /// Which bytes.
        range: Range,
    },
    /// `9`: Begin an upload, or take one up again. Answered by `Begun`, `Present` or `Skipped`. When `first` is set, that
    /// range follows as a body with its trailer, and counts as written once `Begun` has arrived and been followed by
    /// `Written` on the same stream.
    Begin {
        /// What is to be uploaded, and where to.
        upload: BeginUpload,
        /// The range that follows as a body.
        first: Option<Range>,
    },
    /// `10`: Write one range of an upload. A body and its trailer follow. Answered by `Written`.
    Write {
        /// The upload.
        upload_id: UploadId,
        /// Its generation.
        generation: u32,
        /// Which bytes.
        range: Range,
    },
    /// `11`: Store an upload under its final name, durably. Answered by `Stored`; repeating it gives the same answer.
    Commit {
        /// The upload.
        upload_id: UploadId,
        /// Its generation.
        generation: u32,
        /// The file's length in bytes.
        size: u64,
        /// The file's digest as the sender knows it.
        root: Digest,
    },
    /// `12`: Give an upload up; what arrived of it is removed. Answered by `Abandoned`. Idempotent.
    Abandon {
        /// The upload.
        upload_id: UploadId,
        /// Its generation.
        generation: u32,
    },
    /// `13`: Upload a small file in one stream: a body of its whole length and a trailer follow. Answered by `Stored`,
    /// `Present` or `Skipped`. Idempotent by digest.
    Put {
        /// What is uploaded, and where to; its size must be known and at most the longest body.
        upload: BeginUpload,
    },
}

impl Growing for Request {
    const VARIANTS: u32 = 14;
}

impl Request {
    /// The command's name in logs.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::List { .. } => "list",
            Self::Stat { .. } => "stat",
            Self::Measure { .. } => "measure",
            Self::Hash { .. } => "hash",
            Self::MakeDirectory { .. } => "mkdir",
            Self::Remove { .. } => "remove",
            Self::Rename { .. } => "rename",
            Self::Open { .. } => "open",
            Self::Read { .. } => "read",
            Self::Begin { .. } => "begin",
            Self::Write { .. } => "write",
            Self::Commit { .. } => "commit",
            Self::Abandon { .. } => "abandon",
            Self::Put { .. } => "put",
        }
    }
}
