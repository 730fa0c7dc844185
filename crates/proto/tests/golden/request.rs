//! Every request.

use fulmar_proto::{
    listing::Cursor,
    request::Request,
    upload::{BeginUpload, OnExists},
};

use crate::{
    frame::{Golden, check, growing},
    values::{
        ROOT, SOURCE, UPLOAD, VERSION, bare_upload, destination, dir, full_upload, mode, moment, name, path,
        range,
    },
};

pub(crate) fn frames() -> Vec<Golden> {
    let mut frames = listing();
    frames.extend(changing());
    frames.extend(reading());
    frames.extend([begin_bare(), begin_full(), put()]);
    frames.extend(writing());
    frames
}

#[test]
fn frames_of_requests() {
    check(&frames());
}

fn listing() -> Vec<Golden> {
    let cursor = Cursor::try_from(vec![0xc5; 3]).expect("short");
    vec![
        growing(
            "Request::List of the root",
            Request::List { directory: dir(""), cursor: None, details: false },
            &[
                ("00", "Request::List"),
                ("00", "directory: empty, the root"),
                ("00", "cursor: none"),
                ("00", "details: no"),
            ],
        ),
        growing(
            "Request::List from a cursor on",
            Request::List { directory: dir("a/b"), cursor: Some(cursor), details: true },
            &[
                ("00", "Request::List"),
                ("03", "directory: 3 bytes"),
                ("'a/b'", "directory"),
                ("01", "cursor: present"),
                ("03", "3 bytes"),
                ("c5*3", "cursor"),
                ("01", "details: yes"),
            ],
        ),
        growing(
            "Request::Stat",
            Request::Stat { path: dir("a") },
            &[("01", "Request::Stat"), ("01", "path: 1 byte"), ("'a'", "path")],
        ),
        growing(
            "Request::Measure",
            Request::Measure { path: dir("") },
            &[("02", "Request::Measure"), ("00", "path: empty, the root")],
        ),
        growing(
            "Request::Hash",
            Request::Hash { path: path("a"), reread: true },
            &[("03", "Request::Hash"), ("01", "path: 1 byte"), ("'a'", "path"), ("01", "reread: yes")],
        ),
    ]
}

fn changing() -> Vec<Golden> {
    vec![
        growing(
            "Request::MakeDirectory",
            Request::MakeDirectory { path: path("a/é"), parents: true },
            &[
                ("04", "Request::MakeDirectory"),
                ("04", "path: 4 bytes of UTF-8"),
                ("'a/'", "path"),
                ("c3 a9", "é"),
                ("01", "parents: yes"),
            ],
        ),
        growing(
            "Request::Remove",
            Request::Remove { path: path("a"), recursive: false },
            &[("05", "Request::Remove"), ("01", "path: 1 byte"), ("'a'", "path"), ("00", "recursive: no")],
        ),
        growing(
            "Request::Rename",
            Request::Rename { from: path("a"), to: destination("b", true), on_exists: OnExists::Rename },
            &[
                ("06", "Request::Rename"),
                ("01", "from: 1 byte"),
                ("'a'", "from"),
                ("01", "to.path: 1 byte"),
                ("'b'", "to.path"),
                ("01", "to.must_be_directory: yes"),
                ("03", "on_exists: Rename"),
            ],
        ),
    ]
}

fn reading() -> Vec<Golden> {
    vec![
        growing(
            "Request::Open",
            Request::Open { path: path("a"), first_bytes: 2_097_152 },
            &[
                ("07", "Request::Open"),
                ("01", "path: 1 byte"),
                ("'a'", "path"),
                ("80 80 80 01", "first_bytes: 2 MiB"),
            ],
        ),
        growing(
            "Request::Read",
            Request::Read { path: path("a"), version: VERSION, range: range(10 << 40, 65_536) },
            &[
                ("08", "Request::Read"),
                ("01", "path: 1 byte"),
                ("'a'", "path"),
                ("5e*32", "version: 32 bytes as they are"),
                ("80 80 80 80 80 c0 02", "range.offset: 10 TiB"),
                ("80 80 04", "range.len: 64 KiB"),
            ],
        ),
    ]
}

