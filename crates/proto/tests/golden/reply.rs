//! The replies of commands that are one question and one answer, and the types they carry.

use fulmar_proto::{
    error::{ErrorCode, Failure},
    listing::{CatalogInfo, Cursor, Entry, EntryKind, EntryName, Page},
    reply::Reply,
    text::Text,
    time::Timestamp,
};

use crate::{
    frame::{Golden, check, fixed, growing},
    values::{CLIENT, FILE, ROOT, VERSION, failure, mode, moment, name, path},
};

pub(crate) fn frames() -> Vec<Golden> {
    let mut frames = vec![working(), bare_failure(), full_failure(), failed(), entry()];
    frames.extend(pages());
    frames.extend(sums());
    frames.extend(changes());
    frames
}

#[test]
fn frames_of_replies() {
    check(&frames());
}

fn working() -> Golden {
    growing(
        "Reply::Working",
        Reply::Working { done: 300, total: 0 },
        &[("00", "Reply::Working"), ("ac 02", "done: 300"), ("00", "total: unknown")],
    )
}

fn bare_failure() -> Golden {
    fixed(
        "Failure with a code alone",
        Failure::new(ErrorCode::NOT_FOUND),
        &[("08", "code: not-found"), ("00", "path: none"), ("00", "detail: empty")],
    )
}

fn full_failure() -> Golden {
    fixed(
        "Failure with everything",
        failure(),
        &[
            ("09", "code: exists"),
            ("01", "path: present"),
            ("08", "8 bytes"),
            ("'in/a.txt'", "path"),
            ("02", "detail: 2 bytes of UTF-8"),
            ("c3 a9", "é"),
        ],
    )
}

fn failed() -> Golden {
    growing(
        "Reply::Failed",
        Reply::Failed(Failure::new(ErrorCode::NOT_GRANTED).saying("write")),
        &[
            ("01", "Reply::Failed"),
            ("05", "code: not-granted"),
            ("00", "path: none"),
            ("05", "detail: 5 bytes"),
            ("'write'", "detail"),
        ],
    )
}

fn file() -> Entry {
    Entry {
        name: EntryName::Servable(name("a.txt")),
        kind: EntryKind::File,
        size: 300,
        modified: moment(),
        mode: mode(0o644),
        version: Some(VERSION),
        catalog: Some(CatalogInfo {
            id: FILE,
            media_type: Text::new("text/plain"),
            root: Some(ROOT),
            uploaded_by: Some(CLIENT),
            uploaded: Some(moment()),
        }),
    }
}

fn directory() -> Entry {
    Entry {
        name: EntryName::Unservable(Text::new("\\n")),
        kind: EntryKind::Directory,
        size: 0,
        modified: Timestamp::new(-1, 0).expect("less than a second"),
        mode: mode(0o755),
        version: None,
        catalog: None,
    }
}

fn entry() -> Golden {
    growing(
        "Reply::Entry",
        Reply::Entry(file()),
        &[
            ("04", "Reply::Entry"),
            ("00", "name: servable"),
            ("05", "5 bytes"),
            ("'a.txt'", "name"),
            ("00", "kind: file"),
            ("ac 02", "size: 300"),
            ("c0 e8 80 b0 0d", "modified: 1 795 168 800 s, zigzag"),
            ("95 9a ef 3a", "123 456 789 ns"),
            ("a4 03", "mode: 0o644"),
            ("01", "version: present"),
            ("5e*32", "version"),
            ("01", "catalog: present"),
            ("f1*8", "id: 8 bytes as they are"),
            ("0a", "media_type: 10 bytes"),
            ("'text/plain'", "media_type"),
            ("01", "root: present"),
            ("d1*32", "root"),
            ("01", "uploaded_by: present"),
            ("fa*32", "uploaded_by"),
            ("01", "uploaded: present"),
            ("c0 e8 80 b0 0d", "1 795 168 800 s, zigzag"),
            ("95 9a ef 3a", "123 456 789 ns"),
        ],
    )
}

fn pages() -> Vec<Golden> {
    let cursor = Cursor::try_from(vec![0xc5; 2]).expect("short");
    let page = Page::new(vec![directory()], Some(cursor)).expect("few");
    let last = Page::new(Vec::new(), None).expect("few");
    vec![
        fixed("Page that is empty and the last", last.clone(), &[("00", "entries: 0"), ("00", "next: none")]),
        growing(
            "Reply::Page that is empty and the last",
            Reply::Page(last),
            &[("03", "Reply::Page"), ("00", "entries: 0"), ("00", "next: none")],
        ),
        growing(
            "Reply::Page with another one to come",
            Reply::Page(page),
            &[
                ("03", "Reply::Page"),
                ("01", "entries: 1"),
                ("01", "name: unservable, for display only"),
                ("02", "2 bytes"),
                ("5c 6e", "a backslash and the letter n"),
                ("01", "kind: directory"),
                ("00", "size: 0"),
                ("01", "modified: -1 s, zigzag: 1"),
                ("00", "0 ns"),
                ("ed 03", "mode: 0o755"),
                ("00", "version: none"),
                ("00", "catalog: none"),
                ("01", "next: present"),
                ("02", "2 bytes"),
                ("c5*2", "next"),
            ],
        ),
    ]
}

fn sums() -> Vec<Golden> {
    vec![
        growing(
            "Reply::Measured",
            Reply::Measured { kind: EntryKind::Directory, bytes: u64::MAX, files: 300, directories: 2 },
            &[
                ("05", "Reply::Measured"),
                ("01", "kind: directory"),
                ("ff ff ff ff ff ff ff ff ff 01", "bytes: 2^64 - 1, the longest varint"),
                ("ac 02", "files: 300"),
                ("02", "directories: 2"),
            ],
        ),
        growing(
            "Reply::Hashed",
            Reply::Hashed { size: 300, root: ROOT },
            &[("06", "Reply::Hashed"), ("ac 02", "size: 300"), ("d1*32", "root")],
        ),
    ]
}

fn changes() -> Vec<Golden> {
    vec![
        growing(
            "Reply::DirectoryMade",
            Reply::DirectoryMade { created: true },
            &[("07", "Reply::DirectoryMade"), ("01", "created: yes")],
        ),
        growing(
            "Reply::Removed",
            Reply::Removed { files: 300, directories: 1 },
            &[("08", "Reply::Removed"), ("ac 02", "files: 300"), ("01", "directories: 1")],
        ),
        growing(
            "Reply::Renamed",
            Reply::Renamed { path: path("b/a"), skipped: false },
            &[("09", "Reply::Renamed"), ("03", "path: 3 bytes"), ("'b/a'", "path"), ("00", "skipped: no")],
        ),
    ]
}
