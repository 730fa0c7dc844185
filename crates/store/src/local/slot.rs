//! What the store keeps for one open upload: its staged file and its journal.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use fulmar_disk::{
    DiskError, Staging,
    journal::{JournalError, JournalFile, JournalHeader, JournalWriter, due},
};
use fulmar_proto::{
    digest::{DigestTree, RangeDigest},
    range::Range,
    time::Timestamp,
    version::UploadId,
};

use super::{Shared, UploadArea, errors::refused};
use crate::{StoreError, catalog::Durability, registry::Upload};

/// The staged file and the journal of one upload. Both are named after the upload.
#[derive(Debug)]
pub(super) struct Slot {
    leaf: String,
    /// None before the first use after a start, and after a commit that did not come about.
    staging: Mutex<Option<Arc<Staging>>>,
    /// Held while the journal is written.
    journal: Mutex<Journal>,
    /// What the journal does not say yet.
    waiting: Mutex<Waiting>,
    /// A write or sync failed, so that the staging file refuses everything until it is opened again.
    failed: AtomicBool,
    /// Until the files of an earlier process have been looked at, and the tree says what is there.
    asleep: AtomicBool,
}

#[derive(Debug)]
struct Journal {
    /// Whether the file of an earlier process has been looked at.
    loaded: bool,
    /// None until there is something to write.
    file: Option<JournalFile>,
}

#[derive(Debug)]
struct Waiting {
    records: JournalWriter,
    /// When the journal was written last.
    since: Timestamp,
}

impl Slot {
    /// For an upload that has just begun.
    pub(super) fn new(leaf: String, staging: Staging, now: Timestamp) -> Self {
        Self::with(leaf, Some(Arc::new(staging)), true, now)
    }

    /// For an upload of an earlier process; its files are opened when it is used.
    pub(super) fn asleep(leaf: String, now: Timestamp) -> Self {
        Self::with(leaf, None, false, now)
    }

    fn with(leaf: String, staging: Option<Arc<Staging>>, loaded: bool, now: Timestamp) -> Self {
        let waiting = Waiting { records: JournalWriter::default(), since: now };
        Self {
            leaf,
            staging: Mutex::new(staging),
            journal: Mutex::new(Journal { loaded, file: None }),
            waiting: Mutex::new(waiting),
            failed: AtomicBool::new(false),
            asleep: AtomicBool::new(!loaded),
        }
    }

    /// Whether the files of an earlier process have yet to be looked at. A job will have to do that.
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Acquire)
    }

    /// The staged file, opened again if need be.
    pub(super) fn staging(&self, area: &UploadArea) -> Result<Arc<Staging>, StoreError> {
        let mut staging = lock(&self.staging);
        if let Some(staging) = &*staging {
            return Ok(Arc::clone(staging));
        }
        let opened = Arc::new(Staging::reopen(&area.partial, &self.leaf).map_err(not_reopened)?);
        Ok(Arc::clone(staging.insert(opened)))
    }

    /// The staged file for its commit. The caller has the upload's turn, so nobody else holds it.
    pub(super) fn take_staging(&self, area: &UploadArea) -> Result<Staging, StoreError> {
        let shared = self.staging(area)?;
        lock(&self.staging).take();
        Arc::try_unwrap(shared).map_err(|_| StoreError::Busy)
    }

    /// Remembers that a write or sync failed.
    pub(super) fn note<T>(&self, outcome: Result<T, DiskError>) -> Result<T, StoreError> {
        outcome.map_err(|error| {
            self.failed.store(true, Ordering::Relaxed);
            refused(error)
        })
    }

    /// Adds a range to what the journal is to say, and says whether it is time to write it.
    pub(super) fn record(&self, range: Range, digest: RangeDigest, now: Timestamp) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.records.record(range, digest);
        due(waiting.records.pending_bytes(), elapsed_ms(waiting.since, now))
    }

    /// Makes what was received durable and says so in the journal.
    pub(super) fn flush(&self, area: &UploadArea, id: UploadId, now: Timestamp) -> Result<(), StoreError> {
        let mut journal = lock(&self.journal);
        let batch = {
            let mut waiting = lock(&self.waiting);
            waiting.since = now;
            waiting.records.take()
        };
        if batch.is_empty() {
            return Ok(());
        }
        let durable = self.note(batch.make_durable(&*self.staging(area)?))?;
        if journal.file.is_none() {
            journal.file = self.begin_journal(area, id)?;
        }
        match journal.file.as_mut().map(|file| file.append(&durable)) {
            // A journal that is full is no failure of the upload; less will be found after an interruption.
            None | Some(Ok(()) | Err(JournalError::TooLarge)) => Ok(()),
            Some(Err(error)) => {
                self.failed.store(true, Ordering::Relaxed);
                Err(journal_error(error))
            }
        }
    }

    /// From the first write of the journal on, a power cut loses no more than what it does not say: the staged file's
    /// name and the ledger's row must then be durable, too.
    fn begin_journal(&self, area: &UploadArea, id: UploadId) -> Result<Option<JournalFile>, StoreError> {
        let Some(row) = area.ledger.upload(id)? else { return Ok(None) };
        area.partial.sync().map_err(refused)?;
        let header = JournalHeader::new(id.0.to_vec(), 0, row.upload.size).map_err(journal_error)?;
        let file = JournalFile::create(&area.journal, &self.leaf, header).map_err(journal_error)?;
        area.ledger.put_uploads(&[row], Durability::Now)?;
        Ok(Some(file))
    }

    /// Removes everything.
    pub(super) fn discard(&self, area: &UploadArea) {
        let staging = lock(&self.staging).take();
        match staging.map(Arc::try_unwrap) {
            Some(Ok(staging)) => drop(staging.discard()),
            // What cannot be removed is swept up at the next start; there is nobody to tell.
            Some(Err(_)) | None => drop(area.partial.remove_file_leaf(&self.leaf)),
        }
        self.remove_journal(area);
    }

    pub(super) fn remove_journal(&self, area: &UploadArea) {
        let mut journal = lock(&self.journal);
        match journal.file.take() {
            Some(file) => drop(file.remove()),
            None if journal.loaded => {}
            None => drop(area.journal.remove_file_leaf(&self.leaf)),
        }
    }
}

