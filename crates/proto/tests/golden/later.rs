//! What a peer of a later minor version may send, and what this version makes of it.

use fulmar_proto::{
    codec::{self, DecodeError, Growing},
    error::{ErrorCode, Failure},
    grants::Grants,
    hello::{Congestion, Features, Hello, Limits, Notice, Policies, Welcome},
    reply::Reply,
    request::Request,
    text::Text,
    trailer::Trailer,
};

use crate::{
    frame::{Golden, Pieces, bytes_of, check, fixed, growing},
    hello::extensions,
};

pub(crate) fn frames() -> Vec<Golden> {
    vec![hello(), welcome(), failure()]
}

#[test]
fn frames_of_a_later_minor_version_are_read() {
    check(&frames());
}

/// The Hello of a client of minor version 7.
fn hello() -> Golden {
    let hello = Hello {
        minor: 7,
        features: Features(1 << 63),
        extensions: extensions(&[(40_000, b"new"), (65_535, b"")]),
        name: Text::new("later"),
        max_rate_bytes_per_s: None,
        congestion: Congestion(200),
    };
    fixed(
        "Hello of minor version 7",
        hello,
        &[
            ("07", "minor: 7"),
            ("80 80 80 80 80 80 80 80 80 01", "features: bit 63"),
            ("02", "extensions: a list of 2"),
            ("c0 b8 02", "tag: 40 000, unknown"),
            ("03", "bytes: 3 of them"),
            ("'new'", "bytes"),
            ("ff ff 03", "tag: 65 535, unknown"),
            ("00", "bytes: none"),
            ("05", "name: 5 bytes"),
            ("'later'", "name"),
            ("00", "max_rate_bytes_per_s: none"),
            ("c8", "congestion: 200, unknown; a u8 is one byte as it is"),
        ],
    )
}

/// The Welcome of a server of minor version 7.
fn welcome() -> Golden {
    let welcome = Welcome {
        minor: 7,
        features: Features(2),
        extensions: extensions(&[(40_000, b"new")]),
        server_name: Text::default(),
        grants: Grants(0x8000_0001),
        policies: Policies(0x8000_0000),
        limits: Limits { max_commands: 1, max_body_bytes: 65_536, stall_timeout_ms: 0 },
    };
    growing(
        "Reply::Welcome of minor version 7",
        Reply::Welcome(welcome),
        &[
            ("02", "Reply::Welcome"),
            ("07", "minor: 7"),
            ("02", "features: bit 1"),
            ("01", "extensions: a list of 1"),
            ("c0 b8 02", "tag: 40 000, unknown"),
            ("03", "bytes: 3 of them"),
            ("'new'", "bytes"),
            ("00", "server_name: empty"),
            ("81 80 80 80 08", "grants: list and the unknown bit 31"),
            ("80 80 80 80 08", "policies: the unknown bit 31"),
            ("01", "limits.max_commands: 1"),
            ("80 80 04", "limits.max_body_bytes: 64 KiB"),
            ("00", "limits.stall_timeout_ms: 0"),
        ],
    )
}

fn failure() -> Golden {
    growing(
        "Reply::Failed with a later code",
        Reply::Failed(Failure::new(ErrorCode(60_000)).saying("too new")),
        &[
            ("01", "Reply::Failed"),
            ("e0 d4 03", "code: 60 000, unknown"),
            ("00", "path: none"),
            ("07", "detail: 7 bytes"),
            ("'too new'", "detail"),
        ],
    )
}

#[test]
fn what_is_unknown_is_ignored_and_kept() {
    let hello: Hello = codec::decode_frame(&hello().payload).expect("a Hello of minor version 7");
    assert_eq!(hello.extensions.get(fulmar_proto::hello::EXTENSION_INVITE), None);
    assert_eq!(hello.extensions.get(40_000), Some(&b"new"[..]));
    let Ok(Reply::Welcome(welcome)) = codec::decode_growing(&welcome().payload) else {
        panic!("not a Welcome");
    };
    assert!(welcome.grants.allow(Grants::LIST) && !welcome.grants.allow(Grants::READ));
    assert!(!welcome.policies.has(Policies::READ_ONLY));
    let Ok(Reply::Failed(failure)) = codec::decode_growing(&failure().payload) else {
        panic!("not a failure");
    };
    assert_eq!((failure.code, failure.code.word()), (ErrorCode(60_000), "other"));
}

/// The first kind that this version does not know, and one with a long discriminant, with content of any shape.
fn check_unknown_kinds<T>(first: Pieces<'_>)
where
    T: serde::Serialize + serde::de::DeserializeOwned + Growing + std::fmt::Debug + PartialEq,
{
    let payload = bytes_of(first);
    assert_eq!(codec::decode_growing::<T>(&payload), Err(DecodeError::UnknownKind(T::VARIANTS)));
    let far = bytes_of(&[("ac 02", "kind 300"), ("ff*9", "whatever that kind holds")]);
    assert_eq!(codec::decode_growing::<T>(&far), Err(DecodeError::UnknownKind(300)));
}

#[test]
fn an_unknown_kind_is_told_apart_from_a_malformed_frame() {
    check_unknown_kinds::<Request>(&[("0e", "Request of kind 14"), ("01 61", "something")]);
    check_unknown_kinds::<Reply>(&[("12", "Reply of kind 18"), ("00", "something")]);
    check_unknown_kinds::<Notice>(&[("04", "Notice of kind 4")]);
    check_unknown_kinds::<Trailer>(&[("03", "Trailer of kind 3"), ("d1*32", "something")]);
}

/// Growth is by variants, extensions and bits. A field that is added to a frame, or a variant to an enum inside one, is
/// another protocol.
#[test]
fn frames_do_not_grow_at_their_end() {
    let mut longer = hello().payload;
    longer.push(0);
    assert_eq!(codec::decode_frame::<Hello>(&longer), Err(DecodeError::TrailingBytes));
    let rename =
        bytes_of(&[("06", "Request::Rename"), ("01 61 01 62 00", "a to b"), ("04", "on_exists: kind 4")]);
    assert_eq!(codec::decode_growing::<Request>(&rename), Err(DecodeError::Malformed));
}
