//! Reading files, and hashing them.

use std::{fs::File, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use fulmar_disk::{Buffer, Buffers, Meta, file_unchanged};
use fulmar_proto::{
    digest::{Digest, RangeHasher},
    path::RelPath,
    range::MAX_RANGE_BYTES,
    upload::Mode,
};

use super::{Shared, errors::refused};
use crate::{Object, ObjectInfo, StoreError, Work, catalog::Seen};

/// How much is read at once while hashing.
const PIECE_BYTES: u64 = 1024 * 1024;

/// How much one job hashes, so that others get their turn: some tens of milliseconds.
const JOB_BYTES: u64 = 32 * PIECE_BYTES;

#[derive(Debug)]
struct LocalObject {
    shared: Arc<Shared>,
    opened: Arc<Opened>,
    info: ObjectInfo,
}

/// An open file and the name that it was found under.
#[derive(Debug)]
struct Opened {
    file: File,
    meta: Meta,
    path: RelPath,
}

impl Opened {
    fn open(shared: &Shared, path: RelPath) -> Result<Self, StoreError> {
        let (file, meta) = shared.root.open_file(&path).map_err(refused)?;
        Ok(Self { file, meta, path })
    }

    fn seen(&self) -> Seen {
        Seen { path: self.path.clone(), version: self.meta.version(), size: self.meta.size }
    }

    fn read(&self, buffers: &Buffers, offset: u64, len: u32) -> Result<Buffer, StoreError> {
        buffers.read(&self.file, offset, len as usize).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => StoreError::Changed,
            _ => StoreError::Disk(format!("pread: {error}")),
        })
    }

    /// Whether the open file is as it was.
    fn check_file(&self) -> Result<(), StoreError> {
        if file_unchanged(&self.file, &self.meta).map_err(refused)? {
            Ok(())
        } else {
            Err(StoreError::Changed)
        }
    }

    /// Whether its name still leads to it, too. A move changes the file's version, so the versions say it all.
    fn check(&self, shared: &Shared) -> Result<(), StoreError> {
        self.check_file()?;
        match shared.root.stat(&self.path.clone().into()) {
            Ok(meta) if meta.version() == self.meta.version() => Ok(()),
            _ => Err(StoreError::Changed),
        }
    }
}

/// Opens a file for reading.
pub(super) fn open(shared: &Arc<Shared>, path: RelPath) -> Result<Arc<dyn Object>, StoreError> {
    let opened = Opened::open(shared, path)?;
    let seen = opened.seen();
    let info = ObjectInfo {
        version: seen.version,
        size: seen.size,
        modified: opened.meta.modified,
        mode: Mode::masked(opened.meta.mode),
        root: shared.catalog.digest(&seen)?,
    };
    Ok(Arc::new(LocalObject { shared: Arc::clone(shared), opened: Arc::new(opened), info }))
}

#[async_trait]
impl Object for LocalObject {
    fn info(&self) -> &ObjectInfo {
        &self.info
    }

    async fn read(
        &self,
        offset: u64,
        len: u32,
        mut hasher: RangeHasher,
    ) -> Result<(Bytes, RangeHasher), StoreError> {
        if len > MAX_RANGE_BYTES {
            return Err(StoreError::OverLimit);
        }
        let (opened, buffers) = (Arc::clone(&self.opened), self.shared.buffers.clone());
        let read = move || {
            let bytes = opened.read(&buffers, offset, len)?;
            hasher.update(&bytes).map_err(|_| StoreError::DigestMismatch)?;
            Ok((bytes.freeze(), hasher))
        };
        self.shared.environment.offload.run(read).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let (shared, opened) = (Arc::clone(&self.shared), Arc::clone(&self.opened));
        self.shared.environment.offload.run(move || opened.check(&shared)).await
    }
}

/// How far the hashing of a file has come.
#[derive(Debug)]
pub(super) enum HashStep {
    Done(u64, Digest),
    More(Box<Hashing>),
}

/// A file that is being hashed.
#[derive(Debug)]
pub(super) struct Hashing {
    opened: Opened,
    hasher: blake3::Hasher,
    at: u64,
    work: Work,
}

/// Gives a file's digest, if it is known, or begins to hash it.
pub(super) fn start_hash(
    shared: &Arc<Shared>,
    path: RelPath,
    reread: bool,
    work: Work,
) -> Result<HashStep, StoreError> {
    let opened = Opened::open(shared, path)?;
    let size = opened.meta.size;
    work.set_total(size);
    if !reread && let Some(root) = shared.catalog.digest(&opened.seen())? {
        work.advance(size);
        return Ok(HashStep::Done(size, root));
    }
    Box::new(Hashing { opened, hasher: blake3::Hasher::new(), at: 0, work }).go_on(shared)
}

impl Hashing {
    /// Hashes the next pieces.
    pub(super) fn go_on(mut self: Box<Self>, shared: &Arc<Shared>) -> Result<HashStep, StoreError> {
        let size = self.opened.meta.size;
        let stop = size.min(self.at + JOB_BYTES);
        while self.at < stop {
            self.work.go_on()?;
            let len = u32::try_from(PIECE_BYTES.min(size - self.at)).unwrap_or(MAX_RANGE_BYTES);
            self.hasher.update(&self.opened.read(&shared.buffers, self.at, len)?);
            self.at += u64::from(len);
            self.work.advance(u64::from(len));
        }
        if self.at < size {
            return Ok(HashStep::More(self));
        }
        // The bytes are those of this version only when it is still the version.
        self.opened.check_file()?;
        let root = Digest(*self.hasher.finalize().as_bytes());
        if self.opened.check(shared).is_ok() {
            shared.catalog.learn(&self.opened.seen(), root)?;
        }
        Ok(HashStep::Done(size, root))
    }

    /// Hashes the whole file in this job.
    fn all(self: Box<Self>, shared: &Arc<Shared>) -> Result<(u64, Digest), StoreError> {
        let mut hashing = self;
        loop {
            match hashing.go_on(shared)? {
                HashStep::Done(size, root) => return Ok((size, root)),
                HashStep::More(more) => hashing = more,
            }
        }
    }
}

/// A file's length and digest, hashed in this job if need be.
pub(super) fn hash_now(shared: &Arc<Shared>, path: RelPath) -> Result<(u64, Digest), StoreError> {
    match start_hash(shared, path, false, Work::default())? {
        HashStep::Done(size, root) => Ok((size, root)),
        HashStep::More(hashing) => hashing.all(shared),
    }
}
