//! Writing one range of an upload.

use std::sync::Arc;

use fulmar_proto::{
    digest::{DigestError, RangeDigest},
    range::Range,
};

use super::upload::{Inner, Phase, Upload};
use crate::StoreError;

impl Inner {
    /// Whether a writer of this generation may go on.
    fn check_writer(&self, generation: u32) -> Result<(), StoreError> {
        if generation != self.generation {
            return Err(StoreError::StaleGeneration);
        }
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Held => Err(StoreError::Busy),
            Phase::Stored(_) | Phase::Gone => Err(StoreError::UnknownUpload),
        }
    }

    fn check_range(&self, range: Range) -> Result<(), StoreError> {
        if let Some(size) = self.tree.size() {
            range.check_in_file(size).map_err(|_| StoreError::OverLimit)?;
        }
        let (offset, end) = (range.offset(), range.end());
        let before = self.reserved.range(..end).next_back();
        let taken = before.is_some_and(|(_, reserved_end)| *reserved_end > offset);
        if taken || self.tree.overlaps(offset, u64::from(range.len())) {
            return Err(StoreError::RangeTaken);
        }
        Ok(())
    }
}

impl<S> Upload<S> {
    /// Keeps `range` for one writer of `generation`.
    ///
    /// # Errors
    /// As [`Uploads::open_range`](crate::Uploads::open_range), and [`StoreError::Busy`] during a commit.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        generation: u32,
        range: Range,
    ) -> Result<Reservation<S>, StoreError> {
        let mut inner = self.lock();
        inner.check_writer(generation)?;
        inner.check_range(range)?;
        inner.reserved.insert(range.offset(), range.end());
        // From here on the file is no longer what was verified.
        inner.verified = None;
        drop(inner);
        Ok(Reservation { upload: Arc::clone(self), generation, range })
    }
}

/// A range that one writer has for itself.
#[derive(Debug)]
pub(crate) struct Reservation<S> {
    upload: Arc<Upload<S>>,
    generation: u32,
    range: Range,
}

impl<S> Reservation<S> {
    pub(crate) fn upload(&self) -> &Arc<Upload<S>> {
        &self.upload
    }

    pub(crate) fn range(&self) -> Range {
        self.range
    }

    /// Permission to touch the staged bytes until it is dropped.
    ///
    /// # Errors
    /// [`StoreError::StaleGeneration`], [`StoreError::Busy`], [`StoreError::UnknownUpload`].
    pub(crate) fn pass(&self) -> Result<Pass<S>, StoreError> {
        let mut inner = self.upload.lock();
        inner.check_writer(self.generation)?;
        inner.passes += 1;
        Ok(Pass { upload: Arc::clone(&self.upload) })
    }

    /// Adds the range, whose bytes are staged and have this digest, to what is there.
    ///
    /// # Errors
    /// As [`Reservation::pass`]; [`StoreError::DigestMismatch`] when the file has no such range.
    pub(crate) fn complete(&self, digest: RangeDigest) -> Result<(), StoreError> {
        let mut inner = self.upload.lock();
        inner.check_writer(self.generation)?;
        inner.tree.insert(self.range, digest).map_err(|error| match error {
            DigestError::Overlap => StoreError::RangeTaken,
            _ => StoreError::DigestMismatch,
        })
    }
}

impl<S> Drop for Reservation<S> {
    fn drop(&mut self) {
        let mut inner = self.upload.lock();
        // A newer generation has cleared the reservations and may have made its own at this offset.
        if inner.generation == self.generation {
            inner.reserved.remove(&self.range.offset());
        }
    }
}

/// Held while a job touches the staged bytes.
#[derive(Debug)]
pub(crate) struct Pass<S> {
    upload: Arc<Upload<S>>,
}

impl<S> Drop for Pass<S> {
    fn drop(&mut self) {
        let mut inner = self.upload.lock();
        inner.passes -= 1;
        drop(inner);
        self.upload.announce();
    }
}
