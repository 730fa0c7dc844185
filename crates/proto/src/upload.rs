//! What an upload begins with and ends in.

use serde::{Deserialize, Serialize};

use crate::{
    digest::{ChainingValue, Digest},
    path::{DirPath, Name, PathError, RelPath},
    time::Timestamp,
    version::{FileId, SourceToken, UploadId, Version},
};

/// The most nodes that one [`HavePage`] carries.
pub const MAX_HAVE_NODES: usize = 512;

/// Where something should go: a directory that exists, or a new name in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The directory or the new name. When it is an existing directory the source's own name is used inside it.
    pub path: DirPath,
    /// Only a directory will do; a path that does not exist is then an error and not a new name.
    pub must_be_directory: bool,
}

impl std::str::FromStr for Destination {
    type Err = PathError;

    /// Reads a destination as a person writes it. A slash at the end says that only a directory will do; the empty text
    /// is the served root.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let must_be_directory = path.len() != text.len();
        Ok(Self { path: DirPath::parse(path)?, must_be_directory })
    }
}

/// What to do when the target exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum OnExists {
    /// Refuse. The same bytes under the name already count as success.
    #[default]
    Fail,
    /// Replace it atomically.
    Overwrite,
    /// Leave it and say so.
    Skip,
    /// Use `name (1).ext`, or the next number that is free.
    Rename,
}

/// Permission bits `0o000..=0o777` that a sender asks the receiver to keep; only the executable bits are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Mode(u16);

/// A mode had bits outside `0o777`: set-user-id, set-group-id and sticky bits do not cross the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mode holds bits other than read, write and execute")]
pub struct ModeError;

impl Mode {
    /// The permission bits of `bits`; everything else is dropped.
    #[must_use]
    pub const fn masked(bits: u32) -> Self {
        Self((bits & 0o777) as u16)
    }

    /// The bits, `0o000..=0o777`.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the owner may execute it.
    #[must_use]
    pub const fn executable(self) -> bool {
        self.0 & 0o100 != 0
    }
}

impl TryFrom<u16> for Mode {
    type Error = ModeError;

    fn try_from(bits: u16) -> Result<Self, ModeError> {
        if bits > 0o777 { Err(ModeError) } else { Ok(Self(bits)) }
    }
}

impl From<Mode> for u16 {
    fn from(mode: Mode) -> Self {
        mode.0
    }
}

/// What the server needs to know before the first byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginUpload {
    /// Where the file should go.
    pub destination: Destination,
    /// The source's own name; none for standard input, which then needs a new name as destination.
    pub source_name: Option<Name>,
    /// The file's length in bytes; none while it is unknown.
    pub size: Option<u64>,
    /// The modification time to keep.
    pub modified: Option<Timestamp>,
    /// The permission bits to keep.
    pub mode: Option<Mode>,
    /// Which source, in which state.
    pub source_token: SourceToken,
    /// What to do when the target exists.
    pub on_exists: OnExists,
}

/// A piece of a file that the receiver has durably: a whole BLAKE3 subtree and its chaining value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveNode {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
    /// Its chaining value.
    pub chaining_value: ChainingValue,
}

/// One page of what a receiver has.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "(Vec<HaveNode>, bool)", into = "(Vec<HaveNode>, bool)")]
pub struct HavePage {
    nodes: Vec<HaveNode>,
    more: bool,
}

/// A page held more than [`MAX_HAVE_NODES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page holds more ranges than the protocol allows")]
pub struct HavePageError;

impl HavePage {
    /// A page of at most [`MAX_HAVE_NODES`] nodes; `more` says that another page follows.
    ///
    /// # Errors
    /// [`HavePageError`] when there are more nodes.
    pub fn new(nodes: Vec<HaveNode>, more: bool) -> Result<Self, HavePageError> {
        if nodes.len() > MAX_HAVE_NODES { Err(HavePageError) } else { Ok(Self { nodes, more }) }
    }

    /// The nodes, in ascending order of offset.
    #[must_use]
    pub fn nodes(&self) -> &[HaveNode] {
        &self.nodes
    }

    /// Whether another page follows as the next frame of the stream.
    #[must_use]
    pub fn more(&self) -> bool {
        self.more
    }
}

impl TryFrom<(Vec<HaveNode>, bool)> for HavePage {
    type Error = HavePageError;

    fn try_from((nodes, more): (Vec<HaveNode>, bool)) -> Result<Self, HavePageError> {
        Self::new(nodes, more)
    }
}

impl From<HavePage> for (Vec<HaveNode>, bool) {
    fn from(page: HavePage) -> Self {
        (page.nodes, page.more)
    }
}

/// An upload that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Names the upload from now on, also after a restart of the server.
    pub upload_id: UploadId,
    /// The generation that writes must name. A later Begin of the same source to the same destination raises it.
    pub generation: u32,
    /// The name that the file will have.
    pub final_path: RelPath,
    /// The store's durability unit in bytes: what is reported as present is whole units, a multiple of the longest range.
    pub unit_bytes: u32,
    /// What is present already; further pages follow as frames while [`HavePage::more`] is set.
    pub have: HavePage,
}

/// The target exists and has the size of the source, so that only the digest can tell whether they are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// The target.
    pub path: RelPath,
    /// Its size in bytes.
    pub size: u64,
    /// The state that this is said of.
    pub version: Version,
    /// Its digest, when the catalog knows it; otherwise `Hash` asks for it.
    pub root: Option<Digest>,
}

/// A file that is stored durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The name that it has.
    pub path: RelPath,
    /// Its identifier in the catalog.
    pub id: FileId,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub root: Digest,
    /// Nothing was stored, because the target held the same bytes already.
    pub already_there: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_demands_a_directory() {
        let read = |text: &str| {
            text.parse::<Destination>().map(|d| (d.path.as_str().to_owned(), d.must_be_directory))
        };
        assert_eq!(read(""), Ok((String::new(), false)));
        assert_eq!(read("a/b"), Ok(("a/b".to_owned(), false)));
        assert_eq!(read("a/b/"), Ok(("a/b".to_owned(), true)));
        assert!(read("a//").is_err() && read("../a").is_err() && read("/a").is_err());
    }

    #[test]
    fn modes_hold_permission_bits_alone() {
        assert_eq!(Mode::masked(0o104_755).bits(), 0o755);
        assert!(Mode::try_from(0o777).is_ok_and(Mode::executable));
        assert_eq!(Mode::try_from(0o1000), Err(ModeError));
    }

    #[test]
    fn pages_are_bounded_on_both_sides_of_the_limit() {
        let node = HaveNode { offset: 0, len: 65_536, chaining_value: ChainingValue([0; 32]) };
        assert!(HavePage::new(vec![node; MAX_HAVE_NODES], true).is_ok());
        assert!(HavePage::new(vec![node; MAX_HAVE_NODES + 1], true).is_err());
    }
}
