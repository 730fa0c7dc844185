//! The server's log, and what it shows of how files travel.

use fulmar_proto::{
    digest::Digest, error::ErrorCode, range::MAX_RANGE_BYTES, reply::Reply, request::Request,
};
use serde_json::Value;

use crate::harness::{
    ALICE, Online,
    data::{MIB, assert_absent, bytes, write},
    peer,
};

#[test]
fn s10_every_connection_and_command_is_in_the_log() {
    let online = Online::new();
    let client = online.fulmar(ALICE, ["fingerprint", "--client"]).run().expect(0).out().trim().to_owned();
    write(&online.local("a.txt"), "12345");
    online.ok(["upload", "a.txt", "b.txt"]);
    online.ok(["ls"]);
    online.ok(["size", "b.txt"]);
    online.ok(["mkdir", "d"]);
    online.ok(["mv", "b.txt", "d/c.txt"]);
    online.ok(["download", "d/c.txt", "-"]);
    online.fails(3, ["download", "no.txt"]);
    online.ok(["rm", "d/c.txt"]);
    let invite_secret = online.server.invite.clone().expect("an invite");
    let lab = online.stop();
    let log = lab.log();
    for record in &log {
        assert_eq!(record["v"], 1, "{record}");
        assert!(record["time"].is_string() && record["duration_ns"].is_u64(), "{record}");
        assert!(record["remote"].as_str().is_some_and(|remote| remote.starts_with("127.0.0.1:")), "{record}");
        assert_eq!(record["client"], client, "{record}");
        assert!(record["name"].as_str().is_some_and(|name| !name.is_empty()), "{record}");
    }
    let shown = |record: &Value| {
        let text = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
        let keys = ["verb", "step", "path", "target"].map(text);
        format!("{} {} {}", keys.join(" "), record["bytes"], text("result"))
    };
    let commands: Vec<String> = lab.commands().iter().map(shown).collect();
    let expected = [
        "upload put b.txt - 5 ok",
        "ls list / - 0 ok",
        "size measure b.txt - 0 ok",
        "mkdir mkdir d - 0 ok",
        "mv rename b.txt d/c.txt 0 ok",
        "download open d/c.txt - 5 ok",
        "download open no.txt - 0 not-found",
        "rm remove d/c.txt - 0 ok",
    ];
    assert_eq!(commands, expected);
    // Nine connections came and went: that of the enrolment and one for each command.
    for event in ["connected", "closed"] {
        assert_eq!(log.iter().filter(|record| record["event"] == event).count(), 9, "{event}");
    }
    let text = std::fs::read_to_string(lab.path("server.log")).expect("there");
    let token = invite_secret.split(['.', '@']).nth(1).expect("a token");
    assert!(!text.contains(token), "the invite is in the log");
}

#[test]
fn s10_the_log_file_is_private_and_grows() {
    use std::os::unix::fs::PermissionsExt as _;
    let online = Online::new();
    online.ok(["ls"]);
    let lab = online.stop();
    let before = lab.log().len();
    let mode = std::fs::metadata(lab.path("server.log")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server = lab.serve(&[]);
    let args = ["--trust-new", "-s", &server.addr, "ls"];
    lab.fulmar(ALICE, args).run().expect(0);
    server.stop().expect(0);
    assert_eq!(lab.log().len(), before + 3);
}

/// The records of commands that carried file bytes.
fn bodies(commands: &[Value], steps: &[&str]) -> Vec<u64> {
    let carried = commands.iter().filter(|record| steps.iter().any(|step| record["step"] == *step));
    carried.map(|record| record["bytes"].as_u64().expect("a number")).collect()
}

#[test]
fn no_stream_of_a_large_transfer_carries_more_than_two_mebibytes() {
    let online = Online::new();
    let len = 64 * MIB;
    write(&online.local("a.bin"), bytes(1101, len));
    online.ok(["upload", "a.bin"]);
    online.ok(["download", "a.bin", "b.bin"]);
    let commands = online.stop().commands();
    for (way, steps) in [("up", &["begin", "write", "put"][..]), ("down", &["open", "read"])] {
        let bodies = bodies(&commands, steps);
        assert!(bodies.iter().all(|bytes| *bytes <= u64::from(MAX_RANGE_BYTES)), "{way}: {bodies:?}");
        assert_eq!(bodies.iter().sum::<u64>(), len as u64, "{way}: each byte travels once");
        assert!(bodies.len() > 32, "{way}: {bodies:?}");
    }
}

#[test]
fn the_server_refuses_a_larger_body() {
    let online = Online::new();
    write(&online.share("big.bin"), vec![1; 3 * MIB]);
    let peer = online.peer();
    let open = |first_bytes| Request::Open { path: "big.bin".parse().expect("a path"), first_bytes };
    assert_eq!(peer.call(&open(MAX_RANGE_BYTES + 1)).failure(), ErrorCode::OVER_LIMIT);
    assert_eq!(peer.call(&open(u32::MAX)).failure(), ErrorCode::OVER_LIMIT);
    let Reply::Opened(opened) = peer.call(&open(MAX_RANGE_BYTES)).reply() else { panic!("not opened") };
    assert_eq!(opened.body_bytes, MAX_RANGE_BYTES);
    for size in [u64::from(MAX_RANGE_BYTES) + 1, u64::MAX] {
        let upload = peer::begin("large.bin", None, Some(size));
        assert_eq!(peer.call(&Request::Put { upload }).failure(), ErrorCode::OVER_LIMIT);
    }
    assert_absent(&online.share("large.bin"));
}

#[test]
fn the_server_refuses_a_range_longer_than_two_mebibytes() {
    let online = Online::new();
    let peer = online.peer();
    let begun = peer.begin(peer::begin("large.bin", None, Some(8 << 20)));
    // No honest encoder makes such a range: a valid request, with its length replaced.
    let (range, _) = peer::range_of(0, &vec![0; 2 * MIB]);
    let mut frame = fulmar_proto::codec::encode_frame(&peer::write_request(&begun, range)).expect("fits");
    let encoded = [0x80, 0x80, 0x80, 0x01];
    assert!(frame.ends_with(&encoded), "{frame:?}");
    let last = frame.len() - 1;
    frame[last] = 0x02;
    let mut call = peer.raw_call(&frame);
    assert_eq!(call.failure(), ErrorCode::MALFORMED);
    // The connection lives, and what was not a body is not waited for.
    assert!(matches!(peer.commit(&begun, 8 << 20, Digest([0; 32])), Reply::Failed(_)));
    assert_absent(&online.share("large.bin"));
}
