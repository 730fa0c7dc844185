//! What every catalog promises.

use std::sync::Arc;

use fulmar_proto::{
    digest::Digest,
    time::Timestamp,
    version::{FileId, Version},
};
use fulmar_store::{
    Catalog, SystemEntropy,
    catalog::{MemoryCatalog, Published, Seen, SqliteCatalog},
};
use tempfile::TempDir;

use crate::support::{ALICE, path};

fn on_every_catalog(test: impl Fn(&dyn Catalog)) {
    test(&MemoryCatalog::new(Arc::new(SystemEntropy)));
    let dir = TempDir::new().unwrap();
    let file = dir.path().canonicalize().unwrap().join("catalog.sqlite");
    test(&SqliteCatalog::open(&file, Arc::new(SystemEntropy)).unwrap());
}

fn seen(at: &str, version: u8) -> Seen {
    Seen { path: path(at), version: Version([version; 32]), size: u64::from(version) }
}

fn published(at: &str, version: u8) -> Published {
    Published {
        seen: seen(at, version),
        id: FileId([version; 8]),
        root: Digest([version; 32]),
        client: ALICE,
        at: Timestamp::new(5, 6).unwrap(),
    }
}

#[test]
fn a_file_keeps_its_identifier() {
    on_every_catalog(|catalog| {
        let batch = [seen("a", 1), seen("b", 1), seen("a/b", 1)];
        let infos = catalog.describe(&batch).unwrap();
        assert_eq!(catalog.describe(&batch).unwrap(), infos);
        assert!(infos[0].id != infos[1].id && infos[1].id != infos[2].id);
        let changed = catalog.describe(&[seen("a", 2)]).unwrap();
        assert_eq!(changed[0].id, infos[0].id);
        assert_eq!(catalog.id(&path("a")).unwrap(), Some(infos[0].id));
        assert_eq!(catalog.id(&path("c")).unwrap(), None);
        assert!(catalog.describe(&[]).unwrap().is_empty());
    });
}

#[test]
fn a_digest_is_known_for_one_version_only() {
    on_every_catalog(|catalog| {
        assert_eq!(catalog.digest(&seen("a", 1)).unwrap(), None);
        assert_eq!(catalog.id(&path("a")).unwrap(), None, "asking makes no record");
        catalog.learn(&seen("a", 1), Digest::EMPTY).unwrap();
        assert_eq!(catalog.digest(&seen("a", 1)).unwrap(), Some(Digest::EMPTY));
        assert_eq!(catalog.digest(&seen("a", 2)).unwrap(), None);
        assert_eq!(catalog.describe(&[seen("a", 1)]).unwrap()[0].root, Some(Digest::EMPTY));
        assert_eq!(catalog.describe(&[seen("a", 2)]).unwrap()[0].root, None);
        assert_eq!(catalog.digest(&seen("a", 1)).unwrap(), None, "the first version will not come back");
    });
}

#[test]
fn an_upload_is_forgotten_with_the_version() {
    on_every_catalog(|catalog| {
        catalog.publish(&[published("a", 1), published("b", 2)]).unwrap();
        let info = &catalog.describe(&[seen("a", 1)]).unwrap()[0];
        assert_eq!((info.id, info.root), (FileId([1; 8]), Some(Digest([1; 32]))));
        assert_eq!((info.uploaded_by, info.uploaded), (Some(ALICE), Timestamp::new(5, 6).ok()));
        let info = &catalog.describe(&[seen("a", 3)]).unwrap()[0];
        assert_eq!((info.id, info.root, info.uploaded_by, info.uploaded), (FileId([1; 8]), None, None, None));
        catalog.publish(&[published("a", 4)]).unwrap();
        assert_eq!(catalog.id(&path("a")).unwrap(), Some(FileId([4; 8])));
    });
}

#[test]
fn what_is_removed_is_forgotten_with_all_below_it() {
    on_every_catalog(|catalog| {
        let names = ["d", "d/x", "d/x/y", "d.txt", "d0", "d ", "da/x", "e/d/x"];
        catalog.publish(&names.map(|name| published(name, 1))).unwrap();
        catalog.forget(&path("d")).unwrap();
        for (index, name) in names.iter().enumerate() {
            assert_eq!(catalog.id(&path(name)).unwrap().is_some(), index >= 3, "{name}");
        }
    });
}

#[test]
fn a_record_moves_with_its_file() {
    on_every_catalog(|catalog| {
        catalog.publish(&[published("a", 1), published("b", 2), published("c", 3)]).unwrap();
        catalog.rename_file(&path("a"), Some(Version([1; 32])), &seen("b", 9)).unwrap();
        let info = &catalog.describe(&[seen("b", 9)]).unwrap()[0];
        assert_eq!(
            (info.id, info.root, info.uploaded_by),
            (FileId([1; 8]), Some(Digest([1; 32])), Some(ALICE))
        );
        assert_eq!(catalog.id(&path("a")).unwrap(), None);
        // The record was of another version than the file had just before, or the file may have changed meanwhile.
        for (before, to) in [(Some(Version([7; 32])), "d"), (None, "c")] {
            catalog.rename_file(&path(if to == "d" { "c" } else { "d" }), before, &seen(to, 8)).unwrap();
            let info = &catalog.describe(&[seen(to, 8)]).unwrap()[0];
            assert_eq!((info.id, info.root, info.uploaded_by), (FileId([3; 8]), None, None));
        }
        // A file without a record leaves none of what was replaced.
        catalog.rename_file(&path("unknown"), None, &seen("b", 5)).unwrap();
        assert_eq!(catalog.id(&path("b")).unwrap(), None);
    });
}

#[test]
fn a_directory_moves_with_all_below_it() {
    on_every_catalog(|catalog| {
        let names = ["d/x", "d/ä/y", "d.txt", "new/stale"];
        catalog.publish(&names.map(|name| published(name, 1))).unwrap();
        catalog.rename_tree(&path("d"), &path("new")).unwrap();
        for there in ["new/x", "new/ä/y", "d.txt"] {
            assert_eq!(catalog.digest(&seen(there, 1)).unwrap(), Some(Digest([1; 32])), "{there}");
        }
        for gone in ["d/x", "d/ä/y", "new/stale"] {
            assert_eq!(catalog.id(&path(gone)).unwrap(), None, "{gone}");
        }
    });
}
