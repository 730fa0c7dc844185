//! Files far larger than memory: positions and merging at 10 TiB and at the largest file.

use std::collections::BTreeMap;

use blake3::hazmat::{Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use proptest::prelude::*;

use super::{MAX, MIN, Random};
use crate::{
    digest::{ChainingValue, Digest, DigestError, DigestTree, Node, RangeDigest, RangeHasher},
    range::{MAX_FILE_BYTES, MAX_RANGE_BYTES, Range},
};

const TIB: u64 = 1 << 40;

type Leaves = BTreeMap<(u64, u64), [u8; 32]>;

/// The chaining value of a subtree by the definition: split by `left_subtree_len` down to the given leaves.
fn reference(offset: u64, len: u64, leaves: &Leaves) -> [u8; 32] {
    if let Some(value) = leaves.get(&(offset, len)) {
        return *value;
    }
    let left = left_subtree_len(len);
    let halves = (reference(offset, left, leaves), reference(offset + left, len - left, leaves));
    merge_subtrees_non_root(&halves.0, &halves.1, Mode::Hash)
}

fn reference_root(size: u64, leaves: &Leaves) -> Digest {
    let left = left_subtree_len(size);
    let halves = (reference(0, left, leaves), reference(left, size - left, leaves));
    Digest(*merge_subtrees_root(&halves.0, &halves.1, Mode::Hash).as_bytes())
}

/// Cuts a file into random subtrees: the definition's recursion, stopped at random.
fn random_leaves(offset: u64, len: u64, random: &mut Random, leaves: &mut Leaves) {
    // Large subtrees are cut on more often than small ones, which keeps the number of leaves in the hundreds.
    let stop_one_in = if len > 1 << 45 { 3 } else { 2 };
    if len <= MIN || random.below(stop_one_in) == 0 {
        let mut value = [0; 32];
        value[..8].copy_from_slice(&random.next().to_le_bytes());
        leaves.insert((offset, len), value);
        return;
    }
    let left = left_subtree_len(len);
    random_leaves(offset, left, random, leaves);
    random_leaves(offset + left, len - left, random, leaves);
}

fn nodes_of(leaves: &Leaves) -> Vec<Node> {
    let node = |(position, value): (&(u64, u64), &[u8; 32])| Node {
        offset: position.0,
        len: position.1,
        chaining_value: ChainingValue(*value),
        root: None,
    };
    leaves.iter().map(node).collect()
}

#[test]
fn a_range_at_ten_tebibytes_is_hashed_and_encoded() {
    for offset in [10 * TIB, 10 * TIB - MAX, MAX_FILE_BYTES + 1 - 2 * MAX] {
        let range = Range::new(offset, MAX_RANGE_BYTES).expect("aligned");
        let mut hasher = RangeHasher::new(range);
        let piece = vec![7; MAX_RANGE_BYTES as usize];
        for part in piece.chunks(100_001) {
            hasher.update(part).expect("fits");
        }
        let digest = hasher.finish().expect("whole");
        // The position is part of the hash: the same bytes elsewhere give another value.
        let elsewhere = Range::new(offset - MAX, MAX_RANGE_BYTES).expect("aligned");
        assert_ne!(RangeDigest::of(elsewhere, &piece).expect("whole"), digest);
        let node = Node::of_range(range, digest);
        let encoded = postcard::to_allocvec(&(range, digest, node)).expect("encodes");
        let decoded = postcard::from_bytes::<(Range, RangeDigest, Node)>(&encoded).expect("decodes");
        assert_eq!(decoded, (range, digest, node));
    }
}

#[test]
fn the_last_byte_of_the_largest_file_has_its_place() {
    let last = MAX_FILE_BYTES - MAX_FILE_BYTES % MIN;
    let len = u32::try_from(MAX_FILE_BYTES - last).expect("short");
    let range = Range::in_file(last, len, MAX_FILE_BYTES).expect("the last range");
    let mut tree = DigestTree::new(Some(MAX_FILE_BYTES));
    let digest = RangeDigest::of(range, &vec![1; len as usize]).expect("whole");
    tree.insert(range, digest).expect("fits");
    assert_eq!(tree.missing().collect::<Vec<_>>(), [(0, last)]);
    assert!(tree.covers(last, u64::from(len)) && !tree.covers(last, u64::from(len) + 1));
    assert_eq!(tree.root(), Err(DigestError::Incomplete));
}

#[test]
fn ten_tebibytes_of_nodes_merge_into_two_halves() {
    // 8 TiB and 2 TiB in pieces of 1 TiB, in reverse, then a short tail.
    let size = 10 * TIB + 12_345;
    let mut leaves: Leaves = (0..10).map(|i| ((i * TIB, TIB), [i as u8; 32])).collect();
    leaves.insert((10 * TIB, 12_345), [99; 32]);
    for known in [Some(size), None] {
        let nodes = nodes_of(&leaves).into_iter().rev();
        let tree = DigestTree::from_nodes(known, nodes).expect("possible nodes");
        assert_eq!(
            tree.nodes().map(|node| (node.offset, node.len)).collect::<Vec<_>>(),
            [(0, 8 * TIB), (8 * TIB, 2 * TIB + 12_345)]
        );
        assert_eq!(tree.root(), Ok(reference_root(size, &leaves)));
    }
}

#[test]
fn the_whole_file_is_no_node_without_its_root() {
    let whole = |root| Node { offset: 0, len: 4 * MAX, chaining_value: ChainingValue([1; 32]), root };
    let refused = DigestTree::from_nodes(Some(4 * MAX), [whole(None)]);
    assert_eq!(refused.map(|_| ()), Err(DigestError::MisplacedRoot));
    let tree = DigestTree::from_nodes(Some(4 * MAX), [whole(Some(Digest([2; 32])))]).expect("with its root");
    assert_eq!(tree.root(), Ok(Digest([2; 32])));
    // Merged while the size was unknown, so something followed it: it cannot be the whole.
    let mut tree = DigestTree::from_nodes(None, [whole(None)]).expect("part of a longer file");
    assert_eq!(tree.set_size(4 * MAX), Err(DigestError::SizeContradicted));
    assert_eq!(tree.size(), None);
    assert_eq!(tree.set_size(4 * MAX + 1), Ok(()));
}

proptest! {
    #[test]
    fn any_nodes_in_any_order_give_the_root_of_the_definition(
        bits in 17u32..63,
        low: u64,
        known: bool,
        seed: u64,
    ) {
        let size = (1u64 << bits) + low % (1u64 << bits);
        let mut random = Random(seed);
        let mut leaves = Leaves::new();
        let left = left_subtree_len(size);
        random_leaves(0, left, &mut random, &mut leaves);
        random_leaves(left, size - left, &mut random, &mut leaves);
        let mut nodes = nodes_of(&leaves);
        random.shuffle(&mut nodes);
        let mut tree = DigestTree::from_nodes(known.then_some(size), nodes).expect("possible nodes");
        prop_assert_eq!(tree.set_size(size), Ok(()));
        prop_assert_eq!(tree.root(), Ok(reference_root(size, &leaves)));
        prop_assert_eq!(tree.nodes().count(), 2);
    }
}
