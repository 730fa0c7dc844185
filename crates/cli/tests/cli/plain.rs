//! Where no escape sequences are wanted there are none, and no carriage returns.

use std::{fs::File, process::Stdio};

use crate::harness::{
    ALICE, Online, Process, Relay, Terminal, Way,
    data::{MIB, bytes, write},
};

/// One line of every verb and of every kind of failure, in an order that works.
const COMMANDS: [&[&str]; 25] = [
    &["connme"],
    &["upload", "-f", "a.bin"],
    &["upload", "-f", "*.bin"],
    &["upload", "-v", "a.bin", "copy.bin"],
    &["ls"],
    &["ls", "-la"],
    &["ls", "*.bin"],
    &["size", "a.bin", "*.bin"],
    &["stat", "a.bin"],
    &["hash", "a.bin"],
    &["verify", "a.bin", "a.bin"],
    &["mkdir", "-p", "d/e"],
    &["mv", "-f", "copy.bin", "d"],
    &["download", "-f", "a.bin", "back.bin"],
    &["download", "-f", "*.bin", "."],
    &["lls", "-l"],
    &["lpwd"],
    &["help", "upload"],
    &["ls", "-l", "d"],
    &["status"],
    &["hosts"],
    &["rm", "-r", "d"],
    &["rm", "gone*"],
    &["download", "gone"],
    &["nonsense"],
];

#[track_caller]
fn check_plain(text: &str, command: &[&str]) {
    let found = text.find(|c: char| c.is_control() && c != '\n');
    assert_eq!(found, None, "{command:?}: {text:?}");
}

#[test]
fn no_verb_prints_control_characters_to_pipes_and_files() {
    let online = Online::new();
    write(&online.local("a.bin"), bytes(2_401, 4 * MIB));
    write(&online.local("b.bin"), "b");
    for command in COMMANDS {
        for options in [&[][..], &["--json"], &["--progress", "bar"], &["--progress", "plain"]] {
            let output = online.run([options, command].concat());
            check_plain(&String::from_utf8_lossy(&output.stdout), command);
            check_plain(&output.stderr, command);
        }
        let (out, err) = (online.path("tmp/out"), online.path("tmp/err"));
        let mut invocation = online.command(ALICE, command);
        let file = |path| File::create(path).expect("made");
        invocation.command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err));
        let child = invocation.command.spawn().expect("starts");
        Process::follow(child, format!("{command:?} to a file")).wait();
        for path in [out, err] {
            check_plain(&std::fs::read_to_string(path).expect("text"), command);
        }
    }
}

/// What a terminal was sent, its own carriage returns taken away.
#[track_caller]
fn check_terminal(text: &str) {
    check_plain(&text.replace("\r\n", "\n"), &[text]);
}

#[test]
fn on_a_plain_terminal_there_are_none_either() {
    let online = Online::new();
    write(&online.local("a.bin"), bytes(2_402, 4 * MIB));
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")] {
        for command in COMMANDS {
            let args = [&["-s", &online.server.addr], command].concat();
            let terminal = online.terminal_with(ALICE, &args, &[environment], (24, 80));
            check_terminal(&terminal.wait_for_all().1);
        }
    }
}

/// An upload under this name in a terminal that has come to a stop on its way.
fn stalled(
    online: &Online,
    relay: &Relay,
    (options, environment): (&[&str], (&str, &str)),
    name: &str,
) -> Terminal {
    relay.go_dark_after(Way::Up, 3 * MIB);
    let addr = relay.addr.to_string();
    let args = [&["-s", &addr], options, &["upload", "a.bin", name]].concat();
    let terminal = online.terminal_with(ALICE, &args, &[environment], (24, 80));
    relay.wait_until_dark();
    terminal
}

#[test]
fn a_long_transfer_stays_plain_too() {
    let online = Online::new();
    write(&online.local("a.bin"), bytes(2_403, 9 * MIB));
    let cases: [(&[&str], (&str, &str)); 4] = [
        (&[], ("NO_COLOR", "1")),
        (&[], ("TERM", "dumb")),
        (&["--progress", "bar"], ("TERM", "dumb")),
        (&["--progress", "none"], ("TERM", "xterm")),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let (plain_relay, bar_relay) = (online.relay(), online.relay());
        let plain = stalled(&online, &plain_relay, case, &format!("plain {number}"));
        // This one starts later and shows a bar: so would the other have done by now.
        let bar = (&["--progress", "bar"][..], ("NO_COLOR", "1"));
        let with_bar = stalled(&online, &bar_relay, bar, &format!("bar {number}"));
        with_bar.shows(" %");
        plain_relay.clear();
        bar_relay.clear();
        let (output, text) = plain.wait_for_all();
        assert_eq!(output.code, Some(0), "{case:?}: {text:?}");
        check_terminal(&text);
        // On a very slow machine a line of progress comes before it.
        let last: Vec<_> = text.lines().filter(|line| !line.contains(" %")).collect();
        assert!(last.len() == 1 && last[0].ends_with("verified"), "{case:?}: {text:?}");
        let (output, text) = with_bar.wait_for_all();
        assert_eq!(output.code, Some(0), "{text:?}");
        assert!(text.contains('\u{1b}'), "a bar is drawn with escape sequences: {text:?}");
    }
}

#[test]
fn colours_are_for_terminals_that_show_them() {
    let online = Online::new();
    std::fs::create_dir(online.share("in")).expect("made");
    let addr = &online.server.addr;
    let shown = |args: &[&str], environment| {
        let args = [&["-s", addr.as_str()], args].concat();
        online.terminal_with(ALICE, &args, environment, (24, 80)).wait_for_all().1
    };
    assert_eq!(shown(&["ls"], &[]), "\u{1b}[1m\u{1b}[34min/\u{1b}[0m\r\n");
    let failure = shown(&["rm", "gone"], &[]);
    assert!(failure.starts_with("\u{1b}[1m\u{1b}[31mfulmar\u{1b}[0m: rm: gone: "), "{failure:?}");
    assert!(failure.contains("\n\u{1b}[36mhint\u{1b}[0m: "), "{failure:?}");
    assert_eq!(shown(&["ls"], &[("NO_COLOR", "1")]), "in/\r\n");
    assert_eq!(shown(&["ls"], &[("TERM", "dumb")]), "in/\r\n");
}
