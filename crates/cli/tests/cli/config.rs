//! The configuration file: names of servers, defaults, and what counts more than it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use crate::harness::{
    ALICE, Lab, Online,
    data::{MIB, bytes, write},
};

/// The user's own configuration file.
fn file(lab: &Lab) -> PathBuf {
    lab.path("home").join("config/fulmar/config.toml")
}

fn configure(lab: &Lab, text: &str) {
    write(&file(lab), text);
}

/// A server that the file calls `lab`, with further lines of its table.
fn named(online: &Online, more: &str) {
    configure(online, &format!("[hosts.lab]\nendpoint = \"{}\"\n{more}", online.server.addr));
}

#[test]
fn a_name_of_the_file_stands_wherever_an_endpoint_does() {
    let online = Online::new();
    named(&online, "");
    let connected = format!("connected to {}\n", online.server.addr);
    let output = online.fulmar(ALICE, ["-s", "lab", "connme"]).run().expect(0);
    assert_eq!(output.out(), connected);
    online.fulmar(ALICE, ["-s", "LAB", "ls"]).run().expect(0).says("(empty)");
    online.fulmar(ALICE, ["ls"]).env("FULMAR_SERVER", "Lab").run().expect(0).says("(empty)");
    online.fulmar(ALICE, ["shell", "lab"]).stdin("pwd\n").run().expect(0).says("/\n");
    let output = online.fulmar(ALICE, ["shell"]).stdin("connme lab\nconnme lab\n").run().expect(0);
    assert_eq!(output.out(), format!("{connected}already {connected}"));
    // A name wins over a host of that name, which can still be meant with its port.
    configure(&online, &format!("[hosts.localhost]\nendpoint = \"{}\"\n", online.server.addr));
    online.fulmar(ALICE, ["-s", "localhost", "ls"]).run().expect(0);
    let args = ["--connect-timeout", "1s", "-s", "localhost:9", "ls"];
    online.fulmar(ALICE, args).run().expect(5);
}

#[test]
fn the_default_server_comes_behind_the_environment_and_the_options() {
    let online = Online::new();
    let addr = &online.server.addr;
    let defaults = |server: &str| format!("[defaults]\nserver = \"{server}\"\nconnect_timeout = \"2s\"\n\n");
    let hosts = format!("[hosts.lab]\nendpoint = \"{addr}\"\n[hosts.nowhere]\nendpoint = \"127.0.0.1:9\"\n");
    configure(&online, &(defaults("lab") + &hosts));
    online.fulmar(ALICE, ["ls"]).run().expect(0).says("(empty)");
    online.fulmar(ALICE, ["-b", "-"]).stdin("ls\n").run().expect(0).says("(empty)");
    online.fulmar(ALICE, ["shell"]).stdin("connme\n").run().expect(0).says(addr);
    // A pipe into the shell is a batch, too. A person's shell connects to what its own command line names and to
    // nothing else.
    online.fulmar(ALICE, ["shell"]).stdin("ls\n").run().expect(0).says("(empty)");
    let shell = online.terminal(ALICE, &["shell"]);
    shell.shows("fulmar> ");
    shell.enter("ls");
    shell.shows("not connected; use connme");
    shell.enter("quit");
    shell.wait().expect(0);
    online.fulmar(ALICE, ["ls"]).env("FULMAR_SERVER", "nowhere").run().expect(5);
    configure(&online, &(defaults("nowhere") + &hosts));
    online.fulmar(ALICE, ["ls"]).run().expect(5);
    online.fulmar(ALICE, ["ls"]).env("FULMAR_SERVER", "lab").run().expect(0);
    online.fulmar(ALICE, ["-s", "lab", "ls"]).env("FULMAR_SERVER", "nowhere").run().expect(0);
    // The last server comes behind the default, and is the next choice without one.
    online.fulmar(ALICE, ["shell"]).stdin("connme\n").run().expect(5);
    configure(&online, &hosts);
    online.fulmar(ALICE, ["shell"]).stdin("connme\n").run().expect(0).says(addr);
}

