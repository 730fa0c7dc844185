//! The journal of a transfer: which ranges the receiver has durably, with their digests.
//!
//! # Format
//!
//! All numbers are little-endian.
//!
//! ```text
//! header   magic "FULMARJ" + version byte 1 | generation u32 | size known u8 (0, 1) | size u64 |
//!          binding length u16 | binding | check 4 bytes
//! record   tag u8 (1 plain, 2 with root) | offset u64 | length u64 | chaining value 32 bytes |
//!          [root 32 bytes] | check 4 bytes
//! ```
//!
//! The header's check is the first bytes of its BLAKE3 hash; a record's check is keyed with that whole hash, so that
//! a record left over from another journal never counts. Records may be lost from the end (a crash tears the last
//! write), never from the middle: reading stops at the first one that is not whole or does not fit.

mod file;

use fulmar_proto::digest::{ChainingValue, Digest, DigestTree, Node, RangeDigest};
use fulmar_proto::range::Range;

pub use file::{DurableBatch, JournalFile, MAX_JOURNAL_BYTES};

use crate::error::DiskError;

/// The longest binding, in bytes.
pub const MAX_BINDING_BYTES: usize = 1024;

/// So many bytes of file may be received before the journal is written.
pub const FLUSH_BYTES: u64 = 16 * 1024 * 1024;

/// So many milliseconds may pass with unwritten records.
pub const FLUSH_MS: u64 = 1_000;

const MAGIC: [u8; 8] = *b"FULMARJ\x01";
const PLAIN: u8 = 1;
const WITH_ROOT: u8 = 2;
const CHECK_BYTES: usize = 4;

/// A journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It has no whole header, so that nothing says what it belongs to: the transfer starts over.
    #[error("damaged journal")]
    Damaged,
    /// The binding is longer than [`MAX_BINDING_BYTES`].
    #[error("journal binding too long")]
    BindingTooLong,
    /// The journal would be, or is, larger than [`MAX_JOURNAL_BYTES`].
    #[error("journal too large")]
    TooLarge,
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What a journal belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHeader {
    binding: Vec<u8>,
    generation: u32,
    size: Option<u64>,
}

impl JournalHeader {
    /// `binding` are bytes of the owner's that name source and target: a journal whose binding differs is of another
    /// transfer. `generation` counts the holders of the transfer. `size` is the file's length in bytes, when known.
    ///
    /// # Errors
    /// [`JournalError::BindingTooLong`].
    pub fn new(binding: Vec<u8>, generation: u32, size: Option<u64>) -> Result<Self, JournalError> {
        if binding.len() > MAX_BINDING_BYTES {
            return Err(JournalError::BindingTooLong);
        }
        Ok(Self { binding, generation, size })
    }

    /// The owner's bytes.
    pub fn binding(&self) -> &[u8] {
        &self.binding
    }

    /// Which holder of the transfer wrote it.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The file's length in bytes, when it was known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    fn encode(&self) -> (Vec<u8>, Key) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.generation.to_le_bytes());
        bytes.push(u8::from(self.size.is_some()));
        bytes.extend(self.size.unwrap_or(0).to_le_bytes());
        let len = u16::try_from(self.binding.len()).expect("new() bounds the binding");
        bytes.extend(len.to_le_bytes());
        bytes.extend(&self.binding);
        let key = Key(*blake3::hash(&bytes).as_bytes());
        bytes.extend(&key.0[..CHECK_BYTES]);
        (bytes, key)
    }

    fn decode(reader: &mut Reader<'_>) -> Option<(Self, Key)> {
        let whole = reader.bytes;
        if reader.array::<8>()? != MAGIC {
            return None;
        }
        let generation = u32::from_le_bytes(reader.array()?);
        let (known, size) = (reader.array::<1>()?, u64::from_le_bytes(reader.array()?));
        let size = match (known, size) {
            ([0], 0) => None,
            ([1], size) => Some(size),
            _ => return None,
        };
        let len = usize::from(u16::from_le_bytes(reader.array()?));
        if len > MAX_BINDING_BYTES {
            return None;
        }
        let binding = reader.take(len)?.to_vec();
        let key = Key(*blake3::hash(whole.get(..reader.at)?).as_bytes());
        (reader.take(CHECK_BYTES)? == &key.0[..CHECK_BYTES])
            .then_some((Self { binding, generation, size }, key))
    }
}

