//! A catalog that lives as long as the process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fulmar_proto::{
    digest::Digest,
    listing::CatalogInfo,
    path::RelPath,
    version::{FileId, Version},
};

use super::{Catalog, CatalogError, Published, Record, Seen};
use crate::Entropy;

/// A catalog in memory: for stores in memory, and for directories that cannot be written to.
#[derive(Debug)]
pub struct MemoryCatalog {
    records: Mutex<BTreeMap<RelPath, Record>>,
    entropy: Arc<dyn Entropy>,
}

impl MemoryCatalog {
    /// An empty catalog; identifiers are drawn from `entropy`.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { records: Mutex::default(), entropy }
    }

    /// Another catalog that knows the same.
    pub(crate) fn copy(&self) -> Self {
        Self { records: Mutex::new(self.records().clone()), entropy: Arc::clone(&self.entropy) }
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<RelPath, Record>> {
        // Each change is one assignment, so a panic elsewhere leaves nothing half done.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `path` lies below `tree`.
fn is_below(path: &RelPath, tree: &RelPath) -> bool {
    path.as_str().strip_prefix(tree.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

impl Catalog for MemoryCatalog {
    fn describe(&self, seen: &[Seen]) -> Result<Vec<CatalogInfo>, CatalogError> {
        let mut records = self.records();
        let describe = |seen: &Seen| {
            let record = match records.remove(&seen.path) {
                Some(record) => record.updated(seen),
                None => Record::new(seen, &*self.entropy),
            };
            let info = record.info(&seen.path);
            records.insert(seen.path.clone(), record);
            info
        };
        Ok(seen.iter().map(describe).collect())
    }

    fn digest(&self, seen: &Seen) -> Result<Option<Digest>, CatalogError> {
        let records = self.records();
        Ok(records
            .get(&seen.path)
            .filter(|record| record.version == seen.version)
            .and_then(|record| record.root))
    }

    fn id(&self, path: &RelPath) -> Result<Option<FileId>, CatalogError> {
        Ok(self.records().get(path).map(|record| record.id))
    }

    fn learn(&self, seen: &Seen, root: Digest) -> Result<(), CatalogError> {
        let mut records = self.records();
        let record = match records.remove(&seen.path) {
            Some(record) => record.updated(seen),
            None => Record::new(seen, &*self.entropy),
        };
        records.insert(seen.path.clone(), Record { root: Some(root), ..record });
        Ok(())
    }

    fn publish(&self, files: &[Published]) -> Result<(), CatalogError> {
        let mut records = self.records();
        records.extend(files.iter().map(|file| (file.seen.path.clone(), Record::of(file))));
        Ok(())
    }

    fn forget(&self, path: &RelPath) -> Result<(), CatalogError> {
        self.records().retain(|known, _| known != path && !is_below(known, path));
        Ok(())
    }

    fn rename_file(&self, from: &RelPath, before: Option<Version>, to: &Seen) -> Result<(), CatalogError> {
        let mut records = self.records();
        records.remove(&to.path);
        if let Some(record) = records.remove(from) {
            records.insert(to.path.clone(), record.moved(before, to));
        }
        Ok(())
    }

    fn rename_tree(&self, from: &RelPath, to: &RelPath) -> Result<(), CatalogError> {
        let mut records = self.records();
        records.retain(|known, _| known != to && !is_below(known, to));
        let moving: Vec<RelPath> = records.keys().filter(|known| is_below(known, from)).cloned().collect();
        for path in moving {
            let record = records.remove(&path);
            let rest = path.as_str().get(from.as_str().len()..).unwrap_or_default();
            // A path that has become too long can no longer be asked for, so its record is of no use.
            if let (Some(record), Ok(path)) = (record, RelPath::parse(&format!("{}{rest}", to.as_str()))) {
                records.insert(path, record);
            }
        }
        Ok(())
    }
}
