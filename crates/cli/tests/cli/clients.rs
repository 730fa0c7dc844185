//! `clients`: enrolling by key, grants, revoking, while a server runs.

use std::{fs, time::Instant};

use fulmar_proto::code::CloseCode;
use fulmar_transport::ConnectionLost;

use crate::harness::{ALICE, Invocation, Lab, Online, Output, data::write, process::WATCHDOG};

/// `fulmar clients` on the server's machine.
fn clients(lab: &Lab, args: &[&str]) -> Invocation {
    lab.fulmar("server", ["clients"]).args(args)
}

/// The fingerprint of somebody's client key, made when absent.
fn key_of(lab: &Lab, who: &str) -> String {
    let output = lab.fulmar(who, ["fingerprint", "--client"]).run().expect(0);
    output.out().trim().to_owned()
}

/// Runs a command until it ends with this code, which it does once the server has taken a change over.
#[track_caller]
fn until(code: i32, run: impl Fn() -> Output) -> Output {
    let deadline = Instant::now() + WATCHDOG;
    loop {
        let output = run();
        if output.code == Some(code) {
            return output;
        }
        assert!(Instant::now() < deadline, "never {code}: {output}");
    }
}

#[test]
fn a_client_is_enrolled_by_its_key_while_the_server_runs() {
    let lab = Lab::new();
    let server = lab.serve(&[]);
    let key = key_of(&lab, "bob");
    let run = |args: &[&str]| {
        lab.fulmar("bob", ["-s", &server.addr, "--fingerprint", &server.fingerprint]).args(args).run()
    };
    run(&["ls"]).expect(4);
    let add = ["add", &key, "--grants", "list,write", "--name", "bob's \"laptop\""];
    let output = clients(&lab, &add).run().expect(0);
    assert_eq!(output.out(), format!("enrolled {key} with list,write\n"));
    write(&lab.local("a.txt"), "x");
    until(0, || run(&["ls"]));
    run(&["upload", "a.txt"]).expect(0);
    run(&["download", "a.txt", "b.txt"]).expect(4).complains("read");
    let output = clients(&lab, &add).run().expect(8);
    output.complains("enrolled already, with list,write").complains("clients grant");

    let output = clients(&lab, &["grant", "bob's laptop", "list,read"]).run().expect(0);
    assert_eq!(output.out(), format!("{key} (bob's laptop) has list,read now, and had list,write\n"));
    until(0, || run(&["download", "-f", "a.txt", "b.txt"]));
    run(&["upload", "-f", "a.txt", "c.txt"]).expect(4).complains("write");
}

#[test]
fn a_revoked_client_is_sent_away_and_the_others_stay() {
    let online = Online::new();
    let bob = key_of(&online, "bob");
    let invite = online.invite(&[]);
    online.enrol("bob", &invite);
    let alice = key_of(&online, ALICE);
    let peer = online.peer();
    let mut shell = online.command(ALICE, ["shell"]).spawn();
    shell.feed(b"pwd\n");
    shell.wait_for(0, "/\n");

    let prefix = &alice["SHA256:".len()..][..8];
    let output = clients(&online, &["revoke", prefix]).run().expect(0);
    assert!(output.out().starts_with(&format!("revoked {alice} (")), "{output}");
    assert!(output.out().ends_with("which had list,read,write,delete\n"), "{output}");
    let end = peer.wait_for_end();
    assert!(matches!(end, ConnectionLost::ClosedByPeer { code: CloseCode::REVOKED, .. }), "{end:?}");
    // The server has taken it over: the next command is refused, on a new connection and on the old one.
    online.fails(4, ["ls"]);
    shell.feed(b"ls\n");
    let output = shell.finish();
    assert_eq!(output.out(), "/\n");
    output.expect(4).complains("revoked");
    // The invite by which it came is used up, and whoever was not meant notices nothing.
    online.command("bob", ["ls"]).run().expect(0);
    let listed = clients(&online, &["--json"]).run().expect(0).one_object();
    assert_eq!(listed["fingerprint"], bob);
    clients(&online, &["revoke", &alice]).run().expect(3);
}

