//! BLAKE3 digests of files, computed piece by piece and in any order.
//!
//! The digest of a file is the root of its BLAKE3 tree, what `b3sum` prints. Each range is a subtree of that tree: where
//! its bytes are, a [`RangeHasher`] computes its chaining value, and a [`DigestTree`] merges chaining values upward
//! until only the root is left to compute. Nothing is hashed twice and nothing has to come in order.
//!
//! The rules, after section 2.1 of the BLAKE3 paper:
//!
//! * **No bytes.** The digest of an empty file is [`Digest::EMPTY`]; it has no range.
//! * **One range.** Root and inner nodes are finalised differently. When one range is the whole file, its chaining value
//!   does not lead to the digest, so the range at offset 0 is finalised both ways and keeps both results.
//! * **Short last range.** It is the subtree at its offset all the same, because its offset is a multiple of its nominal
//!   length; on its way up it skips the levels where it has no sibling.
//! * **Unknown length.** Two siblings that would make up everything up to a power of two may turn out to be the whole
//!   file. They are merged only once something is known to follow them.

mod hasher;
mod node;
mod tree;

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

pub use hasher::{RangeDigest, RangeHasher};
pub use node::Node;
pub use tree::DigestTree;

/// The BLAKE3 digest of a whole file. Shown as 64 lower-case hexadecimal digits, as `b3sum` prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

/// The BLAKE3 chaining value of a subtree that is not a whole file. It is no digest and must never be shown as one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainingValue(pub [u8; 32]);

/// Why bytes, digests and ranges do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// More bytes than the range holds.
    #[error("there are more bytes than the range holds")]
    TooManyBytes,
    /// Fewer bytes than the range holds.
    #[error("there are fewer bytes than the range holds")]
    TooFewBytes,
    /// A node is not a possible subtree: empty, misaligned, or beyond the largest file.
    #[error("a digest is not that of an aligned piece of a file")]
    NotASubtree,
    /// A piece is short although other bytes of the file follow it.
    #[error("a piece inside a file is not a power of two in length")]
    ShortInside,
    /// A piece ends beyond the end of the file.
    #[error("a piece ends beyond the end of its file")]
    BeyondFile,
    /// Some bytes of the piece are there already.
    #[error("a piece overlaps one that is there already")]
    Overlap,
    /// The piece at offset 0 comes without its root, or another one with a root.
    #[error("a root digest is missing where it belongs, or present where it does not")]
    MisplacedRoot,
    /// The given size contradicts the pieces that are there, or the size known before.
    #[error("the size of the file contradicts what is known of it")]
    SizeContradicted,
    /// The size is needed and not known yet.
    #[error("the size of the file is not known yet")]
    SizeUnknown,
    /// Some bytes are not there yet.
    #[error("parts of the file are missing")]
    Incomplete,
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct ParseDigestError;

impl Digest {
    /// The digest of an empty file.
    pub const EMPTY: Self = Self([
        0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49, 0x9b,
        0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
    ]);

    /// The digest of `bytes` as a whole file.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    /// Reads 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 {
            return Err(ParseDigestError);
        }
        let bytes = HEXLOWER.decode(text.to_ascii_lowercase().as_bytes()).map_err(|_| ParseDigestError)?;
        bytes.try_into().map(Self).map_err(|_| ParseDigestError)
    }
}

impl fmt::Debug for ChainingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cv:{}", HEXLOWER.encode(&self.0))
    }
}
