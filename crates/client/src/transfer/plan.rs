//! Which ranges a file is moved in.

use std::time::Duration;

use fulmar_proto::{
    digest::DigestTree,
    range::{MAX_RANGE_BYTES, MIN_RANGE_BYTES, Range},
};

/// The length of ranges before anything is known of the path.
const FIRST_RANGE_BYTES: u32 = 256 * 1024;

/// Cuts a file into ranges, in order: each about one second of the path, aligned to its own length, and either wholly
/// among those that are there already or wholly not.
#[derive(Debug)]
pub(super) struct Plan {
    size: u64,
    offset: u64,
}

impl Plan {
    /// A plan for `size` bytes from `offset` on, which must be where a range ends.
    pub(super) fn new(size: u64, offset: u64) -> Self {
        Self { size, offset }
    }

    /// Whether there is no next range.
    pub(super) fn is_done(&self) -> bool {
        self.offset >= self.size
    }

    /// The next range, of at most `desired_bytes` (a power of two in 64 KiB..=2 MiB).
    pub(super) fn next(&mut self, desired_bytes: u32, have: &DigestTree) -> Option<Range> {
        if self.is_done() {
            return None;
        }
        let mut len = desired_bytes.clamp(MIN_RANGE_BYTES, MAX_RANGE_BYTES);
        loop {
            let actual = u32::try_from((self.size - self.offset).min(u64::from(len))).unwrap_or(len);
            let (offset, bytes) = (self.offset, u64::from(actual));
            let divided = have.overlaps(offset, bytes) && !have.covers(offset, bytes);
            match Range::in_file(offset, actual, self.size) {
                // Pieces that are there are no shorter than the shortest range, so halving ends.
                Ok(range) if !divided || len == MIN_RANGE_BYTES => {
                    self.offset = range.end();
                    return Some(range);
                }
                _ if len > MIN_RANGE_BYTES => len /= 2,
                _ => return None,
            }
        }
    }
}

/// The length that suits a path on which `acknowledged` bytes took `elapsed`: what it carries in about a second.
pub(super) fn desired_bytes(acknowledged: u64, elapsed: Duration) -> u32 {
    if acknowledged < u64::from(FIRST_RANGE_BYTES) {
        return FIRST_RANGE_BYTES;
    }
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    of_second(Some(acknowledged.saturating_mul(1000) / millis))
}

/// The length that suits a path which carries `second_bytes` in a second, if that is known.
pub(super) fn of_second(second_bytes: Option<u64>) -> u32 {
    let bytes = second_bytes.unwrap_or(u64::from(FIRST_RANGE_BYTES));
    // The largest power of two that is not more.
    1 << bytes.clamp(u64::from(MIN_RANGE_BYTES), u64::from(MAX_RANGE_BYTES)).ilog2()
}

/// The length of the range that goes along with the beginning of an upload: what a sender may have under way before the server's
/// answer, given its congestion window.
pub(super) fn first_bytes(window_bytes: u64) -> u32 {
    let bytes = u32::try_from(window_bytes).unwrap_or(u32::MAX);
    1 << bytes.clamp(FIRST_RANGE_BYTES, MAX_RANGE_BYTES).ilog2()
}

#[cfg(test)]
mod tests {
    use fulmar_proto::digest::RangeDigest;
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn cut(size: u64, desired: impl Fn(usize) -> u32, have: &DigestTree) -> Vec<Range> {
        let mut plan = Plan::new(size, 0);
        std::iter::from_fn({
            let mut index = 0;
            move || {
                index += 1;
                plan.next(desired(index), have)
            }
        })
        .collect()
    }

    #[test]
    fn a_second_of_the_path_within_the_bounds() {
        let second = Duration::from_secs(1);
        assert_eq!(desired_bytes(0, Duration::ZERO), FIRST_RANGE_BYTES);
        assert_eq!(desired_bytes(MIB, second), 1 << 20);
        assert_eq!(desired_bytes(MIB + 5, second), 1 << 20);
        assert_eq!(desired_bytes(MIB, Duration::from_secs(100)), MIN_RANGE_BYTES);
        assert_eq!(desired_bytes(u64::MAX, Duration::ZERO), MAX_RANGE_BYTES);
    }

    #[test]
    fn more_goes_along_with_the_beginning_when_the_path_is_known_to_take_it() {
        assert_eq!(first_bytes(0), FIRST_RANGE_BYTES);
        assert_eq!(first_bytes(1_300_000), 1 << 20);
        assert_eq!(first_bytes(u64::MAX), MAX_RANGE_BYTES);
    }

    #[test]
    fn what_is_there_is_never_cut_in_two() {
        let mut have = DigestTree::new(Some(4 * MIB));
        let there = Range::new(128 * 1024, 64 * 1024).expect("aligned");
        have.insert(there, RangeDigest::of(there, &vec![0; 64 * 1024]).expect("exact")).expect("free");
        let ranges = cut(4 * MIB, |_| MAX_RANGE_BYTES, &have);
        assert!(ranges.contains(&there));
        for range in &ranges {
            let (offset, len) = (range.offset(), u64::from(range.len()));
            assert_eq!(have.overlaps(offset, len), have.covers(offset, len), "{range:?}");
        }
        assert_eq!(ranges.last().map(Range::end), Some(4 * MIB));
    }

    proptest! {
        #[test]
        fn ranges_follow_each_other_and_end_with_the_file(size in 0u64..40_000_000, lens in prop::collection::vec(16u32..22, 1..50)) {
            let ranges = cut(size, |index| 1 << lens[index % lens.len()], &DigestTree::new(Some(size)));
            let mut offset = 0;
            for range in &ranges {
                prop_assert_eq!(range.offset(), offset);
                prop_assert!(range.check_in_file(size).is_ok());
                offset = range.end();
            }
            prop_assert_eq!(offset, size);
        }

        #[test]
        fn any_measure_gives_a_power_of_two_within_the_bounds(bytes: u64, nanos: u64) {
            let len = desired_bytes(bytes, Duration::from_nanos(nanos));
            prop_assert!(len.is_power_of_two() && (MIN_RANGE_BYTES..=MAX_RANGE_BYTES).contains(&len));
        }
    }
}
