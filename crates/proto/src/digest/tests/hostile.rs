//! Pieces that cannot be: typed errors, never a panic, and a tree that stays as it was.

use proptest::prelude::*;

use super::{MAX, MIN};
use crate::{
    digest::{ChainingValue, Digest, DigestError, DigestTree, Node, RangeDigest},
    range::{MAX_FILE_BYTES, MAX_RANGE_BYTES, MIN_RANGE_BYTES, Range},
};

fn node(offset: u64, len: u64) -> Node {
    Node { offset, len, chaining_value: ChainingValue([3; 32]), root: None }
}

fn range(offset: u64, len: u32) -> (Range, RangeDigest) {
    let root = (offset == 0).then_some(Digest([4; 32]));
    (Range::new(offset, len).expect("a range"), RangeDigest { chaining_value: ChainingValue([3; 32]), root })
}

fn insert(tree: &mut DigestTree, offset: u64, len: u32) -> Result<(), DigestError> {
    let (range, digest) = range(offset, len);
    tree.insert(range, digest)
}

#[test]
fn positions_that_no_subtree_has_are_refused() {
    let impossible = [
        (0, 0),
        (MIN, 0),
        (1, 1),
        (MIN - 1, MIN),
        (MIN, 2 * MIN),
        (MIN, MIN + 1),
        (2 * MIN, 4 * MIN),
        (1 << 61, 1 << 62),
        (0, MAX_FILE_BYTES + 1),
        (0, u64::MAX),
        (u64::MAX, u64::MAX),
        (u64::MAX, 1),
        (1 << 63, 1),
        (1 << 62, 1 << 62),
        (MAX_FILE_BYTES, 1),
    ];
    for (offset, len) in impossible {
        for size in [None, Some(0), Some(MAX_FILE_BYTES), Some(u64::MAX)] {
            let refused = DigestTree::from_nodes(size, [node(offset, len)]).map(|_| ());
            assert_eq!(refused, Err(DigestError::NotASubtree), "{offset} {len} of {size:?}");
        }
    }
    assert!(DigestTree::from_nodes(None, [node(0, 1 << 62)]).is_ok());
    assert!(DigestTree::from_nodes(None, [node(1 << 62, (1 << 62) - 1)]).is_ok());
}

#[test]
fn pieces_beyond_the_end_or_short_inside_are_refused() {
    let mut tree = DigestTree::new(Some(3 * MIN));
    assert_eq!(insert(&mut tree, 2 * MIN, 2 * MIN_RANGE_BYTES), Err(DigestError::BeyondFile));
    assert_eq!(insert(&mut tree, 4 * MIN, MIN_RANGE_BYTES), Err(DigestError::BeyondFile));
    assert_eq!(insert(&mut tree, MIN, 1), Err(DigestError::ShortInside));
    assert_eq!(insert(&mut tree, 2 * MIN, MIN_RANGE_BYTES - 1), Err(DigestError::ShortInside));
    assert_eq!(tree.nodes().count(), 0);

    let mut unknown = DigestTree::new(None);
    insert(&mut unknown, 4 * MIN, MIN_RANGE_BYTES).expect("the first piece");
    assert_eq!(insert(&mut unknown, 2 * MIN, 100), Err(DigestError::ShortInside));
    insert(&mut unknown, 8 * MIN, 100).expect("the end");
    assert_eq!(insert(&mut unknown, 9 * MIN, 100), Err(DigestError::BeyondFile));
    assert_eq!(insert(&mut unknown, 9 * MIN, MIN_RANGE_BYTES), Err(DigestError::BeyondFile));
}

#[test]
fn overlaps_of_every_kind_are_refused() {
    let mut tree = DigestTree::new(Some(100 * MAX));
    insert(&mut tree, MAX, MAX_RANGE_BYTES).expect("the first piece");
    for (offset, len) in [(MAX, MAX_RANGE_BYTES), (MAX, MIN_RANGE_BYTES), (2 * MAX - MIN, MIN_RANGE_BYTES)] {
        assert_eq!(insert(&mut tree, offset, len), Err(DigestError::Overlap), "{offset} {len}");
    }
    assert_eq!(tree.insert_node(node(0, 4 * MAX)), Err(DigestError::Overlap), "around it");
    assert_eq!(tree.covered_bytes(), MAX);
    insert(&mut tree, 0, MAX_RANGE_BYTES).expect("before it");
    insert(&mut tree, 2 * MAX, MAX_RANGE_BYTES).expect("after it");
}

