//! The catalog and the ledger in one SQLite database.
//!
//! One connection, because one process holds the store's lock, and because every use is inside a job on a pool of a few
//! threads anyway. The write-ahead log makes each transaction survive the end of the process at no cost; only those that
//! must survive a power cut wait for the disk.

mod columns;
mod files;
mod uploads;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::{CatalogError, Durability};
use crate::Entropy;

/// The schema that this version writes, kept in `PRAGMA user_version`.
const SCHEMA_VERSION: u32 = 1;

/// `FLMR`: tells the file from other programs' databases (`PRAGMA application_id`).
const APPLICATION_ID: u32 = 0x464c_4d52;

const SCHEMA: &str = "
    CREATE TABLE files (
        path TEXT PRIMARY KEY NOT NULL,
        id BLOB NOT NULL,
        size INTEGER NOT NULL,
        extension TEXT,
        media_type TEXT NOT NULL,
        version BLOB NOT NULL,
        blake3 BLOB,
        uploaded_by BLOB,
        uploaded_secs INTEGER,
        uploaded_nanos INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE uploads (
        id BLOB PRIMARY KEY NOT NULL,
        client BLOB NOT NULL,
        path TEXT NOT NULL,
        source BLOB NOT NULL,
        generation INTEGER NOT NULL,
        size INTEGER,
        modified_secs INTEGER,
        modified_nanos INTEGER,
        mode INTEGER,
        on_exists INTEGER NOT NULL,
        lasting INTEGER NOT NULL,
        touched_secs INTEGER NOT NULL,
        touched_nanos INTEGER NOT NULL,
        state INTEGER NOT NULL,
        staging_device INTEGER,
        staging_inode INTEGER,
        staging_modified_secs INTEGER,
        staging_modified_nanos INTEGER,
        final_path TEXT,
        file_id BLOB,
        final_size INTEGER,
        blake3 BLOB,
        already_there INTEGER
    ) STRICT, WITHOUT ROWID;
";

/// A catalog in a SQLite database. It also keeps the ledger of uploads.
#[derive(Debug)]
pub struct SqliteCatalog {
    database: Mutex<Database>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Debug)]
struct Database {
    connection: Connection,
    /// Whether there is a write-ahead log. Some network file systems cannot have one.
    has_log: bool,
    /// Whether `PRAGMA synchronous` is set to wait for the disk at each commit.
    waits: bool,
}

impl SqliteCatalog {
    /// Opens the database file at `path`, and makes it when it is absent; identifiers are drawn from `entropy`. No part
    /// of `path` may be a symbolic link. Blocks.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] and [`CatalogError::Newer`], with the file left as it is; [`CatalogError::Database`].
    pub fn open(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, CatalogError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags)?;
        // Somebody may be looking into the database with another program.
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(32);
        create_or_check(&mut connection)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY; \
             PRAGMA trusted_schema = OFF;",
        )?;
        let database = Database { connection, has_log: mode.eq_ignore_ascii_case("wal"), waits: true };
        Ok(Self { database: Mutex::new(database), entropy })
    }

    /// Runs `work` in one transaction. One that only reads takes no lock and writes nothing.
    fn transaction<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut database = self.lock();
        database.set_durability(durability)?;
        let transaction = database.connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, Database> {
        // A panic rolls its transaction back, so the connection is usable.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database {
    fn set_durability(&mut self, durability: Durability) -> Result<(), CatalogError> {
        // Without a log a transaction that does not wait could damage the database in a power cut.
        let waits = durability == Durability::Now || !self.has_log;
        if self.waits != waits {
            self.connection.pragma_update(None, "synchronous", if waits { "FULL" } else { "NORMAL" })?;
            self.waits = waits;
        }
        Ok(())
    }
}

/// Makes the tables in an empty database; refuses one that this version cannot have written.
fn create_or_check(connection: &mut Connection) -> Result<(), CatalogError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |pragma: &str| transaction.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0));
    let tables: u32 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?) {
        (0, 0) if tables == 0 => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        (APPLICATION_ID, SCHEMA_VERSION) => {}
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
            return Err(CatalogError::Newer { found, known: SCHEMA_VERSION });
        }
        _ => return Err(CatalogError::Damaged),
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests;
