//! The shell's manners: whatever is typed is answered, and the shell lives.

use std::net::UdpSocket;

use crate::harness::{
    ALICE, Lab, Online,
    data::write,
    process::WATCHDOG,
    terminal::{CTRL_C, CTRL_D},
};

/// Lines that are no commands, and a part of what is said about each.
const BAD: [(&str, &str); 11] = [
    ("frobnicate", "frobnicate"),
    ("frobnicate a b --c", "frobnicate"),
    ("rm", "rm"),
    ("size", "size"),
    ("upload", "upload"),
    ("mv one", "mv"),
    ("verify a", "verify"),
    ("ls 'left open", "quote"),
    ("ls \"left open", "quote"),
    ("ls --no-such-option", "no-such-option"),
    ("upload -f --on-exists skip a", "on-exists"),
];

#[test]
fn s16_what_is_no_command_is_answered_and_the_shell_lives() {
    let lab = Lab::new();
    let shell = lab.terminal(ALICE, &[]);
    for (line, said) in BAD {
        shell.shows("fulmar> ");
        shell.enter(line);
        // What was typed is shown by the terminal first.
        shell.shows("\n");
        shell.shows("fulmar: ");
        shell.shows(said);
    }
    shell.shows("fulmar> ");
    shell.enter("lpwd");
    shell.shows("/local");
    shell.enter("byebye");
    shell.wait().expect(0);
}

#[test]
fn s16_in_a_batch_a_bad_line_is_a_failure_of_usage() {
    let lab = Lab::new();
    for (line, said) in BAD {
        let script = format!("lls\n{line}\nlpwd\n");
        let output = lab.fulmar(ALICE, ["shell"]).stdin(script).run().expect(2);
        assert_eq!(output.out(), "(empty)\n", "the batch ends there");
        assert!(output.stderr.starts_with("fulmar: ") && output.stderr.contains("line 2"), "{output}");
        output.complains(said);
        // With a dash in front it goes on.
        let script = format!("-{line}\nlls\n");
        assert_eq!(lab.fulmar(ALICE, ["shell"]).stdin(script).run().expect(0).out(), "(empty)\n");
    }
}

#[test]
fn s16_hostile_lines_are_answered_too() {
    let lab = Lab::new();
    let long = "x".repeat(100_000);
    let lines = [
        &long[..],
        "\u{1b}[2J\u{7}",
        "ls \u{0}",
        "🦭",
        "-",
        "--",
        "---ls",
        "\\",
        "help nothing",
        "\u{feff}ls",
    ];
    for line in lines {
        let script = format!("-{line}\nlls\n");
        let output = lab.fulmar(ALICE, ["shell"]).stdin(script).run().expect(0);
        assert_eq!(output.out(), "(empty)\n");
        assert!(!output.stderr.contains(['\u{1b}', '\u{7}', '\u{0}']), "{output}");
    }
    // Bytes that are no text.
    let output = lab.fulmar(ALICE, ["shell"]).stdin(b"\xff\xfe\nlls\n".to_vec()).run();
    assert_eq!(output.expect(2).out(), "");
}

#[test]
fn s16_case_blanks_comments_and_empty_lines_do_not_matter() {
    let lab = Lab::new();
    let script = "# a comment\n\n   \n  LLS  \nLpWd\r\n#lls\nlls";
    let output = lab.fulmar(ALICE, ["shell"]).stdin(script).run().expect(0);
    let here = lab.path("local").canonicalize().expect("there");
    assert_eq!(output.out(), format!("(empty)\n{}\n(empty)\n", here.display()));
}

#[test]
fn s16_control_c_at_the_prompt_clears_the_line() {
    let lab = Lab::new();
    let shell = lab.terminal(ALICE, &[]);
    shell.shows("fulmar> ");
    shell.type_text("rm everyth");
    shell.shows("rm everyth");
    shell.type_text(CTRL_C);
    shell.shows("fulmar> ");
    shell.enter("lpwd");
    shell.shows("/local");
    shell.shows("fulmar> ");
    assert!(!shell.text().contains("not connected"), "the cleared line was run");
    shell.type_text(CTRL_D);
    shell.wait().expect(0);
}

#[test]
fn s16_control_c_gives_up_connecting() {
    let lab = Lab::new();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    silent.set_read_timeout(Some(WATCHDOG)).expect("not zero");
    let shell = lab.terminal(ALICE, &[]);
    shell.shows("fulmar> ");
    shell.enter(&format!("connme {}", silent.local_addr().expect("bound")));
    // Its first packet: from here on it waits for an answer.
    silent.recv(&mut [0; 2048]).expect("a packet");
    shell.type_text(CTRL_C);
    shell.shows("fulmar: connme: cancelled");
    shell.shows("fulmar> ");
    shell.enter("byebye");
    shell.wait().expect(0);
}

#[test]
fn s16_every_word_for_leaving_leaves() {
    let online = Online::new();
    for word in ["quit", "exit", "QUIT", "byebye\nbyebye", "bye\nbye"] {
        let script = format!("connme {}\n{word}\nlpwd\n", online.server.addr);
        let output = online.fulmar(ALICE, ["shell"]).stdin(script).run().expect(0);
        assert!(!output.out().contains("/local"), "{word}: {output}");
    }
}

#[test]
fn s16_help_names_every_command() {
    let lab = Lab::new();
    let help = lab.fulmar(ALICE, ["shell"]).stdin("help\nhelp upload\nhelp UPLOAD\n").run().expect(0);
    for verb in [
        "connme", "ls", "size", "rm", "upload", "download", "byebye", "stat", "mkdir", "mv", "verify",
        "hash", "lls", "lcd", "lpwd", "cd", "pwd", "quit",
    ] {
        assert!(
            help.out().contains(&format!("\n  {verb} ")) || help.out().starts_with(&format!("  {verb} ")),
            "{verb}"
        );
    }
    assert!(help.out().contains("--on-exists"));
    assert_eq!(help.stderr, "");
}

#[test]
fn a_failure_in_a_shell_is_not_its_exit_code() {
    let online = Online::new();
    let shell = online.terminal(ALICE, &["shell", &online.server.addr]);
    shell.shows(":/> ");
    shell.enter("rm gone.txt");
    shell.shows("gone.txt: no such file");
    shell.shows(":/> ");
    shell.enter("quit");
    shell.wait().expect(0);
}

#[test]
fn a_bar_is_shown_on_a_terminal_and_gone_afterwards() {
    let online = Online::new();
    write(&online.local("a.bin"), vec![5; 8 << 20]);
    let shell = online.terminal(ALICE, &["-s", &online.server.addr, "upload", "a.bin"]);
    shell.shows("verified");
    let text = shell.text();
    shell.wait().expect(0);
    assert!(text.contains('\u{1b}') || !text.contains('%'), "a bar is drawn with escape sequences: {text:?}");
    let last = text.lines().last().expect("a line");
    assert!(last.contains("a.bin -> a.bin  8.39 MB in "), "{text:?}");
}
