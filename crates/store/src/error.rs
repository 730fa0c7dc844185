//! What can go wrong in a store, by whose fault it is.

use fulmar_proto::path::RelPath;

/// Why a store refused or failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is nothing under that name.
    #[error("no such file or directory")]
    NotFound,
    /// The directory that something should go into does not exist.
    #[error("the directory does not exist")]
    NoParent,
    /// The target exists already, with other content.
    #[error("the target exists")]
    Exists {
        /// The target.
        path: RelPath,
    },
    /// A directory is needed and something else is there.
    #[error("not a directory")]
    NotADirectory,
    /// A file is needed and a directory is there.
    #[error("is a directory")]
    IsADirectory,
    /// It is a link, a device, a pipe or a socket.
    #[error("neither a regular file nor a directory")]
    NotServable,
    /// The directory is not empty.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The file is not in the state that the caller named, or it changed while it was read.
    #[error("the file changed")]
    Changed,
    /// The store is full.
    #[error("no space left")]
    NoSpace,
    /// The store cannot be written to.
    #[error("the store is read-only")]
    ReadOnly,
    /// The file system refuses the server this access.
    #[error("permission denied")]
    Permission,
    /// Something else has hold of it; trying again may help.
    #[error("busy")]
    Busy,
    /// The file system cannot take a name that long.
    #[error("the name is too long")]
    NameTooLong,
    /// A tree is nested too deep, or a count exceeds what the store bears.
    #[error("over a limit of the store")]
    OverLimit,
    /// The range and what is there already overlap, or another stream is writing it now.
    #[error("the range overlaps one that is there or on its way")]
    RangeTaken,
    /// There is no such upload for this client.
    #[error("no such upload")]
    UnknownUpload,
    /// A newer upload of the same source to the same destination took over.
    #[error("a newer upload took over")]
    StaleGeneration,
    /// Not every range of the named size has arrived.
    #[error("not every range has arrived")]
    Incomplete,
    /// Bytes and digest do not agree.
    #[error("bytes and digest do not agree")]
    DigestMismatch,
    /// The last step could not be confirmed: it may or may not have happened.
    #[error("it may or may not have happened")]
    UnknownOutcome,
    /// The caller stopped the work.
    #[error("stopped")]
    Stopped,
    /// A listing's cursor is not one of this store's.
    #[error("not a cursor of this store")]
    BadCursor,
    /// The disk failed. The text names the operation and the system's error, without paths.
    #[error("disk: {0}")]
    Disk(String),
    /// The catalog failed.
    #[error("catalog: {0}")]
    Catalog(String),
}
