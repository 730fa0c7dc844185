//! Values that many frames hold.

use fulmar_proto::{
    digest::{ChainingValue, Digest, RangeDigest},
    error::{ErrorCode, Failure},
    fingerprint::Fingerprint,
    path::{DirPath, Name, RelPath},
    range::Range,
    time::Timestamp,
    upload::{BeginUpload, Destination, Mode, OnExists},
    version::{FileId, SourceToken, UploadId, Version},
};

pub(crate) const ROOT: Digest = Digest([0xd1; 32]);
pub(crate) const CHAINING_VALUE: ChainingValue = ChainingValue([0xc1; 32]);
pub(crate) const VERSION: Version = Version([0x5e; 32]);
pub(crate) const SOURCE: SourceToken = SourceToken([0x50; 32]);
pub(crate) const UPLOAD: UploadId = UploadId([0x1d; 16]);
pub(crate) const FILE: FileId = FileId([0xf1; 8]);
pub(crate) const CLIENT: Fingerprint = Fingerprint([0xfa; 32]);

pub(crate) fn path(text: &str) -> RelPath {
    text.parse().expect("a path")
}

pub(crate) fn dir(text: &str) -> DirPath {
    text.parse().expect("the path of a directory")
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(crate) fn range(offset: u64, len: u32) -> Range {
    Range::new(offset, len).expect("a range")
}

/// 2026-11-20T10:00:00.123456789Z.
pub(crate) fn moment() -> Timestamp {
    Timestamp::new(1_795_168_800, 123_456_789).expect("less than a second")
}

pub(crate) fn mode(bits: u16) -> Mode {
    Mode::try_from(bits).expect("permission bits")
}

pub(crate) fn destination(text: &str, must_be_directory: bool) -> Destination {
    Destination { path: dir(text), must_be_directory }
}

/// An upload with everything set.
pub(crate) fn full_upload() -> BeginUpload {
    BeginUpload {
        destination: destination("in", true),
        source_name: Some(name("a.txt")),
        size: Some(300),
        modified: Some(moment()),
        mode: Some(mode(0o755)),
        source_token: SOURCE,
        on_exists: OnExists::Overwrite,
    }
}

/// An upload with nothing set that can be left out: standard input to a new name.
pub(crate) fn bare_upload() -> BeginUpload {
    BeginUpload {
        destination: destination("new", false),
        source_name: None,
        size: None,
        modified: None,
        mode: None,
        source_token: SOURCE,
        on_exists: OnExists::Fail,
    }
}

/// The digest of a range at offset 0, which has a root, or of another one, which has none.
pub(crate) fn range_digest(at_start: bool) -> RangeDigest {
    RangeDigest { chaining_value: CHAINING_VALUE, root: at_start.then_some(ROOT) }
}

pub(crate) fn failure() -> Failure {
    Failure::new(ErrorCode::EXISTS).about(path("in/a.txt")).saying("é")
}
