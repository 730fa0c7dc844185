//! Hints that can be run where they appear, and secrets that appear nowhere.

use crate::harness::{ALICE, Lab, Online, Output, data::write};

/// The hint of a failure.
#[track_caller]
fn hint(output: &Output) -> String {
    let hint = output.stderr.lines().find_map(|line| line.strip_prefix("hint: "));
    hint.unwrap_or_else(|| panic!("no hint: {output}")).to_owned()
}

/// The words behind the program in a command of a hint that is a whole command line.
#[track_caller]
fn command(hint: &str) -> Vec<String> {
    let words = shell_words::split(hint).expect("words");
    assert_eq!(words[0], "fulmar", "{hint}");
    words[1..].to_vec()
}

#[test]
fn a_hint_on_a_command_line_is_a_whole_command_that_works() {
    let online = Online::new();
    online.ok(["mkdir", "-p", "a b/c"]);
    write(&online.local("x.txt"), "x");
    let addr = &online.server.addr;

    let refused = hint(&online.fails(1, ["rm", "a b"]));
    assert_eq!(refused, format!("fulmar -s {addr} rm -r 'a b'"));
    online.fulmar(ALICE, command(&refused)).run().expect(0).says("removed a b");

    let missing = hint(&online.fails(3, ["upload", "x.txt", "no where/"]));
    assert_eq!(missing, format!("fulmar -s {addr} mkdir -p '/no where'"));
    online.fulmar(ALICE, command(&missing)).run().expect(0);
    online.ok(["upload", "x.txt", "no where/"]);

    // Where the environment names the server, the next command finds it there too.
    let by_environment = online.fulmar(ALICE, ["rm", "no where"]).env("FULMAR_SERVER", addr).run().expect(1);
    assert_eq!(hint(&by_environment), "fulmar rm -r 'no where'");
    let state = online.state(ALICE);
    let state = state.to_str().expect("text");
    let with_state = online.fulmar("stranger", ["--state", state, "-s", addr, "rm", "no where"]).run();
    assert_eq!(hint(&with_state.expect(1)), format!("fulmar --state {state} -s {addr} rm -r 'no where'"));
    // In JSON it is the same.
    let object = online.run(["--json", "rm", "no where"]).expect(1).one_object();
    assert_eq!(object["hint"], format!("fulmar -s {addr} rm -r 'no where'"));

    // In a batch and in the shell, a line begins with the verb.
    assert_eq!(hint(&online.batch("rm 'no where'\n").expect(1)), "rm -r 'no where'");
}

#[test]
fn the_administrators_hints_keep_the_state_folder() {
    let online = Online::new();
    let (state, other) = (online.state("server"), online.path("elsewhere"));
    let (state, other) = (state.to_str().expect("text"), other.to_str().expect("text"));
    let own = online.fulmar(ALICE, ["fingerprint", "--client"]).run().expect(0);
    let own = own.out().trim();
    let again = online.fulmar("anyone", ["--state", state, "clients", "add", own, "--grants", "list"]).run();
    assert_eq!(hint(&again.expect(8)), format!("fulmar --state {state} clients grant {own} list"));
    let invite = online.fulmar("anyone", ["--state", other, "invite"]).run().expect(2);
    assert_eq!(hint(&invite), format!("fulmar --state {other} invite --public-addr HOST[:PORT]"));
}

#[test]
fn commands_of_the_system_are_named_as_such_in_the_shell() {
    let lab = Lab::new();
    let alone = lab.fulmar(ALICE, ["nonsense"]).run().expect(2);
    assert_eq!(hint(&alone), "`fulmar help` lists the commands");
    let in_batch = lab.fulmar(ALICE, ["shell"]).stdin("nonsense\n").run().expect(2);
    assert_eq!(hint(&in_batch), "`help` lists the commands");
    let nested = lab.fulmar(ALICE, ["clients", "nonsense"]).run().expect(2);
    assert_eq!(hint(&nested), "`fulmar clients --help` lists its commands");
}

#[test]
fn the_secret_of_an_invite_is_in_no_message() {
    let lab = Lab::new();
    let (fingerprint, token) = ("a".repeat(52), "bcdefghijklmnopqrstuvwxyza");
    let invite = |host: &str| format!("fulmar://{fingerprint}.{token}@{host}");
    let (good, bad) = (invite("lab.invalid"), invite("h:99999"));
    let command_lines: [&[&str]; 8] = [
        &["connme", &bad],
        &["-s", &bad, "ls"],
        &["connme", "lab", &good],
        &[&good, "ls"],
        &[&good],
        &["ls", &good],
        &["help", &good],
        &["hosts", "add", "lab", &good],
    ];
    for args in command_lines {
        for json in [&[][..], &["--json"]] {
            let output = lab.fulmar(ALICE, json).args(args).run();
            assert_ne!(output.code, Some(0), "{output}");
            let shown = format!("{}{}", output.stderr, output.out()).to_lowercase();
            assert!(!shown.contains(token), "{output}");
        }
    }
    let upper = good.to_uppercase();
    let lines = [
        format!("connme {bad}"),
        format!("connme lab {good}"),
        format!("{good} ls"),
        upper,
        format!("'{good}'"),
        format!("{good} 'open"),
        format!("ls {good}"),
        format!("help {good}"),
    ];
    let script: String = lines.iter().map(|line| format!("-{line}\n")).collect();
    for json in [&["shell"][..], &["--json", "shell"]] {
        let output = lab.fulmar(ALICE, json).stdin(script.as_str()).run().expect(0);
        assert_eq!(output.stderr.matches("fulmar: ").count(), lines.len(), "{output}");
        let shown = format!("{}{}", output.stderr, output.out()).to_lowercase();
        assert!(!shown.contains(token), "{output}");
        assert!(shown.contains(&format!("{fingerprint}...@h:99999")), "{output}");
    }
}