fn begin_bare() -> Golden {
    growing(
        "Request::Begin with nothing known",
        Request::Begin { upload: bare_upload(), first: None },
        &[
            ("09", "Request::Begin"),
            ("03", "destination.path: 3 bytes"),
            ("'new'", "destination.path"),
            ("00", "destination.must_be_directory: no"),
            ("00", "source_name: none"),
            ("00", "size: none"),
            ("00", "modified: none"),
            ("00", "mode: none"),
            ("50*32", "source_token: 32 bytes as they are"),
            ("00", "on_exists: Fail"),
            ("00", "first: none"),
        ],
    )
}

fn begin_full() -> Golden {
    growing(
        "Request::Begin with everything known and a first range",
        Request::Begin { upload: full_upload(), first: Some(range(0, 300)) },
        &[
            ("09", "Request::Begin"),
            ("02", "destination.path: 2 bytes"),
            ("'in'", "destination.path"),
            ("01", "destination.must_be_directory: yes"),
            ("01", "source_name: present"),
            ("05", "5 bytes"),
            ("'a.txt'", "source_name"),
            ("01", "size: present"),
            ("ac 02", "300"),
            ("01", "modified: present"),
            ("c0 e8 80 b0 0d", "1 795 168 800 s, zigzag: 3 590 337 600"),
            ("95 9a ef 3a", "123 456 789 ns"),
            ("01", "mode: present"),
            ("ed 03", "0o755"),
            ("50*32", "source_token"),
            ("01", "on_exists: Overwrite"),
            ("01", "first: present"),
            ("00", "first.offset: 0"),
            ("ac 02", "first.len: 300"),
        ],
    )
}

fn put() -> Golden {
    let upload = BeginUpload {
        destination: destination("", false),
        source_name: Some(name("a.txt")),
        size: Some(0),
        modified: Some(moment()),
        mode: Some(mode(0o644)),
        source_token: SOURCE,
        on_exists: OnExists::Skip,
    };
    growing(
        "Request::Put of an empty file into the root",
        Request::Put { upload },
        &[
            ("0d", "Request::Put"),
            ("00", "destination.path: empty, the root"),
            ("00", "destination.must_be_directory: no"),
            ("01", "source_name: present"),
            ("05", "5 bytes"),
            ("'a.txt'", "source_name"),
            ("01", "size: present"),
            ("00", "0"),
            ("01", "modified: present"),
            ("c0 e8 80 b0 0d", "1 795 168 800 s, zigzag: 3 590 337 600"),
            ("95 9a ef 3a", "123 456 789 ns"),
            ("01", "mode: present"),
            ("a4 03", "0o644"),
            ("50*32", "source_token"),
            ("02", "on_exists: Skip"),
        ],
    )
}

fn writing() -> Vec<Golden> {
    vec![
        growing(
            "Request::Write",
            Request::Write { upload_id: UPLOAD, generation: 300, range: range(65_536, 65_536) },
            &[
                ("0a", "Request::Write"),
                ("1d*16", "upload_id: 16 bytes as they are"),
                ("ac 02", "generation: 300"),
                ("80 80 04", "range.offset: 64 KiB"),
                ("80 80 04", "range.len: 64 KiB"),
            ],
        ),
        growing(
            "Request::Commit",
            Request::Commit { upload_id: UPLOAD, generation: 1, size: 12_582_912, root: ROOT },
            &[
                ("0b", "Request::Commit"),
                ("1d*16", "upload_id"),
                ("01", "generation: 1"),
                ("80 80 80 06", "size: 12 MiB"),
                ("d1*32", "root: 32 bytes as they are"),
            ],
        ),
        growing(
            "Request::Abandon",
            Request::Abandon { upload_id: UPLOAD, generation: 1 },
            &[("0c", "Request::Abandon"), ("1d*16", "upload_id"), ("01", "generation: 1")],
        ),
    ]
}