#[test]
fn options_count_more_than_the_file() {
    let online = Online::new();
    write(&online.local("a.bin"), bytes(2001, 3 * MIB));
    configure(&online, "[defaults]\nprogress = \"json\"\n");
    let types = |args: &[&str]| {
        let objects = online.ok([&["--json"], args].concat()).objects();
        objects.iter().map(|object| object["type"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let with_progress = types(&["upload", "a.bin", "1"]);
    assert!(with_progress.len() > 1 && with_progress[0] == "progress", "{with_progress:?}");
    assert_eq!(types(&["--progress", "none", "upload", "a.bin", "2"]), ["done"]);
    // No connection comes about in a nanosecond.
    configure(&online, "[defaults]\nconnect_timeout = \"1ns\"\n");
    online.fails(5, ["ls"]);
    online.ok(["--connect-timeout", "30s", "ls"]);
}

#[test]
fn a_key_of_the_file_is_the_only_one_accepted() {
    let Online { server, lab } = Online::new();
    let known_hosts = lab.state(ALICE).join("known_hosts");
    let run = |args: &[&str]| lab.fulmar(ALICE, ["-s", "lab"]).args(args).run();
    let table = |key: &str| format!("[hosts.lab]\nendpoint = \"{}\"\nfingerprint = \"{key}\"\n", server.addr);
    let wrong = format!("SHA256:{}", "A".repeat(43));
    fs::remove_file(&known_hosts).expect("removed");
    configure(&lab, &table(&wrong));
    for args in [&["ls"][..], &["--trust-new", "ls"], &["--yes", "ls"]] {
        run(args).expect(6);
    }
    assert!(!known_hosts.exists());
    // The command line's word counts more.
    run(&["--fingerprint", &server.fingerprint, "ls"]).expect(0);
    fs::remove_file(&known_hosts).expect("removed");
    configure(&lab, &table(&server.fingerprint));
    run(&["--fingerprint", &wrong, "ls"]).expect(6);
    // With the right key in the file nobody has to be asked.
    run(&["ls"]).expect(0).says("(empty)");
}

#[test]
fn shells_and_batches_start_in_the_named_directory_and_single_commands_do_not() {
    let online = Online::new();
    online.ok(["mkdir", "incoming"]);
    named(&online, "start_dir = \"/incoming\"\n");
    write(&online.local("a.txt"), "x");
    let script = "pwd\nupload a.txt\nbyebye\nconnme lab\npwd\ncd\npwd\n";
    let output = online.fulmar(ALICE, ["-q", "shell", "lab"]).stdin(script).run().expect(0);
    assert_eq!(output.out(), "/incoming\n/incoming\n/\n");
    assert_eq!(online.fulmar(ALICE, ["-s", "lab", "ls"]).run().expect(0).out(), "incoming/\n");
    assert!(online.share("incoming/a.txt").exists());
    let shell = online.terminal(ALICE, &["-s", "lab"]);
    shell.shows("fulmar 127.0.0.1:/incoming> ");
    shell.enter("quit");
    shell.wait().expect(0);
    // By its address it is the server as such.
    assert_eq!(online.batch("pwd\n").expect(0).out(), "/\n");
}

#[test]
fn a_file_that_cannot_be_used_ends_every_command_of_a_client() {
    let online = Online::new();
    let path = file(&online);
    let shown = path.to_string_lossy().into_owned();
    let token = format!("{}a", "b".repeat(25));
    let invite = format!("[hosts.lab]\nendpoint = \"fulmar://{}.{token}@lab\"\n", "a".repeat(52));
    let cases = [
        ("[defaults]\ncolour = 1\n", "line 2, column 1: unknown field `colour`"),
        (&invite, "line 2, column 12: an invite's secret does not belong in the file"),
    ];
    for (text, message) in cases {
        configure(&online, text);
        for args in [&["-s", "lab", "ls"][..], &["hosts"], &["shell"], &["-b", "-"]] {
            let output = online.fulmar(ALICE, args).run().expect(2).complains(&shown).complains(message);
            assert!(!output.stderr.contains(&token) && output.stdout.is_empty(), "{output}");
            assert_eq!(output.stderr.lines().count(), 1, "{output}");
        }
        let error = online.fulmar(ALICE, ["--json", "ls"]).run().expect(2).one_object();
        assert_eq!((&error["kind"], &error["object"]), (&"config".into(), &shown.clone().into()));
    }
    // What has no use for it is not kept from working.
    for args in [&["help"][..], &["fingerprint", "--client"], &["completions", "bash"]] {
        online.fulmar(ALICE, args).run().expect(0);
    }
    configure(&online, "");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("set");
    online.fulmar(ALICE, ["hosts"]).run().expect(2).complains("others may write it");
}

#[test]
fn the_environment_names_the_file_and_then_it_has_to_be_there() {
    let online = Online::new();
    let other = online.path("other.toml");
    let shown = other.to_string_lossy().into_owned();
    configure(&online, "broken");
    online.fulmar(ALICE, ["hosts"]).env("FULMAR_CONFIG", "").run().expect(2);
    let output = online.fulmar(ALICE, ["hosts"]).env("FULMAR_CONFIG", &shown).run().expect(2);
    output.complains(&shown).complains("FULMAR_CONFIG");
    // Adding to it makes it.
    let add = ["hosts", "add", "lab", &online.server.addr];
    online.fulmar(ALICE, add).env("FULMAR_CONFIG", &shown).run().expect(0);
    online.fulmar(ALICE, ["-s", "lab", "ls"]).env("FULMAR_CONFIG", &shown).run().expect(0).says("(empty)");
    // Nobody is told of a file that the user does not have.
    fs::remove_file(file(&online)).expect("removed");
    let output = online.fulmar(ALICE, ["hosts"]).run().expect(0);
    assert_eq!(output.stderr, "");
}
