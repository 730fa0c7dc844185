//! Uploads to a store in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use fulmar_proto::{
    digest::{Digest, RangeDigest, RangeHasher},
    fingerprint::Fingerprint,
    path::RelPath,
    range::{MAX_RANGE_BYTES, Range},
    time::Timestamp,
    upload::{Mode, OnExists, Stored},
    version::UploadId,
};

use super::{
    MemoryStore, Shared, seen,
    tree::{File, Held, Node, Tree},
};
use crate::{
    Catalog, CommitUpload, NewUpload, OpenUpload, RangeWriter, StoreError, UploadKey, Uploads,
    catalog::{Published, random_id},
    registry::{Claim, Ended, Refused, Reservation, Turn, Upload, have},
};

/// For so many seconds the answer to a commit is repeated: a day.
const KEPT_S: i64 = 24 * 60 * 60;

/// The finished ranges of an upload, by offset.
#[derive(Debug, Default)]
pub(super) struct Pieces(Mutex<BTreeMap<u64, (Vec<u8>, Held)>>);

impl Pieces {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (Vec<u8>, Held)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a commit.
#[derive(Debug)]
pub(super) struct Kept {
    client: Fingerprint,
    generation: u32,
    stored: Stored,
    at: Timestamp,
}

/// One range on its way.
#[derive(Debug)]
struct Writer {
    reservation: Reservation<Pieces>,
    hasher: RangeHasher,
    bytes: Vec<u8>,
    held: Held,
}

#[async_trait]
impl RangeWriter for Writer {
    async fn write(&mut self, piece: Bytes) -> Result<(), StoreError> {
        let _pass = self.reservation.pass()?;
        if piece.len() as u64 > self.hasher.remaining() {
            return Err(StoreError::DigestMismatch);
        }
        self.held.grow(piece.len() as u64)?;
        self.bytes.extend_from_slice(&piece);
        self.hasher.update(&piece).map_err(|_| StoreError::DigestMismatch)
    }

    async fn finish(self: Box<Self>, claimed: RangeDigest) -> Result<(), StoreError> {
        let Self { reservation, hasher, bytes, held } = *self;
        let _pass = reservation.pass()?;
        if hasher.finish().map_err(|_| StoreError::DigestMismatch)? != claimed {
            return Err(StoreError::DigestMismatch);
        }
        reservation.complete(claimed)?;
        reservation.upload().slot.lock().insert(reservation.range().offset(), (bytes, held));
        Ok(())
    }
}

/// What is at the target of a commit.
enum Found {
    /// This name is to be taken.
    Name(RelPath),
    /// The same bytes are there already.
    Same(Stored),
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// The answer to a commit of an upload that is no longer open.
    fn remembered(&self, key: &UploadKey) -> Result<Stored, StoreError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(&key.upload_id).filter(|kept| kept.client == key.client) {
            Some(kept) if kept.generation == key.generation => Ok(kept.stored.clone()),
            Some(_) => Err(StoreError::StaleGeneration),
            None => Err(StoreError::UnknownUpload),
        }
    }

