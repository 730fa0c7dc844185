use std::os::unix::fs::PermissionsExt;

use fulmar_proto::range::{MIN_RANGE_BYTES, ranges_of};
use proptest::prelude::*;

use super::*;
use crate::dir::Dir;
use crate::staging::Staging;
use crate::testing::{names, temporary};

const UNIT: u64 = MIN_RANGE_BYTES as u64;

fn digest(offset: u64) -> RangeDigest {
    let value = *blake3::hash(&offset.to_le_bytes()).as_bytes();
    RangeDigest { chaining_value: ChainingValue(value), root: (offset == 0).then_some(Digest(value)) }
}

fn node(range: Range) -> Node {
    Node::of_range(range, digest(range.offset()))
}

fn header(size: Option<u64>) -> JournalHeader {
    JournalHeader::new(b"from here to there".to_vec(), 7, size).unwrap()
}

fn nodes_of(tree: &DigestTree) -> Vec<Node> {
    tree.nodes().collect()
}

/// Ranges of one file of `units` smallest ranges and a bit, in the order of `keys`.
fn shuffled(units: u64, keys: &[u64]) -> (u64, Vec<Range>) {
    let size = units * UNIT + 5;
    let mut ranges: Vec<Range> = ranges_of(size, MIN_RANGE_BYTES).collect();
    ranges.sort_by_key(|range| keys[(range.offset() / UNIT) as usize % keys.len()]);
    (size, ranges)
}

#[test]
fn the_header_is_annotated_byte_for_byte() {
    let header = JournalHeader::new(vec![0xaa, 0xbb], 0x0102_0304, Some(5)).unwrap();
    let bytes = encode(&header, []);
    let mut expected = b"FULMARJ\x01".to_vec();
    expected.extend([4, 3, 2, 1]); // generation
    expected.push(1); // the size is known
    expected.extend([5, 0, 0, 0, 0, 0, 0, 0]); // size
    expected.extend([2, 0]); // length of the binding
    expected.extend([0xaa, 0xbb]); // binding
    let check = blake3::hash(&expected);
    expected.extend(&check.as_bytes()[..4]);
    assert_eq!(bytes, expected);
    assert_eq!(decode(&bytes).unwrap().header, header);
}

#[test]
fn an_unknown_size_stays_unknown_and_other_flags_are_damage() {
    let bytes = encode(&header(None), []);
    assert_eq!(decode(&bytes).unwrap().header.size(), None);
    assert!(JournalHeader::new(vec![0; MAX_BINDING_BYTES], 0, None).is_ok());
    assert!(matches!(
        JournalHeader::new(vec![0; MAX_BINDING_BYTES + 1], 0, None),
        Err(JournalError::BindingTooLong)
    ));
}

#[test]
fn any_flipped_bit_of_the_header_is_damage() {
    let bytes = encode(&header(Some(3 * UNIT)), []);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(decode(&damaged), Err(JournalError::Damaged)), "bit {bit}");
    }
}

#[test]
fn a_record_of_another_journal_does_not_count() {
    let size = Some(4 * UNIT);
    let ours = JournalHeader::new(b"ours".to_vec(), 2, size).unwrap();
    let theirs = JournalHeader::new(b"ours".to_vec(), 1, size).unwrap();
    let range = Range::new(UNIT, MIN_RANGE_BYTES).unwrap();
    let stale = encode(&theirs, [node(range)]).split_off(encode(&theirs, []).len());
    let mut bytes = encode(&ours, []);
    bytes.extend(stale);
    assert_eq!(decode(&bytes).unwrap().tree.covered_bytes(), 0);
    assert_eq!(decode(&encode(&ours, [node(range)])).unwrap().tree.covered_bytes(), UNIT);
}

#[test]
fn records_that_do_not_fit_end_the_journal() {
    let first = node(Range::new(0, MIN_RANGE_BYTES).unwrap());
    let second = node(Range::new(UNIT, MIN_RANGE_BYTES).unwrap());
    let beyond = node(Range::new(8 * UNIT, MIN_RANGE_BYTES).unwrap());
    let misaligned = Node { offset: 3, ..second };
    let empty = Node { len: 0, ..second };
    let endless = Node { offset: u64::MAX - 1, len: u64::MAX, ..second };
    for bad in [first, beyond, misaligned, empty, endless] {
        let journal = decode(&encode(&header(Some(4 * UNIT)), [first, bad, second])).unwrap();
        assert_eq!(nodes_of(&journal.tree), [first], "{bad:?}");
    }
}