/// The hash of a header, which the checks of its records are keyed with.
#[derive(Debug, Clone, Copy)]
struct Key([u8; 32]);

impl Key {
    fn check(&self, record: &[u8]) -> [u8; CHECK_BYTES] {
        let [a, b, c, d, ..] = *blake3::keyed_hash(&self.0, record).as_bytes();
        [a, b, c, d]
    }
}

/// Records not yet written, in the order they came. They lie about the disk until the bytes they stand for are durable:
/// see [`Batch::make_durable`].
#[derive(Debug, Clone, Default)]
pub struct Batch {
    nodes: Vec<Node>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many bytes of file the records stand for.
    pub fn file_bytes(&self) -> u64 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.len))
    }
}

/// Collects records between two writes of the journal.
#[derive(Debug, Default)]
pub struct JournalWriter {
    pending: Batch,
}

impl JournalWriter {
    /// Adds a range that has been written to the staging file. Adding one twice makes the journal end there when it is
    /// read, so the owner's [`DigestTree`] must have taken it first.
    pub fn record(&mut self, range: Range, digest: RangeDigest) {
        self.pending.nodes.push(Node::of_range(range, digest));
    }

    /// How many bytes of file the records that wait stand for.
    pub fn pending_bytes(&self) -> u64 {
        self.pending.file_bytes()
    }

    /// The records that wait; the writer starts over.
    pub fn take(&mut self) -> Batch {
        std::mem::take(&mut self.pending)
    }
}

/// Whether the journal is to be written: `bytes_since` bytes of file and `elapsed_ms` milliseconds after the last time.
pub fn due(bytes_since: u64, elapsed_ms: u64) -> bool {
    bytes_since >= FLUSH_BYTES || (bytes_since > 0 && elapsed_ms >= FLUSH_MS)
}

/// What a journal says.
#[derive(Debug)]
pub struct Journal {
    /// What it belongs to.
    pub header: JournalHeader,
    /// The ranges that are durable.
    pub tree: DigestTree,
    /// How many of the bytes given are the journal; what follows them is torn or damaged.
    pub valid_bytes: usize,
    key: Key,
}

/// Writes a whole journal.
pub fn encode(header: &JournalHeader, nodes: impl IntoIterator<Item = Node>) -> Vec<u8> {
    let (mut bytes, key) = header.encode();
    for node in nodes {
        encode_record(&mut bytes, &key, &node);
    }
    bytes
}

fn encode_record(bytes: &mut Vec<u8>, key: &Key, node: &Node) {
    let start = bytes.len();
    bytes.push(if node.root.is_some() { WITH_ROOT } else { PLAIN });
    bytes.extend(node.offset.to_le_bytes());
    bytes.extend(node.len.to_le_bytes());
    bytes.extend(&node.chaining_value.0);
    if let Some(root) = &node.root {
        bytes.extend(&root.0);
    }
    let check = key.check(&bytes[start..]);
    bytes.extend(check);
}

/// Reads a journal. Records from the first bad one on are ignored.
///
/// # Errors
/// [`JournalError::Damaged`] when the header is.
pub fn decode(bytes: &[u8]) -> Result<Journal, JournalError> {
    let mut reader = Reader { bytes, at: 0 };
    let (header, key) = JournalHeader::decode(&mut reader).ok_or(JournalError::Damaged)?;
    let mut tree = DigestTree::new(header.size);
    let mut valid_bytes = reader.at;
    while let Some(node) = decode_record(&mut reader, &key) {
        if tree.insert_node(node).is_err() {
            break;
        }
        valid_bytes = reader.at;
    }
    Ok(Journal { header, tree, valid_bytes, key })
}

fn decode_record(reader: &mut Reader<'_>, key: &Key) -> Option<Node> {
    let start = reader.at;
    let [tag] = reader.array()?;
    let offset = u64::from_le_bytes(reader.array()?);
    let len = u64::from_le_bytes(reader.array()?);
    let chaining_value = ChainingValue(reader.array()?);
    let root = match tag {
        PLAIN => None,
        WITH_ROOT => Some(Digest(reader.array()?)),
        _ => return None,
    };
    let check = key.check(reader.bytes.get(start..reader.at)?);
    (reader.array()? == check).then_some(Node { offset, len, chaining_value, root })
}

/// Takes bytes off the front, or answers `None` and never panics.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests;
