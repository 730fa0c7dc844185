//! The table of uploads: the ledger.

use fulmar_proto::{upload::Stored, version::UploadId};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    SqliteCatalog,
    columns::{Columns, length, on_exists_number},
    files,
};
use crate::{
    NewUpload,
    catalog::{CatalogError, Durability, Intent, Settlement, StagingFile, UploadRow, UploadState},
};

const OPEN: u8 = 0;
const COMMITTING: u8 = 1;
const STORED: u8 = 2;

macro_rules! columns {
    () => {
        "id, client, path, source, generation, size, modified_secs, modified_nanos, mode, on_exists, lasting, \
         touched_secs, touched_nanos, state, staging_device, staging_inode, staging_modified_secs, \
         staging_modified_nanos, final_path, file_id, final_size, blake3, already_there"
    };
}

const SELECT: &str = concat!("SELECT ", columns!(), " FROM uploads WHERE id = ?1");
const SELECT_ALL: &str =
    concat!("SELECT ", columns!(), " FROM uploads ORDER BY touched_secs, touched_nanos, id");
const INSERT: &str = concat!(
    "INSERT OR REPLACE INTO uploads (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
     ?23)"
);
const DELETE: &str = "DELETE FROM uploads WHERE id = ?1";

impl SqliteCatalog {
    /// The row of an upload.
    pub(crate) fn upload(&self, id: UploadId) -> Result<Option<UploadRow>, CatalogError> {
        self.transaction(Durability::Later, |transaction| {
            let mut statement = transaction.prepare_cached(SELECT)?;
            statement.query_row([id.0], |row| Ok(read(&mut Columns::new(row)))).optional()?.transpose()
        })
    }

    /// All rows, those touched longest ago first.
    pub(crate) fn uploads(&self) -> Result<Vec<UploadRow>, CatalogError> {
        self.transaction(Durability::Later, |transaction| {
            let mut statement = transaction.prepare(SELECT_ALL)?;
            let rows = statement.query_map([], |row| Ok(read(&mut Columns::new(row))))?;
            rows.map(|row| row?).collect()
        })
    }

    /// Writes rows in one transaction, in place of older ones of the same uploads.
    pub(crate) fn put_uploads(&self, rows: &[UploadRow], durability: Durability) -> Result<(), CatalogError> {
        self.transaction(durability, |transaction| rows.iter().try_for_each(|row| save(transaction, row)))
    }

    /// Deletes rows in one transaction.
    pub(crate) fn delete_uploads(&self, ids: &[UploadId]) -> Result<(), CatalogError> {
        self.transaction(Durability::Later, |transaction| delete(transaction, ids))
    }

    /// Writes what a group of commits came to in one transaction.
    pub(crate) fn settle(&self, settlement: &Settlement) -> Result<(), CatalogError> {
        self.transaction(Durability::Later, |transaction| {
            files::publish(transaction, &settlement.published)?;
            settlement.rows.iter().try_for_each(|row| save(transaction, row))?;
            delete(transaction, &settlement.done)
        })
    }
}

fn delete(transaction: &Transaction<'_>, ids: &[UploadId]) -> Result<(), CatalogError> {
    let mut statement = transaction.prepare_cached(DELETE)?;
    for id in ids {
        statement.execute([id.0])?;
    }
    Ok(())
}

/// The columns that only some states have.
#[derive(Default)]
struct Outcome<'a> {
    state: u8,
    staging: Option<&'a StagingFile>,
    stored: Option<&'a Stored>,
    /// Of an upload that is open again.
    verified: Option<(u64, [u8; 32])>,
}

impl<'a> Outcome<'a> {
    fn of(state: &'a UploadState) -> Self {
        match state {
            UploadState::Open(verified) => {
                let verified = verified.map(|(size, root)| (size, root.0));
                Self { state: OPEN, verified, ..Self::default() }
            }
            UploadState::Committing(intent) => Self {
                state: COMMITTING,
                staging: Some(&intent.staging),
                stored: Some(&intent.stored),
                verified: None,
            },
            UploadState::Stored(stored) => Self { state: STORED, stored: Some(stored), ..Self::default() },
        }
    }
}

fn save(transaction: &Transaction<'_>, row: &UploadRow) -> Result<(), CatalogError> {
    let upload = &row.upload;
    let Outcome { state, staging, stored, verified } = Outcome::of(&row.state);
    transaction.prepare_cached(INSERT)?.execute(params![
        row.id.0,
        upload.client.0,
        upload.path.as_str(),
        upload.source_token.0,
        row.generation,
        upload.size.map(length),
        upload.modified.map(fulmar_proto::time::Timestamp::secs),
        upload.modified.map(fulmar_proto::time::Timestamp::nanos),
        upload.mode.map(fulmar_proto::upload::Mode::bits),
        on_exists_number(upload.on_exists),
        upload.lasting,
        row.touched.secs(),
        row.touched.nanos(),
        state,
        staging.map(|staging| staging.device.cast_signed()),
        staging.map(|staging| staging.inode.cast_signed()),
        staging.map(|staging| staging.modified.secs()),
        staging.map(|staging| staging.modified.nanos()),
        stored.map(|stored| stored.path.as_str()),
        stored.map(|stored| stored.id.0),
        stored.map(|stored| stored.size).or(verified.map(|(size, _)| size)).map(length),
        stored.map(|stored| stored.root.0).or(verified.map(|(_, root)| root)),
        stored.map(|stored| stored.already_there),
    ])?;
    Ok(())
}

fn read(columns: &mut Columns<'_, '_>) -> Result<UploadRow, CatalogError> {
    let id = columns.upload_id()?;
    let client = columns.client()?;
    let path = columns.path()?;
    let source_token = columns.source()?;
    let generation = columns.take()?;
    let size = columns.length_if_any()?;
    let modified = columns.time_if_any()?;
    let mode = columns.mode_if_any()?;
    let on_exists = columns.on_exists()?;
    let lasting = columns.take()?;
    let touched = columns.time()?;
    let state = read_state(columns)?;
    let upload = NewUpload { client, path, size, modified, mode, source_token, on_exists, lasting };
    Ok(UploadRow { id, upload, generation, state, touched })
}

fn read_state(columns: &mut Columns<'_, '_>) -> Result<UploadState, CatalogError> {
    let state: u8 = columns.take()?;
    if state == OPEN {
        let nulls: usize = 6;
        (0..nulls).try_for_each(|_| columns.take::<Option<rusqlite::types::Value>>().map(drop))?;
        return Ok(UploadState::Open(columns.length_if_any()?.zip(columns.digest_if_any()?)));
    }
    let staging = if state == COMMITTING {
        Some(StagingFile { device: columns.bits()?, inode: columns.bits()?, modified: columns.time()? })
    } else {
        (0..4).try_for_each(|_| columns.take::<Option<i64>>().map(drop))?;
        None
    };
    let stored = Stored {
        path: columns.path()?,
        id: columns.file_id()?,
        size: columns.length()?,
        root: columns.digest_if_any()?.ok_or(CatalogError::Damaged)?,
        already_there: columns.take()?,
    };
    match (state, staging) {
        (COMMITTING, Some(staging)) => Ok(UploadState::Committing(Intent { staging, stored })),
        (STORED, None) => Ok(UploadState::Stored(stored)),
        _ => Err(CatalogError::Damaged),
    }
}
