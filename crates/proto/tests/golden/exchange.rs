//! One whole exchange, byte by byte: a client says hello, stores a file of three bytes and fetches it again. The
//! documentation shows exactly this.

use std::fmt::Write as _;

use fulmar_proto::{
    codec::encode_frame,
    digest::RangeDigest,
    grants::Grants,
    hello::{Congestion, Extensions, Features, Hello, Limits, Policies, Welcome},
    reply::{Opened, Reply},
    request::Request,
    text::Text,
    trailer::Trailer,
    upload::{BeginUpload, OnExists, Stored},
};
use serde::Serialize;

use crate::{
    frame::{Pieces, bytes_of, hex},
    values::{FILE, SOURCE, VERSION, destination, mode, moment, name, path, range},
};

const BODY: &[u8] = b"hi\n";

/// One thing that one side sends.
struct Step {
    /// Who sends what, on which stream.
    title: &'static str,
    /// The bytes as they are sent.
    sent: Vec<u8>,
    /// The same bytes, annotated.
    pieces: Pieces<'static>,
}

fn frame<T: Serialize>(title: &'static str, value: &T, pieces: Pieces<'static>) -> Step {
    Step { title, sent: encode_frame(value).expect("short"), pieces }
}

fn steps() -> Vec<Step> {
    vec![
        hello(),
        welcome(),
        put(),
        put_body(),
        put_trailer(),
        stored(),
        open(),
        opened(),
        open_body(),
        open_trailer(),
    ]
}

fn hello() -> Step {
    let hello = Hello {
        minor: 0,
        features: Features::EARLY_COMMIT,
        extensions: Extensions::default(),
        name: Text::new("laptop"),
        max_rate_bytes_per_s: None,
        congestion: Congestion::ANY,
    };
    frame(
        "stream 0, client: Hello",
        &hello,
        &[
            ("0c 00 00 00", "length of the payload: 12"),
            ("00", "minor"),
            ("01", "features: early commit"),
            ("00", "extensions: none"),
            ("06", "name: 6 bytes"),
            ("6c 61 70 74 6f 70", "laptop"),
            ("00", "max_rate_bytes_per_s: none"),
            ("00", "congestion: any"),
        ],
    )
}

fn welcome() -> Step {
    let welcome = Welcome {
        minor: 0,
        features: Features::EARLY_COMMIT,
        extensions: Extensions::default(),
        server_name: Text::new("lab"),
        grants: Grants::ALL,
        policies: Policies::default(),
        limits: Limits { max_commands: 256, max_body_bytes: 2_097_152, stall_timeout_ms: 60_000 },
    };
    frame(
        "stream 0, server: Reply::Welcome",
        &Reply::Welcome(welcome),
        &[
            ("13 00 00 00", "length of the payload: 19"),
            ("02", "Reply::Welcome"),
            ("00 01 00", "minor, features: early commit, extensions"),
            ("03", "server_name: 3 bytes"),
            ("6c 61 62", "lab"),
            ("0f", "grants: list, read, write, delete"),
            ("00", "policies: none"),
            ("80 02", "max_commands: 256"),
            ("80 80 80 01", "max_body_bytes: 2 MiB"),
            ("e0 d4 03", "stall_timeout_ms: 60 000"),
        ],
    )
}

fn put() -> Step {
    let upload = BeginUpload {
        destination: destination("", false),
        source_name: Some(name("hi.txt")),
        size: Some(3),
        modified: Some(moment()),
        mode: None,
        source_token: SOURCE,
        on_exists: OnExists::Fail,
    };
    frame(
        "stream 4, client: Request::Put",
        &Request::Put { upload },
        &[
            ("39 00 00 00", "length of the payload: 57"),
            ("0d", "Request::Put"),
            ("00", "destination.path: the root"),
            ("00", "must_be_directory: no"),
            ("01 06", "source_name: present, 6 bytes"),
            ("68 69 2e 74 78 74", "hi.txt"),
            ("01 03", "size: present, 3"),
            ("01", "modified: present"),
            ("c0 e8 80 b0 0d", "1 795 168 800 s, zigzag"),
            ("95 9a ef 3a", "123 456 789 ns"),
            ("00", "mode: none"),
            ("50*32", "source_token"),
            ("00", "on_exists: fail"),
        ],
    )
}

fn put_body() -> Step {
    Step { title: "stream 4, client: the body", sent: BODY.to_vec(), pieces: &[("68 69 0a", "3 raw bytes")] }
}

