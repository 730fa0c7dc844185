//! From a complete staging file to its final name, in one step that survives a power cut.
//!
//! The order is: content and metadata durable ([`crate::Staging::sync`]), then the name, then the directory. A final
//! name therefore never holds partial or mixed bytes, and whoever is told "published" finds the file after a power cut.

use std::sync::atomic::Ordering;

use crate::dir::{Dir, Replace};
use crate::error::DiskError;
use crate::meta::Meta;
use crate::staging::SyncedStaging;

/// A file was not published, or it is not known whether it was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The final name is as it was. The staging file is given back for another try, under another name for example;
    /// dropping it removes it as always.
    #[error("not published: {error}")]
    Refused {
        /// The untouched staging file.
        staging: Box<SyncedStaging>,
        /// Why; [`DiskError::AlreadyExists`] when the name is taken and not to be replaced.
        #[source]
        error: DiskError,
    },
    /// The file has its name, but the directory could not be made durable: after a power cut the name may exist or
    /// not. The caller must report "may exist", neither success nor failure.
    #[error("published, but perhaps not durably: {error}")]
    Unknown {
        /// The published file.
        meta: Option<Box<Meta>>,
        /// What the sync of the directory answered.
        #[source]
        error: DiskError,
    },
}

/// Gives `staging` its final name `leaf` in `to_dir` and makes that durable. What is returned is the file's state
/// after the move, which changes its `changed` time.
///
/// # Errors
/// See [`PublishError`].
pub fn publish(
    staging: SyncedStaging,
    to_dir: &Dir,
    leaf: &str,
    replace: Replace,
) -> Result<Meta, PublishError> {
    let meta = publish_unsynced(staging, to_dir, leaf, replace)?;
    match to_dir.sync() {
        Ok(()) => Ok(meta),
        Err(error) => Err(PublishError::Unknown { meta: Some(Box::new(meta)), error }),
    }
}

/// As [`publish`] without making the name durable, for a caller who publishes many files and then calls
/// [`Dir::sync`] once per directory before reporting any of them.
///
/// # Errors
/// See [`PublishError`].
pub fn publish_unsynced(
    staging: SyncedStaging,
    to_dir: &Dir,
    leaf: &str,
    replace: Replace,
) -> Result<Meta, PublishError> {
    if let Err(error) = take_name(&staging, to_dir, leaf, replace) {
        return Err(PublishError::Refused { staging: Box::new(staging), error });
    }
    // The staging name is gone; whatever has it from here on is not ours to remove.
    staging.place.keep.store(true, Ordering::Relaxed);
    staging.meta().map_err(|error| PublishError::Unknown { meta: None, error })
}

fn take_name(staging: &SyncedStaging, to_dir: &Dir, leaf: &str, replace: Replace) -> Result<(), DiskError> {
    let place = &staging.place;
    let ours = staging.meta()?;
    // Whoever swapped the staging name would have their bytes published under our digest.
    if !place.dir.stat_leaf(&place.leaf)?.same_file(&ours) {
        return Err(DiskError::Changed);
    }
    place.dir.rename_leaf(&place.leaf, to_dir, leaf, replace).or_else(|refusal| {
        if is_linked(staging, to_dir, leaf).unwrap_or(false) {
            // A staging name that stays is swept up later; the file has its final name.
            drop(place.dir.remove_file_leaf(&place.leaf));
            return Ok(());
        }
        Err(refusal)
    })
}

/// Whether the file has the final name beside its staging name: a publication by link and unlink, this one or one
/// before a crash, got no further than the link. What is left to do is to take the staging name away.
fn is_linked(staging: &SyncedStaging, to_dir: &Dir, leaf: &str) -> Result<bool, DiskError> {
    let place = &staging.place;
    let ours = staging.meta()?;
    let same_name = place.leaf == leaf && place.dir.meta()?.same_file(&to_dir.meta()?);
    Ok(!same_name && ours.links > 1 && to_dir.stat_leaf(leaf)?.same_file(&ours))
}

#[cfg(test)]
mod tests;