    fn keep(&self, upload: &Upload<Pieces>, stored: &Stored) {
        if !upload.lasting {
            return;
        }
        let at = self.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.at.secs() > at.secs().saturating_sub(KEPT_S));
        let generation = upload.lock().generation;
        kept.insert(upload.id, Kept { client: upload.client, generation, stored: stored.clone(), at });
    }

    /// Makes way for another upload of the same client when those that nobody comes back to fill its limit.
    async fn make_room(&self, client: &Fingerprint) -> Result<(), StoreError> {
        if self.registry.check_limit(client).is_ok() {
            return Ok(());
        }
        for upload in self.registry.given_up(client, self.now()) {
            if let Ok(turn) = upload.turn(Claim::Newer).await {
                self.discard(turn);
            }
        }
        self.registry.check_limit(client)
    }

    fn discard(&self, turn: Turn<Pieces>) {
        turn.upload().slot.lock().clear();
        self.registry.retire(turn, None);
    }

    fn create(&self, upload: &NewUpload) -> Result<OpenUpload, Option<StoreError>> {
        self.tree().target(&upload.path)?;
        self.space.check(upload.size.unwrap_or(0))?;
        let upload_id = UploadId(self.environment.random());
        let slot = Pieces::default();
        let open = Arc::new(Upload::new(upload_id, upload.clone(), 0, None, self.now(), slot));
        match self.registry.insert(open) {
            Ok(()) => {
                Ok(OpenUpload { upload_id, generation: 0, unit_bytes: MAX_RANGE_BYTES, have: Vec::new() })
            }
            Err(Refused::OverLimit) => Err(Some(StoreError::OverLimit)),
            Err(Refused::Taken) => Err(None),
        }
    }

    /// What the name that a commit wants leads to.
    fn find_name(&self, tree: &Tree, upload: &NewUpload, commit: &CommitUpload) -> Result<Found, StoreError> {
        let Some(there) = tree.target(&upload.path)? else { return Ok(Found::Name(upload.path.clone())) };
        let exists = StoreError::Exists { path: upload.path.clone() };
        match (upload.on_exists, there) {
            (OnExists::Overwrite, Node::File(_)) => Ok(Found::Name(upload.path.clone())),
            (OnExists::Overwrite, Node::Directory) => Err(StoreError::IsADirectory),
            (OnExists::Rename, _) => Self::free_name(tree, &upload.path).map(Found::Name),
            (OnExists::Fail | OnExists::Skip, Node::Directory) => Err(exists),
            (OnExists::Fail | OnExists::Skip, Node::File(file)) => {
                let same = commit.may_compare
                    && file.bytes.len() as u64 == commit.size
                    && Digest::of(&file.bytes) == commit.root;
                if !same {
                    return Err(exists);
                }
                let seen = seen(&upload.path, &file);
                self.catalog.learn(&seen, commit.root)?;
                let id = self.catalog.id(&upload.path)?.unwrap_or(random_id(&*self.environment.entropy));
                let (path, size, root) = (upload.path.clone(), commit.size, commit.root);
                Ok(Found::Same(Stored { path, id, size, root, already_there: true }))
            }
        }
    }

    fn publish(
        &self,
        tree: &mut Tree,
        turn: &Turn<Pieces>,
        path: RelPath,
        commit: &CommitUpload,
    ) -> Result<Stored, StoreError> {
        let (upload, now) = (turn.upload(), self.now());
        let (mut bytes, mut held) = (Vec::new(), self.space.nothing());
        for (piece, space) in std::mem::take(&mut *upload.slot.lock()).into_values() {
            bytes.extend_from_slice(&piece);
            held.absorb(space);
        }
        let wanted = upload.lock().upload.clone();
        let mode = Mode::masked(if wanted.mode.is_some_and(Mode::executable) { 0o755 } else { 0o644 });
        let modified = wanted.modified.unwrap_or(now);
        let version = tree.new_version();
        let file = File { bytes: bytes.into(), modified, mode, version, _held: held };
        let seen = seen(&path, &file);
        tree.put(&path, Node::File(Arc::new(file)), now)?;
        let id = self.catalog.id(&path)?.unwrap_or_else(|| random_id(&*self.environment.entropy));
        let (size, root, client) = (commit.size, commit.root, upload.client);
        self.catalog.publish(&[Published { seen, id, root, client, at: now }])?;
        Ok(Stored { path, id, size, root, already_there: false })
    }

    /// Everything of a commit that the turn is needed for. There is no await in it, so it happens as a whole.
    fn settle(&self, turn: Turn<Pieces>, commit: &CommitUpload) -> Result<Stored, StoreError> {
        let wanted = commit.permitted(&turn.upload().lock().upload);
        // Looking at the name and taking it is one step for everybody else.
        let mut tree = self.tree();
        let checked = turn.check(commit.size, commit.root);
        let found = checked.and_then(|()| self.find_name(&tree, &wanted, commit));
        let stored = match found {
            Ok(Found::Same(stored)) => stored,
            Ok(Found::Name(path)) => self.publish(&mut tree, &turn, path, commit)?,
            Err(error @ (StoreError::DigestMismatch | StoreError::Exists { .. })) => {
                self.discard(turn);
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        self.keep(turn.upload(), &stored);
        turn.upload().slot.lock().clear();
        self.registry.retire(turn, Some(stored.clone()));
        Ok(stored)
    }
}

#[async_trait]
impl Uploads for MemoryStore {
    async fn begin(&self, upload: NewUpload) -> Result<OpenUpload, StoreError> {
        let shared = &self.shared;
        loop {
            let Some(open) = shared.registry.find(&upload) else {
                shared.make_room(&upload.client).await?;
                match shared.create(&upload) {
                    Ok(open) => return Ok(open),
                    Err(Some(error)) => return Err(error),
                    Err(None) => continue,
                }
            };
            let turn = match open.turn(Claim::Newer).await {
                Ok(turn) => turn,
                Err(Ended::Stale) => return Err(StoreError::OverLimit),
                Err(Ended::Stored(_) | Ended::Gone) => continue,
            };
            if turn.adopt(&upload, shared.now()) {
                let inner = open.lock();
                let (generation, have) = (inner.generation, have(&inner.tree));
                return Ok(OpenUpload { upload_id: open.id, generation, unit_bytes: MAX_RANGE_BYTES, have });
            }
            shared.discard(turn);
        }
    }

    async fn open_range(&self, key: &UploadKey, range: Range) -> Result<Box<dyn RangeWriter>, StoreError> {
        let upload = self.shared.registry.get(key).ok_or(StoreError::UnknownUpload)?;
        let reservation = upload.reserve(key.generation, range)?;
        let (hasher, held) = (RangeHasher::new(range), self.shared.space.nothing());
        Ok(Box::new(Writer { reservation, hasher, bytes: Vec::new(), held }))
    }

    async fn commit(&self, commit: CommitUpload) -> Result<Stored, StoreError> {
        let Some(upload) = self.shared.registry.get(&commit.key) else {
            return self.shared.remembered(&commit.key);
        };
        match upload.turn(Claim::Generation(commit.key.generation)).await {
            Ok(turn) => self.shared.settle(turn, &commit),
            Err(Ended::Stored(stored)) => Ok(stored),
            Err(ended) => Err(ended.into()),
        }
    }

    async fn abandon(&self, key: &UploadKey) -> Result<(), StoreError> {
        let Some(upload) = self.shared.registry.get(key) else { return Ok(()) };
        match upload.turn(Claim::Generation(key.generation)).await {
            Ok(turn) => {
                self.shared.discard(turn);
                Ok(())
            }
            Err(Ended::Stale) => Err(StoreError::StaleGeneration),
            Err(Ended::Stored(_) | Ended::Gone) => Ok(()),
        }
    }
}
