//! Ranges: the aligned pieces of a file that single commands carry.
//!
//! A range is a subtree of the file's BLAKE3 tree, so that its chaining value can be computed on its own. That holds
//! when its length is 64 KiB x 2^k and its offset a multiple of its length. Only the file's last range may be shorter;
//! its offset is a multiple of the length it would have if it were full, its *nominal* length.

use serde::{Deserialize, Serialize};

/// The shortest full range, in bytes: 64 KiB.
pub const MIN_RANGE_BYTES: u32 = 64 * 1024;

/// The longest range, in bytes: 2 MiB. A longer piece on one ordered stream could open more gaps than a receiver's
/// stream reassembly allows on a link that loses packets.
pub const MAX_RANGE_BYTES: u32 = 2 * 1024 * 1024;

/// The longest file, in bytes: 2^63 - 1, the largest offset that file systems know.
pub const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// The smallest 64 KiB x 2^k that is not less than `len`, for `len` up to 2^63.
pub(crate) fn nominal_len(len: u64) -> u64 {
    len.max(u64::from(MIN_RANGE_BYTES)).next_power_of_two()
}

/// One aligned piece of a file: 1 byte to 2 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawRange", into = "RawRange")]
pub struct Range {
    offset: u64,
    len: u32,
}

/// A range as it crosses the wire, before its rules are checked.
#[derive(Serialize, Deserialize)]
struct RawRange {
    offset: u64,
    len: u32,
}

/// Why an offset and a length are not a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The length is zero.
    #[error("a range is empty")]
    Empty,
    /// The length exceeds [`MAX_RANGE_BYTES`].
    #[error("a range is longer than 2 MiB")]
    TooLong,
    /// The offset is not a multiple of the nominal length.
    #[error("a range is not aligned to its length")]
    Misaligned,
    /// The end lies beyond [`MAX_FILE_BYTES`].
    #[error("a range ends beyond the largest possible file")]
    Overflow,
    /// The end lies beyond the file's end.
    #[error("a range ends beyond the end of its file")]
    BeyondFile,
    /// The range is short although it is not the last one of its file.
    #[error("a range inside a file is not a power of two in length")]
    ShortInside,
}

impl Range {
    /// A range of `len` bytes, from 1 to 2 MiB, at `offset`.
    ///
    /// # Errors
    /// Any [`RangeError`] but those that need the file's size.
    pub fn new(offset: u64, len: u32) -> Result<Self, RangeError> {
        if len == 0 {
            return Err(RangeError::Empty);
        }
        if len > MAX_RANGE_BYTES {
            return Err(RangeError::TooLong);
        }
        if !offset.is_multiple_of(nominal_len(u64::from(len))) {
            return Err(RangeError::Misaligned);
        }
        match offset.checked_add(u64::from(len)) {
            Some(end) if end <= MAX_FILE_BYTES => Ok(Self { offset, len }),
            _ => Err(RangeError::Overflow),
        }
    }

    /// A range of a file of `size` bytes. Only the one that ends the file may be short.
    ///
    /// # Errors
    /// As [`Range::new`], and [`RangeError::BeyondFile`] or [`RangeError::ShortInside`].
    pub fn in_file(offset: u64, len: u32, size: u64) -> Result<Self, RangeError> {
        let range = Self::new(offset, len)?;
        range.check_in_file(size)?;
        Ok(range)
    }

    /// Checks that this is a range of a file of `size` bytes.
    ///
    /// # Errors
    /// [`RangeError::BeyondFile`] or [`RangeError::ShortInside`].
    pub fn check_in_file(&self, size: u64) -> Result<(), RangeError> {
        if self.end() > size {
            return Err(RangeError::BeyondFile);
        }
        if self.end() < size && self.is_short() {
            return Err(RangeError::ShortInside);
        }
        Ok(())
    }

    /// Where the range begins, in bytes from the start of the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The length in bytes: 1 to [`MAX_RANGE_BYTES`].
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Where the range ends: the offset of the first byte after it.
    pub fn end(&self) -> u64 {
        self.offset + u64::from(self.len)
    }

    /// The priority of the stream that carries the range, 0 or less: earlier ranges go first, so that what is lost is
    /// repaired before more is begun, and ranges end one after the other rather than all at once.
    pub fn priority(&self) -> i32 {
        let index = self.offset / u64::from(MIN_RANGE_BYTES);
        i32::try_from(index).map_or(i32::MIN, |index| -index)
    }

    /// Whether the length is not 64 KiB x 2^k, which only the last range of a file may have.
    pub fn is_short(&self) -> bool {
        nominal_len(u64::from(self.len)) != u64::from(self.len)
    }
}

impl TryFrom<RawRange> for Range {
    type Error = RangeError;

    fn try_from(raw: RawRange) -> Result<Self, Self::Error> {
        Self::new(raw.offset, raw.len)
    }
}

impl From<Range> for RawRange {
    fn from(range: Range) -> Self {
        Self { offset: range.offset, len: range.len }
    }
}

