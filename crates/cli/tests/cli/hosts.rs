//! `hosts`: naming, trusting and forgetting servers.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::harness::{
    ALICE, Lab, Online,
    data::{assert_absent, write},
};

fn wrong_key() -> String {
    format!("SHA256:{}", "A".repeat(43))
}

#[test]
fn a_server_gets_a_name_and_loses_it() {
    let online = Online::new();
    let path = online.path("home").join("config/fulmar/config.toml");
    let before = "# mine\n\n[hosts.other] # far away\nendpoint = \"other.example\"\n";
    write(&path, before);
    let addr = &online.server.addr;
    let add = ["hosts", "add", "lab", addr, "--start-dir", "/", "--default"];
    let output = online.fulmar(ALICE, add).run().expect(0);
    assert_eq!((output.out(), output.stderr.as_str()), (&*format!("lab is {addr}\n"), ""));
    let text = fs::read_to_string(&path).expect("there");
    assert!(text.starts_with(before), "{text}");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    online.fulmar(ALICE, ["ls"]).run().expect(0).says("(empty)");

    let again = ["hosts", "add", "LAB", "127.0.0.1:9"];
    online.fulmar(ALICE, again).run().expect(8).complains("LAB: ").complains("-f");
    assert_eq!(fs::read_to_string(&path).expect("there"), text);
    online.fulmar(ALICE, again).args(["-f"]).run().expect(0);
    online.fulmar(ALICE, ["--connect-timeout", "1s", "ls"]).run().expect(5);

    let output = online.fulmar(ALICE, ["hosts", "remove", "Lab"]).run().expect(0);
    assert_eq!(output.out(), "removed lab (127.0.0.1:9), which was the default\n");
    online.fulmar(ALICE, ["ls"]).run().expect(5).complains("not connected");
    let output = online.fulmar(ALICE, ["hosts", "remove", "lab"]).run().expect(3);
    output.complains("lab: ").complains("`fulmar hosts` lists the names: other");
}

#[test]
fn an_invite_and_nonsense_are_no_servers_to_name() {
    let lab = Lab::new();
    let server = lab.serve(&[]);
    let invite = server.invite.as_deref().expect("nobody is enrolled");
    let output = lab.fulmar(ALICE, ["hosts", "add", "lab", invite]).run().expect(2);
    let token = invite.split(['.', '@']).nth(1).expect("a token");
    assert!(!output.stderr.contains(token), "{output}");
    output.complains("an invite works once").complains(&server.addr);
    for args in [["a:1", "lab"], ["a b", "lab"], ["lab", "a b"], ["--", "-lab"]] {
        lab.fulmar(ALICE, ["hosts", "add"]).args(args).run().expect(2);
    }
    let outside = ["hosts", "add", "lab", "lab", "--start-dir", "../x"];
    lab.fulmar(ALICE, outside).run().expect(4).complains("outside");
    assert_absent(&lab.path("home").join("config/fulmar/config.toml"));
    // An invite without its secret is an address with a key.
    let pin = invite.replace(&format!(".{token}"), "");
    lab.fulmar(ALICE, ["hosts", "add", "lab", &pin]).run().expect(0);
    let host = lab.fulmar(ALICE, ["--json", "hosts"]).run().expect(0).one_object();
    assert_eq!((&host["fingerprint"], &host["pinned"]), (&server.fingerprint.into(), &true.into()));
}

#[test]
fn a_key_is_trusted_before_the_first_connection_and_forgotten() {
    let Online { server, lab } = Online::new();
    let addr = &server.addr;
    let run = |args: &[&str]| lab.fulmar(ALICE, args).run();
    run(&["hosts", "add", "lab", addr]).expect(0);
    let output = run(&["hosts", "forget", "lab"]).expect(0);
    assert_eq!(output.out(), format!("forgot {} of {addr}\n", server.fingerprint));
    run(&["-s", "lab", "ls"]).expect(6).complains("not known");
    run(&["hosts", "forget", addr]).expect(3).complains(addr).complains("hint: `fulmar hosts` lists");

    let output = run(&["hosts", "trust", "lab", &server.fingerprint]).expect(0);
    assert_eq!(output.out(), format!("{addr} is now trusted with {}\n", server.fingerprint));
    run(&["hosts", "trust", addr, &server.fingerprint]).expect(0).says("already trusted");
    let output = run(&["hosts", "trust", addr, &wrong_key()]).expect(6);
    output.complains(&server.fingerprint).complains(&format!("fulmar hosts forget {addr}"));
    run(&["-s", "lab", "ls"]).expect(0).says("(empty)");
    run(&["hosts", "trust", addr, "SHA256:short"]).expect(2);
}

#[test]
fn a_server_with_a_new_key_is_reached_again_once_the_old_one_is_forgotten() {
    let Online { server, lab } = Online::new();
    let addr = server.addr.clone();
    server.stop().expect(0);
    fs::rename(lab.state("server"), lab.state("old server")).expect("moved away");
    let server = lab.serve_on(&addr, &["--anonymous", "read"]);
    let run = |args: &[&str]| lab.fulmar(ALICE, args).run();
    run(&["-s", &addr, "ls"]).expect(6);
    run(&["hosts", "forget", &addr]).expect(0);
    // Forgetting is no consent to the new key.
    run(&["-s", &addr, "ls"]).expect(6).complains(&server.fingerprint);
    run(&["hosts", "trust", &addr, &server.fingerprint]).expect(0);
    run(&["-s", &addr, "ls"]).expect(0);
}