#[test]
fn clients_are_listed_for_people_and_for_scripts() {
    let lab = Lab::new();
    let state = lab.state("server").to_string_lossy().into_owned();
    let output = clients(&lab, &[]).run().expect(0);
    assert_eq!(output.out(), format!("(no client is enrolled in {state})\n"));
    assert_eq!(clients(&lab, &["--json"]).run().expect(0).out(), "");
    let (bob, eve) = (key_of(&lab, "bob"), key_of(&lab, "eve"));
    let path = lab.state("server").join("authorized_clients");
    write(&path, format!("# by hand\n{bob} grants=list name=\"b\u{1b}ob\"\n"));
    let added = clients(&lab, &["--json", "add", &eve, "--grants", "none"]).run().expect(0).one_object();
    assert_eq!((&added["type"], &added["change"]), (&"client".into(), &"added".into()));
    assert!(fs::read_to_string(&path).expect("there").starts_with("# by hand\n"));

    let mut objects = clients(&lab, &["list", "--json"]).run().expect(0).objects();
    objects.sort_by_key(|object| object["grants"].as_str().map(str::to_owned));
    let (bobs, eves) = (&objects[0], &objects[1]);
    assert_eq!((&bobs["fingerprint"], &bobs["grants"]), (&bob.as_str().into(), &"list".into()));
    assert_eq!((&eves["fingerprint"], &eves["grants"]), (&eve.as_str().into(), &"none".into()));
    assert!(bobs["enrolled"].is_null() && bobs["change"].is_null());
    assert!(eves["enrolled"].as_str().is_some_and(|time| time.ends_with('Z')), "{eves}");

    let output = clients(&lab, &["list"]).run().expect(0);
    assert!(!output.out().contains('\u{1b}'), "{output}");
    let lines: Vec<&str> = output.out().lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("key "), "{output}");
    let bobs = lines.iter().find(|line| line.starts_with(&bob)).expect("listed");
    assert!(bobs.ends_with("list    b\\u{1b}ob  -"), "{output}");
}

#[test]
fn who_is_not_clearly_meant_is_not_revoked() {
    let lab = Lab::new();
    let keys = ["bob", "eve"].map(|who| key_of(&lab, who));
    for key in &keys {
        clients(&lab, &["add", key, "--name", "laptop"]).run().expect(0);
    }
    let before = fs::read_to_string(lab.state("server").join("authorized_clients")).expect("there");
    for command in [&["revoke", "laptop"][..], &["grant", "laptop", "read"]] {
        let output = clients(&lab, command).run().expect(2).complains("2 clients could be meant");
        output.complains(&keys[0]).complains(&keys[1]);
    }
    clients(&lab, &["revoke", "nobody"]).run().expect(3).complains("hint: `fulmar clients` lists");
    clients(&lab, &["revoke", &keys[0][..14]]).run().expect(3);
    clients(&lab, &["grant", &keys[0], "everything"]).run().expect(2).complains("grants are words");
    clients(&lab, &["add", "SHA256:short"]).run().expect(2);
    let after = fs::read_to_string(lab.state("server").join("authorized_clients")).expect("there");
    assert_eq!(before, after);
    clients(&lab, &["revoke", &keys[0][..15]]).run().expect(0).says(&keys[0]);
}

#[test]
fn a_damaged_list_is_told_and_left_alone() {
    let lab = Lab::new();
    let path = lab.state("server").join("authorized_clients");
    write(&path, "nonsense\n");
    let key = key_of(&lab, "bob");
    for args in [&["list"][..], &["add", &key], &["revoke", &key]] {
        let output = clients(&lab, args).run();
        assert!(output.code != Some(0) && output.stdout.is_empty(), "{output}");
        output.complains("authorized_clients: line 1");
    }
    assert_eq!(fs::read_to_string(&path).expect("there"), "nonsense\n");
}
