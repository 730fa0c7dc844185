//! How new files come to exist: begun, written in ranges, committed.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use fulmar_proto::{
    digest::{Digest, RangeDigest},
    fingerprint::Fingerprint,
    path::RelPath,
    range::Range,
    time::Timestamp,
    upload::{HaveNode, Mode, OnExists, Stored},
    version::{SourceToken, UploadId},
};

use crate::StoreError;

/// What is to be uploaded. The path is resolved already ([`Store::resolve`](crate::Store::resolve)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUpload {
    /// Who uploads.
    pub client: Fingerprint,
    /// The name that the file should have.
    pub path: RelPath,
    /// Its length in bytes; none while unknown.
    pub size: Option<u64>,
    /// The modification time to give it; the time of the commit when there is none.
    pub modified: Option<Timestamp>,
    /// The permission bits to keep (only the executable ones count).
    pub mode: Option<Mode>,
    /// Which source, in which state.
    pub source_token: SourceToken,
    /// What to do when the target exists at commit. [`OnExists::Skip`] is decided before: here it means as
    /// [`OnExists::Fail`].
    pub on_exists: OnExists,
    /// Whether a later begin of the same client, path and source must find it again. A file that arrives in one stream
    /// need not be found, and costs less.
    pub lasting: bool,
}

/// An upload that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    /// Names it from now on.
    pub upload_id: UploadId,
    /// The generation that its writes must name.
    pub generation: u32,
    /// The durability unit in bytes, a multiple of the longest range.
    pub unit_bytes: u32,
    /// What is there durably, in ascending order of offset.
    pub have: Vec<HaveNode>,
}

/// By what a client addresses its upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadKey {
    /// Who uploads. Somebody else's upload does not exist for it.
    pub client: Fingerprint,
    /// Which upload.
    pub upload_id: UploadId,
    /// Its generation.
    pub generation: u32,
}

/// A commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitUpload {
    /// Which upload.
    pub key: UploadKey,
    /// The file's length in bytes.
    pub size: u64,
    /// The file's digest as the sender knows it.
    pub root: Digest,
    /// Whether the client may learn that an existing target holds the same bytes. If not, it exists, and that is all.
    pub may_compare: bool,
    /// Whether the client may still replace what is there. If not, an upload that began as one that replaces is
    /// treated as one that must not.
    pub may_replace: bool,
}

impl CommitUpload {
    /// What is to be published, as far as the client may have it now.
    pub(crate) fn permitted(&self, upload: &NewUpload) -> NewUpload {
        let on_exists = match upload.on_exists {
            OnExists::Overwrite if !self.may_replace => OnExists::Fail,
            on_exists => on_exists,
        };
        NewUpload { on_exists, ..upload.clone() }
    }
}

/// One range that is being written. Dropping it forgets the range; bytes of it that are on their way to the disk are
/// waited for before anybody else may write the same range.
#[async_trait]
pub trait RangeWriter: Send + fmt::Debug {
    /// Writes and hashes the next piece of the range.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`], [`StoreError::Disk`], [`StoreError::StaleGeneration`]; [`StoreError::DigestMismatch`]
    /// when there are more bytes than the range has.
    async fn write(&mut self, piece: Bytes) -> Result<(), StoreError>;

    /// Ends the range, which must be complete and have the digest that the sender claims.
    ///
    /// # Errors
    /// [`StoreError::DigestMismatch`], [`StoreError::StaleGeneration`].
    async fn finish(self: Box<Self>, claimed: RangeDigest) -> Result<(), StoreError>;
}

/// How files come to exist. An upload belongs to the client that began it, survives the connection, and (when lasting)
/// the server.
#[async_trait]
pub trait Uploads: Send + Sync + fmt::Debug {
    /// Begins an upload. A lasting one of the same client, path and source that is open already is taken over by a
    /// lasting one: its generation rises, and writes of the old generation are waited for, and refused from then on,
    /// before this returns. When the sizes differ it is another file, and starts anew.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when the size is known and does not fit; [`StoreError::NoParent`],
    /// [`StoreError::ReadOnly`], [`StoreError::OverLimit`] when this client has too many uploads open.
    async fn begin(&self, upload: NewUpload) -> Result<OpenUpload, StoreError>;

    /// Opens one range for writing.
    ///
    /// # Errors
    /// [`StoreError::UnknownUpload`], [`StoreError::StaleGeneration`], [`StoreError::RangeTaken`];
    /// [`StoreError::Busy`] while the upload is being committed; [`StoreError::OverLimit`] when the range lies beyond the size that begin named.
    async fn open_range(&self, key: &UploadKey, range: Range) -> Result<Box<dyn RangeWriter>, StoreError>;

    /// Publishes an upload under its final name. When this returns, the file survives a power cut. Repeating the commit
    /// of a lasting upload gives the same answer, also after a restart, for a day; of others nothing is kept.
    ///
    /// # Errors
    /// [`StoreError::UnknownUpload`], [`StoreError::StaleGeneration`], [`StoreError::Incomplete`],
    /// [`StoreError::DigestMismatch`], [`StoreError::Exists`], [`StoreError::UnknownOutcome`]. After
    /// [`StoreError::Exists`], [`StoreError::DigestMismatch`], and after a failure of the disk that leaves its bytes in
    /// doubt, the upload is gone; after the others it is open as before.
    async fn commit(&self, commit: CommitUpload) -> Result<Stored, StoreError>;

    /// Gives an upload up and removes what arrived of it. One that does not exist is no error.
    ///
    /// # Errors
    /// [`StoreError::StaleGeneration`]; [`StoreError::Exists`] never.
    async fn abandon(&self, key: &UploadKey) -> Result<(), StoreError>;
}
