use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::list::DirEntry;
use crate::testing::{refused, temporary};

#[test]
fn only_single_names_are_taken() {
    let (_tree, dir, _) = temporary();
    for name in ["", ".", "..", "a/b", "/", "a/", "../a", "a\0b"] {
        refused(dir.stat_leaf(name), &DiskError::BadName);
        refused(dir.open_file_leaf(name), &DiskError::BadName);
        refused(dir.open_dir_leaf(name), &DiskError::BadName);
        refused(dir.create_leaf(name, 0o600, true), &DiskError::BadName);
        refused(dir.make_dir_leaf(name, 0o700), &DiskError::BadName);
        refused(dir.remove_file_leaf(name), &DiskError::BadName);
        refused(dir.remove_dir_leaf(name), &DiskError::BadName);
        refused(dir.rename_leaf(name, &dir, "x", Replace::Never), &DiskError::BadName);
        refused(dir.rename_leaf("x", &dir, name, Replace::Always), &DiskError::BadName);
    }
    refused(dir.create_leaf("n".repeat(256), 0o600, true), &DiskError::NameTooLong);
    dir.create_leaf("n".repeat(255), 0o600, true).unwrap();
}

#[test]
fn links_are_never_followed() {
    let (_tree, dir, path) = temporary();
    std::fs::write(path.join("file"), "x").unwrap();
    std::fs::create_dir(path.join("sub")).unwrap();
    symlink("file", path.join("to-file")).unwrap();
    symlink("sub", path.join("to-dir")).unwrap();
    symlink("nowhere", path.join("dangling")).unwrap();
    for link in ["to-file", "to-dir", "dangling"] {
        assert_eq!(dir.stat_leaf(link).unwrap().kind, Kind::Link);
        refused(dir.open_file_leaf(link), &DiskError::Symlink);
        refused(dir.open_file_leaf_rw(link), &DiskError::Symlink);
        refused(dir.open_dir_leaf(link), &DiskError::Symlink);
        refused(dir.create_leaf(link, 0o600, true), &DiskError::AlreadyExists);
        refused(dir.create_leaf(link, 0o600, false), &DiskError::Symlink);
    }
    assert!(!path.join("nowhere").exists());
    refused(dir.remove_dir_leaf("to-dir"), &DiskError::NotADirectory);
    dir.remove_file_leaf("to-dir").unwrap();
    assert!(path.join("sub").is_dir());
}

#[test]
fn only_regular_files_are_opened() {
    let (_tree, dir, path) = temporary();
    dir.make_dir_leaf("sub", 0o777).unwrap();
    let fifo = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(&dir, "fifo", rustix::fs::FileType::Fifo, fifo, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
    refused(dir.open_file_leaf("sub"), &DiskError::IsADirectory);
    // Opening a FIFO without O_NONBLOCK would hang here.
    refused(dir.open_file_leaf("fifo"), &DiskError::NotRegular);
    refused(dir.open_file_leaf_rw("fifo"), &DiskError::NotRegular);
    refused(dir.open_file_leaf("socket"), &DiskError::NotRegular);
    refused(dir.open_dir_leaf("fifo"), &DiskError::NotADirectory);
    refused(dir.open_file_leaf("absent"), &DiskError::NotFound);
    assert_eq!(dir.stat_leaf("fifo").unwrap().kind, Kind::Other);
}

#[test]
fn set_id_bits_are_masked() {
    let (_tree, dir, path) = temporary();
    dir.create_leaf("file", 0o7777, true).unwrap();
    dir.make_dir_leaf("sub", 0o7777).unwrap();
    for name in ["file", "sub"] {
        let mode = std::fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o777 & !crate::umask::umask(), "{name}");
    }
}

#[test]
fn removal_says_what_is_in_the_way() {
    let (_tree, dir, path) = temporary();
    std::fs::create_dir_all(path.join("full/sub")).unwrap();
    std::fs::write(path.join("file"), "").unwrap();
    refused(dir.remove_dir_leaf("full"), &DiskError::NotEmpty);
    refused(dir.remove_file_leaf("full"), &DiskError::IsADirectory);
    refused(dir.remove_dir_leaf("file"), &DiskError::NotADirectory);
    refused(dir.remove_file_leaf("absent"), &DiskError::NotFound);
    refused(dir.make_dir_leaf("file", 0o777), &DiskError::AlreadyExists);
}

#[test]
fn a_rename_replaces_only_what_it_may() {
    let (_tree, dir, path) = temporary();
    for name in ["a", "b", "c"] {
        std::fs::write(path.join(name), name).unwrap();
    }
    std::fs::create_dir(path.join("sub")).unwrap();
    symlink("b", path.join("link")).unwrap();
    std::fs::hard_link(path.join("a"), path.join("also-a")).unwrap();
    refused(dir.rename_leaf("a", &dir, "b", Replace::Never), &DiskError::AlreadyExists);
    refused(dir.rename_leaf("a", &dir, "link", Replace::Never), &DiskError::AlreadyExists);
    refused(dir.rename_leaf("a", &dir, "sub", Replace::Always), &DiskError::IsADirectory);
    refused(dir.rename_leaf("a", &dir, "link", Replace::Always), &DiskError::Symlink);
    refused(dir.rename_leaf("a", &dir, "also-a", Replace::Always), &DiskError::SameFile);
    refused(dir.rename_leaf("a", &dir, "a", Replace::Always), &DiskError::SameFile);
    refused(dir.rename_leaf("absent", &dir, "new", Replace::Always), &DiskError::NotFound);
    dir.rename_leaf("a", &dir, "b", Replace::Always).unwrap();
    assert_eq!(std::fs::read(path.join("b")).unwrap(), b"a");
    let sub = dir.open_dir_leaf("sub").unwrap();
    dir.rename_leaf("c", &sub, "c", Replace::Never).unwrap();
    assert_eq!(std::fs::read(path.join("sub/c")).unwrap(), b"c");
    assert!(!path.join("a").exists() && !path.join("c").exists());
}

