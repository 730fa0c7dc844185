//! What clients tried to upload and what they were told, held against what is stored.
//!
//! * Every file in the store holds, as a whole, bytes that somebody uploaded. No mixtures, no beginnings.
//! * An upload that was acknowledged is there with its bytes, unless somebody has since tried to replace or remove it.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_proto::{
    digest::Digest,
    listing::{EntryKind, EntryName},
    path::{DirPath, RelPath},
};
use fulmar_store::{Store, Work};

/// What is known about one name.
#[derive(Debug, Default)]
struct Name {
    acknowledged: Option<Digest>,
    /// What has been tried since and may have replaced that.
    replacements: BTreeSet<Digest>,
    /// Whether it may be gone.
    may_be_gone: bool,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    attempted: BTreeSet<Digest>,
    names: BTreeMap<RelPath, Name>,
}

impl Ledger {
    /// An upload begins. It may replace what is there only if it was asked to.
    pub(super) fn attempt(&mut self, path: &RelPath, digest: Digest, may_replace: bool) {
        self.attempted.insert(digest);
        if may_replace {
            self.names.entry(path.clone()).or_default().replacements.insert(digest);
        }
    }

    /// The server has said that it is stored.
    pub(super) fn acknowledge(&mut self, path: &RelPath, digest: Digest) {
        let name = self.names.entry(path.clone()).or_default();
        (name.acknowledged, name.may_be_gone) = (Some(digest), false);
    }

    /// A removal or a renaming begins.
    pub(super) fn may_be_gone(&mut self, path: &RelPath) {
        self.names.entry(path.clone()).or_default().may_be_gone = true;
    }

    /// Fails the test when what is stored cannot have come from what happened.
    pub(super) fn check(&self, found: &BTreeMap<RelPath, Digest>) {
        for (path, digest) in found {
            assert!(self.attempted.contains(digest), "{path:?}: holds {digest}, which nobody uploaded");
        }
        for (path, name) in &self.names {
            let Some(acknowledged) = name.acknowledged else { continue };
            match found.get(path) {
                Some(digest) => assert!(
                    *digest == acknowledged || name.replacements.contains(digest),
                    "{path:?}: holds {digest}, but {acknowledged} was acknowledged"
                ),
                None => assert!(name.may_be_gone, "{path:?}: was acknowledged and is gone"),
            }
        }
    }
}

/// Every file in the store, with the digest of the bytes that it gives now.
pub(super) async fn stored(store: &dyn Store) -> BTreeMap<RelPath, Digest> {
    let mut found = BTreeMap::new();
    let mut directories = vec![DirPath::root()];
    while let Some(directory) = directories.pop() {
        let mut cursor = None;
        loop {
            let page = store.list(&directory, cursor.as_ref(), false, 1000, 60 * 1024).await;
            let (entries, next) = page.expect("a directory can be listed").into_parts();
            for entry in entries {
                let EntryName::Servable(name) = &entry.name else { continue };
                let path = directory.join(name.as_str()).expect("a stored name");
                match entry.kind {
                    EntryKind::Directory => directories.push(path.into()),
                    EntryKind::File => {
                        let hashed = store.hash(&path, true, &Work::default()).await;
                        found.insert(path, hashed.expect("a file can be read").1);
                    }
                    _ => {}
                }
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
    }
    found
}
