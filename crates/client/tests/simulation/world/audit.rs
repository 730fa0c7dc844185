//! What is looked at when a run has ended: the store itself, and what a client gets to see of it.

use std::collections::BTreeMap;

use fulmar_netsim::{Direction, Profile};
use fulmar_proto::{
    digest::Digest,
    listing::{EntryKind, EntryName},
    path::{DirPath, RelPath},
};
use fulmar_store::{Store, Work};

use super::{PEERS, World};

/// Who looks. Nobody else is this client, and its link is clean.
const AUDITOR: u8 = PEERS - 1;

impl World {
    /// Holds the store against what clients were told. Gives what it holds.
    pub(crate) async fn check_store(&self) -> BTreeMap<RelPath, Digest> {
        let found = stored(&*self.store()).await;
        self.with_ledger(|ledger| ledger.check(&found)).unwrap_or_else(|wrong| panic!("{wrong}"));
        found
    }

    /// As [`World::check_store`], and then holds what a client reads against the store.
    pub(super) async fn check(&self) {
        let found = self.check_store().await;
        let clean = Direction { delay_ms: 1.0, ..Direction::default() };
        self.join(AUDITOR, &Profile::symmetric("clean", clean));
        let auditor = self.peer(AUDITOR).connect().await.expect("the auditor is admitted");
        for (path, digest) in &found {
            let read = auditor.download(path.as_str()).await.expect("a stored file can be downloaded");
            assert_eq!(Digest::of(&read), *digest, "{path:?}: a client reads something else than is stored");
        }
        auditor.close().await;
    }
}

/// Every file in the store, with the digest of the bytes that it gives now.
async fn stored(store: &dyn Store) -> BTreeMap<RelPath, Digest> {
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
