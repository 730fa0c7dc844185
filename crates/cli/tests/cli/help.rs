//! Help, completion scripts and manual pages, as the definition of the command line gives them.

use std::{
    fs,
    io::ErrorKind,
    process::{Command, Stdio},
};

use crate::harness::{ALICE, Lab, data::write};

const VERBS: [&str; 21] = [
    "connme", "byebye", "quit", "status", "hosts", "ls", "cd", "pwd", "size", "stat", "hash", "mkdir", "mv",
    "rm", "upload", "download", "verify", "lls", "lcd", "lpwd", "help",
];

#[test]
fn the_overview_is_grouped_and_fits_the_narrowest_usual_terminal() {
    let lab = Lab::new();
    let output = lab.fulmar(ALICE, ["shell"]).stdin("help\n").run().expect(0);
    let text = output.out();
    for title in ["Connection:", "Remote files:", "Transfers:", "Local side:", "Other:"] {
        assert!(text.lines().any(|line| line == title), "{text}");
    }
    for verb in VERBS {
        assert_eq!(
            text.lines().filter(|line| line.starts_with(&format!("  {verb} "))).count(),
            1,
            "{verb}: {text}"
        );
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn every_verb_is_explained_with_an_example_in_the_shell_and_on_the_command_line() {
    let lab = Lab::new();
    let script: String = VERBS.iter().map(|verb| format!("help {verb}\n")).collect();
    let output = lab.fulmar(ALICE, ["shell"]).stdin(script).run().expect(0);
    assert_eq!(output.out().matches("\nExamples:\n  ").count(), VERBS.len(), "{output}");
    for verb in ["ls", "upload", "hosts", "clients", "completions", "man"] {
        lab.fulmar(ALICE, [verb, "--help"]).run().expect(0).says("\nExamples:\n  ");
    }
    lab.fulmar(ALICE, ["help", "serve"]).run().expect(0).says("--listen");
    lab.fulmar(ALICE, ["help", "upload"]).run().expect(0).says("upload *.jpg --to holiday");
    lab.fulmar(ALICE, ["help", "nonsense"]).run().expect(2);
    lab.fulmar(ALICE, ["shell"]).stdin("help serve\n").run().expect(2);
    lab.fulmar(ALICE, ["hosts", "add", "--help"]).run().expect(0).says("--start-dir");
}

#[test]
fn completion_scripts_are_what_their_shells_understand() {
    let lab = Lab::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = lab.fulmar(ALICE, ["completions", shell]).run().expect(0);
        assert_eq!(output.stderr, "");
        for word in ["fulmar", "upload", "trust-new", "forget"] {
            assert!(output.out().contains(word), "{shell}: {word}");
        }
        let script = lab.path(shell);
        write(&script, output.out());
        if !["bash", "zsh", "fish"].contains(&shell) {
            continue;
        }
        let checked = Command::new(shell).arg("-n").arg(&script).stdin(Stdio::null()).output();
        match checked {
            Ok(checked) => {
                assert!(checked.status.success() && checked.stderr.is_empty(), "{shell}: {checked:?}");
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("skipped: there is no {shell} here");
            }
            Err(error) => panic!("{shell}: {error}"),
        }
    }
    lab.fulmar(ALICE, ["completions", "nonsense"]).run().expect(2);
    lab.fulmar(ALICE, ["completions"]).run().expect(2);
}

#[test]
fn the_manual_is_one_page_or_one_for_each_command() {
    let lab = Lab::new();
    let page = lab.fulmar(ALICE, ["man"]).run().expect(0);
    assert!(page.out().contains(".TH fulmar 1") && page.out().contains(".SH OPTIONS"), "{page}");
    let dir = lab.path("share/man/man1");
    let shown = dir.to_string_lossy().into_owned();
    lab.fulmar(ALICE, ["man", "--dir", &shown]).run().expect(0).says("wrote");
    for verb in VERBS.iter().chain(&["serve", "invite", "clients", "clients-revoke", "hosts-add"]) {
        let page = dir.join(format!("fulmar-{verb}.1"));
        let text = fs::read_to_string(&page).unwrap_or_else(|_| panic!("no {}", page.display()));
        assert!(text.contains(".SH NAME"), "{text}");
    }
    assert_eq!(fs::read_to_string(dir.join("fulmar.1")).expect("there"), page.out());
    // A second time it replaces what it wrote; where it cannot write it says so.
    lab.fulmar(ALICE, ["man", "--dir", &shown]).run().expect(0);
    write(&lab.path("file"), "");
    let file = lab.path("file").to_string_lossy().into_owned();
    lab.fulmar(ALICE, ["man", "--dir", &file]).run().expect(11);
}
