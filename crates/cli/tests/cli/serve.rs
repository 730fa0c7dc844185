//! The server's own manners: what it says at its start, whom it lets in, how it ends.

use std::{
    fs,
    io::{self, Write as _},
    net::UdpSocket,
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use fulmar_proto::{digest::Digest, hello::Notice, reply::Reply, trailer::Trailer, upload::Begun};
use rustix::process::Signal;

use crate::harness::{
    ALICE, Lab, Online, Peer, Way,
    data::{MIB, assert_absent, assert_holds, bytes, write},
    peer,
};

#[test]
fn the_first_line_says_where_it_listens() {
    let lab = Lab::new();
    // The directory is made when it is absent.
    fs::remove_dir(lab.path("share")).expect("removed");
    let server = lab.serve(&[]);
    assert!(lab.path("share").is_dir());
    let port = server.socket_addr().port();
    assert_ne!(port, 0);
    assert!(server.addr.starts_with("127.0.0.1:"), "{}", server.addr);
    let invite = server.invite.clone().expect("nobody is enrolled yet");
    assert!(invite.starts_with("fulmar://") && invite.ends_with(&format!("@{}", server.addr)), "{invite}");
    let own = lab.fulmar("server", ["fingerprint"]).run().expect(0);
    assert_eq!(own.out().trim(), server.fingerprint);
    assert!(server.fingerprint.starts_with("SHA256:"), "{}", server.fingerprint);
    let output = server.stop().expect(0);
    assert_eq!(output.out().lines().count(), 1, "nothing but that line: {output}");
    // Its key is its own, and stays.
    let key = lab.state("server").join("server.key");
    assert_eq!(fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
    let again = lab.serve(&[]);
    assert_eq!(format!("{}\n", again.fingerprint), own.out());
}

#[test]
fn what_its_socket_had_no_room_for_is_told_at_the_end() {
    let lab = Lab::new();
    let server = lab.serve(&[]);
    if !std::path::Path::new("/proc/net/udp").exists() {
        println!("skipped: this system does not tell what a socket dropped");
        return;
    }
    // While it is stopped it reads nothing. What is asked for of the kernel are 8 MiB.
    server.process.signal(Signal::STOP);
    let flood = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for _ in 0..12_000 {
        flood.send_to(&[0; 1200], server.socket_addr()).expect("sent");
    }
    server.process.signal(Signal::CONT);
    let output = server.stop().expect(0).complains("the socket's receive buffer was full for ");
    assert!(output.stderr.contains(" datagrams, which were dropped"), "{output}");
}

#[test]
fn an_invite_is_made_while_nobody_is_enrolled_or_on_demand() {
    let Online { server, lab } = Online::new();
    server.stop().expect(0);
    assert_eq!(lab.serve(&[]).invite, None);
    let server = lab.serve(&["--invite", "--public-addr", "files.example:99"]);
    let invite = server.invite.clone().expect("asked for");
    assert!(invite.ends_with("@files.example:99"), "{invite}");
    // An invite made later carries that address as well, unless told otherwise.
    assert!(lab.invite(&[]).ends_with("@files.example:99"));
    assert!(lab.invite(&["--public-addr", "other.example"]).ends_with("@other.example:99"));
    let object = lab.fulmar("server", ["--json", "invite"]).run().expect(0).one_object();
    assert!(object["invite"].as_str().is_some_and(|invite| invite.starts_with("fulmar://")), "{object}");
}

#[test]
fn an_invite_works_off_a_terminal_and_its_address_alone_afterwards() {
    let lab = Lab::new();
    let server = lab.serve(&[]);
    let invite = server.invite.clone().expect("nobody is enrolled yet");
    write(&lab.local("a.txt"), "x");
    // The very first command may be any one.
    lab.fulmar(ALICE, ["-s", &invite, "upload", "a.txt"]).run().expect(0);
    lab.fulmar(ALICE, ["-s", &server.addr, "ls"]).run().expect(0).says("a.txt\n");
    lab.fulmar(ALICE, ["-s", &server.addr, "rm", "a.txt"]).run().expect(0);
}

#[test]
fn without_json_a_person_is_told_what_to_do() {
    let lab = Lab::new();
    let share = lab.path("share").to_string_lossy().into_owned();
    let args = ["--state", "../state/other", "serve", &share, "--listen", "127.0.0.1:0"];
    let server = lab.fulmar("server", args).spawn();
    server.wait_for(0, "on the other machine:");
    let text = server.stdout.wait(crate::harness::process::WATCHDOG, |bytes| {
        bytes.ends_with(b"\n").then(|| String::from_utf8_lossy(bytes).into_owned())
    });
    let text = text.expect("whole lines");
    for part in ["serving", "listening", "fingerprint", "SHA256:", "fulmar://", "127.0.0.1:"] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    server.signal(Signal::INT);
    server.wait().expect(0);
}

#[test]
fn a_second_server_on_one_directory_is_refused() {
    let online = Online::new();
    let share = online.path("share").to_string_lossy().into_owned();
    let args = ["serve", &share, "--listen", "127.0.0.1:0", "--json"];
    let output = online.fulmar("other server", args).run();
    assert_ne!(output.code, Some(0), "{output}");
    let error = output.one_object();
    assert_eq!((&error["type"], &error["kind"]), (&"error".into(), &"locked".into()), "{output}");
    online.ok(["ls"]);
    // Once the first one is gone, however it went, the second may have it.
    online.server.process.signal(Signal::KILL);
    online.server.process.wait_until_gone();
    online.serve(&[]).stop().expect(0);
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let online = Online::new();
    let args = ["serve", "elsewhere", "--listen", &online.server.addr];
    let output = online.fulmar("other server", args).run().expect(1);
    output.complains("fulmar: serve: ").complains(&online.server.addr);
}

#[test]
fn keys_are_never_served() {
    let lab = Lab::new();
    let share = lab.path("share").to_string_lossy().into_owned();
    let state = lab.share("state").to_string_lossy().into_owned();
    let args = ["--state", &state, "serve", &share, "--listen", "127.0.0.1:0"];
    lab.fulmar("server", args).run().expect(2).complains("state");
    assert_absent(&lab.share("state"));
}

/// Asks the server to stop and waits until it has taken note: it tells its clients, and takes no new ones.
fn drain(online: &Online, peer: &mut Peer, signal: Signal) {
    online.server.process.signal(signal);
    let notice = peer.wait_for_notice();
    assert!(matches!(notice, Notice::GoingAway { .. }), "{notice:?}");
    let late = ["-s", &online.server.addr, "--connect-timeout", "1s", "ls"];
    online.fulmar(ALICE, late).run().expect(5).complains("refuses connections");
}

/// A range of an upload of which a half has been sent.
struct HalfARange {
    begun: Begun,
    content: Vec<u8>,
    call: peer::Call,
}

impl HalfARange {
    fn of(peer: &Peer, name: &str, content: Vec<u8>) -> Self {
        let begun = peer.begin(peer::begin(name, None, Some(content.len() as u64)));
        let (range, _) = peer::range_of(0, &content);
        let mut call = peer.call(&peer::write_request(&begun, range));
        call.bytes(&content[..content.len() / 2]);
        Self { begun, content, call }
    }

    fn send_the_rest(mut self) -> (Begun, Vec<u8>) {
        let (_, digest) = peer::range_of(0, &self.content);
        self.call.body(&self.content[self.content.len() / 2..], &Trailer::Range(digest));
        assert_eq!(self.call.reply(), Reply::Written);
        (self.begun, self.content)
    }
}

#[test]
fn a_transfer_that_runs_ends_well_when_the_server_is_asked_to_stop() {
    let online = Online::new();
    let mut peer = online.peer();
    let wanted = HalfARange::of(&peer, "drained.bin", bytes(1901, MIB));
    drain(&online, &mut peer, Signal::TERM);
    let (begun, content) = wanted.send_the_rest();
    let stored = peer.commit(&begun, content.len() as u64, Digest::of(&content));
    assert!(matches!(stored, Reply::Stored(_)), "{stored:?}");
    let Online { server, lab } = online;
    server.process.wait().expect(0);
    assert_holds(&lab.share("drained.bin"), &content);
}

#[test]
fn an_upload_that_waits_for_its_input_is_not_cut_off_by_draining() {
    let online = Online::new();
    let mut peer = online.peer();
    let content = bytes(1902, 4 * MIB);
    let mut upload = online.command(ALICE, ["--progress", "json", "upload", "-", "drained.bin"]).spawn();
    upload.feed(&content[..2 * MIB]);
    upload.wait_for(0, "\"progress\"");
    drain(&online, &mut peer, Signal::TERM);
    upload.feed(&content[2 * MIB..]);
    upload.finish().expect(0);
    let Online { server, lab } = online;
    server.process.wait().expect(0);
    assert_holds(&lab.share("drained.bin"), &content);
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let online = Online::new();
        let mut peer = online.peer();
        let half = HalfARange::of(&peer, "cut.bin", bytes(1903, MIB));
        drain(&online, &mut peer, Signal::INT);
        online.server.process.signal(second);
        let Online { server, lab } = online;
        // Draining would have waited for half a minute.
        server.process.wait_within(Duration::from_secs(20)).expect(0);
        drop(half);
        assert_absent(&lab.share("cut.bin"));
    }
}

#[test]
fn no_more_connections_are_served_than_allowed() {
    let Online { server, lab } = Online::new();
    let addr = server.addr.clone();
    server.stop().expect(0);
    // A server that has had no connection yet: one that was closed a moment ago would still count.
    let server = lab.serve_on(&addr, &["--max-connections", "1"]);
    let mut shell = lab.fulmar(ALICE, ["shell", &server.addr]).spawn();
    shell.feed(b"pwd\n");
    shell.wait_for(0, "/\n");
    lab.fulmar(ALICE, ["--connect-timeout", "2s", "-s", &server.addr, "ls"]).run().expect(5);
    shell.feed(b"ls\n");
    shell.finish().expect(0).says("(empty)");
}

#[test]
fn a_wildcard_address_invites_to_a_real_one() {
    let lab = Lab::new();
    let server = lab.serve_on("0.0.0.0:0", &[]);
    let invite = server.invite.clone().expect("nobody is enrolled yet");
    let (_, address) = invite.split_once('@').expect("an address");
    let address: std::net::SocketAddr = address.parse().expect("numbers");
    assert!(!address.ip().is_unspecified() && address.port() == server.socket_addr().port(), "{invite}");
    lab.enrol(ALICE, &invite);
    let loopback = format!("localhost:{}", address.port());
    lab.fulmar(ALICE, ["--trust-new", "-s", &loopback, "ls"]).run().expect(0);
}

#[test]
fn ipv6_is_served_and_written_in_brackets() {
    if UdpSocket::bind("[::1]:0").is_err() {
        // Not by the macro, whose output is hidden when a test passes.
        let _ = writeln!(io::stderr(), "skipped: ipv6_is_served_and_written_in_brackets (no IPv6 here)");
        return;
    }
    let lab = Lab::new();
    let server = lab.serve_on("[::1]:0", &[]);
    assert!(server.addr.starts_with("[::1]:"), "{}", server.addr);
    lab.enrol(ALICE, server.invite.as_deref().expect("nobody is enrolled yet"));
    let connected = lab.fulmar(ALICE, ["-s", &server.addr, "connme"]).run().expect(0);
    assert_eq!(connected.out(), format!("connected to {}\n", server.addr));
}

#[test]
fn little_memory_is_enough_for_large_files() {
    let online = Online::with(&["--max-memory", "4MiB"]);
    let content = bytes(1904, 20 * MIB);
    write(&online.local("a.bin"), &content);
    online.ok(["upload", "a.bin"]);
    online.ok(["download", "a.bin", "b.bin"]);
    assert_holds(&online.local("b.bin"), &content);
}

#[test]
fn a_silence_in_the_middle_of_a_transfer_costs_only_time() {
    let online = Online::new();
    let content = bytes(1905, 9 * MIB);
    write(&online.local("a.bin"), &content);
    let relay = online.relay();
    relay.go_dark_after(Way::Up, 3 * MIB);
    let upload = online.through(&relay, ["upload", "a.bin"]).spawn();
    relay.wait_until_dark();
    relay.clear();
    upload.wait().expect(0);
    assert_holds(&online.share("a.bin"), &content);
}
