//! A node of the digest tree, and where it stands in it.

use blake3::hazmat::{Mode, merge_subtrees_non_root, merge_subtrees_root};
use serde::{Deserialize, Serialize};

use super::{ChainingValue, Digest, DigestError, RangeDigest};
use crate::range::{MAX_FILE_BYTES, Range, nominal_len};

/// A subtree of a file's BLAKE3 tree whose bytes are all there: a range, or several merged.
///
/// The fields are free to read and to write; a [`super::DigestTree`] checks a node when it is handed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// Where the subtree begins, in bytes from the start of the file: a multiple of its nominal length.
    pub offset: u64,
    /// Its length in bytes: 64 KiB x 2^k, or anything from 1 byte when it ends the file.
    pub len: u64,
    /// Its chaining value.
    pub chaining_value: ChainingValue,
    /// Its bytes as a whole file: present for a single range at offset 0, lost when that is merged with others.
    pub root: Option<Digest>,
}

impl Node {
    /// The node of a single range.
    pub fn of_range(range: Range, digest: RangeDigest) -> Self {
        Self {
            offset: range.offset(),
            len: u64::from(range.len()),
            chaining_value: digest.chaining_value,
            root: digest.root,
        }
    }

    /// The offset of the first byte after the subtree. Never overflows: a position that no file has ends at `u64::MAX`.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// The length that the subtree would have if it were full: the smallest 64 KiB x 2^k that holds it.
    pub(super) fn nominal(&self) -> u64 {
        nominal_len(self.len)
    }

    /// Whether the subtree can only stand at the end of its file.
    pub(super) fn is_short(&self) -> bool {
        self.nominal() != self.len
    }

    /// Checks that the node is a possible subtree of some file.
    pub(super) fn check(&self) -> Result<(), DigestError> {
        // The order matters: the nominal length is defined up to 2^63, and the end only without overflow.
        if self.len == 0 || self.len > MAX_FILE_BYTES || self.offset > MAX_FILE_BYTES - self.len {
            return Err(DigestError::NotASubtree);
        }
        if !self.offset.is_multiple_of(self.nominal()) {
            return Err(DigestError::NotASubtree);
        }
        if self.root.is_some() && self.offset != 0 {
            return Err(DigestError::MisplacedRoot);
        }
        Ok(())
    }

    /// The parent of this node and the one that follows it, as an inner node.
    pub(super) fn merged(&self, right: &Self) -> Self {
        let value = merge_subtrees_non_root(&self.chaining_value.0, &right.chaining_value.0, Mode::Hash);
        Self {
            offset: self.offset,
            len: self.len + right.len,
            chaining_value: ChainingValue(value),
            root: None,
        }
    }

    /// The digest of the file of which this node and the one that follows it are the two halves.
    pub(super) fn merged_root(&self, right: &Self) -> Digest {
        Digest(*merge_subtrees_root(&self.chaining_value.0, &right.chaining_value.0, Mode::Hash).as_bytes())
    }
}
