//! The hash of one range, computed where its bytes are.

use blake3::hazmat::HasherExt as _;
use serde::{Deserialize, Serialize};

use super::{ChainingValue, Digest, DigestError};
use crate::range::Range;

/// What the hash of one range yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RangeDigest {
    /// The range as a subtree below others.
    pub chaining_value: ChainingValue,
    /// The range as a whole file: present exactly when the range begins at offset 0.
    pub root: Option<Digest>,
}

impl RangeDigest {
    /// The digest of `bytes` as the content of `range`.
    ///
    /// # Errors
    /// [`DigestError::TooManyBytes`] or [`DigestError::TooFewBytes`] when they are not as many as the range holds.
    pub fn of(range: Range, bytes: &[u8]) -> Result<Self, DigestError> {
        let mut hasher = RangeHasher::new(range);
        hasher.update(bytes)?;
        hasher.finish()
    }
}

/// Hashes the bytes of one range as they come by, in order.
#[derive(Clone)]
pub struct RangeHasher {
    range: Range,
    hasher: blake3::Hasher,
}

impl RangeHasher {
    /// A hasher for the bytes of `range`.
    pub fn new(range: Range) -> Self {
        let mut hasher = blake3::Hasher::new();
        // This panics on an offset inside a chunk; a range's offset is a multiple of 64 KiB.
        hasher.set_input_offset(range.offset());
        Self { range, hasher }
    }

    /// Takes in the next bytes of the range.
    ///
    /// # Errors
    /// [`DigestError::TooManyBytes`] when the range does not hold that many; nothing is taken in then.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), DigestError> {
        // The check keeps the hasher within the subtree at its offset; it panics beyond that.
        match self.hasher.count().checked_add(bytes.len() as u64) {
            Some(count) if count <= u64::from(self.range.len()) => {
                self.hasher.update(bytes);
                Ok(())
            }
            _ => Err(DigestError::TooManyBytes),
        }
    }

    /// How many bytes of the range are still to come.
    pub fn remaining(&self) -> u64 {
        u64::from(self.range.len()) - self.hasher.count()
    }

    /// The range's digest, once all its bytes have been taken in.
    ///
    /// # Errors
    /// [`DigestError::TooFewBytes`] when some are still to come.
    pub fn finish(self) -> Result<RangeDigest, DigestError> {
        if self.remaining() > 0 {
            return Err(DigestError::TooFewBytes);
        }
        // A root is finalised only at offset 0, and a chaining value only of at least one byte: blake3 panics otherwise.
        let root = (self.range.offset() == 0).then(|| Digest(*self.hasher.finalize().as_bytes()));
        Ok(RangeDigest { chaining_value: ChainingValue(self.hasher.finalize_non_root()), root })
    }
}

impl std::fmt::Debug for RangeHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RangeHasher")
            .field("range", &self.range)
            .field("remaining", &self.remaining())
            .finish()
    }
}
