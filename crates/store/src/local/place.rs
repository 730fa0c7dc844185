//! Under which name a commit publishes its file, and what it finds there.

use std::{collections::BTreeSet, sync::Arc};

use fulmar_disk::{Dir, DiskError, Replace};
use fulmar_proto::{
    path::RelPath,
    upload::{OnExists, Stored},
};

use super::{
    Shared,
    errors::{not_created, refused},
    object::hash_now,
};
use crate::{CommitUpload, NewUpload, StoreError, catalog::random_id, numbered};

/// Where a staged file is to go.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: RelPath,
    pub(super) dir: Dir,
    pub(super) replace: Replace,
}

impl Shared {
    /// What is under the wanted name already, for a commit that must not replace anything: nothing, or the same bytes.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when it is something else, or nobody may know.
    pub(super) fn already_there(
        self: &Arc<Self>,
        wanted: &NewUpload,
        commit: &CommitUpload,
    ) -> Result<Option<Stored>, StoreError> {
        let path = &wanted.path;
        if !matches!(wanted.on_exists, OnExists::Fail | OnExists::Skip) {
            return Ok(None);
        }
        let parent = self.root.parent(path).map_err(not_created(path))?;
        let meta = match parent.stat_leaf(path.name()) {
            Ok(meta) => meta,
            Err(DiskError::NotFound) => return Ok(None),
            Err(error) => return Err(refused(error)),
        };
        let exists = || StoreError::Exists { path: path.clone() };
        if !commit.may_compare || meta.size != commit.size {
            return Err(exists());
        }
        // What cannot be read, or changes meanwhile, is certainly not known to be the same.
        match hash_now(self, path.clone()) {
            Ok((size, root)) if size == commit.size && root == commit.root => {}
            Ok(_)
            | Err(
                StoreError::NotFound
                | StoreError::IsADirectory
                | StoreError::NotServable
                | StoreError::Changed
                | StoreError::Permission,
            ) => return Err(exists()),
            Err(error) => return Err(error),
        }
        let id = self.catalog.id(path)?.unwrap_or_else(|| random_id(&*self.environment.entropy));
        Ok(Some(Stored { path: path.clone(), id, size: commit.size, root: commit.root, already_there: true }))
    }

    /// Chooses the name. With [`OnExists::Rename`] that is the first one that is neither there nor in `taken`, which are
    /// the names that others are about to take.
    pub(super) fn place(&self, wanted: &NewUpload, taken: &BTreeSet<RelPath>) -> Result<Place, StoreError> {
        let path = &wanted.path;
        let dir = self.root.parent(path).map_err(not_created(path))?;
        let replace = match wanted.on_exists {
            OnExists::Overwrite => Replace::Always,
            OnExists::Fail | OnExists::Skip | OnExists::Rename => Replace::Never,
        };
        if wanted.on_exists != OnExists::Rename {
            return Ok(Place { path: path.clone(), dir, replace });
        }
        for candidate in std::iter::once(Ok(path.clone())).chain(numbered::candidates(path)) {
            let candidate = candidate?;
            if taken.contains(&candidate) {
                continue;
            }
            match dir.stat_leaf(candidate.name()) {
                Ok(_) => {}
                Err(DiskError::NotFound) => return Ok(Place { path: candidate, dir, replace }),
                Err(error) => return Err(refused(error)),
            }
        }
        Err(StoreError::Exists { path: path.clone() })
    }
}
