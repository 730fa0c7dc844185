//! Which pieces of a file are there, merged upward into its BLAKE3 tree.

use std::collections::BTreeMap;

use super::{Digest, DigestError, Node, RangeDigest};
use crate::range::Range;

/// The pieces of one file that are there, as the fewest nodes of its BLAKE3 tree.
///
/// Pieces come in any order and in any mix of lengths. Siblings are merged as soon as both are there, so the tree holds
/// one node per gap and level: a few dozen for a file that arrives in order, however long. The two halves of the whole
/// file are never merged, because only [`DigestTree::root`] may finalise them.
///
/// A tree that is given only the pieces of one node ends up with just that node. That is how a source proves a node that
/// the other side has: it hashes those bytes into a tree of their own and compares chaining values.
#[derive(Clone, Debug)]
pub struct DigestTree {
    size: Option<u64>,
    /// By offset; disjoint.
    nodes: BTreeMap<u64, Node>,
    covered_bytes: u64,
}

impl DigestTree {
    /// A tree without any piece, of a file of `size` bytes, or of unknown size.
    pub fn new(size: Option<u64>) -> Self {
        Self { size, nodes: BTreeMap::new(), covered_bytes: 0 }
    }

    /// A tree of nodes that another one had, in any order, for example read back from a journal.
    ///
    /// # Errors
    /// Any [`DigestError`] that tells why a node cannot be part of the file.
    pub fn from_nodes(size: Option<u64>, nodes: impl IntoIterator<Item = Node>) -> Result<Self, DigestError> {
        let mut tree = Self::new(size);
        for node in nodes {
            tree.insert_node(node)?;
        }
        Ok(tree)
    }

    /// Adds a range. A short range is taken to end the file, which makes the size known.
    ///
    /// # Errors
    /// [`DigestError::Overlap`] when any byte of it is there already, [`DigestError::BeyondFile`] or
    /// [`DigestError::ShortInside`] when the file has no such range, [`DigestError::MisplacedRoot`] when the root is
    /// present at an offset other than 0 or absent at 0. The tree is unchanged then.
    pub fn insert(&mut self, range: Range, digest: RangeDigest) -> Result<(), DigestError> {
        if digest.root.is_some() != (range.offset() == 0) {
            return Err(DigestError::MisplacedRoot);
        }
        self.insert_node(Node::of_range(range, digest))
    }

    /// Adds a node of the tree, as [`DigestTree::nodes`] shows them.
    ///
    /// # Errors
    /// As [`DigestTree::insert`], and [`DigestError::NotASubtree`]. The tree is unchanged then.
    pub fn insert_node(&mut self, node: Node) -> Result<(), DigestError> {
        node.check()?;
        if self.overlaps(node.offset, node.len) {
            return Err(DigestError::Overlap);
        }
        let size = self.size_with(&node)?;
        if size == Some(node.len) && node.root.is_none() {
            return Err(DigestError::MisplacedRoot);
        }
        self.size = size;
        self.covered_bytes += node.len;
        self.nodes.insert(node.offset, node);
        self.merge_upward();
        self.merge_from(node.offset);
        Ok(())
    }

    /// What is known of the size once `node`, which overlaps nothing, is there.
    fn size_with(&self, node: &Node) -> Result<Option<u64>, DigestError> {
        match self.size {
            Some(size) if node.end() > size => Err(DigestError::BeyondFile),
            Some(size) if node.end() < size && node.is_short() => Err(DigestError::ShortInside),
            Some(size) => Ok(Some(size)),
            None if !node.is_short() => Ok(None),
            None if self.end() > node.end() => Err(DigestError::ShortInside),
            None => Ok(Some(node.end())),
        }
    }

    /// States the file's size, once it is known. Stating it again is no error.
    ///
    /// # Errors
    /// [`DigestError::SizeContradicted`] when another size is known, when a piece ends beyond it, or when a piece is
    /// there that was merged because others follow it. The tree is unchanged then.
    pub fn set_size(&mut self, size: u64) -> Result<(), DigestError> {
        if self.size == Some(size) {
            return Ok(());
        }
        let whole_without_root =
            self.nodes.get(&0).is_some_and(|node| node.len == size && node.root.is_none());
        if self.size.is_some() || self.end() > size || whole_without_root {
            return Err(DigestError::SizeContradicted);
        }
        self.size = Some(size);
        self.merge_upward();
        Ok(())
    }

