//! From the disk's errors to the store's.

use fulmar_disk::DiskError;
use fulmar_proto::path::RelPath;

use crate::StoreError;

/// What a failed operation on an existing path means to the caller.
pub(super) fn refused(error: DiskError) -> StoreError {
    match error {
        DiskError::NotFound | DiskError::BadName => StoreError::NotFound,
        DiskError::NotADirectory => StoreError::NotADirectory,
        DiskError::IsADirectory => StoreError::IsADirectory,
        DiskError::NotRegular | DiskError::Symlink => StoreError::NotServable,
        DiskError::NameTooLong => StoreError::NameTooLong,
        DiskError::NotEmpty => StoreError::NotEmpty,
        DiskError::TooDeep => StoreError::OverLimit,
        // The directory that it should go into would no longer be there.
        DiskError::IntoItself => StoreError::NoParent,
        DiskError::BadCursor => StoreError::BadCursor,
        DiskError::NoSpace | DiskError::FileTooLarge => StoreError::NoSpace,
        DiskError::ReadOnly => StoreError::ReadOnly,
        DiskError::PermissionDenied | DiskError::Escapes => StoreError::Permission,
        DiskError::Busy => StoreError::Busy,
        DiskError::Changed => StoreError::Changed,
        DiskError::Stopped => StoreError::Stopped,
        other => StoreError::Disk(other.to_string()),
    }
}

/// What a failed operation on a new name means: a taken name is `path`, and what was not found is its directory.
pub(super) fn not_created(path: &RelPath) -> impl Fn(DiskError) -> StoreError {
    move |error| match error {
        DiskError::AlreadyExists => StoreError::Exists { path: path.clone() },
        DiskError::NotFound => StoreError::NoParent,
        other => refused(other),
    }
}
