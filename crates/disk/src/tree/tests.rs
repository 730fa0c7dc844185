use std::os::unix::fs::symlink;

use super::*;
use crate::resolve::Resolver;
use crate::root::PRIVATE_DIR;
use crate::testing::{names, refused, temporary};

fn rel(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

fn go_on() -> AtomicBool {
    AtomicBool::new(false)
}

#[test]
fn everything_in_a_tree_is_removed_and_nothing_else() {
    let (_tree, dir, path) = temporary();
    let root = Root::new(dir, Resolver::Openat2);
    std::fs::create_dir_all(path.join("top/a/b")).unwrap();
    std::fs::create_dir_all(path.join("top/empty")).unwrap();
    std::fs::create_dir_all(path.join("beside")).unwrap();
    for name in ["top/file", "top/a/file", "top/a/b/file", "beside/file"] {
        std::fs::write(path.join(name), "").unwrap();
    }
    symlink("../beside", path.join("top/link")).unwrap();
    symlink("nowhere", path.join("top/a/dangling")).unwrap();
    rustix::fs::mknodat(
        root.handle(),
        "top/fifo",
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut heard = Vec::new();
    let removed = root.remove_tree(&rel("top"), &go_on(), |so_far| heard.push(so_far)).unwrap();
    assert_eq!(removed, Removed { files: 6, directories: 4 });
    assert_eq!(heard.len(), 10);
    assert_eq!(heard.last(), Some(&removed));
    assert_eq!(names(&path), ["beside"]);
    assert_eq!(names(&path.join("beside")), ["file"]);
}

#[test]
fn a_file_or_link_at_the_top_is_removed_itself() {
    let (_tree, dir, path) = temporary();
    let root = Root::new(dir, Resolver::Openat2);
    std::fs::create_dir(path.join("kept")).unwrap();
    std::fs::write(path.join("kept/file"), "").unwrap();
    symlink("kept", path.join("link")).unwrap();
    let one = Removed { files: 1, directories: 0 };
    assert_eq!(root.remove_tree(&rel("link"), &go_on(), |_| {}).unwrap(), one);
    assert_eq!(root.remove_tree(&rel("kept/file"), &go_on(), |_| {}).unwrap(), one);
    refused(root.remove_tree(&rel("absent"), &go_on(), |_| {}), &DiskError::NotFound);
    assert_eq!(names(&path), ["kept"]);
}

#[test]
fn raising_the_flag_stops_the_removal() {
    let (_tree, dir, path) = temporary();
    let root = Root::new(dir, Resolver::Openat2);
    std::fs::create_dir(path.join("top")).unwrap();
    for n in 0..100 {
        std::fs::write(path.join(format!("top/{n}")), "").unwrap();
    }
    let stop = go_on();
    let mut last = Removed::default();
    let outcome = root.remove_tree(&rel("top"), &stop, |so_far| {
        last = so_far;
        stop.store(so_far.files == 10, Ordering::Relaxed);
    });
    refused(outcome, &DiskError::Stopped);
    assert_eq!(last.files, 10);
    assert_eq!(names(&path.join("top")).len(), 90);
}

#[test]
fn the_depth_is_bounded() {
    for (depth, fits) in [(MAX_TREE_DEPTH, true), (MAX_TREE_DEPTH + 1, false)] {
        let (_tree, dir, path) = temporary();
        let root = Root::new(dir, Resolver::Openat2);
        std::fs::create_dir_all(path.join(vec!["d"; depth].join("/"))).unwrap();
        match root.remove_tree(&rel("d"), &go_on(), |_| {}) {
            Ok(removed) => assert!(fits && removed.directories == depth as u64),
            Err(error) => assert!(!fits && matches!(error, DiskError::TooDeep), "{error:?}"),
        }
    }
}

#[test]
fn a_large_directory_is_emptied() {
    let (_tree, dir, path) = temporary();
    let root = Root::new(dir, Resolver::Walk);
    std::fs::create_dir(path.join("top")).unwrap();
    for n in 0..5_000 {
        std::fs::write(path.join(format!("top/file-{n}")), "").unwrap();
    }
    let removed = root.remove_tree(&rel("top"), &go_on(), |_| {}).unwrap();
    assert_eq!(removed, Removed { files: 5_000, directories: 1 });
}

#[test]
fn the_root_and_its_private_directory_are_reserved() {
    let (_tree, dir, path) = temporary();
    let root = Root::new(dir, Resolver::Openat2);
    std::fs::create_dir(path.join("other")).unwrap();
    assert!(!root.is_reserved(&root.handle().stat_leaf("other").unwrap()).unwrap());
    let private = root.private().unwrap();
    assert!(root.is_reserved(&private.meta().unwrap()).unwrap());
    assert!(root.is_reserved(&root.handle().meta().unwrap()).unwrap());
    assert!(RelPath::parse(PRIVATE_DIR).is_err());
}

/// A removal that walks down from `parent`, as if a mount had put the root or its private directory below the tree.
fn remove_from(root: &Root, parent: &Dir, name: &str) -> Result<(), DiskError> {
    let (stop, mut progress) = (go_on(), |_| {});
    let mut removal = Removal { root, stop: &stop, progress: &mut progress, removed: Removed::default() };
    removal.run(parent, name.as_bytes())
}

#[test]
fn a_removal_that_comes_upon_reserved_directories_is_refused() {
    let (_tree, dir, path) = temporary();
    std::fs::create_dir_all(path.join("root")).unwrap();
    let root = Root::open(&path.join("root")).unwrap();
    root.private().unwrap().create_leaf("journal", 0o600, true).unwrap();
    refused(remove_from(&root, &dir, "root"), &DiskError::PermissionDenied);
    refused(remove_from(&root, root.handle(), PRIVATE_DIR), &DiskError::PermissionDenied);
    assert_eq!(names(&path.join("root").join(PRIVATE_DIR)), ["journal"]);
}
