//! What a store knows about files beyond the file system.
//!
//! A catalog is a memory, not an authority: what exists is what the store finds. Each record is bound to one [`Version`]
//! of one path. Whoever asks names the version that is there now, so that a file changed behind the server's back never
//! shows the digest or the uploader of what was there before.
//!
//! All methods block. A store calls them inside the same offloaded job as the system calls they belong to.

mod ledger;
mod memory;
mod sqlite;

use std::fmt;

use fulmar_proto::{
    digest::Digest,
    fingerprint::Fingerprint,
    listing::CatalogInfo,
    path::RelPath,
    text::Text,
    time::Timestamp,
    version::{FileId, Version},
};

use crate::{Entropy, StoreError};

pub(crate) use ledger::{Durability, Intent, Settlement, StagingFile, UploadRow, UploadState};
pub use memory::MemoryCatalog;
pub use sqlite::SqliteCatalog;

/// The media type of a name that tells nothing.
const UNKNOWN_MEDIA_TYPE: &str = "application/octet-stream";

/// A regular file as it was just seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub path: RelPath,
    /// Its state.
    pub version: Version,
    /// Its length in bytes.
    pub size: u64,
}

/// A file that an upload has just given its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The file under its final name.
    pub seen: Seen,
    /// Its identifier.
    pub id: FileId,
    /// Its digest.
    pub root: Digest,
    /// Who uploaded it.
    pub client: Fingerprint,
    /// When it was committed.
    pub at: Timestamp,
}

/// Why a catalog failed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database file is not one, or is damaged.
    #[error(
        "the catalog is damaged; move .fulmar/catalog.sqlite and its -wal and -shm files away and start again: \
         file identifiers, uploaders and interrupted uploads are lost, no stored file is"
    )]
    Damaged,
    /// A later version of this program has written the database.
    #[error("the catalog has schema {found}, and this version knows up to {known}: use the later version")]
    Newer {
        /// The schema of the file.
        found: u32,
        /// The newest schema that is known here.
        known: u32,
    },
    /// The database refused or failed.
    #[error("{0}")]
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged,
            _ => Self::Database(error),
        }
    }
}

impl From<CatalogError> for StoreError {
    fn from(error: CatalogError) -> Self {
        Self::Catalog(error.to_string())
    }
}

/// Keeps what is known about files, by path and version. Every method may give any [`CatalogError`], and blocks.
pub trait Catalog: Send + Sync + fmt::Debug {
    /// Describes files as they were just seen, in the order given. A file without a record gets one with a random
    /// identifier; a record of another version keeps its identifier and loses digest and uploader. One transaction.
    fn describe(&self, seen: &[Seen]) -> Result<Vec<CatalogInfo>, CatalogError>;

    /// The digest of a file, when it is known for the version seen. Makes no record.
    fn digest(&self, seen: &Seen) -> Result<Option<Digest>, CatalogError>;

    /// The identifier that is on record for a path, whatever its version.
    fn id(&self, path: &RelPath) -> Result<Option<FileId>, CatalogError>;

    /// Remembers a digest that was computed from exactly this version.
    fn learn(&self, seen: &Seen, root: Digest) -> Result<(), CatalogError>;

    /// Records files that were uploaded, replacing what was on record for their paths. One transaction.
    fn publish(&self, files: &[Published]) -> Result<(), CatalogError>;

    /// Forgets a path and everything below it.
    fn forget(&self, path: &RelPath) -> Result<(), CatalogError>;

    /// Moves a file's record. `before` is the version it had just before the move, if its bytes are certainly still
    /// those; digest and uploader go along only when that is the version on record.
    fn rename_file(&self, from: &RelPath, before: Option<Version>, to: &Seen) -> Result<(), CatalogError>;

    /// Moves the records of everything below a directory. The files' versions are unchanged by such a move.
    fn rename_tree(&self, from: &RelPath, to: &RelPath) -> Result<(), CatalogError>;
}

/// What is on record for one path.
#[derive(Clone, Debug)]
struct Record {
    id: FileId,
    version: Version,
    size: u64,
    root: Option<Digest>,
    uploaded: Option<(Fingerprint, Timestamp)>,
}

impl Record {
    fn new(seen: &Seen, entropy: &dyn Entropy) -> Self {
        Self { id: random_id(entropy), version: seen.version, size: seen.size, root: None, uploaded: None }
    }

    fn of(file: &Published) -> Self {
        Self {
            id: file.id,
            version: file.seen.version,
            size: file.seen.size,
            root: Some(file.root),
            uploaded: Some((file.client, file.at)),
        }
    }

    /// The same file in the state it has now; what was known of another state is gone.
    fn updated(self, seen: &Seen) -> Self {
        if self.version == seen.version {
            return self;
        }
        Self { version: seen.version, size: seen.size, root: None, uploaded: None, ..self }
    }

    /// The same file after a move, which changes its version and not its bytes when these were of version `before`.
    fn moved(self, before: Option<Version>, to: &Seen) -> Self {
        if before == Some(self.version) {
            return Self { version: to.version, size: to.size, ..self };
        }
        Self { version: to.version, size: to.size, root: None, uploaded: None, ..self }
    }

    fn info(&self, path: &RelPath) -> CatalogInfo {
        CatalogInfo {
            id: self.id,
            media_type: Text::new(media_type(path)),
            root: self.root,
            uploaded_by: self.uploaded.map(|(client, _)| client),
            uploaded: self.uploaded.map(|(_, at)| at),
        }
    }
}

/// Draws the identifier of a new file.
pub(crate) fn random_id(entropy: &dyn Entropy) -> FileId {
    let mut id = [0; 8];
    entropy.fill(&mut id);
    FileId(id)
}

/// The media type that a name suggests; nothing looks into the file.
pub(crate) fn media_type(path: &RelPath) -> &'static str {
    path.extension()
        .and_then(|extension| mime_guess::from_ext(extension).first_raw())
        .unwrap_or(UNKNOWN_MEDIA_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_follows_the_extension_without_regard_to_case() {
        let cases = [
            ("a/notes.txt", "text/plain"),
            ("IMAGE.PNG", "image/png"),
            ("noextension", UNKNOWN_MEDIA_TYPE),
            (".txt", UNKNOWN_MEDIA_TYPE),
            ("a.unheardof", UNKNOWN_MEDIA_TYPE),
            ("dir.png/plain", UNKNOWN_MEDIA_TYPE),
        ];
        for (path, expected) in cases {
            assert_eq!(media_type(&RelPath::parse(path).unwrap()), expected, "{path}");
        }
    }
}