const TRAILER: Pieces<'static> = &[
    ("42 00 00 00", "length of the payload: 66"),
    ("00", "Trailer::Range"),
    (CHAINING_VALUE_OF_BODY, "chaining_value"),
    ("01", "root: present, for the offset is 0"),
    (ROOT_OF_BODY, "root, as b3sum prints it"),
];

fn put_trailer() -> Step {
    frame("stream 4, client: its trailer, then FIN", &trailer(), TRAILER)
}

fn trailer() -> Trailer {
    Trailer::Range(digest())
}

fn digest() -> RangeDigest {
    RangeDigest::of(range(0, 3), BODY).expect("three bytes")
}

fn stored() -> Step {
    let root = digest().root.expect("a range at offset 0 has a root");
    frame(
        "stream 4, server: Reply::Stored, then FIN",
        &Reply::Stored(Stored { path: path("hi.txt"), id: FILE, size: 3, root, already_there: false }),
        &[
            ("32 00 00 00", "length of the payload: 50"),
            ("10", "Reply::Stored"),
            ("06", "path: 6 bytes"),
            ("68 69 2e 74 78 74", "hi.txt"),
            ("f1*8", "id"),
            ("03", "size: 3"),
            (ROOT_OF_BODY, "root"),
            ("00", "already_there: no"),
        ],
    )
}

fn open() -> Step {
    frame(
        "stream 8, client: Request::Open, then FIN",
        &Request::Open { path: path("hi.txt"), first_bytes: 2_097_152 },
        &[
            ("0c 00 00 00", "length of the payload: 12"),
            ("07", "Request::Open"),
            ("06", "path: 6 bytes"),
            ("68 69 2e 74 78 74", "hi.txt"),
            ("80 80 80 01", "first_bytes: 2 MiB"),
        ],
    )
}

fn opened() -> Step {
    let opened = Opened {
        version: VERSION,
        size: 3,
        modified: moment(),
        mode: mode(0o644),
        root: digest().root,
        body_bytes: 3,
    };
    frame(
        "stream 8, server: Reply::Opened",
        &Reply::Opened(opened),
        &[
            ("4f 00 00 00", "length of the payload: 79"),
            ("0a", "Reply::Opened"),
            ("5e*32", "version"),
            ("03", "size: 3"),
            ("c0 e8 80 b0 0d", "modified: 1 795 168 800 s, zigzag"),
            ("95 9a ef 3a", "123 456 789 ns"),
            ("a4 03", "mode: 0o644"),
            ("01", "root: present"),
            (ROOT_OF_BODY, "root"),
            ("03", "body_bytes: 3"),
        ],
    )
}

fn open_body() -> Step {
    Step { title: "stream 8, server: the body", sent: BODY.to_vec(), pieces: &[("68 69 0a", "3 raw bytes")] }
}

fn open_trailer() -> Step {
    frame("stream 8, server: its trailer, then FIN", &trailer(), TRAILER)
}

/// Of the three bytes, computed by another implementation, as are the next ones.
const CHAINING_VALUE_OF_BODY: &str = "94 33 09 da f4 7a dc 85 64 5a e2 80 dd b5 12 a1 \
     04 07 a5 51 3c 5d be fe 05 fb d1 a9 cb 6d 53 9e";
const ROOT_OF_BODY: &str = "0b 8b 60 24 8f ad 7a c6 df ac 22 1b 7e 01 a8 b9 \
     1c 77 24 21 a1 5b 38 7d d1 fb 2d 6a 94 ae e4 38";

#[test]
fn every_step_has_the_bytes_that_are_written_down() {
    for step in steps() {
        assert_eq!(hex(&step.sent), hex(&bytes_of(step.pieces)), "{}", step.title);
    }
}

/// The exchange as the documentation shows it: up to sixteen bytes a line, then what they mean.
pub(crate) fn text() -> String {
    let mut text = String::new();
    for step in steps() {
        writeln!(text, "{}", step.title).expect("strings take everything");
        for piece in step.pieces {
            let bytes = bytes_of(std::slice::from_ref(piece));
            for (index, line) in bytes.chunks(16).enumerate() {
                let meaning = if index == 0 { piece.1 } else { "" };
                let line = format!("    {:<49}{meaning}", hex(line));
                writeln!(text, "{}", line.trim_end()).expect("strings take everything");
            }
        }
    }
    text
}
