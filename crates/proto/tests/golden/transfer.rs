//! The replies of uploads and downloads, and trailers.

use fulmar_proto::{
    reply::{Opened, Reply},
    trailer::Trailer,
    upload::{Begun, HaveNode, HavePage, Present, Stored},
};

use crate::{
    frame::{Golden, check, fixed, growing},
    values::{CHAINING_VALUE, FILE, ROOT, UPLOAD, VERSION, failure, mode, moment, path, range_digest},
};

pub(crate) fn frames() -> Vec<Golden> {
    let mut frames = downloads();
    frames.extend([begun(), begun_anew(), have_page(), present(), stored()]);
    frames.extend(short_replies());
    frames.extend(trailers());
    frames
}

#[test]
fn frames_of_transfers() {
    check(&frames());
}

fn downloads() -> Vec<Golden> {
    let opened = Opened {
        version: VERSION,
        size: 12_582_912,
        modified: moment(),
        mode: mode(0o644),
        root: Some(ROOT),
        body_bytes: 2_097_152,
    };
    vec![
        growing(
            "Reply::Opened",
            Reply::Opened(opened),
            &[
                ("0a", "Reply::Opened"),
                ("5e*32", "version"),
                ("80 80 80 06", "size: 12 MiB"),
                ("c0 e8 80 b0 0d", "modified: 1 795 168 800 s, zigzag"),
                ("95 9a ef 3a", "123 456 789 ns"),
                ("a4 03", "mode: 0o644"),
                ("01", "root: present"),
                ("d1*32", "root"),
                ("80 80 80 01", "body_bytes: 2 MiB"),
            ],
        ),
        growing("Reply::Body", Reply::Body { len: 300 }, &[("0b", "Reply::Body"), ("ac 02", "len: 300")]),
    ]
}

fn node(offset: u64, len: u64) -> HaveNode {
    HaveNode { offset, len, chaining_value: CHAINING_VALUE }
}

fn have(nodes: Vec<HaveNode>, more: bool) -> HavePage {
    HavePage::new(nodes, more).expect("few")
}

fn begun() -> Golden {
    let begun = Begun {
        upload_id: UPLOAD,
        generation: 2,
        final_path: path("in/a.txt"),
        unit_bytes: 2_097_152,
        have: have(vec![node(0, 1 << 40), node(1 << 40, 70_000)], true),
    };
    growing(
        "Reply::Begun of an upload that is taken up again",
        Reply::Begun(begun),
        &[
            ("0c", "Reply::Begun"),
            ("1d*16", "upload_id"),
            ("02", "generation: 2"),
            ("08", "final_path: 8 bytes"),
            ("'in/a.txt'", "final_path"),
            ("80 80 80 01", "unit_bytes: 2 MiB"),
            ("02", "have: 2 nodes"),
            ("00", "offset: 0"),
            ("80 80 80 80 80 20", "len: 1 TiB"),
            ("c1*32", "chaining_value"),
            ("80 80 80 80 80 20", "offset: 1 TiB"),
            ("f0 a2 04", "len: 70 000, the end of the file"),
            ("c1*32", "chaining_value"),
            ("01", "more: a HavePage frame follows"),
        ],
    )
}

fn begun_anew() -> Golden {
    let begun = Begun {
        upload_id: UPLOAD,
        generation: 1,
        final_path: path("a"),
        unit_bytes: 2_097_152,
        have: HavePage::default(),
    };
    growing(
        "Reply::Begun of a new upload",
        Reply::Begun(begun),
        &[
            ("0c", "Reply::Begun"),
            ("1d*16", "upload_id"),
            ("01", "generation: 1"),
            ("01", "final_path: 1 byte"),
            ("'a'", "final_path"),
            ("80 80 80 01", "unit_bytes: 2 MiB"),
            ("00", "have: 0 nodes"),
            ("00", "more: no"),
        ],
    )
}

fn have_page() -> Golden {
    fixed(
        "HavePage",
        have(vec![node(65_536, 65_536)], false),
        &[
            ("01", "nodes: 1"),
            ("80 80 04", "offset: 64 KiB"),
            ("80 80 04", "len: 64 KiB"),
            ("c1*32", "chaining_value"),
            ("00", "more: no"),
        ],
    )
}

fn present() -> Golden {
    growing(
        "Reply::Present",
        Reply::Present(Present { path: path("a"), size: 300, version: VERSION, root: None }),
        &[
            ("0d", "Reply::Present"),
            ("01", "path: 1 byte"),
            ("'a'", "path"),
            ("ac 02", "size: 300"),
            ("5e*32", "version"),
            ("00", "root: none"),
        ],
    )
}

fn stored() -> Golden {
    growing(
        "Reply::Stored",
        Reply::Stored(Stored { path: path("a"), id: FILE, size: 300, root: ROOT, already_there: true }),
        &[
            ("10", "Reply::Stored"),
            ("01", "path: 1 byte"),
            ("'a'", "path"),
            ("f1*8", "id"),
            ("ac 02", "size: 300"),
            ("d1*32", "root"),
            ("01", "already_there: yes"),
        ],
    )
}

fn short_replies() -> Vec<Golden> {
    vec![
        growing(
            "Reply::Skipped",
            Reply::Skipped { path: path("a") },
            &[("0e", "Reply::Skipped"), ("01", "path: 1 byte"), ("'a'", "path")],
        ),
        growing("Reply::Written", Reply::Written, &[("0f", "Reply::Written")]),
        growing("Reply::Abandoned", Reply::Abandoned, &[("11", "Reply::Abandoned")]),
    ]
}

fn trailers() -> Vec<Golden> {
    vec![
        growing(
            "Trailer::Range at offset 0",
            Trailer::Range(range_digest(true)),
            &[
                ("00", "Trailer::Range"),
                ("c1*32", "chaining_value"),
                ("01", "root: present"),
                ("d1*32", "root"),
            ],
        ),
        growing(
            "Trailer::Range behind offset 0",
            Trailer::Range(range_digest(false)),
            &[("00", "Trailer::Range"), ("c1*32", "chaining_value"), ("00", "root: none")],
        ),
        growing("Trailer::Empty", Trailer::Empty, &[("01", "Trailer::Empty")]),
        growing(
            "Trailer::Failed",
            Trailer::Failed(failure()),
            &[
                ("02", "Trailer::Failed"),
                ("09", "code: exists"),
                ("01", "path: present"),
                ("08", "8 bytes"),
                ("'in/a.txt'", "path"),
                ("02", "detail: 2 bytes of UTF-8"),
                ("c3 a9", "é"),
            ],
        ),
    ]
}
