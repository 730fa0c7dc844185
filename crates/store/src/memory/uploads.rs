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
    version::{UploadId, Version},
};

use super::{
    MemoryStore, Shared,
    device::Content,
    seen,
    tree::{File, Held, Node, Space, Tree},
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

    /// All of them as one file, which the device does not have yet.
    fn join(&self) -> Arc<Content> {
        let pieces = self.lock();
        let mut bytes = Vec::with_capacity(pieces.values().map(|(piece, _)| piece.len()).sum());
        for (piece, _) in pieces.values() {
            bytes.extend_from_slice(piece);
        }
        Content::new(bytes.into())
    }

    /// The space that they hold.
    fn take_space(&self, space: &Arc<Space>) -> Held {
        let mut sum = space.nothing();
        for (_, held) in self.lock().values_mut() {
            sum.absorb(std::mem::replace(held, space.nothing()));
        }
        sum
    }
}

/// The answer to the commit of a lasting upload, and the version that the file has got by it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    client: Fingerprint,
    generation: u32,
    stored: Stored,
    version: Option<Version>,
    at: Timestamp,
}

/// What commits of lasting uploads came to.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Those that were given, and are given again.
    given: BTreeMap<UploadId, Answer>,
    /// Those that will be given once the name is durable. The device has them, as a directory's ledger has intents.
    intended: BTreeMap<UploadId, Answer>,
}

impl Answers {
    /// What a power cut leaves: every answer that was given, and of the intended those whose file has its name.
    pub(super) fn after_power_cut(&self, tree: &Tree) -> Self {
        let has_name = |answer: &Answer| {
            tree.file(&answer.stored.path).is_ok_and(|file| Some(file.version) == answer.version)
        };
        let mut given = self.given.clone();
        let intended = self.intended.iter().filter(|(_, answer)| has_name(answer));
        given.extend(intended.map(|(id, answer)| (*id, answer.clone())));
        Self { given, intended: BTreeMap::new() }
    }
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
    /// The answer to a commit of an upload that is no longer open.
    fn remembered(&self, key: &UploadKey) -> Result<Stored, StoreError> {
        match self.answers().given.get(&key.upload_id).filter(|answer| answer.client == key.client) {
            Some(answer) if answer.generation == key.generation => Ok(answer.stored.clone()),
            Some(_) => Err(StoreError::StaleGeneration),
            None => Err(StoreError::UnknownUpload),
        }
    }

    pub(super) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn intend(&self, upload: &Upload<Pieces>, stored: &Stored, version: Option<Version>) {
        if !upload.lasting {
            return;
        }
        let (generation, at) = (upload.lock().generation, self.now());
        let answer = Answer { client: upload.client, generation, stored: stored.clone(), version, at };
        self.answers().intended.insert(upload.id, answer);
    }

    fn keep(&self, upload: &Upload<Pieces>) {
        let mut answers = self.answers();
        let since = self.now().secs().saturating_sub(KEPT_S);
        answers.given.retain(|_, answer| answer.at.secs() > since);
        if let Some(answer) = answers.intended.remove(&upload.id) {
            answers.given.insert(upload.id, answer);
        }
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
        self.names().target(&upload.path)?;
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
                    && file.bytes().len() as u64 == commit.size
                    && Digest::of(file.bytes()) == commit.root;
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

    /// Gives the staged bytes their name, as everybody sees it, or finds that the same bytes have it.
    fn take_name(
        &self,
        turn: &Turn<Pieces>,
        content: Arc<Content>,
        commit: &CommitUpload,
    ) -> Result<Stored, StoreError> {
        let (upload, now) = (turn.upload(), self.now());
        let wanted = commit.permitted(&upload.lock().upload);
        // Looking at the name and taking it is one step for everybody else.
        let mut names = self.names();
        let path = match self.find_name(&names, &wanted, commit)? {
            Found::Name(path) => path,
            Found::Same(stored) => {
                self.intend(upload, &stored, None);
                return Ok(stored);
            }
        };
        let mode = Mode::masked(if wanted.mode.is_some_and(Mode::executable) { 0o755 } else { 0o644 });
        let modified = wanted.modified.unwrap_or(now);
        let version = names.new_version();
        let file = File { content, modified, mode, version, _held: upload.slot.take_space(&self.space) };
        let seen = seen(&path, &file);
        let id = self.catalog.id(&path)?.unwrap_or_else(|| random_id(&*self.environment.entropy));
        let (size, root, client) = (commit.size, commit.root, upload.client);
        let stored = Stored { path: path.clone(), id, size, root, already_there: false };
        names.put(&path, Arc::new(file), now)?;
        self.intend(upload, &stored, Some(version));
        self.catalog.publish(&[Published { seen, id, root, client, at: now }])?;
        Ok(stored)
    }

    /// Everything of a commit that the turn is needed for. The order of the steps is what makes it safe: the bytes are
    /// durable before they have a name, and the name is durable before anybody is told.
    async fn settle(&self, turn: Turn<Pieces>, commit: &CommitUpload) -> Result<Stored, StoreError> {
        let upload = Arc::clone(turn.upload());
        let named = match turn.check(commit.size, commit.root) {
            Ok(()) => {
                let content = upload.slot.join();
                self.device.sync(&content).await;
                self.device.before_name().await;
                self.take_name(&turn, content, commit)
            }
            Err(error) => Err(error),
        };
        let stored = match named {
            Ok(stored) => stored,
            Err(error @ (StoreError::DigestMismatch | StoreError::Exists { .. })) => {
                self.discard(turn);
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        self.sync_name(&stored.path).await;
        self.keep(&upload);
        upload.slot.lock().clear();
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
            Ok(turn) => {
                // As on a disk, a commit that has begun goes on to its end when nobody waits for it any more.
                let shared = Arc::clone(&self.shared);
                let settled = tokio::spawn(async move { shared.settle(turn, &commit).await });
                settled.await.unwrap_or(Err(StoreError::UnknownOutcome))
            }
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
