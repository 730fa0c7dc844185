//! What is left when a transfer breaks off: nothing under the final name, and nothing in the way of the next attempt.

use std::time::Duration;

use fulmar_proto::{
    digest::{ChainingValue, Digest, RangeDigest},
    error::{ErrorCode, Failure},
    reply::Reply,
    request::Request,
    trailer::Trailer,
};
use rustix::process::Signal;

use crate::harness::{
    ALICE, Online, Process, Relay, Way,
    data::{MIB, assert_absent, assert_holds, assert_names, bytes, write},
    peer::{self, Peer},
    terminal::CTRL_C,
};

/// What passes before the relay goes dark: some ranges, and far from all.
const SOME: usize = 3 * MIB;
const ALL: usize = 9 * MIB + 12_345;

/// A server dead or out of reach is given up after the transport's idle timeout of a minute.
const GIVEN_UP: Duration = Duration::from_secs(150);

/// An upload of `big.bin` that is halfway there for certain, because the relay lets nothing more through.
fn halfway_up(online: &Online, relay: &Relay) -> Process {
    relay.go_dark_after(Way::Up, SOME);
    let upload = online.through(relay, ["upload", "big.bin"]).spawn();
    relay.wait_until_dark();
    assert_absent(&online.share("big.bin"));
    upload
}

/// A download of `big.bin` that is halfway there.
fn halfway_down(online: &Online, relay: &Relay) -> Process {
    relay.go_dark_after(Way::Down, SOME);
    let download = online.through(relay, ["download", "big.bin"]).spawn();
    relay.wait_until_dark();
    assert_absent(&online.local("big.bin"));
    download
}

/// An upload of standard input of which a first part has arrived and the rest has not been given yet.
fn halfway_piped(online: &Online, content: &[u8], name: &str) -> Process {
    let mut upload = online.command(ALICE, ["--progress", "json", "upload", "-", name]).spawn();
    upload.feed(&content[..2 * MIB]);
    upload.wait_for(0, "\"progress\"");
    assert_absent(&online.share(name));
    upload
}

#[test]
fn s15_a_killed_client_leaves_no_file_and_the_same_upload_succeeds() {
    let online = Online::new();
    let content = bytes(1501, ALL);
    write(&online.local("big.bin"), &content);
    let relay = online.relay();
    let killed = halfway_up(&online, &relay).kill();
    assert_eq!(killed.signal, Some(Signal::KILL.as_raw()), "{killed}");
    relay.clear();
    assert_eq!(online.ok(["ls"]).out(), "(empty)\n");
    assert_absent(&online.share("big.bin"));
    // The server has not noticed yet that the old client is gone; the new one takes over.
    online.ok(["upload", "big.bin"]);
    assert_holds(&online.share("big.bin"), &content);
    assert_names(&online.share("."), &[".fulmar", "big.bin"]);
}

#[test]
fn s15_a_client_killed_while_it_reads_standard_input_leaves_no_file() {
    let online = Online::new();
    let content = bytes(1502, 3 * MIB);
    let killed = halfway_piped(&online, &content, "piped.bin").kill();
    assert_eq!(killed.signal, Some(Signal::KILL.as_raw()), "{killed}");
    assert_eq!(online.ok(["ls"]).out(), "(empty)\n");
    online.command(ALICE, ["upload", "-", "piped.bin"]).stdin(content.clone()).run().expect(0);
    assert_holds(&online.share("piped.bin"), &content);
}

#[test]
fn s15_a_client_killed_in_a_download_leaves_no_file_and_the_same_download_succeeds() {
    let online = Online::new();
    let content = bytes(1503, ALL);
    write(&online.share("big.bin"), &content);
    let relay = online.relay();
    halfway_down(&online, &relay).kill();
    relay.clear();
    assert_absent(&online.local("big.bin"));
    online.ok(["download", "big.bin"]);
    assert_holds(&online.local("big.bin"), &content);
}