#[test]
fn roots_belong_to_offset_zero() {
    let mut tree = DigestTree::new(None);
    let (first, mut digest) = range(0, 100);
    digest.root = None;
    assert_eq!(tree.insert(first, digest), Err(DigestError::MisplacedRoot));
    let (second, mut digest) = range(MIN, 100);
    digest.root = Some(Digest([4; 32]));
    assert_eq!(tree.insert(second, digest), Err(DigestError::MisplacedRoot));
    assert_eq!(
        tree.insert_node(Node { root: digest.root, ..node(MIN, 100) }),
        Err(DigestError::MisplacedRoot)
    );
    assert_eq!((tree.size(), tree.covered_bytes()), (None, 0));
}

#[test]
fn sizes_that_contradict_are_refused() {
    let mut tree = DigestTree::new(None);
    insert(&mut tree, MIN, MIN_RANGE_BYTES).expect("a piece");
    assert_eq!(tree.set_size(2 * MIN - 1), Err(DigestError::SizeContradicted));
    assert_eq!(tree.set_size(0), Err(DigestError::SizeContradicted));
    assert_eq!(tree.set_size(2 * MIN), Ok(()));
    assert_eq!(tree.set_size(2 * MIN), Ok(()));
    assert_eq!(tree.set_size(3 * MIN), Err(DigestError::SizeContradicted));
    assert_eq!(tree.root(), Err(DigestError::Incomplete));
}

#[test]
fn questions_beyond_the_largest_number_are_answered() {
    let mut tree = DigestTree::new(None);
    insert(&mut tree, 0, MIN_RANGE_BYTES).expect("a piece");
    assert!(!tree.covers(u64::MAX, 1) && !tree.covers(1, u64::MAX) && tree.covers(u64::MAX, 0));
    assert!(tree.overlaps(0, u64::MAX) && tree.overlaps(MIN - 1, u64::MAX));
    assert!(!tree.overlaps(MIN, u64::MAX) && !tree.overlaps(u64::MAX, u64::MAX) && !tree.overlaps(0, 0));
}

/// Numbers around everything that could overflow or be misread.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0u32..64, -2i64..=2).prop_map(|(shift, delta)| (1u64 << shift).wrapping_add_signed(delta)),
        (0u64..32).prop_map(|pieces| pieces * MIN),
        (0u64..100, 0u32..64).prop_map(|(pieces, shift)| pieces << shift),
    ]
}

proptest! {
    #[test]
    fn arbitrary_nodes_never_panic_and_leave_a_sound_tree(
        size in proptest::option::of(any_number()),
        nodes in proptest::collection::vec((any_number(), any_number(), any::<bool>()), 0..40),
        told in proptest::option::of(any_number()),
    ) {
        let mut tree = DigestTree::new(size);
        for (offset, len, with_root) in nodes {
            let before: Vec<_> = tree.nodes().collect();
            let root = with_root.then_some(Digest([5; 32]));
            let free = !tree.overlaps(offset, len);
            match tree.insert_node(Node { root, ..node(offset, len) }) {
                Ok(()) => prop_assert!(free && len > 0 && tree.covers(offset, len)),
                Err(_) => prop_assert_eq!(tree.nodes().collect::<Vec<_>>(), before),
            }
        }
        if let Some(told) = told {
            let _ = tree.set_size(told);
        }
        let mut end = 0;
        for node in tree.nodes() {
            prop_assert!(node.offset >= end && node.len > 0);
            end = node.end();
        }
        prop_assert!(end <= MAX_FILE_BYTES && tree.size().is_none_or(|size| end <= size));
        let gaps: u64 = tree.missing().map(|(_, len)| len).sum();
        prop_assert_eq!(gaps + tree.covered_bytes(), tree.size().unwrap_or(end));
        let complete = tree.size().is_some() && gaps == 0;
        prop_assert_eq!(tree.root().is_ok(), complete);
        prop_assert_eq!(tree.is_complete(), complete);
        let again = DigestTree::from_nodes(tree.size(), tree.nodes()).expect("the tree's own nodes");
        prop_assert_eq!(again.nodes().collect::<Vec<_>>(), tree.nodes().collect::<Vec<_>>());
    }
}
