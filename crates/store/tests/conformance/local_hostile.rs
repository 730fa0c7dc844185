//! Names that a file system holds and that no path may have.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use fulmar_proto::{
    hostile,
    listing::{EntryKind, EntryName},
    path::RelPath,
};
use fulmar_store::{LocalOptions, Store, Work};
use tempfile::TempDir;

use crate::support::{block_on, dir, list_all, name, open_local};

#[test]
fn hostile_names_are_listed_and_never_served() {
    let root = TempDir::new().unwrap();
    let (mut made, mut accepted) = (0, 0);
    for hostile in hostile::names() {
        // What a file system cannot hold as one name is for the path's own tests.
        // A file in the place of the private directory keeps the store from opening, which is tested elsewhere.
        if hostile.bytes.contains(&b'/') || hostile.bytes.contains(&0) || hostile.bytes == b".fulmar" {
            continue;
        }
        if fs::write(root.path().join(OsStr::from_bytes(&hostile.bytes)), b"x").is_ok() {
            made += 1;
            accepted += usize::from(hostile.accepted);
        }
    }
    assert!(made > 50 && accepted > 5 && accepted < made, "{made} made, {accepted} of them acceptable");
    let (store, _) = open_local(root.path(), LocalOptions::default());
    block_on(async {
        let entries = list_all(&*store, "", true, 7).await;
        let servable = |entry: &&fulmar_proto::listing::Entry| matches!(entry.name, EntryName::Servable(_));
        let files: Vec<_> = entries.iter().filter(|entry| entry.kind == EntryKind::File).collect();
        assert_eq!(files.iter().copied().filter(servable).count(), accepted);
        for entry in &entries {
            match &entry.name {
                EntryName::Servable(name) => {
                    let entry_at = store.stat(&dir(name.as_str())).await.unwrap();
                    assert_eq!(entry_at.name, entry.name);
                    assert!(entry.catalog.is_some() || entry.kind != EntryKind::File);
                }
                EntryName::Unservable(text) => {
                    assert!(entry.catalog.is_none());
                    assert!(!text.as_str().chars().any(char::is_control), "{text:?}");
                }
            }
        }
        let measured = store.measure(&dir(""), &Work::default()).await.unwrap();
        assert!(measured.files >= files.len() as u64);
    });
}

#[test]
fn the_private_directory_is_hidden_whatever_its_case() {
    let root = TempDir::new().unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    fs::create_dir(root.path().join(".FULMAR")).unwrap();
    fs::write(root.path().join(".FULMAR/x"), b"not ours, and not served either").unwrap();
    fs::create_dir_all(root.path().join("sub/.fulmar")).unwrap();
    fs::write(root.path().join("sub/.fulmar/y"), b"12345").unwrap();
    block_on(async {
        let names: Vec<String> = list_all(&*store, "", true, 10).await.iter().map(name).collect();
        assert_eq!(names, ["sub"]);
        let below: Vec<String> = list_all(&*store, "sub", true, 10).await.iter().map(name).collect();
        assert_eq!(below, [".fulmar"], "the name is reserved at the root only");
        let measured = store.measure(&dir(""), &Work::default()).await.unwrap();
        assert_eq!((measured.files, measured.bytes), (1, 5));
    });
    assert!(RelPath::parse(".fulmar/catalog.sqlite").is_err());
}

#[test]
fn bytes_that_are_no_text_are_shown_as_numbers() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join(OsStr::from_bytes(b"caf\xe9\x1b[31m")), b"").unwrap();
    let (store, _) = open_local(root.path(), LocalOptions::default());
    block_on(async {
        let entries = list_all(&*store, "", true, 10).await;
        assert_eq!(name(&entries[0]), "!caf\\xe9\\u{1b}[31m");
    });
}
