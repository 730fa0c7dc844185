//! Writing one range into a staged file.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fulmar_proto::digest::{RangeDigest, RangeHasher};

use super::{Shared, slot::Slot};
use crate::{RangeWriter, StoreError, registry::Reservation};

/// A writer for a reserved range.
pub(super) fn writer(shared: Arc<Shared>, reservation: Reservation<Slot>) -> Box<dyn RangeWriter> {
    let hasher = RangeHasher::new(reservation.range());
    Box::new(Writer { shared, writing: Ok(Writing { reservation, hasher }) })
}

/// The writer's handle. The work is in [`Writing`], which moves into each job: when the handle is dropped meanwhile, the
/// range is given back by the job, at its end.
#[derive(Debug)]
struct Writer {
    shared: Arc<Shared>,
    /// After an error that error, again and again; while a job has the work, what a caller is told who has given up
    /// waiting for it and goes on all the same.
    writing: Result<Writing, StoreError>,
}

#[derive(Debug)]
struct Writing {
    reservation: Reservation<Slot>,
    hasher: RangeHasher,
}

impl Writing {
    fn write(mut self, shared: &Shared, piece: &[u8]) -> Result<Self, StoreError> {
        let _pass = self.reservation.pass()?;
        let range = self.reservation.range();
        let remaining = self.hasher.remaining();
        if piece.len() as u64 > remaining {
            return Err(StoreError::DigestMismatch);
        }
        let slot = &self.reservation.upload().slot;
        let staging = slot.staging(shared.area()?)?;
        slot.note(staging.write_at(piece, range.end() - remaining))?;
        // Given back before the pass is, so that whoever waits for the passes is alone with the file.
        drop(staging);
        self.hasher.update(piece).map_err(|_| StoreError::DigestMismatch)?;
        Ok(self)
    }

    /// Adds the range to what is there, and writes the journal when it is time.
    fn finish(self, shared: &Shared, claimed: RangeDigest) -> Result<(), StoreError> {
        let Self { reservation, hasher } = self;
        let _pass = reservation.pass()?;
        if hasher.finish().map_err(|_| StoreError::DigestMismatch)? != claimed {
            return Err(StoreError::DigestMismatch);
        }
        reservation.complete(claimed)?;
        let upload = reservation.upload();
        let now = shared.environment.clock.now();
        upload.lock().touched = now;
        if upload.lasting && upload.slot.record(reservation.range(), claimed, now) {
            upload.slot.flush(shared.area()?, upload.id, now)?;
        }
        Ok(())
    }
}

impl Writer {
    fn take(&mut self) -> Result<Writing, StoreError> {
        if let Err(error) = &self.writing {
            return Err(error.clone());
        }
        std::mem::replace(&mut self.writing, Err(StoreError::Stopped))
    }
}

#[async_trait]
impl RangeWriter for Writer {
    async fn write(&mut self, piece: Bytes) -> Result<(), StoreError> {
        let writing = self.take()?;
        let shared = Arc::clone(&self.shared);
        self.writing = self.shared.environment.offload.run(move || writing.write(&shared, &piece)).await;
        self.writing.as_ref().map(drop).map_err(Clone::clone)
    }

    async fn finish(mut self: Box<Self>, claimed: RangeDigest) -> Result<(), StoreError> {
        let writing = self.take()?;
        let shared = Arc::clone(&self.shared);
        self.shared.environment.offload.run(move || writing.finish(&shared, claimed)).await
    }
}