impl Upload<Slot> {
    /// Makes sure of the files after a taking over: those of one whose disk failed, or whose staged file is gone, are
    /// opened again, and what the journal says is then all that is there. The caller holds the turn of a new
    /// generation, so no writer has bytes in a file that is given up here.
    pub(super) fn reload(&self, shared: &Shared) -> Result<(), StoreError> {
        let area = shared.area()?;
        let mut journal = lock(&self.slot.journal);
        let lost = self.slot.staging(area).is_err();
        if self.slot.failed.swap(false, Ordering::Relaxed) || lost {
            lock(&self.slot.staging).take();
            drop(lock(&self.slot.waiting).records.take());
            *journal = Journal { loaded: false, file: None };
        }
        self.load(area, &mut journal)
    }

    /// Opens the files of an upload of an earlier process at its first use.
    pub(super) fn wake(&self, shared: &Shared) -> Result<(), StoreError> {
        self.load(shared.area()?, &mut lock(&self.slot.journal))
    }

    fn load(&self, area: &UploadArea, journal: &mut Journal) -> Result<(), StoreError> {
        if journal.loaded {
            return Ok(());
        }
        let size = self.lock().upload.size;
        let (file, tree) = match self.load_files(area, size)? {
            Some((file, tree)) => (Some(file), tree),
            None => {
                self.start_anew(area, size)?;
                (None, DigestTree::new(size))
            }
        };
        *journal = Journal { loaded: true, file };
        self.lock().tree = tree;
        self.slot.asleep.store(false, Ordering::Release);
        Ok(())
    }

    /// The journal and what it says, if it belongs to this upload and the staged file has all of it.
    fn load_files(
        &self,
        area: &UploadArea,
        size: Option<u64>,
    ) -> Result<Option<(JournalFile, DigestTree)>, StoreError> {
        let len = match self.slot.staging(area) {
            Ok(staging) => staging.meta().map_err(refused)?.size,
            Err(StoreError::UnknownUpload) => return Ok(None),
            Err(error) => return Err(error),
        };
        match JournalFile::load(&area.journal, &self.slot.leaf) {
            Ok((file, tree)) => {
                let fits = |known| size.is_none_or(|size| size == known);
                let ours = file.header().binding() == self.id.0 && file.header().size().is_none_or(fits);
                let end = tree.nodes().map(|node| node.end()).max().unwrap_or(0);
                Ok((ours && end <= len).then_some((file, tree)))
            }
            Err(JournalError::Disk(DiskError::NotFound) | JournalError::Damaged | JournalError::TooLarge) => {
                Ok(None)
            }
            Err(error) => Err(journal_error(error)),
        }
    }

    /// Without a journal nothing of the staged file can be believed, except when a commit had verified all of it.
    fn start_anew(&self, area: &UploadArea, size: Option<u64>) -> Result<(), StoreError> {
        if self.lock().verified.is_some() && self.slot.staging(area).is_ok() {
            return Ok(());
        }
        self.lock().verified = None;
        lock(&self.slot.staging).take();
        for (dir, leaf) in [(&area.partial, &self.slot.leaf), (&area.journal, &self.slot.leaf)] {
            match dir.remove_file_leaf(leaf) {
                Ok(()) | Err(DiskError::NotFound) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        let staging = Staging::create(&area.partial, &self.slot.leaf, size).map_err(refused)?;
        staging.keep();
        *lock(&self.slot.staging) = Some(Arc::new(staging));
        Ok(())
    }
}

impl Shared {
    /// Writes all journals that lack something.
    pub(super) fn flush_all(&self) {
        let Some(area) = &self.uploads else { return };
        let now = self.environment.clock.now();
        for upload in area.registry.all().iter().filter(|upload| upload.lasting) {
            if let Err(error) = upload.slot.flush(area, upload.id, now) {
                tracing::warn!(upload = %upload.id, %error, "a journal could not be written");
            }
        }
    }
}

/// An upload whose staged file has gone is gone itself.
fn not_reopened(error: DiskError) -> StoreError {
    match error {
        DiskError::NotFound => StoreError::UnknownUpload,
        other => refused(other),
    }
}

fn journal_error(error: JournalError) -> StoreError {
    match error {
        JournalError::Disk(error) => refused(error),
        other => StoreError::Disk(other.to_string()),
    }
}

fn elapsed_ms(since: Timestamp, now: Timestamp) -> u64 {
    let millis = |time: Timestamp| i128::from(time.secs()) * 1000 + i128::from(time.nanos() / 1_000_000);
    // A clock that was set back must not stop the journal.
    u64::try_from(millis(now) - millis(since)).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // All state behind these locks is replaced as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
