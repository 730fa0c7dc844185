//! The ledger: what must outlive the process about uploads.

use fulmar_proto::{
    digest::Digest,
    time::Timestamp,
    upload::Stored,
    version::{UploadId, Version},
};

use super::Published;
use crate::NewUpload;

/// Whether a change must survive a power cut, or only the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The change is on the disk when the call returns.
    Now,
    /// The change goes to the disk with the next durable one.
    Later,
}

/// What tells a staging file from every other file, under whatever name it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StagingFile {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Set by the commit, and not changed by the move to the final name.
    pub(crate) modified: Timestamp,
}

/// What a commit is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) staging: StagingFile,
    /// The answer if it succeeds; its path is the final name.
    pub(crate) stored: Stored,
}

/// How far an upload has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UploadState {
    /// It takes ranges. A size and digest say that the staging file is complete, verified and durable already: a commit
    /// was interrupted before it gave the file its name.
    Open(Option<(u64, Digest)>),
    /// It may or may not have its final name.
    Committing(Intent),
    /// It is stored; the answer is kept so that a repeated commit gets it again.
    Stored(Stored),
}

/// One upload in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadRow {
    pub(crate) id: UploadId,
    pub(crate) upload: NewUpload,
    pub(crate) generation: u32,
    pub(crate) state: UploadState,
    /// When it was begun, taken over or committed last.
    pub(crate) touched: Timestamp,
}

/// What one group of commits came to, written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Settlement {
    /// Files that got their names.
    pub(crate) published: Vec<Published>,
    /// Uploads whose state changed.
    pub(crate) rows: Vec<UploadRow>,
    /// Uploads of which nothing needs to be known any more.
    pub(crate) done: Vec<UploadId>,
}

impl Settlement {
    /// Notes that a file has its name, as `version`. Only the answer to a lasting upload is kept.
    pub(crate) fn stored(&mut self, row: UploadRow, stored: Stored, version: Option<Version>) {
        if let Some(version) = version {
            let seen = super::Seen { path: stored.path.clone(), version, size: stored.size };
            let (id, root) = (stored.id, stored.root);
            self.published.push(Published { seen, id, root, client: row.upload.client, at: row.touched });
        }
        if row.upload.lasting {
            self.rows.push(UploadRow { state: UploadState::Stored(stored), ..row });
        } else {
            self.done.push(row.id);
        }
    }

    /// Notes that an upload is open again. Only a lasting one is worth a row.
    pub(crate) fn reopened(&mut self, row: UploadRow) {
        if row.upload.lasting { self.rows.push(row) } else { self.done.push(row.id) }
    }
}