/// Cuts a file of `size` bytes into ranges of `len` bytes with a short last one. No range at all for an empty file.
///
/// A `len` that is not 64 KiB x 2^k is rounded up to the next such length, at most [`MAX_RANGE_BYTES`]; a `size` above
/// [`MAX_FILE_BYTES`] counts as that.
pub fn ranges_of(size: u64, len: u32) -> impl Iterator<Item = Range> {
    let size = size.min(MAX_FILE_BYTES);
    let len = nominal_len(u64::from(len.min(MAX_RANGE_BYTES)));
    let mut offset = 0;
    std::iter::from_fn(move || {
        let piece = len.min(size - offset);
        // A piece is at most 2 MiB, so it always fits; an empty one ends the iteration.
        let range = Range::new(offset, u32::try_from(piece).ok()?).ok()?;
        offset = range.end();
        Some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIB: u64 = 1024;

    #[test]
    fn earlier_ranges_have_the_higher_priority() {
        let priority = |offset| Range::new(offset, 1).map(|range| range.priority());
        assert_eq!(priority(0), Ok(0));
        assert_eq!(priority(64 * KIB), Ok(-1));
        assert_eq!(priority(10 * 64 * KIB), Ok(-10));
        assert_eq!(priority(1 << 60), Ok(i32::MIN));
    }

    #[test]
    fn the_rules_hold_on_both_sides_of_each_bound() {
        let mib2 = u64::from(MAX_RANGE_BYTES);
        let cases = [
            (0, 0, Err(RangeError::Empty)),
            (0, 1, Ok(())),
            (0, MAX_RANGE_BYTES, Ok(())),
            (0, MAX_RANGE_BYTES + 1, Err(RangeError::TooLong)),
            (0, u32::MAX, Err(RangeError::TooLong)),
            (64 * KIB, 1, Ok(())),
            (64 * KIB - 1, 1, Err(RangeError::Misaligned)),
            (64 * KIB, 64 * 1024, Ok(())),
            (64 * KIB, 64 * 1024 + 1, Err(RangeError::Misaligned)),
            (128 * KIB, 64 * 1024 + 1, Ok(())),
            (mib2, MAX_RANGE_BYTES, Ok(())),
            (mib2 / 2, MAX_RANGE_BYTES, Err(RangeError::Misaligned)),
            (MAX_FILE_BYTES + 1 - mib2, MAX_RANGE_BYTES - 1, Ok(())),
            (MAX_FILE_BYTES + 1 - mib2, MAX_RANGE_BYTES, Err(RangeError::Overflow)),
            (1 << 63, 1, Err(RangeError::Overflow)),
            (u64::MAX - 0xffff, 65_536, Err(RangeError::Overflow)),
            (u64::MAX, 1, Err(RangeError::Misaligned)),
        ];
        for (offset, len, expected) in cases {
            assert_eq!(Range::new(offset, len).map(|_| ()), expected, "{offset} {len}");
        }
    }

    #[test]
    fn only_the_last_range_of_a_file_may_be_short() {
        assert!(Range::in_file(0, 100, 100).is_ok());
        assert_eq!(Range::in_file(0, 100, 101), Err(RangeError::ShortInside));
        assert_eq!(Range::in_file(0, 100, 99), Err(RangeError::BeyondFile));
        assert!(Range::in_file(0, 64 * 1024, 70_000).is_ok());
        assert!(Range::in_file(64 * KIB, 4_464, 70_000).is_ok());
        // A single range over the whole of a file whose length is between two powers.
        assert!(Range::in_file(0, 70_000, 70_000).is_ok());
        assert_eq!(Range::in_file(0, 192 * 1024, 256 * KIB), Err(RangeError::ShortInside));
        assert_eq!(Range::in_file(0, 1, 0), Err(RangeError::BeyondFile));
    }

    #[test]
    fn decoding_checks_the_rules() {
        let good =
            postcard::to_allocvec(&RawRange { offset: 10 << 40, len: MAX_RANGE_BYTES }).expect("encodes");
        let range = postcard::from_bytes::<Range>(&good).expect("a range at 10 TiB");
        assert_eq!(
            (range.offset(), range.len(), range.end()),
            (10 << 40, MAX_RANGE_BYTES, (10 << 40) + (2 << 20))
        );
        assert_eq!(postcard::to_allocvec(&range).expect("encodes"), good);
        for (offset, len) in [(0, 0), (1, 1), (0, MAX_RANGE_BYTES + 1), (1 << 63, 1)] {
            let bad = postcard::to_allocvec(&RawRange { offset, len }).expect("encodes");
            assert!(postcard::from_bytes::<Range>(&bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_file_is_cut_without_gap_or_overlap(size in 0u64..20_000_000, len in 0u32..=u32::MAX) {
            let nominal = nominal_len(u64::from(len.min(MAX_RANGE_BYTES)));
            let mut at = 0;
            for range in ranges_of(size, len) {
                prop_assert_eq!(range.offset(), at);
                prop_assert_eq!(Range::in_file(at, range.len(), size), Ok(range));
                prop_assert_eq!(u64::from(range.len()), nominal.min(size - at));
                at = range.end();
            }
            prop_assert_eq!(at, size);
        }

        #[test]
        fn arbitrary_numbers_never_panic(offset: u64, len: u32, size: u64) {
            if let Ok(range) = Range::in_file(offset, len, size) {
                prop_assert!(range.end() <= size && range.end() <= MAX_FILE_BYTES && range.len() > 0);
            }
            prop_assert_eq!(ranges_of(u64::MAX, len).next().map(|range| range.offset()), Some(0));
        }

        #[test]
        fn aligned_offsets_near_every_power_are_judged_right(shift in 16u32..64, len in 1u32..=MAX_RANGE_BYTES) {
            let offset = 1u64 << shift;
            let aligned = offset >= nominal_len(u64::from(len));
            let expected = aligned && offset < 1 << 63;
            prop_assert_eq!(Range::new(offset, len).is_ok(), expected);
        }
    }
}
