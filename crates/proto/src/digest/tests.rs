//! What the parts promise together: any cut of a file, in any order, gives what `blake3::hash` gives.

mod hostile;
mod huge;

use proptest::prelude::*;

use super::*;
use crate::range::{MAX_RANGE_BYTES, MIN_RANGE_BYTES, Range, ranges_of};

pub(super) const MIN: u64 = MIN_RANGE_BYTES as u64;
pub(super) const MAX: u64 = MAX_RANGE_BYTES as u64;

/// A small generator (SplitMix64), so that a failing case is repeated by its seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let other = usize::try_from(self.below(i as u64 + 1)).expect("an index");
            items.swap(i, other);
        }
    }
}

/// File content without a period that could hide a swapped piece.
pub(super) fn content(size: u64) -> Vec<u8> {
    let mut random = Random(size);
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(usize::try_from(size).expect("small"));
    bytes
}

/// Cuts a file into ranges of random lengths.
pub(super) fn random_cut(size: u64, random: &mut Random) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut offset = 0;
    while offset < size {
        let longest = (0..=5).rev().find(|k| offset.is_multiple_of(MIN << k)).expect("aligned to 64 KiB");
        let len = (MIN << random.below(longest + 1)).min(size - offset);
        let range = Range::in_file(offset, u32::try_from(len).expect("a range"), size).expect("a range");
        ranges.push(range);
        offset = range.end();
    }
    ranges
}

pub(super) fn digest_of(range: Range, file: &[u8]) -> RangeDigest {
    let start = usize::try_from(range.offset()).expect("small");
    let end = usize::try_from(range.end()).expect("small");
    RangeDigest::of(range, &file[start..end]).expect("the range's bytes")
}

/// The sizes on both sides of every bound that the rules know.
fn boundary_sizes() -> Vec<u64> {
    let around = |bound: u64| [bound - 1, bound, bound + 1];
    let mut sizes = vec![0, 1, 2, 3 * MIN, 3 * MIN + 1, 5 * MIN - 1, 3 * MAX, 5 * (1 << 20) + 4321];
    for bound in [1024, 2048, MIN, 2 * MIN, 4 * MIN, 7 * MIN, MAX, 2 * MAX, MAX + MIN] {
        sizes.extend(around(bound));
    }
    sizes
}

fn tree_of(size: Option<u64>, ranges: &[Range], file: &[u8]) -> DigestTree {
    let mut tree = DigestTree::new(size);
    for range in ranges {
        tree.insert(*range, digest_of(*range, file)).expect("a range of the file, once");
    }
    tree
}

#[test]
fn the_empty_digest_is_that_of_no_bytes() {
    assert_eq!(Digest::EMPTY, Digest::of(b""));
    assert_eq!(DigestTree::new(Some(0)).root(), Ok(Digest::EMPTY));
    assert!(DigestTree::new(Some(0)).is_complete());
    let mut unknown = DigestTree::new(None);
    assert_eq!(unknown.root(), Err(DigestError::SizeUnknown));
    assert_eq!(unknown.set_size(0), Ok(()));
    assert_eq!(unknown.root(), Ok(Digest::EMPTY));
}

#[test]
fn the_root_of_one_range_is_not_its_chaining_value() {
    for size in [1, 1024, 1025, MIN, MIN + 1, MAX - 1, MAX] {
        let file = content(size);
        let range = Range::in_file(0, u32::try_from(size).expect("small"), size).expect("a range");
        let digest = digest_of(range, &file);
        assert_eq!(digest.root, Some(Digest::of(&file)));
        assert_ne!(digest.chaining_value.0, Digest::of(&file).0);
        let tree = tree_of(Some(size), &[range], &file);
        assert_eq!(tree.root(), Ok(Digest::of(&file)));
    }
}

#[test]
fn every_boundary_size_and_every_equal_cut_gives_the_digest() {
    for size in boundary_sizes() {
        let file = content(size);
        for k in 0..=5 {
            let mut ranges: Vec<_> = ranges_of(size, MIN_RANGE_BYTES << k).collect();
            let expected = Ok(Digest::of(&file));
            assert_eq!(tree_of(Some(size), &ranges, &file).root(), expected, "{size} in {} KiB", 64 << k);
            ranges.reverse();
            let mut unknown = tree_of(None, &ranges, &file);
            unknown.set_size(size).expect("the size of the pieces");
            assert_eq!(unknown.root(), expected, "{size} in {} KiB, backwards, size unknown", 64 << k);
        }
    }
}

