use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::testing::{names, refused, temporary};

mod confinement;
mod race;

pub(crate) fn rel(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

pub(crate) fn at(text: &str) -> DirPath {
    DirPath::parse(text).unwrap()
}

pub(crate) const RESOLVERS: [Resolver; 2] = [Resolver::Openat2, Resolver::Walk];

#[test]
fn each_refusal_has_its_own_error() {
    for resolver in RESOLVERS {
        let (_tree, dir, path) = temporary();
        let root = Root::new(dir, resolver);
        std::fs::create_dir_all(path.join("sub/full")).unwrap();
        std::fs::write(path.join("sub/file"), "content").unwrap();
        symlink("sub", path.join("link")).unwrap();
        refused(root.dir(&at("sub/file")), &DiskError::NotADirectory);
        refused(root.dir(&at("sub/file/x")), &DiskError::NotADirectory);
        refused(root.dir(&at("link")), &DiskError::Symlink);
        refused(root.dir(&at("link/full")), &DiskError::Symlink);
        refused(root.dir(&at("absent")), &DiskError::NotFound);
        refused(root.stat(&at("link/file")), &DiskError::Symlink);
        refused(root.open_file(&rel("link/file")), &DiskError::Symlink);
        refused(root.open_file(&rel("sub")), &DiskError::IsADirectory);
        refused(root.make_dir(&rel("sub/full")), &DiskError::AlreadyExists);
        refused(root.make_dir(&rel("absent/sub")), &DiskError::NotFound);
        refused(root.remove_dir(&rel("sub")), &DiskError::NotEmpty);
        refused(root.remove_file(&rel("sub")), &DiskError::IsADirectory);
        refused(root.read_dir(&at("link"), None), &DiskError::Symlink);
        assert_eq!(root.stat(&at("link")).unwrap().kind, Kind::Link);
        assert_eq!(root.stat(&DirPath::root()).unwrap().kind, Kind::Directory);
        assert_eq!(std::io::read_to_string(root.open_file(&rel("sub/file")).unwrap().0).unwrap(), "content");
        root.remove_file(&rel("link")).unwrap();
        root.remove_file(&rel("sub/file")).unwrap();
        root.remove_dir(&rel("sub/full")).unwrap();
        assert!(names(&path.join("sub")).is_empty());
    }
}

#[test]
fn missing_directories_are_made_once() {
    for resolver in RESOLVERS {
        let (_tree, dir, path) = temporary();
        let root = Root::new(dir, resolver);
        assert_eq!(root.make_dir_all(&at("a/b/c")).unwrap(), 3);
        assert_eq!(root.make_dir_all(&at("a/b/c")).unwrap(), 0);
        assert_eq!(root.make_dir_all(&at("a/b/d/e")).unwrap(), 2);
        assert_eq!(root.make_dir_all(&DirPath::root()).unwrap(), 0);
        let deepest = vec!["d"; 64].join("/");
        assert_eq!(root.make_dir_all(&at(&deepest)).unwrap(), 64);
        let mode = std::fs::metadata(path.join("a")).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o777 & !crate::umask::umask());
        std::fs::write(path.join("file"), "").unwrap();
        symlink("a", path.join("link")).unwrap();
        refused(root.make_dir_all(&at("file")), &DiskError::NotADirectory);
        refused(root.make_dir_all(&at("file/x")), &DiskError::NotADirectory);
        refused(root.make_dir_all(&at("link/x")), &DiskError::Symlink);
        assert!(!path.join("a/x").exists());
    }
}

#[test]
fn metadata_of_an_existing_directory_is_left_alone() {
    let (_tree, dir, path) = temporary();
    let root = Root::new(dir, Resolver::Openat2);
    std::fs::create_dir(path.join("mine")).unwrap();
    std::fs::set_permissions(path.join("mine"), PermissionsExt::from_mode(0o2711)).unwrap();
    root.make_dir_all(&at("mine/sub")).unwrap();
    assert_eq!(root.stat(&at("mine")).unwrap().mode, 0o2711);
}

#[test]
fn a_rename_moves_files_and_directories() {
    for resolver in RESOLVERS {
        let (_tree, dir, path) = temporary();
        let root = Root::new(dir, resolver);
        root.make_dir_all(&at("from/inner")).unwrap();
        root.make_dir(&rel("to")).unwrap();
        std::fs::write(path.join("from/file"), "content").unwrap();
        std::fs::write(path.join("to/taken"), "old").unwrap();
        let (file, taken) = (rel("from/file"), rel("to/taken"));
        refused(root.rename(&file, &taken, Replace::Never), &DiskError::AlreadyExists);
        refused(root.rename(&file, &file, Replace::Always), &DiskError::SameFile);
        refused(root.rename(&rel("from"), &rel("from/inner/x"), Replace::Never), &DiskError::IntoItself);
        refused(root.rename(&rel("absent"), &rel("to/x"), Replace::Never), &DiskError::NotFound);
        root.rename(&file, &taken, Replace::Always).unwrap();
        assert_eq!(std::fs::read(path.join("to/taken")).unwrap(), b"content");
        root.rename(&rel("from"), &rel("from2"), Replace::Never).unwrap();
        root.rename(&rel("from2"), &rel("to/from"), Replace::Never).unwrap();
        assert!(path.join("to/from/inner").is_dir());
    }
}

#[test]
fn the_private_directory_is_made_once_and_is_real() {
    let (_tree, dir, path) = temporary();
    let root = Root::new(dir, Resolver::Openat2);
    root.private().unwrap();
    let mode = std::fs::metadata(path.join(PRIVATE_DIR)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o700 & !crate::umask::umask());
    root.private().unwrap().create_leaf("x", 0o600, true).unwrap();
    assert_eq!(names(&path.join(PRIVATE_DIR)), ["x"]);

    let (_tree, dir, path) = temporary();
    let root = Root::new(dir, Resolver::Openat2);
    symlink("/tmp", path.join(PRIVATE_DIR)).unwrap();
    refused(root.private(), &DiskError::Symlink);
    std::fs::remove_file(path.join(PRIVATE_DIR)).unwrap();
    std::fs::write(path.join(PRIVATE_DIR), "").unwrap();
    refused(root.private(), &DiskError::NotADirectory);
}

#[test]
fn the_private_directory_cannot_be_named() {
    for text in [".fulmar", ".fulmar/x", ".FULMAR", ".Fulmar/x"] {
        assert!(RelPath::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_root_survives_being_moved() {
    for resolver in RESOLVERS {
        let (_tree, _, path) = temporary();
        std::fs::create_dir_all(path.join("root/sub")).unwrap();
        let root = Root::new(Dir::open_ambient(&path.join("root")).unwrap(), resolver);
        std::fs::rename(path.join("root"), path.join("elsewhere")).unwrap();
        root.make_dir(&rel("sub/new")).unwrap();
        assert_eq!(names(&path.join("elsewhere/sub")), ["new"]);
    }
}
