//! Entries, and the pages that listings travel in.

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    fingerprint::Fingerprint,
    path::Name,
    text::Text,
    time::Timestamp,
    upload::Mode,
    version::{FileId, Version},
};

/// The most entries of one page.
pub const MAX_PAGE_ENTRIES: usize = 1000;

/// The most bytes of one cursor.
pub const MAX_CURSOR_BYTES: usize = 64;

/// What a listed thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link: listed, never followed.
    Link,
    /// A device, a pipe, a socket: listed, never opened.
    Other,
}

/// The name of a listed thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EntryName {
    /// A name that commands can use.
    Servable(Name),
    /// A name that breaks the rules for paths (not UTF-8, a control character): an escaped form for display only.
    Unservable(Text),
}

/// What the catalog knows about a file beyond what the file system does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogInfo {
    /// The file's random identifier.
    pub id: FileId,
    /// Its media type, guessed from the name: `text/plain`.
    pub media_type: Text,
    /// Its digest, when it is known for the bytes that are there now.
    pub root: Option<Digest>,
    /// Whose upload it was, when it was one.
    pub uploaded_by: Option<Fingerprint>,
    /// When that was.
    pub uploaded: Option<Timestamp>,
}

/// One listed file or directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name inside its directory.
    pub name: EntryName,
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes; 0 for what is not a regular file.
    pub size: u64,
    /// When it was modified last.
    pub modified: Timestamp,
    /// Its permission bits.
    pub mode: Mode,
    /// The state that all this is said of; present with details, for regular files.
    pub version: Option<Version>,
    /// What the catalog knows; present with details, for regular files.
    pub catalog: Option<CatalogInfo>,
}

/// Where a listing goes on. Opaque: only the store that made it can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Cursor(Vec<u8>);

/// A cursor was longer than [`MAX_CURSOR_BYTES`], or a page held more than [`MAX_PAGE_ENTRIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor or a page is longer than the protocol allows")]
pub struct ListingError;

impl Cursor {
    /// The bytes that the store made it of.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for Cursor {
    type Error = ListingError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, ListingError> {
        if bytes.len() > MAX_CURSOR_BYTES { Err(ListingError) } else { Ok(Self(bytes)) }
    }
}

impl From<Cursor> for Vec<u8> {
    fn from(cursor: Cursor) -> Self {
        cursor.0
    }
}

/// One page of a listing, in no particular order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(Vec<Entry>, Option<Cursor>)", into = "(Vec<Entry>, Option<Cursor>)")]
pub struct Page {
    entries: Vec<Entry>,
    next: Option<Cursor>,
}

impl Page {
    /// A page; `next` is where the listing goes on behind it, none on the last page.
    ///
    /// # Errors
    /// [`ListingError`] when there are more than [`MAX_PAGE_ENTRIES`].
    pub fn new(entries: Vec<Entry>, next: Option<Cursor>) -> Result<Self, ListingError> {
        if entries.len() > MAX_PAGE_ENTRIES { Err(ListingError) } else { Ok(Self { entries, next }) }
    }

    /// Where the listing goes on; none on the last page.
    #[must_use]
    pub fn next(&self) -> Option<&Cursor> {
        self.next.as_ref()
    }

    /// The entries, and where the listing goes on.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Entry>, Option<Cursor>) {
        (self.entries, self.next)
    }
}

impl TryFrom<(Vec<Entry>, Option<Cursor>)> for Page {
    type Error = ListingError;

    fn try_from((entries, next): (Vec<Entry>, Option<Cursor>)) -> Result<Self, ListingError> {
        Self::new(entries, next)
    }
}

impl From<Page> for (Vec<Entry>, Option<Cursor>) {
    fn from(page: Page) -> Self {
        page.into_parts()
    }
}