#[test]
fn a_short_range_ends_a_file_of_unknown_length() {
    let file = content(MIN + 10);
    let ranges: Vec<_> = ranges_of(MIN + 10, MIN_RANGE_BYTES).collect();
    let tree = tree_of(None, &ranges, &file);
    assert_eq!(tree.size(), Some(MIN + 10));
    assert_eq!(tree.root(), Ok(Digest::of(&file)));
}

#[test]
fn two_halves_are_kept_apart_until_something_follows() {
    let file = content(3 * MIN);
    let ranges: Vec<_> = ranges_of(3 * MIN, MIN_RANGE_BYTES).collect();
    let mut tree = tree_of(None, &ranges[..2], &file);
    assert_eq!(tree.nodes().count(), 2);
    let mut ended = tree.clone();
    ended.set_size(2 * MIN).expect("two ranges");
    assert_eq!(ended.root(), Ok(Digest::of(&content(3 * MIN)[..(2 * MIN) as usize])));

    tree.insert(ranges[2], digest_of(ranges[2], &file)).expect("the third");
    assert_eq!(tree.nodes().map(|node| node.len).collect::<Vec<_>>(), [2 * MIN, MIN]);
    assert_eq!(tree.set_size(2 * MIN), Err(DigestError::SizeContradicted));
    tree.set_size(3 * MIN).expect("three ranges");
    assert_eq!(tree.root(), Ok(Digest::of(&file)));
}

#[test]
fn arrival_in_order_keeps_one_node_per_level() {
    for size in [None, Some(64 * MIN), Some(64 * MIN + 1)] {
        let mut tree = DigestTree::new(size);
        for range in ranges_of(64 * MIN, MIN_RANGE_BYTES) {
            let digest = RangeDigest {
                chaining_value: ChainingValue([7; 32]),
                root: (range.offset() == 0).then_some(Digest([7; 32])),
            };
            tree.insert(range, digest).expect("in order");
            let pieces = range.end() / MIN;
            // Besides one node per binary digit of the count, the two halves of what may be the whole file.
            assert!(
                tree.nodes().count() <= pieces.count_ones() as usize + 1,
                "{} nodes",
                tree.nodes().count()
            );
        }
    }
}

#[test]
fn a_node_alone_ends_up_as_that_node() {
    let size = 9 * MIN + 5;
    let file = content(size);
    let ranges: Vec<_> = ranges_of(size, MIN_RANGE_BYTES).collect();
    for part in [&ranges[0..4], &ranges[4..8], &ranges[2..4], &ranges[8..10]] {
        let nodes: Vec<_> = tree_of(Some(size), part, &file).nodes().collect();
        assert_eq!(nodes.len(), 1, "{part:?}");
        assert_eq!((nodes[0].offset, nodes[0].end()), (part[0].offset(), part[part.len() - 1].end()));
    }
}

#[test]
fn hashers_take_exactly_the_bytes_of_their_range() {
    let range = Range::new(2 * MAX, 3000).expect("a range");
    let mut hasher = RangeHasher::new(range);
    assert_eq!(hasher.clone().finish(), Err(DigestError::TooFewBytes));
    hasher.update(&[1; 2999]).expect("fits");
    assert_eq!(hasher.remaining(), 1);
    assert_eq!(hasher.clone().finish(), Err(DigestError::TooFewBytes));
    assert_eq!(hasher.update(&[1; 2]), Err(DigestError::TooManyBytes));
    hasher.update(&[1]).expect("the last");
    assert_eq!(hasher.update(&[1]), Err(DigestError::TooManyBytes));
    hasher.update(&[]).expect("nothing");
    assert_eq!(hasher.finish(), RangeDigest::of(range, &[1; 3000]));
    assert_eq!(RangeDigest::of(range, &[1; 3000]).expect("whole").root, None);
}

