//! Opening a directory as a store.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use fulmar_disk::{Buffers, Dir, DiskError, PRIVATE_DIR, Root};

use super::{
    KEPT_BYTES, LocalOptions, LocalStore, OpenError, Shared, UploadArea, group::Group, recovery::recover,
};
use crate::{
    Environment,
    catalog::{MemoryCatalog, SqliteCatalog},
    registry::Registry,
};

const LOCK: &str = "lock";
const CATALOG: &str = "catalog.sqlite";
const PARTIAL: &str = "partial";
const JOURNAL: &str = "journal";

impl LocalStore {
    /// Serves the directory `root`, which is made when it is absent, together with those above it. What an earlier
    /// server left unfinished is put in order first. Blocks.
    ///
    /// Where the directory cannot be written to, the store is read-only and its catalog lives in memory.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another server has the directory; see there for the others. Nothing is deleted to
    /// get around an error.
    pub fn open(
        root: &Path,
        options: LocalOptions,
        environment: Environment,
    ) -> Result<Arc<Self>, OpenError> {
        std::fs::create_dir_all(root)
            .map_err(|source| OpenError::Root(DiskError::Io { op: "mkdir", source }))?;
        let confined = Root::open(root).map_err(OpenError::Root)?;
        let shared = match confined.private() {
            Ok(private) => with_private(root, confined, &private, options, environment)?,
            Err(DiskError::ReadOnly | DiskError::PermissionDenied) => without_private(confined, environment),
            Err(error) => return Err(OpenError::Private(error)),
        };
        if shared.uploads.is_some() {
            recover(&shared)?;
        }
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }
}

/// A store that nothing can be written to.
fn without_private(root: Root, environment: Environment) -> Shared {
    Shared {
        root,
        buffers: Buffers::new(KEPT_BYTES),
        catalog: Arc::new(MemoryCatalog::new(Arc::clone(&environment.entropy))),
        environment,
        uploads: None,
        probe: None,
        crashed: AtomicBool::new(false),
        _lock: None,
    }
}

fn with_private(
    path: &Path,
    root: Root,
    private: &Dir,
    options: LocalOptions,
    environment: Environment,
) -> Result<Shared, OpenError> {
    let lock = match private.lock_exclusive(LOCK) {
        Ok(lock) => lock,
        Err(DiskError::Busy) => return Err(OpenError::Locked),
        // It was made while the directory could be written to.
        Err(DiskError::ReadOnly | DiskError::PermissionDenied) => {
            return Ok(without_private(root, environment));
        }
        Err(error) => return Err(OpenError::Private(error)),
    };
    let catalog = Arc::new(open_catalog(path, private, &environment)?);
    let uploads = if options.read_only {
        None
    } else {
        Some(UploadArea {
            partial: subdirectory(private, PARTIAL)?,
            journal: subdirectory(private, JOURNAL)?,
            ledger: Arc::clone(&catalog),
            registry: Registry::default(),
            group: Group::default(),
        })
    };
    let (probe, crashed) = (options.probe, AtomicBool::new(false));
    let buffers = Buffers::new(KEPT_BYTES);
    Ok(Shared { root, buffers, catalog, environment, uploads, probe, crashed, _lock: Some(lock) })
}

/// Opens the database. SQLite wants a path; that it leads to the private directory that is held open is checked.
fn open_catalog(root: &Path, private: &Dir, environment: &Environment) -> Result<SqliteCatalog, OpenError> {
    let real = std::fs::canonicalize(root)
        .map_err(|source| OpenError::Root(DiskError::Io { op: "realpath", source }))?
        .join(PRIVATE_DIR);
    let named = Dir::open_ambient(&real).and_then(|dir| dir.meta()).map_err(OpenError::Private)?;
    if !named.same_file(&private.meta().map_err(OpenError::Private)?) {
        return Err(OpenError::Private(DiskError::Changed));
    }
    // Made here so that nobody else may read it; SQLite gives its other files the same permissions.
    drop(private.create_leaf(CATALOG, 0o600, false).map_err(OpenError::Private)?);
    Ok(SqliteCatalog::open(&real.join(CATALOG), Arc::clone(&environment.entropy))?)
}

fn subdirectory(private: &Dir, name: &str) -> Result<Dir, OpenError> {
    match private.make_dir_leaf(name, 0o700) {
        Ok(()) => private.sync().map_err(OpenError::Private)?,
        Err(DiskError::AlreadyExists) => {}
        Err(error) => return Err(OpenError::Private(error)),
    }
    private.open_dir_leaf(name).map_err(OpenError::Private)
}
