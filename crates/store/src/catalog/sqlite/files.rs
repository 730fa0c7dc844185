//! The table of files.

use fulmar_proto::{
    digest::Digest,
    listing::CatalogInfo,
    path::RelPath,
    version::{FileId, Version},
};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    SqliteCatalog,
    columns::{Columns, length},
};
use crate::catalog::{Catalog, CatalogError, Durability, Published, Record, Seen, media_type};

const SELECT: &str =
    "SELECT id, size, version, blake3, uploaded_by, uploaded_secs, uploaded_nanos FROM files WHERE path = ?1";

const INSERT: &str = "INSERT OR REPLACE INTO files (path, id, size, extension, media_type, version, blake3, uploaded_by, \
                      uploaded_secs, uploaded_nanos) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// Everything below a directory, without the directory: `/` is followed by `0` in the order of bytes.
const DELETE_BELOW: &str = "DELETE FROM files WHERE path > ?1 || '/' AND path < ?1 || '0'";

const DELETE: &str = "DELETE FROM files WHERE path = ?1";

const MOVE_BELOW: &str = "UPDATE files SET path = ?2 || substr(path, length(?1) + 1) \
                          WHERE path > ?1 || '/' AND path < ?1 || '0'";

impl Catalog for SqliteCatalog {
    fn describe(&self, seen: &[Seen]) -> Result<Vec<CatalogInfo>, CatalogError> {
        self.transaction(Durability::Later, |transaction| {
            let describe = |seen: &Seen| Ok(self.recorded(transaction, seen)?.info(&seen.path));
            seen.iter().map(describe).collect()
        })
    }

    fn digest(&self, seen: &Seen) -> Result<Option<Digest>, CatalogError> {
        let record = self.transaction(Durability::Later, |transaction| load(transaction, &seen.path))?;
        Ok(record.filter(|record| record.version == seen.version).and_then(|record| record.root))
    }

    fn id(&self, path: &RelPath) -> Result<Option<FileId>, CatalogError> {
        let record = self.transaction(Durability::Later, |transaction| load(transaction, path))?;
        Ok(record.map(|record| record.id))
    }

    fn learn(&self, seen: &Seen, root: Digest) -> Result<(), CatalogError> {
        self.transaction(Durability::Later, |transaction| {
            let record = self.recorded(transaction, seen)?;
            save(transaction, &seen.path, &Record { root: Some(root), ..record })
        })
    }

    fn publish(&self, files: &[Published]) -> Result<(), CatalogError> {
        self.transaction(Durability::Later, |transaction| publish(transaction, files))
    }

    fn forget(&self, path: &RelPath) -> Result<(), CatalogError> {
        self.transaction(Durability::Later, |transaction| forget(transaction, path))
    }

    fn rename_file(&self, from: &RelPath, before: Option<Version>, to: &Seen) -> Result<(), CatalogError> {
        self.transaction(Durability::Later, |transaction| {
            transaction.prepare_cached(DELETE)?.execute([to.path.as_str()])?;
            let Some(record) = load(transaction, from)? else { return Ok(()) };
            transaction.prepare_cached(DELETE)?.execute([from.as_str()])?;
            save(transaction, &to.path, &record.moved(before, to))
        })
    }

    fn rename_tree(&self, from: &RelPath, to: &RelPath) -> Result<(), CatalogError> {
        self.transaction(Durability::Later, |transaction| {
            forget(transaction, to)?;
            transaction.prepare_cached(MOVE_BELOW)?.execute([from.as_str(), to.as_str()])?;
            Ok(())
        })
    }
}

impl SqliteCatalog {
    /// The record of a file as it is now, made or brought up to date when need be.
    fn recorded(&self, transaction: &Transaction<'_>, seen: &Seen) -> Result<Record, CatalogError> {
        let record = match load(transaction, &seen.path)? {
            Some(record) if record.version == seen.version => return Ok(record),
            Some(record) => record.updated(seen),
            None => Record::new(seen, &*self.entropy),
        };
        save(transaction, &seen.path, &record)?;
        Ok(record)
    }
}

/// Records files that have just got their names, inside a transaction that may do more.
pub(super) fn publish(transaction: &Transaction<'_>, files: &[Published]) -> Result<(), CatalogError> {
    files.iter().try_for_each(|file| save(transaction, &file.seen.path, &Record::of(file)))
}

fn forget(transaction: &Transaction<'_>, path: &RelPath) -> Result<(), CatalogError> {
    transaction.prepare_cached(DELETE)?.execute([path.as_str()])?;
    transaction.prepare_cached(DELETE_BELOW)?.execute([path.as_str()])?;
    Ok(())
}

fn load(transaction: &Transaction<'_>, path: &RelPath) -> Result<Option<Record>, CatalogError> {
    let mut statement = transaction.prepare_cached(SELECT)?;
    statement.query_row([path.as_str()], |row| Ok(read(&mut Columns::new(row)))).optional()?.transpose()
}

fn read(columns: &mut Columns<'_, '_>) -> Result<Record, CatalogError> {
    Ok(Record {
        id: columns.file_id()?,
        size: columns.length()?,
        version: columns.version()?,
        root: columns.digest_if_any()?,
        uploaded: columns.client_if_any()?.zip(columns.time_if_any()?),
    })
}

fn save(transaction: &Transaction<'_>, path: &RelPath, record: &Record) -> Result<(), CatalogError> {
    transaction.prepare_cached(INSERT)?.execute(params![
        path.as_str(),
        record.id.0,
        length(record.size),
        path.extension(),
        media_type(path),
        record.version.0,
        record.root.map(|root| root.0),
        record.uploaded.map(|(client, _)| client.0),
        record.uploaded.map(|(_, at)| at.secs()),
        record.uploaded.map(|(_, at)| at.nanos()),
    ])?;
    Ok(())
}
