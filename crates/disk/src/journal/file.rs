//! The journal on disk: appended to after the data, read back after an interruption.

use std::fs::File;
use std::os::unix::fs::FileExt;

use fulmar_proto::digest::DigestTree;

use super::{Batch, JournalError, JournalHeader, Key, decode, encode, encode_record};
use crate::dir::{Dir, Replace};
use crate::error::DiskError;
use crate::staging::{Staging, write_all_at};

/// A journal that is larger is neither written nor read. Even of ranges of 64 KiB that never merge, it has room for
/// more than a million.
pub const MAX_JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// A journal is rewritten, its records merged, when it has grown to so many times what it was after the last time.
const GROWTH: u64 = 4;

/// Below this it is not worth the two syncs.
const MIN_REWRITE_BYTES: u64 = 64 * 1024;

/// Records whose bytes are durable.
#[derive(Debug)]
pub struct DurableBatch(Batch);

impl Batch {
    /// Makes the bytes that the records stand for durable. That the sync comes after the batch was taken is what lets
    /// the journal be believed, so this is the only way to a [`DurableBatch`].
    ///
    /// # Errors
    /// As [`Staging::sync_data`].
    pub fn make_durable(self, staging: &Staging) -> Result<DurableBatch, DiskError> {
        staging.sync_data()?;
        Ok(DurableBatch(self))
    }
}

/// A journal on disk, open for appending.
#[derive(Debug)]
pub struct JournalFile {
    dir: Dir,
    leaf: String,
    file: File,
    header: JournalHeader,
    key: Key,
    len: u64,
    /// The length after the last rewrite.
    base_len: u64,
    failed: Option<DiskError>,
}

impl JournalFile {
    /// Writes a new journal `leaf` in `dir` in place of any old one; it and its name are durable afterwards, and so are
    /// all names in `dir`, the staging file's among them if it was created before.
    ///
    /// # Errors
    /// [`JournalError::Disk`].
    pub fn create(dir: &Dir, leaf: &str, header: JournalHeader) -> Result<Self, JournalError> {
        let (bytes, key) = header.encode();
        let file = write_whole(dir, leaf, &bytes)?;
        let len = bytes.len() as u64;
        let (dir, leaf) = (dir.clone(), leaf.to_owned());
        Ok(Self { dir, leaf, file, header, key, len, base_len: len, failed: None })
    }

    /// Reads the journal `leaf` in `dir` and cuts off what was torn or damaged.
    ///
    /// # Errors
    /// [`JournalError::Damaged`], [`JournalError::TooLarge`]; [`DiskError::NotFound`] when there is none.
    pub fn load(dir: &Dir, leaf: &str) -> Result<(Self, DigestTree), JournalError> {
        let (file, meta) = dir.open_file_leaf_rw(leaf)?;
        let bytes = read_whole(&file, meta.size)?;
        let journal = decode(&bytes)?;
        let len = journal.valid_bytes as u64;
        if len < meta.size {
            file.set_len(len).map_err(|error| DiskError::from_io("ftruncate", error))?;
        }
        let (dir, leaf) = (dir.clone(), leaf.to_owned());
        let opened = Self {
            dir,
            leaf,
            file,
            header: journal.header,
            key: journal.key,
            len,
            base_len: len,
            failed: None,
        };
        Ok((opened, journal.tree))
    }

    /// What the journal belongs to.
    pub fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// Replaces the header, for a new holder of the transfer; the records stay.
    ///
    /// # Errors
    /// [`JournalError::Disk`]; the journal is as it was then, or as it should be.
    pub fn set_generation(&mut self, generation: u32) -> Result<(), JournalError> {
        self.header.generation = generation;
        let outcome = self.rewrite();
        self.remember(outcome)
    }

    /// Adds records and makes them durable. A journal that has grown much is rewritten with its records merged.
    ///
    /// # Errors
    /// [`JournalError::Disk`], then the same one for ever; [`JournalError::TooLarge`] when there is no room, which
    /// changes nothing.
    pub fn append(&mut self, batch: &DurableBatch) -> Result<(), JournalError> {
        if let Some(error) = &self.failed {
            return Err(error.clone().into());
        }
        let mut bytes = Vec::new();
        for node in &batch.0.nodes {
            encode_record(&mut bytes, &self.key, node);
        }
        if self.len.saturating_add(bytes.len() as u64) > MAX_JOURNAL_BYTES {
            return Err(JournalError::TooLarge);
        }
        let outcome = self.append_bytes(&bytes);
        self.remember(outcome)
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        write_all_at(&self.file, bytes, self.len)?;
        rustix::fs::fdatasync(&self.file).map_err(|errno| DiskError::from_errno("fdatasync", errno))?;
        self.len += bytes.len() as u64;
        if self.len >= MIN_REWRITE_BYTES && self.len >= self.base_len.saturating_mul(GROWTH) {
            self.rewrite()?;
        }
        Ok(())
    }

    /// Writes what the file itself says, which is durable, with its records merged: no record that waits elsewhere can
    /// slip in unsynced.
    fn rewrite(&mut self) -> Result<(), JournalError> {
        let journal = decode(&read_whole(&self.file, self.len)?)?;
        if let Some(size) = journal.tree.size() {
            self.header.size = Some(size);
        }
        let bytes = encode(&self.header, journal.tree.nodes());
        let file = write_whole(&self.dir, &self.leaf, &bytes)?;
        let (_, key) = self.header.encode();
        (self.file, self.key) = (file, key);
        (self.len, self.base_len) = (bytes.len() as u64, bytes.len() as u64);
        Ok(())
    }

    /// After a failed write nobody knows how the file ends; nothing is added behind that.
    fn remember(&mut self, outcome: Result<(), JournalError>) -> Result<(), JournalError> {
        if let Err(error) = &outcome {
            let sticky = match error {
                JournalError::Disk(error) => error.clone(),
                _ => DiskError::Changed,
            };
            self.failed.get_or_insert(sticky);
        }
        outcome
    }

    /// Removes the journal. That is not made durable: a journal without a staging file means nothing.
    ///
    /// # Errors
    /// As [`Dir::remove_file_leaf`].
    pub fn remove(self) -> Result<(), DiskError> {
        self.dir.remove_file_leaf(&self.leaf)
    }
}

/// Reads `len` bytes from the start, within the limit.
fn read_whole(file: &File, len: u64) -> Result<Vec<u8>, JournalError> {
    if len > MAX_JOURNAL_BYTES {
        return Err(JournalError::TooLarge);
    }
    let len = usize::try_from(len).map_err(|_| JournalError::TooLarge)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(|error| DiskError::from_io("pread", error))?;
    Ok(bytes)
}

/// Writes a whole file beside its place and moves it there: at every moment the name leads to a whole journal.
fn write_whole(dir: &Dir, leaf: &str, bytes: &[u8]) -> Result<File, DiskError> {
    let beside = format!("{leaf}.new");
    match dir.remove_file_leaf(&beside) {
        // Left behind by a crash; nothing refers to it.
        Ok(()) | Err(DiskError::NotFound) => {}
        Err(error) => return Err(error),
    }
    let file = dir.create_leaf(&beside, 0o600, true)?;
    let written = write_all_at(&file, bytes, 0)
        .and_then(|()| rustix::fs::fsync(&file).map_err(|errno| DiskError::from_errno("fsync", errno)))
        .and_then(|()| dir.rename_leaf(&beside, dir, leaf, Replace::Always));
    if let Err(error) = written {
        drop(dir.remove_file_leaf(&beside));
        return Err(error);
    }
    dir.sync()?;
    Ok(file)
}
