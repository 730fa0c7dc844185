use std::os::unix::fs::symlink;

use super::*;
use crate::testing::{refused, temporary};

#[test]
fn only_regular_files_are_sent() {
    let (_tree, dir, path) = temporary();
    std::fs::write(path.join("file"), "content").unwrap();
    symlink("file", path.join("link")).unwrap();
    symlink("loop", path.join("loop")).unwrap();
    rustix::fs::mknodat(&dir, "fifo", rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
    refused(Source::open_local(&path), &DiskError::IsADirectory);
    refused(Source::open_local(&path.join("fifo")), &DiskError::NotRegular);
    refused(Source::open_local(&path.join("socket")), &DiskError::NotRegular);
    refused(Source::open_local(Path::new("/dev/null")), &DiskError::NotRegular);
    refused(Source::open_local(&path.join("absent")), &DiskError::NotFound);
    refused(Source::open_local(&path.join("loop")), &DiskError::Symlink);
    assert_eq!(Source::open_local(&path.join("link")).unwrap().meta().size, 7);
}

#[test]
fn pieces_are_exact() {
    let (_tree, _, path) = temporary();
    let path = path.join("file");
    std::fs::write(&path, b"0123456789").unwrap();
    let source = Source::open_local(&path).unwrap();
    assert_eq!(read_piece(source.file(), 3, 4).unwrap(), b"3456");
    assert_eq!(read_piece(source.file(), 10, 0).unwrap(), b"");
    let kind = |result: io::Result<Vec<u8>>| result.unwrap_err().kind();
    assert_eq!(kind(read_piece(source.file(), 3, 8)), io::ErrorKind::UnexpectedEof);
    assert_eq!(kind(read_piece(source.file(), 0, MAX_PIECE_BYTES + 1)), io::ErrorKind::InvalidInput);
    let mut buffer = [0; 4];
    source.read_at(&mut buffer, 6).unwrap();
    assert_eq!(&buffer, b"6789");
    refused(source.read_at(&mut buffer, 7), &DiskError::Changed);
}

#[test]
fn a_range_is_read_with_its_digest() {
    let (_tree, _, path) = temporary();
    let path = path.join("file");
    let content: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    std::fs::write(&path, &content).unwrap();
    let source = Source::open_local(&path).unwrap();
    let range = Range::new(65_536, 100_000 - 65_536).unwrap();
    let buffers = Buffers::new(0);
    let (pieces, digest) = read_hashed(source.file(), range, &buffers).unwrap();
    let bytes = pieces.iter().flat_map(|piece| piece.iter().copied()).collect::<Vec<u8>>();
    assert_eq!(&bytes[..], &content[65_536..]);
    assert_eq!(digest, RangeDigest::of(range, &bytes).unwrap());
    refused(read_hashed(source.file(), Range::new(65_536, 65_536).unwrap(), &buffers), &DiskError::Changed);
}

#[test]
fn a_change_of_the_file_or_of_its_name_is_seen() {
    let (_tree, _, path) = temporary();
    let (file, other) = (path.join("file"), path.join("other"));
    let opened = || {
        std::fs::write(&file, "content").unwrap();
        let source = Source::open_local(&file).unwrap();
        assert!(source.unchanged(source.meta()).unwrap());
        source
    };
    let source = opened();
    std::fs::write(&file, "longer content").unwrap();
    assert!(!source.unchanged(source.meta()).unwrap());

    let source = opened();
    std::fs::rename(&file, &other).unwrap();
    assert!(!source.unchanged(source.meta()).unwrap(), "moved away");

    let source = opened();
    std::fs::write(&other, "content").unwrap();
    std::fs::rename(&other, &file).unwrap();
    assert!(!source.unchanged(source.meta()).unwrap(), "replaced");

    let source = opened();
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(!source.unchanged(source.meta()).unwrap(), "something else");
}

#[test]
fn a_name_that_leads_to_another_file_is_a_change_even_when_the_file_is_not() {
    let (_tree, _, path) = temporary();
    for name in ["one", "two"] {
        std::fs::write(path.join(name), name).unwrap();
    }
    let link = path.join("link");
    symlink("one", &link).unwrap();
    let source = Source::open_local(&link).unwrap();
    std::fs::remove_file(&link).unwrap();
    symlink("two", &link).unwrap();
    assert!(file_unchanged(source.file(), source.meta()).unwrap());
    assert!(!source.unchanged(source.meta()).unwrap());
}

#[test]
fn a_name_in_a_directory_is_sent_without_following_links() {
    let (_tree, dir, path) = temporary();
    std::fs::write(path.join("file"), "content").unwrap();
    symlink("file", path.join("link")).unwrap();
    refused(Source::open_leaf(&dir, "link"), &DiskError::Symlink);
    let source = Source::open_leaf(&dir, "file").unwrap();
    let meta = *source.meta();
    assert!(source.unchanged(&meta).unwrap());
    // Something else has taken the name, or nothing has it.
    std::fs::rename(path.join("file"), path.join("moved")).unwrap();
    assert!(!source.unchanged(&meta).unwrap());
    std::fs::write(path.join("file"), "another").unwrap();
    assert!(!source.unchanged(&meta).unwrap());
}
