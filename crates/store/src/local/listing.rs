//! Describing entries, and listing them page by page as they lie in the directory.

use fulmar_disk::{DirCursor, DiskError, Kind, Meta};
use fulmar_proto::{
    codec::payload_len,
    listing::{Cursor, Entry, EntryKind, EntryName, MAX_PAGE_ENTRIES, Page},
    path::{DirPath, Name, PathError, RelPath},
    text::{Escaped, Text},
    upload::Mode,
};

use super::{Shared, errors::refused};
use crate::{
    StoreError,
    catalog::{Seen, media_type},
};

/// What a cursor of this store begins with; the rest is the position in the directory.
const CURSOR_TAG: u8 = b'L';

/// More than an entry grows by in its encoding with a version and a catalog entry, apart from the media type.
const DETAILS_BYTES: usize = 160;

/// What a page may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) details: bool,
    pub(super) max_entries: usize,
    pub(super) max_bytes: usize,
}

/// An entry, and the file that the catalog is to be asked about.
type Described = (Entry, Option<Seen>);

impl Shared {
    pub(super) fn stat(&self, path: &DirPath) -> Result<Entry, StoreError> {
        let meta = self.root.stat(path).map_err(refused)?;
        let Some(path) = path.to_rel() else {
            return Ok(entry(EntryName::Unservable(Text::default()), &meta));
        };
        let name =
            Name::parse(path.name()).map_or_else(|_| unservable(path.name().as_bytes()), EntryName::Servable);
        let mut described = vec![(entry(name, &meta), seen(path, &meta))];
        self.add_details(&mut described)?;
        described.pop().map(|(entry, _)| entry).ok_or(StoreError::NotFound)
    }

    pub(super) fn list(
        &self,
        directory: &DirPath,
        cursor: Option<&Cursor>,
        limits: Limits,
    ) -> Result<Page, StoreError> {
        let dir = self.root.dir(directory).map_err(refused)?;
        let from = cursor.map(position).transpose()?;
        let (mut page, mut bytes, mut next) = (Vec::new(), 0, from);
        let mut more = false;
        for read in dir.read_dir(from).map_err(refused)? {
            let read = read.map_err(refused)?;
            if page.len() >= limits.max_entries.clamp(1, MAX_PAGE_ENTRIES) {
                more = true;
                break;
            }
            let described = match dir.stat_leaf(&read.name) {
                Ok(meta) => describe(directory, &read.name, &meta),
                // It vanished between the reading and the look.
                Err(DiskError::NotFound) => None,
                Err(error) => return Err(refused(error)),
            };
            if let Some(described) = described {
                bytes += encoded_len(&described, limits.details);
                if bytes > limits.max_bytes && !page.is_empty() {
                    more = true;
                    break;
                }
                page.push(described);
            }
            next = Some(read.next);
        }
        if limits.details {
            self.add_details(&mut page)?;
        }
        let next = next.filter(|_| more).map(to_cursor).transpose()?;
        Page::new(page.into_iter().map(|(entry, _)| entry).collect(), next).map_err(|_| StoreError::OverLimit)
    }

    /// Adds versions and what the catalog knows, in one transaction.
    fn add_details(&self, page: &mut [Described]) -> Result<(), StoreError> {
        let seen: Vec<Seen> = page.iter().filter_map(|(_, seen)| seen.clone()).collect();
        if seen.is_empty() {
            return Ok(());
        }
        let infos = self.catalog.describe(&seen)?;
        let files =
            page.iter_mut().filter_map(|(entry, seen)| seen.as_ref().map(|seen| (entry, seen.version)));
        for ((entry, version), info) in files.zip(infos) {
            entry.version = Some(version);
            entry.catalog = Some(info);
        }
        Ok(())
    }
}

/// One entry of a directory. None for names that belong to the server.
fn describe(directory: &DirPath, name: &[u8], meta: &Meta) -> Option<Described> {
    let parsed = match std::str::from_utf8(name) {
        Ok(text) => directory.join(text),
        Err(_) => Err(PathError::NotUtf8),
    };
    match parsed {
        Ok(path) => {
            let name = Name::parse(path.name()).map_or_else(|_| unservable(name), EntryName::Servable);
            Some((entry(name, meta), seen(path, meta)))
        }
        Err(PathError::Reserved) => None,
        Err(_) => Some((entry(unservable(name), meta), None)),
    }
}

/// A name that no command can use, in a form that may be printed.
fn unservable(name: &[u8]) -> EntryName {
    use std::fmt::Write as _;
    let mut shown = String::new();
    for chunk in name.utf8_chunks() {
        // Writing into a string cannot fail.
        let _ = write!(shown, "{}", Escaped(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    EntryName::Unservable(Text::new(&shown))
}

fn entry(name: EntryName, meta: &Meta) -> Entry {
    let kind = match meta.kind {
        Kind::File => EntryKind::File,
        Kind::Directory => EntryKind::Directory,
        Kind::Link => EntryKind::Link,
        Kind::Other => EntryKind::Other,
    };
    let size = if kind == EntryKind::File { meta.size } else { 0 };
    let mode = Mode::masked(meta.mode);
    Entry { name, kind, size, modified: meta.modified, mode, version: None, catalog: None }
}

/// What the catalog is asked about: regular files only.
pub(super) fn seen(path: RelPath, meta: &Meta) -> Option<Seen> {
    (meta.kind == Kind::File).then(|| Seen { path, version: meta.version(), size: meta.size })
}

fn encoded_len((entry, seen): &Described, details: bool) -> usize {
    let plain = payload_len(entry).unwrap_or(usize::MAX / 2);
    match seen {
        Some(seen) if details => plain + DETAILS_BYTES + media_type(&seen.path).len(),
        _ => plain,
    }
}

fn to_cursor(position: DirCursor) -> Result<Cursor, StoreError> {
    let mut bytes = vec![CURSOR_TAG];
    bytes.extend(position.to_bits().to_le_bytes());
    Cursor::try_from(bytes).map_err(|_| StoreError::BadCursor)
}

fn position(cursor: &Cursor) -> Result<DirCursor, StoreError> {
    match cursor.as_bytes() {
        [CURSOR_TAG, rest @ ..] => {
            let bits = rest.try_into().map_err(|_| StoreError::BadCursor)?;
            Ok(DirCursor::from_bits(u64::from_le_bytes(bits)))
        }
        _ => Err(StoreError::BadCursor),
    }
}