    /// Merges what may have become mergeable at the two ends: the last node, when it turns out to end the file, and the
    /// first, when it turns out that something follows its parent.
    fn merge_upward(&mut self) {
        let last = self.nodes.last_key_value().map(|(offset, _)| *offset);
        if let Some(offset) = last {
            self.merge_from(offset);
        }
        self.merge_from(0);
    }

    /// Merges the node at `offset`, if there is one, with its sibling, the parent with its own, and so on.
    fn merge_from(&mut self, offset: u64) {
        let mut at = offset;
        while let Some((left, right)) = self.nodes.get(&at).and_then(|node| self.mergeable_pair(node)) {
            self.nodes.remove(&right.offset);
            self.nodes.insert(left.offset, left.merged(&right));
            at = left.offset;
        }
    }

    /// `node` and its sibling in order, when both are there and their parent is certainly not the whole file.
    fn mergeable_pair(&self, node: &Node) -> Option<(Node, Node)> {
        let (left, right) = self.siblings(node)?;
        let is_inner = left.offset > 0
            || match self.size {
                Some(size) => right.end() < size,
                None => right.end() < self.end(),
            };
        is_inner.then_some((left, right))
    }

    /// `node` and its sibling in order, when the sibling is there.
    fn siblings(&self, node: &Node) -> Option<(Node, Node)> {
        let ends_file = self.size == Some(node.end());
        // The level at which a node at this offset is a right child; none at offset 0.
        let level = node.offset & node.offset.wrapping_neg();
        if level > 0 && (ends_file || node.len == level) {
            // What ends the file has no sibling below this level, whatever its length.
            let left = self.nodes.get(&(node.offset - level)).filter(|left| left.len == level)?;
            Some((*left, *node))
        } else if !ends_file {
            let is_sibling = |right: &&Node| right.len == node.len || self.size == Some(right.end());
            let right = self.nodes.get(&node.end()).filter(is_sibling)?;
            Some((*node, *right))
        } else {
            None
        }
    }

    /// The file's size in bytes, when it is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Where the last piece ends, in bytes; 0 without any.
    fn end(&self) -> u64 {
        self.nodes.last_key_value().map_or(0, |(_, node)| node.end())
    }

    /// Whether all of the `len` bytes at `offset` are there. No bytes always are.
    pub fn covers(&self, offset: u64, len: u64) -> bool {
        let Some(end) = offset.checked_add(len) else { return false };
        let mut at = offset;
        while at < end {
            match self.nodes.range(..=at).next_back() {
                Some((_, node)) if node.end() > at => at = node.end(),
                _ => return false,
            }
        }
        true
    }

    /// Whether any of the `len` bytes at `offset` is there.
    pub fn overlaps(&self, offset: u64, len: u64) -> bool {
        let end = offset.saturating_add(len);
        len > 0 && self.nodes.range(..end).next_back().is_some_and(|(_, node)| node.end() > offset)
    }

    /// How many bytes are there.
    pub fn covered_bytes(&self) -> u64 {
        self.covered_bytes
    }

    /// Whether the size is known and every byte is there.
    pub fn is_complete(&self) -> bool {
        self.size == Some(self.covered_bytes)
    }

    /// The nodes in order of offset. [`DigestTree::from_nodes`] makes the same tree of them.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        self.nodes.values().copied()
    }

    /// The gaps in order, as (offset, length) in bytes: up to the file's end, or while that is unknown, up to the end of
    /// the last piece.
    pub fn missing(&self) -> impl Iterator<Item = (u64, u64)> {
        let end = self.size.unwrap_or_else(|| self.end());
        let pieces = self.nodes.values().map(|node| (node.offset, node.end()));
        let mut at = 0;
        pieces.chain([(end, end)]).filter_map(move |(start, next)| {
            let gap = (start > at).then(|| (at, start - at));
            at = next;
            gap
        })
    }

    /// The file's digest.
    ///
    /// # Errors
    /// [`DigestError::SizeUnknown`], or [`DigestError::Incomplete`] while bytes are missing.
    pub fn root(&self) -> Result<Digest, DigestError> {
        let size = self.size.ok_or(DigestError::SizeUnknown)?;
        if self.covered_bytes != size {
            return Err(DigestError::Incomplete);
        }
        // Everything but the two halves has been merged, and a node that is the whole file was let in with its root.
        let mut nodes = self.nodes.values();
        match (nodes.next(), nodes.next()) {
            (None, _) => Ok(Digest::EMPTY),
            (Some(whole), None) => whole.root.ok_or(DigestError::MisplacedRoot),
            (Some(left), Some(right)) => {
                debug_assert!(nodes.next().is_none(), "a complete tree has at most two nodes");
                Ok(left.merged_root(right))
            }
        }
    }
}
