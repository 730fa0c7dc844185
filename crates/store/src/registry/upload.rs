//! One open upload: its generation, its ranges, and whose turn it is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fulmar_proto::{
    digest::{Digest, DigestError, DigestTree},
    fingerprint::Fingerprint,
    range::MAX_FILE_BYTES,
    time::Timestamp,
    upload::{HaveNode, Stored},
    version::UploadId,
};
use tokio::sync::Notify;

use crate::{NewUpload, StoreError};

/// An upload, and in `slot` what the store keeps for it.
#[derive(Debug)]
pub(crate) struct Upload<S> {
    pub(crate) id: UploadId,
    pub(crate) client: Fingerprint,
    pub(crate) lasting: bool,
    pub(crate) slot: S,
    inner: Mutex<Inner>,
    /// Woken when a pass comes back or a turn ends.
    changed: Notify,
}

/// What changes about an upload.
#[derive(Debug)]
pub(crate) struct Inner {
    /// As the last begin described it.
    pub(crate) upload: NewUpload,
    pub(crate) generation: u32,
    /// The ranges that are there.
    pub(crate) tree: DigestTree,
    /// Size and digest of the staging file when that is known to be complete although the tree is not: a commit was
    /// interrupted after the file was made durable.
    pub(crate) verified: Option<(u64, Digest)>,
    pub(crate) touched: Timestamp,
    pub(super) phase: Phase,
    /// The ranges that have a writer: offset and end, in bytes.
    pub(super) reserved: BTreeMap<u64, u64>,
    /// How many jobs touch the staged bytes now.
    pub(super) passes: usize,
}

/// What an upload is open for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For writers.
    Open,
    /// For the holder of the turn alone.
    Held,
    /// For nobody: it is stored.
    Stored(Stored),
    /// For nobody: it was given up or refused.
    Gone,
}

/// Who asks for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A client that knows this generation.
    Generation(u32),
    /// Whoever takes over: the generation rises, and writers of the old one are refused from then on.
    Newer,
}

/// Why there is no turn to be had any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The generation is not the current one.
    Stale,
    /// The upload is stored.
    Stored(Stored),
    /// The upload was given up or refused.
    Gone,
}

impl From<Ended> for StoreError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Stale => Self::StaleGeneration,
            Ended::Stored(_) | Ended::Gone => Self::UnknownUpload,
        }
    }
}

impl<S> Upload<S> {
    pub(crate) fn new(
        id: UploadId,
        upload: NewUpload,
        generation: u32,
        verified: Option<(u64, Digest)>,
        touched: Timestamp,
        slot: S,
    ) -> Self {
        let (client, lasting) = (upload.client, upload.lasting);
        let tree = DigestTree::new(upload.size);
        let (phase, reserved, passes) = (Phase::Open, BTreeMap::new(), 0);
        let inner = Inner { upload, generation, tree, verified, touched, phase, reserved, passes };
        Self { id, client, lasting, slot, inner: Mutex::new(inner), changed: Notify::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // The digest tree is unchanged when it refuses; nothing else here can stop half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn announce(&self) {
        self.changed.notify_waiters();
    }

    pub(super) fn is_idle_since(&self, secs: i64) -> bool {
        let inner = self.lock();
        inner.phase == Phase::Open
            && inner.passes == 0
            && inner.reserved.is_empty()
            && inner.touched.secs() < secs
    }

    /// Waits for the turn, and then for all passes to come back.
    pub(crate) async fn turn(self: &Arc<Self>, claim: Claim) -> Result<Turn<S>, Ended> {
        let turn = loop {
            // Registered before looking, so that a change in between is not missed.
            let changed = self.changed.notified();
            match self.claim(claim) {
                Ok(Some(turn)) => break turn,
                Ok(None) => changed.await,
                Err(ended) => return Err(ended),
            }
        };
        loop {
            let changed = self.changed.notified();
            if self.lock().passes == 0 {
                return Ok(turn);
            }
            changed.await;
        }
    }

    fn claim(self: &Arc<Self>, claim: Claim) -> Result<Option<Turn<S>>, Ended> {
        let mut inner = self.lock();
        if let Claim::Generation(generation) = claim
            && generation != inner.generation
        {
            return Err(Ended::Stale);
        }
        match &inner.phase {
            Phase::Held => return Ok(None),
            Phase::Stored(stored) => return Err(Ended::Stored(stored.clone())),
            Phase::Gone => return Err(Ended::Gone),
            Phase::Open => {}
        }
        if claim == Claim::Newer {
            inner.generation = inner.generation.checked_add(1).ok_or(Ended::Stale)?;
            inner.reserved.clear();
        }
        inner.phase = Phase::Held;
        Ok(Some(Turn { upload: Arc::clone(self) }))
    }
}

/// The right to be alone with an upload. Dropping it opens the upload for writers again.
#[derive(Debug)]
pub(crate) struct Turn<S> {
    upload: Arc<Upload<S>>,
}

impl<S> Turn<S> {
    pub(crate) fn upload(&self) -> &Arc<Upload<S>> {
        &self.upload
    }

    pub(super) fn end(self, phase: Phase) {
        self.upload.lock().phase = phase;
        // The drop that follows wakes whoever waits.
    }

    /// Says whether a newer begin describes the same file, so that what is there is of use to it; if so, that begin's
    /// wishes count from now on.
    pub(crate) fn adopt(&self, upload: &NewUpload, now: Timestamp) -> bool {
        let mut inner = self.upload.lock();
        let same = inner.upload.size == upload.size;
        if same {
            inner.upload = upload.clone();
            inner.touched = now;
        }
        same
    }

    /// Says whether what is there is a whole file of this size and digest.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`]; [`StoreError::DigestMismatch`] when it can never become that file.
    pub(crate) fn check(&self, size: u64, root: Digest) -> Result<(), StoreError> {
        let mut inner = self.upload.lock();
        if let Some(verified) = inner.verified {
            return if verified == (size, root) { Ok(()) } else { Err(StoreError::DigestMismatch) };
        }
        if inner.upload.size.is_some_and(|known| known != size) || size > MAX_FILE_BYTES {
            return Err(StoreError::DigestMismatch);
        }
        // Stating the size cannot be taken back, so it is tried on a copy.
        let mut tree = inner.tree.clone();
        let found = match tree.set_size(size) {
            Ok(()) => tree.root(),
            // Bytes beyond that end, or an end that is somewhere else: it will never be that file.
            Err(_) => return Err(StoreError::DigestMismatch),
        };
        match found {
            Err(DigestError::Incomplete) => Err(StoreError::Incomplete),
            Ok(found) if found == root => {
                inner.tree = tree;
                Ok(())
            }
            Ok(_) | Err(_) => Err(StoreError::DigestMismatch),
        }
    }
}

impl<S> Drop for Turn<S> {
    fn drop(&mut self) {
        let mut inner = self.upload.lock();
        if inner.phase == Phase::Held {
            inner.phase = Phase::Open;
        }
        drop(inner);
        self.upload.announce();
    }
}

/// The nodes of a tree as a client is told of them.
pub(crate) fn have(tree: &DigestTree) -> Vec<HaveNode> {
    tree.nodes()
        .map(|node| HaveNode { offset: node.offset, len: node.len, chaining_value: node.chaining_value })
        .collect()
}