#[test]
fn digests_are_read_as_they_are_shown() {
    let shown = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(Digest::EMPTY.to_string(), shown);
    assert_eq!(shown.to_uppercase().parse(), Ok(Digest::EMPTY));
    for text in ["", "af13", &shown[1..], &format!("{shown}0"), &format!("{}g", &shown[1..]), &"é".repeat(32)]
    {
        assert_eq!(text.parse::<Digest>(), Err(ParseDigestError), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_in_any_order_gives_the_digest(
        boundary in proptest::sample::select(boundary_sizes()),
        any_size in 0u64..6_000_000,
        at_boundary: bool,
        known: bool,
        seed: u64,
    ) {
        let size = if at_boundary { boundary } else { any_size };
        let file = content(size);
        let mut random = Random(seed);
        let mut ranges = random_cut(size, &mut random);
        random.shuffle(&mut ranges);
        let mut tree = DigestTree::new(known.then_some(size));
        let mut covered = 0;
        // When the size is not known before, it becomes known at some moment.
        let told_after = random.below(ranges.len() as u64 + 1);
        for (count, range) in (0..).zip(&ranges) {
            if count == told_after && !known {
                tree.set_size(size).expect("the right size");
            }
            prop_assert!(!tree.overlaps(range.offset(), u64::from(range.len())));
            prop_assert!(!tree.is_complete());
            tree.insert(*range, digest_of(*range, &file)).expect("a range of the file, once");
            covered += u64::from(range.len());
            prop_assert_eq!(tree.covered_bytes(), covered);
            prop_assert!(tree.covers(range.offset(), u64::from(range.len())));
            prop_assert_eq!(tree.insert(*range, digest_of(*range, &file)), Err(DigestError::Overlap));
        }
        tree.set_size(size).expect("the right size, perhaps again");
        prop_assert!(tree.is_complete() && tree.covers(0, size) && tree.missing().next().is_none());
        prop_assert_eq!(tree.root().expect("complete"), Digest::of(&file));
    }

    #[test]
    fn a_tree_comes_back_from_its_nodes(size in 1u64..4_000_000, kept in 0u64..=100, known: bool, seed: u64) {
        let file = content(size);
        let mut random = Random(seed);
        let mut ranges = random_cut(size, &mut random);
        random.shuffle(&mut ranges);
        let (first, second) = ranges.split_at(ranges.len() * usize::try_from(kept).expect("small") / 100);
        let tree = tree_of(known.then_some(size), first, &file);
        let mut nodes: Vec<Node> = tree.nodes().collect();
        let encoded = postcard::to_allocvec(&nodes).expect("encodes");
        prop_assert_eq!(&postcard::from_bytes::<Vec<Node>>(&encoded).expect("decodes"), &nodes);
        random.shuffle(&mut nodes);
        let mut again = DigestTree::from_nodes(tree.size(), nodes).expect("the tree's own nodes");
        prop_assert_eq!(again.nodes().collect::<Vec<_>>(), tree.nodes().collect::<Vec<_>>());
        prop_assert_eq!(again.missing().collect::<Vec<_>>(), tree.missing().collect::<Vec<_>>());
        for range in second {
            again.insert(*range, digest_of(*range, &file)).expect("what was missing");
        }
        again.set_size(size).expect("the right size");
        prop_assert_eq!(again.root().expect("complete"), Digest::of(&file));
    }

    #[test]
    fn gaps_and_coverage_agree_with_a_bitmap(pieces in 1u64..200, seed: u64) {
        let size = pieces * MIN;
        let mut random = Random(seed);
        let mut there = vec![false; usize::try_from(pieces).expect("small")];
        let mut tree = DigestTree::new(Some(size));
        for range in random_cut(size, &mut random) {
            if random.below(3) == 0 {
                let root = (range.offset() == 0).then_some(Digest([1; 32]));
                tree.insert(range, RangeDigest { chaining_value: ChainingValue([1; 32]), root }).expect("new");
                for piece in range.offset() / MIN..range.end() / MIN {
                    there[usize::try_from(piece).expect("small")] = true;
                }
            }
        }
        let mut missing = vec![false; there.len()];
        for (offset, len) in tree.missing() {
            prop_assert!(len > 0 && offset.is_multiple_of(MIN) && len.is_multiple_of(MIN));
            missing[(offset / MIN) as usize..((offset + len) / MIN) as usize].fill(true);
        }
        prop_assert!(there.iter().zip(&missing).all(|(there, missing)| there != missing));
        for _ in 0..50 {
            let (start, len) = (random.below(size), random.below(size));
            let last = (start + len).saturating_sub(1).max(start) / MIN;
            let touched: Vec<bool> = (start / MIN..=last)
                .map(|piece| there.get(usize::try_from(piece).expect("small")).copied().unwrap_or(false))
                .collect();
            prop_assert_eq!(tree.covers(start, len), len == 0 || touched.iter().all(|t| *t));
            prop_assert_eq!(tree.overlaps(start, len), len > 0 && touched.iter().any(|t| *t));
        }
    }
}
