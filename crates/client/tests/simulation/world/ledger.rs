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

    /// Says what is stored that cannot have come from what happened, or is missing.
    pub(super) fn check(&self, found: &BTreeMap<RelPath, Digest>) -> Result<(), String> {
        for (path, digest) in found {
            if !self.attempted.contains(digest) {
                return Err(format!("{path:?}: holds {digest}, which nobody uploaded"));
            }
        }
        for (path, name) in &self.names {
            let Some(acknowledged) = name.acknowledged else { continue };
            match found.get(path) {
                None if name.may_be_gone => {}
                None => return Err(format!("{path:?}: was acknowledged and is gone")),
                Some(digest) if *digest == acknowledged || name.replacements.contains(digest) => {}
                Some(digest) => {
                    return Err(format!("{path:?}: holds {digest}, but {acknowledged} was acknowledged"));
                }
            }
        }
        Ok(())
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

#[test]
fn a_ledger_finds_what_is_wrong() {
    let path: RelPath = "a".parse().expect("a path");
    let [old, new, other] = [b"old", b"new", b"xxx"].map(|bytes| Digest::of(bytes));
    let holding = |digest: Option<Digest>| digest.into_iter().map(|digest| (path.clone(), digest)).collect();
    let mut ledger = Ledger::default();
    ledger.attempt(&path, old, false);
    // Not acknowledged: it may be there, whole, or not.
    let both = |ledger: &Ledger| [ledger.check(&holding(Some(old))), ledger.check(&holding(None))];
    assert_eq!(both(&ledger), [Ok(()), Ok(())]);
    assert!(ledger.check(&holding(Some(other))).is_err_and(|text| text.contains("nobody uploaded")));
    ledger.acknowledge(&path, old);
    assert!(ledger.check(&holding(None)).is_err_and(|text| text.contains("is gone")));
    // Something else that was uploaded, but not in its place.
    ledger.attempt(&path, new, false);
    assert!(ledger.check(&holding(Some(new))).is_err_and(|text| text.contains("was acknowledged")));
    ledger.attempt(&path, new, true);
    assert_eq!(ledger.check(&holding(Some(new))), Ok(()));
    ledger.may_be_gone(&path);
    assert_eq!(both(&ledger), [Ok(()), Ok(())]);
    // An acknowledgement says that it is there from now on.
    ledger.acknowledge(&path, new);
    assert!(ledger.check(&holding(None)).is_err());
}