#[test]
fn the_journal_is_due_by_bytes_or_by_time() {
    assert!(!due(0, u64::MAX));
    assert!(!due(FLUSH_BYTES - 1, FLUSH_MS - 1));
    assert!(due(FLUSH_BYTES, 0));
    assert!(due(1, FLUSH_MS));
}

proptest! {
    #[test]
    fn any_prefix_is_a_prefix_of_the_records(
        units in 0_u64..40,
        keys in prop::collection::vec(any::<u64>(), 1..50),
        known in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (size, ranges) = shuffled(units, &keys);
        let header = header(known.then_some(size));
        let mut whole = encode(&header, []);
        let mut ends = vec![whole.len()];
        let mut trees = vec![DigestTree::new(header.size())];
        for range in &ranges {
            whole = encode(&header, ranges.iter().take(ends.len()).map(|range| node(*range)));
            ends.push(whole.len());
            let mut tree = trees.last().unwrap().clone();
            tree.insert(*range, digest(range.offset())).unwrap();
            trees.push(tree);
        }
        let cut = cut.index(whole.len() + 1);
        match decode(&whole[..cut]) {
            Err(error) => {
                prop_assert!(matches!(error, JournalError::Damaged));
                prop_assert!(cut < ends[0]);
            }
            Ok(journal) => {
                let complete = ends.iter().filter(|end| **end <= cut).count() - 1;
                prop_assert_eq!(journal.valid_bytes, ends[complete]);
                prop_assert_eq!(nodes_of(&journal.tree), nodes_of(&trees[complete]));
                prop_assert_eq!(journal.header, header);
            }
        }
    }

    #[test]
    fn a_damaged_tail_costs_only_what_follows_the_damage(
        units in 1_u64..20,
        keys in prop::collection::vec(any::<u64>(), 1..50),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let (size, ranges) = shuffled(units, &keys);
        let header = header(Some(size));
        let start = encode(&header, []).len();
        let mut bytes = encode(&header, ranges.iter().map(|range| node(*range)));
        let at = start + at.index(bytes.len() - start);
        bytes[at] ^= flip;
        let journal = decode(&bytes).unwrap();
        prop_assert!(journal.valid_bytes <= at);
        let whole = encode(&header, ranges.iter().map(|range| node(*range)));
        let expected = decode(&whole[..journal.valid_bytes]).unwrap();
        prop_assert_eq!(nodes_of(&journal.tree), nodes_of(&expected.tree));
        // Only the damaged record and those behind it are lost.
        prop_assert!(at - journal.valid_bytes < 85);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn random_records_never_panic(
        records in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..20),
        size in any::<Option<u64>>(),
    ) {
        let nodes = records.iter().map(|(offset, len, root)| {
            let value = [0; 32];
            Node {
                offset: *offset,
                len: *len,
                chaining_value: ChainingValue(value),
                root: root.then_some(Digest(value)),
            }
        });
        let bytes = encode(&header(size), nodes);
        prop_assert!(decode(&bytes).unwrap().valid_bytes <= bytes.len());
    }
}

fn durable(staging: &Staging, ranges: &[Range]) -> DurableBatch {
    let mut writer = JournalWriter::default();
    for range in ranges {
        writer.record(*range, digest(range.offset()));
    }
    assert_eq!(writer.pending_bytes(), ranges.iter().map(|range| u64::from(range.len())).sum::<u64>());
    let batch = writer.take();
    assert_eq!(writer.pending_bytes(), 0);
    assert_eq!(batch.is_empty(), ranges.is_empty());
    batch.make_durable(staging).unwrap()
}

fn staging(dir: &Dir) -> Staging {
    Staging::create(dir, "part", None).unwrap()
}