#[test]
fn the_fall_back_of_a_rename_never_replaces() {
    let (_tree, dir, path) = temporary();
    std::fs::write(path.join("a"), "a").unwrap();
    std::fs::write(path.join("b"), "b").unwrap();
    refused(dir.link_then_unlink(b"a", &dir, b"b"), &DiskError::AlreadyExists);
    assert_eq!(std::fs::read(path.join("b")).unwrap(), b"b");
    dir.link_then_unlink(b"a", &dir, b"c").unwrap();
    assert_eq!(std::fs::read(path.join("c")).unwrap(), b"a");
    assert!(!path.join("a").exists());
}

#[test]
fn a_lock_is_held_until_it_is_dropped() {
    let (_tree, dir, _) = temporary();
    let lock = dir.lock_exclusive("lock").unwrap();
    refused(dir.lock_exclusive("lock"), &DiskError::Busy);
    drop(lock);
    dir.lock_exclusive("lock").unwrap();
}

#[test]
fn ambient_directories_must_be_directories() {
    let (_tree, dir, path) = temporary();
    std::fs::write(path.join("file"), "").unwrap();
    refused(Dir::open_ambient(&path.join("file")), &DiskError::NotADirectory);
    refused(Dir::open_ambient(&path.join("absent")), &DiskError::NotFound);
    // The operator's own links are followed.
    symlink(".", path.join("here")).unwrap();
    let here = Dir::open_ambient(&path.join("here")).unwrap();
    assert!(here.meta().unwrap().same_file(&dir.meta().unwrap()));
    dir.sync().unwrap();
    assert!(dir.available_bytes().unwrap() > 0);
}

#[test]
fn a_directory_read_in_pages_shows_each_entry_once() {
    let (_tree, dir, _) = temporary();
    let expected: BTreeSet<Vec<u8>> = (0..10_000).map(|n| format!("entry-{n}").into_bytes()).collect();
    for name in &expected {
        dir.create_leaf(name, 0o600, true).unwrap();
    }
    for page in [1, 7, 1_000, 20_000] {
        let (mut seen, mut cursor, mut count) = (BTreeSet::new(), None, 0);
        loop {
            // A new reader each time, as after a reconnection; single steps are tried on the first 300 only.
            let entries: Vec<DirEntry> =
                dir.read_dir(cursor).unwrap().take(page).collect::<Result<_, _>>().unwrap();
            let Some(last) = entries.last() else { break };
            cursor = Some(DirCursor::from_bits(last.next.to_bits()));
            count += entries.len();
            assert!(entries.iter().all(|entry| matches!(entry.kind, Some(Kind::File) | None)));
            seen.extend(entries.into_iter().map(|entry| entry.name));
            if page == 1 && count == 300 {
                break;
            }
        }
        let expected_count = if page == 1 { 300 } else { expected.len() };
        assert_eq!((count, seen.len()), (expected_count, expected_count), "page of {page}");
        assert!(seen.is_subset(&expected));
    }
}

#[test]
fn a_cursor_from_nowhere_is_refused_or_shows_a_subset() {
    let (_tree, dir, _) = temporary();
    for name in ["a", "b", "c"] {
        dir.create_leaf(name, 0o600, true).unwrap();
    }
    refused(dir.read_dir(Some(DirCursor::from_bits(u64::MAX))), &DiskError::BadCursor);
    for bits in [0, 1, 3, 1 << 31, 1 << 40, i64::MAX as u64] {
        if let Ok(reader) = dir.read_dir(Some(DirCursor::from_bits(bits))) {
            assert!(reader.count() <= 3, "{bits}");
        }
    }
}

#[test]
fn nothing_beneath_leads_out() {
    let (tree, dir, path) = temporary();
    std::fs::create_dir_all(path.join("a/b/c")).unwrap();
    std::fs::write(path.join("a/b/c/file"), "x").unwrap();
    symlink("b", path.join("a/link")).unwrap();
    symlink(tree.path().parent().unwrap(), path.join("a/out")).unwrap();
    assert!(dir.open_beneath("").unwrap().meta().unwrap().same_file(&dir.meta().unwrap()));
    assert!(dir.open_beneath("a/b/c").unwrap().stat_leaf("file").is_ok());
    for path in ["..", "a/../..", "/", "/a", "a/", "a//b", ".", "a/./b", "a\0"] {
        refused(dir.open_beneath(path), &DiskError::BadName);
    }
    for path in ["a/link", "a/link/c", "a/out"] {
        refused(dir.open_beneath(path), &DiskError::Symlink);
    }
    refused(dir.open_beneath("a/b/c/file"), &DiskError::NotADirectory);
    refused(dir.open_beneath("a/gone"), &DiskError::NotFound);
}