#[test]
fn s15_a_killed_server_leaves_no_file_on_either_side() {
    let mut online = Online::new();
    let content = bytes(1504, ALL);
    write(&online.local("up/big.bin"), &content);
    write(&online.share("down.bin"), &content);
    let relays = [online.relay(), online.relay()];
    relays[0].go_dark_after(Way::Up, SOME);
    relays[1].go_dark_after(Way::Down, SOME);
    let upload = online.through(&relays[0], ["upload", "up/big.bin"]).spawn();
    let download = online.through(&relays[1], ["download", "down.bin"]).spawn();
    relays.iter().for_each(Relay::wait_until_dark);
    let addr = online.server.addr.clone();
    online.server.process.signal(Signal::KILL);
    online.server.process.wait_until_gone();
    online.server = online.serve_on(&addr, &[]);
    relays.iter().for_each(Relay::clear);
    assert_absent(&online.share("big.bin"));
    assert_absent(&online.local("down.bin"));
    // A new server on the same directory: nothing is in its way, and both commands succeed.
    assert_eq!(online.ok(["ls"]).out(), "down.bin\n");
    online.ok(["upload", "up/big.bin"]);
    online.ok(["download", "down.bin"]);
    assert_holds(&online.share("big.bin"), &content);
    assert_holds(&online.local("down.bin"), &content);
    // The clients of the old one find out, and touch nothing.
    for old in [upload, download] {
        old.wait_within(GIVEN_UP).expect(5);
    }
    assert_holds(&online.share("big.bin"), &content);
    assert_holds(&online.local("down.bin"), &content);
    assert_names(&online.share("."), &[".fulmar", "big.bin", "down.bin"]);
    assert_names(&online.local("."), &["down.bin", "up"]);
}

#[test]
fn s15_a_cancelled_upload_leaves_no_file() {
    let online = Online::new();
    let content = bytes(1505, ALL);
    write(&online.local("big.bin"), &content);
    let relay = online.relay();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let upload = halfway_up(&online, &relay);
        upload.signal(signal);
        upload.wait().expect(code).complains("fulmar: upload: cancelled");
        relay.clear();
        assert_eq!(online.ok(["ls"]).out(), "(empty)\n");
        assert_absent(&online.share("big.bin"));
    }
    online.ok(["upload", "big.bin"]);
    assert_holds(&online.share("big.bin"), &content);
}

#[test]
fn s15_a_cancelled_upload_of_standard_input_leaves_no_file() {
    let online = Online::new();
    let content = bytes(1506, 3 * MIB);
    let upload = halfway_piped(&online, &content, "piped.bin");
    // Its standard input stays open: waiting for more of it must not keep it from ending.
    upload.signal(Signal::INT);
    upload.wait().expect(130).complains("cancelled");
    assert_eq!(online.ok(["ls"]).out(), "(empty)\n");
    // Nobody could go on with it, so nothing of it stays.
    assert_names(&online.share(".fulmar/partial"), &[]);
    online.command(ALICE, ["upload", "-", "piped.bin"]).stdin(content.clone()).run().expect(0);
    assert_holds(&online.share("piped.bin"), &content);
    let lab = online.stop();
    assert_names(&lab.share("."), &[".fulmar", "piped.bin"]);
}

#[test]
fn s15_a_cancelled_download_leaves_no_file_and_no_rest() {
    let online = Online::new();
    let content = bytes(1507, ALL);
    write(&online.share("big.bin"), &content);
    let relay = online.relay();
    let download = halfway_down(&online, &relay);
    download.signal(Signal::INT);
    download.wait().expect(130).complains("fulmar: download: cancelled");
    assert_names(&online.local("."), &[]);
    online.ok(["download", "big.bin"]);
    assert_holds(&online.local("big.bin"), &content);
    assert_names(&online.local("."), &["big.bin"]);
}

#[test]
fn s15_control_c_in_a_shell_cancels_the_transfer_and_the_shell_goes_on() {
    let online = Online::new();
    let content = bytes(1508, ALL);
    write(&online.local("big.bin"), &content);
    let relay = online.relay();
    let addr = relay.addr;
    let shell = online.terminal(ALICE, &["shell", &addr.to_string()]);
    let prompt = "fulmar 127.0.0.1:/> ";
    shell.shows(prompt);
    relay.go_dark_after(Way::Up, SOME);
    shell.enter("upload big.bin");
    relay.wait_until_dark();
    shell.type_text(CTRL_C);
    shell.shows("cancelled");
    shell.shows(prompt);
    relay.clear();
    // The same connection serves on.
    shell.enter("ls");
    shell.shows("(empty)");
    assert_absent(&online.share("big.bin"));
    shell.enter("upload big.bin");
    shell.shows("verified");
    assert_holds(&online.share("big.bin"), &content);
    shell.shows(prompt);
    shell.enter("quit");
    shell.wait().expect(0);
}

