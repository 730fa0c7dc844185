//! Bytes to send, and files to send them from.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;

/// `len` bytes without pattern, the same for the same seed (splitmix64, Steele and others 2014).
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    println!("seed {seed}, {len} bytes");
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The digest as `b3sum` prints it.
pub(crate) fn b3sum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Writes a file, with the parents that it needs.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) {
    let parent = path.parent().expect("not the root");
    fs::create_dir_all(parent).expect("parents can be made");
    let mut file = File::create(path).expect("the file can be made");
    file.write_all(content.as_ref()).expect("the file can be written");
}

#[track_caller]
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails unless the file holds just these bytes. They are not printed: there may be many.
#[track_caller]
pub(crate) fn assert_holds(path: &Path, content: &[u8]) {
    let found = read(path);
    assert_eq!(found.len(), content.len(), "{}: length", path.display());
    assert!(found == content, "{}: other bytes", path.display());
}

/// Whether two files of any size hold the same bytes.
pub(crate) fn same_file_content(a: &Path, b: &Path) -> bool {
    let hash = |path: &Path| {
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(path).expect("it exists");
        std::io::copy(&mut file, &mut hasher).expect("it can be read");
        hasher.finalize()
    };
    hash(a) == hash(b)
}

/// A moment long ago with a fraction of a second, so that a copied time is told from a new one.
pub(crate) fn long_ago() -> SystemTime {
    UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789)
}

pub(crate) fn set_modified(path: &Path, time: SystemTime) {
    let file = File::options().write(true).open(path).expect("it exists");
    file.set_modified(time).expect("its time can be set");
}

pub(crate) fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).expect("it exists")
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("it is a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("listed").file_name().into_string();
    let mut names: Vec<_> = entries.map(|entry| name(entry).expect("UTF-8")).collect();
    names.sort();
    names
}

/// Fails if there is something of this name.
#[track_caller]
pub(crate) fn assert_absent(path: &Path) {
    assert!(fs::symlink_metadata(path).is_err(), "{} is there", path.display());
}

/// Fails unless the directory holds just these names, dot files included.
#[track_caller]
pub(crate) fn assert_names(dir: &Path, expected: &[&str]) {
    assert_eq!(names(dir), expected, "{}", dir.display());
}