#[test]
fn a_journal_file_is_read_back_and_goes_on() {
    let (_tree, dir, path) = temporary();
    let staging = staging(&dir);
    let ranges: Vec<Range> = ranges_of(6 * UNIT + 9, MIN_RANGE_BYTES).collect();
    let mut journal = JournalFile::create(&dir, "journal", header(Some(6 * UNIT + 9))).unwrap();
    assert_eq!(std::fs::metadata(path.join("journal")).unwrap().permissions().mode() & 0o077, 0);
    journal.append(&durable(&staging, &ranges[..2])).unwrap();
    drop(journal);
    // A torn write behind it.
    let mut bytes = std::fs::read(path.join("journal")).unwrap();
    let whole = bytes.len() as u64;
    bytes.extend([PLAIN; 50]);
    std::fs::write(path.join("journal"), bytes).unwrap();
    let (mut journal, tree) = JournalFile::load(&dir, "journal").unwrap();
    assert_eq!(tree.covered_bytes(), 2 * UNIT);
    assert_eq!(std::fs::metadata(path.join("journal")).unwrap().len(), whole);
    journal.append(&durable(&staging, &ranges[2..])).unwrap();
    journal.set_generation(8).unwrap();
    drop(journal);
    let (journal, tree) = JournalFile::load(&dir, "journal").unwrap();
    assert!(tree.is_complete());
    assert_eq!((journal.header().generation(), journal.header().binding()), (8, &b"from here to there"[..]));
    journal.remove().unwrap();
    assert_eq!(names(&path), ["part"]);
    assert!(matches!(JournalFile::load(&dir, "journal"), Err(JournalError::Disk(DiskError::NotFound))));
}

#[test]
fn a_new_journal_takes_the_place_of_an_old_one() {
    let (_tree, dir, path) = temporary();
    let staging = staging(&dir);
    let mut old = JournalFile::create(&dir, "journal", header(Some(4 * UNIT))).unwrap();
    old.append(&durable(&staging, &[Range::new(0, MIN_RANGE_BYTES).unwrap()])).unwrap();
    // What a crash in the middle of a rewrite leaves behind is in nobody's way.
    std::fs::write(path.join("journal.new"), "half").unwrap();
    drop(JournalFile::create(&dir, "journal", header(None)).unwrap());
    let (journal, tree) = JournalFile::load(&dir, "journal").unwrap();
    assert_eq!((journal.header().size(), tree.covered_bytes()), (None, 0));
    assert_eq!(names(&path), ["journal", "part"]);
}

#[test]
fn a_growing_journal_is_rewritten_merged() {
    let (_tree, dir, path) = temporary();
    let staging = staging(&dir);
    for size in [Some(4_096 * UNIT), None] {
        let ranges: Vec<Range> = ranges_of(4_096 * UNIT, MIN_RANGE_BYTES).collect();
        let mut journal = JournalFile::create(&dir, "journal", header(size)).unwrap();
        let mut longest = 0;
        for (index, chunk) in ranges.chunks(16).enumerate() {
            journal.append(&durable(&staging, chunk)).unwrap();
            longest = longest.max(std::fs::metadata(path.join("journal")).unwrap().len());
            if index % 50 == 0 {
                let (_, tree) = reread(&path);
                assert_eq!(tree.covered_bytes(), (index as u64 + 1) * 16 * UNIT);
            }
        }
        assert!(longest < 70_000, "{longest}: 4096 records of 53 bytes would be 217,088");
        let (_, mut tree) = reread(&path);
        tree.set_size(4_096 * UNIT).unwrap();
        let direct = ranges.iter().map(|range| node(*range));
        assert_eq!(
            tree.root().unwrap(),
            DigestTree::from_nodes(tree.size(), direct).unwrap().root().unwrap()
        );
    }
}

fn reread(path: &std::path::Path) -> (JournalHeader, DigestTree) {
    let journal = decode(&std::fs::read(path.join("journal")).unwrap()).unwrap();
    (journal.header, journal.tree)
}

#[test]
fn a_journal_without_durable_data_cannot_be_written() {
    let (_tree, dir, _path) = temporary();
    let staging = staging(&dir);
    // The first error of the staging file is that of every later sync.
    assert!(staging.write_at(b"x", u64::MAX - 1).is_err());
    let mut writer = JournalWriter::default();
    writer.record(Range::new(0, MIN_RANGE_BYTES).unwrap(), digest(0));
    assert!(writer.take().make_durable(&staging).is_err());
}

#[test]
fn a_damaged_or_oversized_journal_is_refused() {
    let (_tree, dir, path) = temporary();
    std::fs::write(path.join("journal"), "FULMARJ").unwrap();
    assert!(matches!(JournalFile::load(&dir, "journal"), Err(JournalError::Damaged)));
    let file = std::fs::File::create(path.join("journal")).unwrap();
    file.set_len(MAX_JOURNAL_BYTES + 1).unwrap();
    assert!(matches!(JournalFile::load(&dir, "journal"), Err(JournalError::TooLarge)));
}
