//! The Hello stream: Hello, the invite's proof, Welcome, notices.

use fulmar_proto::{
    grants::Grants,
    hello::{
        Congestion, EXTENSION_INVITE, Extension, Extensions, Features, Hello, Limits, NextKey, NextKeys,
        Notice, Policies, Welcome,
    },
    invite::{InviteId, InviteProof},
    reply::Reply,
    text::Text,
};

use crate::frame::{Golden, check, fixed, growing};

pub(crate) fn frames() -> Vec<Golden> {
    vec![
        bare_hello(),
        full_hello(),
        proof(),
        bare_welcome(),
        full_welcome(),
        going_away(),
        revoked(),
        keys_to_come(),
        limits_changed(),
    ]
}

#[test]
fn frames_of_the_hello_stream() {
    check(&frames());
}

pub(crate) fn extensions(list: &[(u16, &[u8])]) -> Extensions {
    let extension = |(tag, bytes): &(u16, &[u8])| Extension { tag: *tag, bytes: bytes.to_vec() };
    Extensions::try_from(list.iter().map(extension).collect::<Vec<_>>()).expect("few and short")
}

fn bare_hello() -> Golden {
    let hello = Hello {
        minor: 0,
        features: Features::default(),
        extensions: Extensions::default(),
        name: Text::new("laptop"),
        max_rate_bytes_per_s: None,
        congestion: Congestion::ANY,
    };
    fixed(
        "Hello with a name alone",
        hello,
        &[
            ("00", "minor: 0"),
            ("00", "features: none"),
            ("00", "extensions: a list of 0"),
            ("06", "name: 6 bytes"),
            ("'laptop'", "name"),
            ("00", "max_rate_bytes_per_s: none"),
            ("00", "congestion: whatever the server prefers"),
        ],
    )
}

fn full_hello() -> Golden {
    // What the extension holds is the payload of the golden proof below.
    let proof = proof();
    let hello = Hello {
        minor: 0,
        features: Features::default(),
        extensions: extensions(&[(EXTENSION_INVITE, &proof.payload)]),
        name: Text::default(),
        max_rate_bytes_per_s: Some(1_000_000),
        congestion: Congestion::CUBIC,
    };
    fixed(
        "Hello with an invite, a rate and a controller",
        hello,
        &[
            ("00", "minor: 0"),
            ("00", "features: none"),
            ("01", "extensions: a list of 1"),
            ("01", "tag: 1, an invite's proof"),
            ("28", "bytes: 40 of them"),
            ("1e*8", "id"),
            ("3a*32", "mac"),
            ("00", "name: empty"),
            ("01", "max_rate_bytes_per_s: present"),
            ("c0 84 3d", "1 000 000"),
            ("02", "congestion: CUBIC"),
        ],
    )
}

fn proof() -> Golden {
    fixed(
        "InviteProof",
        InviteProof { id: InviteId([0x1e; 8]), mac: [0x3a; 32] },
        &[("1e*8", "id: 8 bytes as they are"), ("3a*32", "mac: 32 bytes as they are")],
    )
}

const LIMITS: Limits = Limits { max_commands: 1024, max_body_bytes: 2_097_152, stall_timeout_ms: 60_000 };

fn bare_welcome() -> Golden {
    let welcome = Welcome {
        minor: 0,
        features: Features::default(),
        extensions: Extensions::default(),
        server_name: Text::new("lab"),
        grants: Grants::ALL,
        policies: Policies::default(),
        limits: LIMITS,
    };
    growing(
        "Reply::Welcome",
        Reply::Welcome(welcome),
        &[
            ("02", "Reply::Welcome"),
            ("00", "minor: 0"),
            ("00", "features: none"),
            ("00", "extensions: a list of 0"),
            ("03", "server_name: 3 bytes"),
            ("'lab'", "server_name"),
            ("0f", "grants: list, read, write, delete"),
            ("00", "policies: none"),
            ("80 08", "limits.max_commands: 1024"),
            ("80 80 80 01", "limits.max_body_bytes: 2 MiB"),
            ("e0 d4 03", "limits.stall_timeout_ms: 60 000"),
        ],
    )
}

fn full_welcome() -> Golden {
    let welcome = Welcome {
        minor: 0,
        features: Features::default(),
        extensions: extensions(&[(300, b"x")]),
        server_name: Text::default(),
        grants: Grants::LIST.with(Grants::READ),
        policies: Policies::READ_ONLY.with(Policies::KEEP_EXTENSION).with(Policies::NO_OVERWRITE),
        limits: LIMITS,
    };
    growing(
        "Reply::Welcome with an extension and every policy",
        Reply::Welcome(welcome),
        &[
            ("02", "Reply::Welcome"),
            ("00 00", "minor: 0, features: none"),
            ("01", "extensions: a list of 1"),
            ("ac 02", "tag: 300"),
            ("01", "bytes: 1 of them"),
            ("'x'", "bytes"),
            ("00", "server_name: empty"),
            ("03", "grants: list, read"),
            ("07", "policies: read-only, keep extension, no overwrite"),
            ("80 08", "limits.max_commands: 1024"),
            ("80 80 80 01", "limits.max_body_bytes: 2 MiB"),
            ("e0 d4 03", "limits.stall_timeout_ms: 60 000"),
        ],
    )
}

fn going_away() -> Golden {
    growing(
        "Notice::GoingAway",
        Notice::GoingAway { grace_ms: 30_000 },
        &[("00", "Notice::GoingAway"), ("b0 ea 01", "grace_ms: 30 000")],
    )
}

fn revoked() -> Golden {
    growing("Notice::Revoked", Notice::Revoked, &[("01", "Notice::Revoked")])
}

fn keys_to_come() -> Golden {
    let key = NextKey { public_key: [0xed; 32], signature: ([0x51; 32], [0x52; 32]) };
    growing(
        "Notice::KeysToCome",
        Notice::KeysToCome(NextKeys::try_from(vec![key]).expect("few")),
        &[
            ("02", "Notice::KeysToCome"),
            ("01", "a list of 1"),
            ("ed*32", "public_key"),
            ("51*32", "signature, first half"),
            ("52*32", "signature, second half"),
        ],
    )
}

fn limits_changed() -> Golden {
    growing(
        "Notice::LimitsChanged",
        Notice::LimitsChanged(LIMITS),
        &[
            ("03", "Notice::LimitsChanged"),
            ("80 08", "max_commands: 1024"),
            ("80 80 80 01", "max_body_bytes: 2 MiB"),
            ("e0 d4 03", "stall_timeout_ms: 60 000"),
        ],
    )
}