#[test]
fn s15_a_sender_that_ends_early_leaves_no_file() {
    let online = Online::new();
    let content = bytes(1509, MIB);
    let peer = online.peer();
    let put = || Request::Put { upload: peer::begin("early.bin", None, Some(content.len() as u64)) };
    // A clean end inside the body, and one behind it where the trailer had to be.
    for sent in [0, 1, content.len() / 2, content.len()] {
        let mut call = peer.call(&put());
        call.bytes(&content[..sent]);
        let reply = call.finish_early();
        assert!(!matches!(reply, Some(Reply::Stored(_))), "{sent}: {reply:?}");
        assert_absent(&online.share("early.bin"));
    }
    // A trailer that says that the body is no good.
    let mut call = peer.call(&put());
    call.body(&content, &Trailer::Failed(Failure::new(ErrorCode::CHANGED)));
    assert!(matches!(call.reply(), Reply::Failed(_)));
    check_ranges_that_end_early(&peer, &content);
    assert_absent(&online.share("early.bin"));
    write(&online.local("early.bin"), &content);
    online.ok(["upload", "early.bin"]);
    assert_holds(&online.share("early.bin"), &content);
}

/// Of two ranges the second one never arrives whole: the upload cannot be published.
fn check_ranges_that_end_early(peer: &Peer, content: &[u8]) {
    let size = 2 * MIB as u64;
    let begun = peer.begin(peer::begin("early.bin", None, Some(size)));
    peer.write(&begun, 0, content);
    let (range, _) = peer::range_of(MIB as u64, content);
    let mut call = peer.call(&peer::write_request(&begun, range));
    call.bytes(&content[..MIB / 2]);
    assert!(!matches!(call.finish_early(), Some(Reply::Written)));
    let whole = Digest::of(&[content, content].concat());
    let Reply::Failed(failure) = peer.commit(&begun, size, whole) else { panic!("published") };
    assert_eq!(failure.code, ErrorCode::INCOMPLETE);
    // Claiming that the file ends where the bytes do is no way around either.
    assert!(matches!(peer.commit(&begun, MIB as u64, Digest::of(content)), Reply::Failed(_)));
}

#[test]
fn s15_a_sender_whose_digest_lies_leaves_no_file() {
    let online = Online::new();
    let content = bytes(1510, MIB);
    let peer = online.peer();
    let (range, honest) = peer::range_of(0, &content);
    let lies = [
        RangeDigest { chaining_value: ChainingValue([1; 32]), ..honest },
        RangeDigest { root: Some(Digest([1; 32])), ..honest },
        RangeDigest { root: None, ..honest },
    ];
    for lie in lies {
        let upload = peer::begin("lie.bin", None, Some(content.len() as u64));
        let mut call = peer.call(&Request::Put { upload });
        call.body(&content, &Trailer::Range(lie));
        let code = call.failure();
        assert!([ErrorCode::DIGEST_MISMATCH, ErrorCode::MALFORMED].contains(&code), "{lie:?}: {code:?}");
        let begun = peer.begin(peer::begin("lie.bin", None, Some(content.len() as u64)));
        let mut call = peer.call(&peer::write_request(&begun, range));
        call.body(&content, &Trailer::Range(lie));
        let code = call.failure();
        assert!([ErrorCode::DIGEST_MISMATCH, ErrorCode::MALFORMED].contains(&code), "{lie:?}: {code:?}");
    }
    // Every range is honest, and the whole is not.
    let begun = peer.begin(peer::begin("lie.bin", None, Some(content.len() as u64)));
    peer.write(&begun, 0, &content);
    let Reply::Failed(failure) = peer.commit(&begun, MIB as u64, Digest([1; 32])) else {
        panic!("published")
    };
    assert_eq!(failure.code, ErrorCode::DIGEST_MISMATCH);
    assert_absent(&online.share("lie.bin"));
    write(&online.local("lie.bin"), &content);
    online.ok(["upload", "lie.bin"]);
    assert_holds(&online.share("lie.bin"), &content);
}
