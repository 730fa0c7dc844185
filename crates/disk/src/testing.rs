//! What the tests of several modules share.

use std::path::{Path, PathBuf};

use crate::dir::Dir;
use crate::error::DiskError;

/// A directory that is removed with its first part, a handle on it, and its path.
pub(crate) fn temporary() -> (tempfile::TempDir, Dir, PathBuf) {
    let tree = tempfile::tempdir().unwrap();
    let dir = Dir::open_ambient(tree.path()).unwrap();
    let path = tree.path().to_owned();
    (tree, dir, path)
}

/// The names in a directory, sorted.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Asserts that `result` is an error of the same variant as `expected`.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, DiskError>, expected: &DiskError) {
    let error = result.unwrap_err();
    assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(expected), "{error:?}");
}