#[test]
fn a_key_of_the_file_that_fits_no_more_is_replaced_by_what_the_hints_say() {
    let Online { server, lab } = Online::new();
    let (addr, old) = (server.addr.clone(), server.fingerprint.clone());
    let run = |args: &[&str]| lab.fulmar(ALICE, args).run();
    run(&["hosts", "add", "lab", &addr, "--fingerprint", &old, "--start-dir", "in"]).expect(0);
    server.stop().expect(0);
    fs::rename(lab.state("server"), lab.state("old server")).expect("moved away");
    let server = lab.serve_on(&addr, &["--anonymous", "read"]);
    let new = &server.fingerprint;
    let command = |key: &str| format!("fulmar hosts add -f lab {addr} --fingerprint {key} --start-dir /in");
    let both = format!("fulmar hosts forget {addr}, then: {}", command(new));
    run(&["-s", "lab", "ls"]).expect(6).complains(&both);
    run(&["hosts", "forget", "lab"]).expect(0).complains(&command("NEW"));
    run(&["hosts", "forget", "lab"]).expect(3).complains(&command("NEW"));
    // The file alone demands the old key now.
    run(&["-s", "lab", "ls"]).expect(6).complains(&command(new));
    run(&["hosts", "trust", "lab", new]).expect(0);
    let output = run(&["-s", "lab", "ls"]).expect(6);
    output.complains(&command(new)).complains(&format!("fulmar hosts forget {addr}"));
    run(&["hosts", "add", "-f", "lab", &addr, "--fingerprint", new, "--start-dir", "/in"]).expect(0);
    run(&["-s", "lab", "ls"]).expect(0).says("(empty)");
}

#[test]
fn the_shell_knows_a_new_name_at_once() {
    let online = Online::new();
    let addr = &online.server.addr;
    let script = format!("hosts add lab {addr} --default\nhosts\nconnme\nhosts remove lab\nconnme\nhosts\n");
    let output = online.fulmar(ALICE, ["shell"]).stdin(script).run().expect(0);
    let lines: Vec<&str> = output.out().lines().collect();
    assert_eq!(lines[0], format!("lab is {addr}"));
    assert!(lines[1].starts_with("name ") && lines[1].ends_with("known since"), "{output}");
    assert!(lines[2].starts_with(&format!("lab (default)  {addr}  {}  20", online.server.fingerprint)));
    assert_eq!(lines[3], format!("connected to {addr}"));
    assert_eq!(lines[5], format!("already connected to {addr}"));
    assert!(lines[7].starts_with(&format!("-     {addr}  SHA256:")), "{output}");
}

#[test]
fn hosts_are_objects_on_demand() {
    let online = Online::new();
    let (addr, key) = (&online.server.addr, &online.server.fingerprint);
    let run = |args: &[&str]| online.fulmar(ALICE, ["--json"]).args(args).run().expect(0).one_object();
    let done = run(&["hosts", "add", "lab", "[::1]:7", "--fingerprint", key, "--start-dir", "in"]);
    assert_eq!(
        (&done["type"], &done["verb"], &done["outcome"]),
        (&"done".into(), &"hosts".into(), &"added".into())
    );
    let hosts = online.fulmar(ALICE, ["hosts", "list", "--json"]).run().expect(0).objects();
    assert!(hosts.iter().all(|host| host["type"] == "host") && hosts.len() == 2, "{hosts:?}");
    let (named, known) = (&hosts[0], &hosts[1]);
    assert_eq!((&named["name"], &named["addr"]), (&"lab".into(), &"[::1]:7".into()));
    assert_eq!((&named["pinned"], &named["start_dir"]), (&true.into(), &"/in".into()));
    assert!(named["known_since"].is_null() && known["name"].is_null());
    assert_eq!((&known["addr"], &known["fingerprint"]), (&addr.as_str().into(), &key.as_str().into()));
    let date = known["known_since"].as_str().expect("a date");
    assert!(date.len() == 10 && date.starts_with("20"), "{date}");
    assert_eq!(run(&["hosts", "forget", addr])["outcome"], "forgotten");
    assert_eq!(run(&["hosts", "remove", "lab"])["outcome"], "removed");
    let empty = online.fulmar(ALICE, ["hosts", "--json"]).run().expect(0);
    assert_eq!(empty.out(), "");
}

#[test]
fn a_damaged_list_of_keys_is_told_and_left_alone() {
    let online = Online::new();
    let path = online.state(ALICE).join("known_hosts");
    write(&path, "nonsense\n");
    for args in [&["hosts"][..], &["hosts", "forget", "lab"], &["hosts", "trust", "lab", &wrong_key()]] {
        online.fulmar(ALICE, args).run().expect(1).complains("known_hosts:1: ");
    }
    assert_eq!(fs::read_to_string(&path).expect("there"), "nonsense\n");
}
