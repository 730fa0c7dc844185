//! The uploads that are open, and who may do what with them: the part that every store decides the same way.
//!
//! Nothing here does IO. A store keeps the bytes of an upload in its own `slot` and asks here before and after each
//! step. Three things wait for each other:
//!
//! * a *reservation* keeps a range for one writer, from the opening of the range to its end;
//! * a *pass* is held while a job touches the staged bytes; it is only given to the current generation of an open upload;
//! * a *turn* belongs to whoever commits or discards; while it is held no pass is given, and its holder waits until all
//!   passes are back.
//!
//! Passes and turns move into the job that uses them, so that a caller who is dropped meanwhile releases nothing early.

mod upload;
mod write;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fulmar_proto::{
    fingerprint::Fingerprint,
    path::RelPath,
    time::Timestamp,
    upload::Stored,
    version::{SourceToken, UploadId},
};

use upload::Phase;
pub(crate) use upload::{Claim, Ended, Turn, Upload, have};
pub(crate) use write::Reservation;

use crate::{NewUpload, StoreError, UploadKey};

/// How many uploads one client may have open: as many as a server lets it have streams, for a client keeps no more
/// files than streams on their way. What lies beyond are begins without an end.
pub(crate) const MAX_OPEN_PER_CLIENT: usize = 1024;

/// After so many seconds without a writer an upload that is not lasting counts as given up.
const GIVEN_UP_S: i64 = 600;

/// By what a lasting upload is found again.
type Source = (Fingerprint, RelPath, [u8; 32]);

/// The open uploads of one store.
#[derive(Debug)]
pub(crate) struct Registry<S> {
    maps: Mutex<Maps<S>>,
}

#[derive(Debug)]
struct Maps<S> {
    by_id: BTreeMap<UploadId, Arc<Upload<S>>>,
    /// Only lasting ones.
    by_source: BTreeMap<Source, UploadId>,
    per_client: BTreeMap<Fingerprint, usize>,
}

/// Why an upload was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The client has [`MAX_OPEN_PER_CLIENT`] already.
    OverLimit,
    /// An upload of the same source is open.
    Taken,
}

impl<S> Default for Registry<S> {
    fn default() -> Self {
        let maps = Maps { by_id: BTreeMap::new(), by_source: BTreeMap::new(), per_client: BTreeMap::new() };
        Self { maps: Mutex::new(maps) }
    }
}

impl<S> Registry<S> {
    fn maps(&self) -> MutexGuard<'_, Maps<S>> {
        // Nothing that can panic happens while the lock is held.
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open upload of the same source, when `upload` is lasting.
    pub(crate) fn find(&self, upload: &NewUpload) -> Option<Arc<Upload<S>>> {
        if !upload.lasting {
            return None;
        }
        let maps = self.maps();
        maps.by_source.get(&source(upload)).and_then(|id| maps.by_id.get(id)).cloned()
    }

    /// An open upload of this client.
    pub(crate) fn get(&self, key: &UploadKey) -> Option<Arc<Upload<S>>> {
        self.maps().by_id.get(&key.upload_id).filter(|upload| upload.client == key.client).cloned()
    }

    /// Whether the client may begin another one.
    pub(crate) fn check_limit(&self, client: &Fingerprint) -> Result<(), StoreError> {
        match self.maps().per_client.get(client) {
            Some(open) if *open >= MAX_OPEN_PER_CLIENT => Err(StoreError::OverLimit),
            _ => Ok(()),
        }
    }

    /// Lets an upload in.
    pub(crate) fn insert(&self, upload: Arc<Upload<S>>) -> Result<(), Refused> {
        let mut maps = self.maps();
        let open = maps.per_client.get(&upload.client).copied().unwrap_or(0);
        if open >= MAX_OPEN_PER_CLIENT {
            return Err(Refused::OverLimit);
        }
        if upload.lasting {
            let source = source(&upload.lock().upload);
            if maps.by_source.contains_key(&source) {
                return Err(Refused::Taken);
            }
            maps.by_source.insert(source, upload.id);
        }
        maps.per_client.insert(upload.client, open + 1);
        maps.by_id.insert(upload.id, upload);
        Ok(())
    }

    /// Takes an upload out for good, whose turn the caller has. It can no longer be found by the time that those who
    /// wait for the turn learn what became of it.
    pub(crate) fn retire(&self, turn: Turn<S>, stored: Option<Stored>) {
        let upload = Arc::clone(turn.upload());
        let mut maps = self.maps();
        if maps.by_id.remove(&upload.id).is_some() {
            if upload.lasting {
                let source = source(&upload.lock().upload);
                maps.by_source.remove(&source);
            }
            if let Some(open) = maps.per_client.get_mut(&upload.client) {
                *open -= 1;
                if *open == 0 {
                    maps.per_client.remove(&upload.client);
                }
            }
        }
        drop(maps);
        turn.end(stored.map_or(Phase::Gone, Phase::Stored));
    }

    /// The uploads of a client that nobody will come back to: not lasting, without a writer, untouched for long.
    pub(crate) fn given_up(&self, client: &Fingerprint, now: Timestamp) -> Vec<Arc<Upload<S>>> {
        let since = now.secs().saturating_sub(GIVEN_UP_S);
        let maps = self.maps();
        let of_client = maps.by_id.values().filter(|upload| upload.client == *client && !upload.lasting);
        of_client.filter(|upload| upload.is_idle_since(since)).cloned().collect()
    }

    /// All open uploads.
    pub(crate) fn all(&self) -> Vec<Arc<Upload<S>>> {
        self.maps().by_id.values().cloned().collect()
    }
}

fn source(upload: &NewUpload) -> Source {
    let SourceToken(token) = upload.source_token;
    (upload.client, upload.path.clone(), token)
}

#[cfg(test)]
mod tests;
