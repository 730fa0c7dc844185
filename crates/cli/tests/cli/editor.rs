//! The line editor of the shell: what a person at a terminal expects of it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rustix::process::Signal;

use crate::harness::{
    ALICE, Lab, Online, Terminal, Way,
    data::{MIB, assert_absent, assert_holds, bytes, write},
    terminal::{CTRL_C, CTRL_D, CTRL_Z, DELETE, ENTER, HOME, TAB, UP, WIDE},
};

/// The prompt of a connected shell in the root.
const CONNECTED: &str = "fulmar 127.0.0.1:/> ";

/// A shell that is connected.
fn connected(online: &Online) -> Terminal {
    let shell = online.terminal(ALICE, &["shell", &online.server.addr]);
    shell.shows(CONNECTED);
    shell
}

/// Throws the line away. What is typed before the next prompt is there goes with it.
fn clear_line(shell: &Terminal, prompt: &str) {
    shell.type_text(CTRL_C);
    // The end of this line, then the next one.
    shell.shows("\n");
    shell.shows(prompt);
}

fn leave(shell: Terminal) {
    shell.enter("quit");
    shell.wait().expect(0);
}

#[test]
fn tab_completes_a_remote_name_with_a_space_whatever_is_typed_of_it() {
    let online = Online::new();
    write(&online.share("my file's.txt"), "four");
    let shell = connected(&online);
    for (typed, completed) in [
        ("size my", "size my\\ file\\'s.txt "),
        ("size my\\ f", "size my\\ file\\'s.txt "),
        ("size 'my", "size 'my file'\\''s.txt' "),
        ("size \"my f", "size \"my file's.txt\" "),
        ("SIZE /m", "SIZE /my\\ file\\'s.txt "),
    ] {
        shell.completes(typed, completed);
        shell.type_text(ENTER);
        shell.shows("(4 bytes)  ");
        shell.shows("my file's.txt");
        shell.shows(CONNECTED);
    }
    leave(shell);
}

#[test]
fn tab_completes_verbs_local_names_options_and_directories() {
    let online = Online::new();
    write(&online.local("it is [1].txt"), "four");
    write(&online.share("in here/deep/a.txt"), "x");
    write(&online.share("in.txt"), "x");
    let shell = connected(&online);
    shell.completes("stat in\\ here/deep/", "stat in\\ here/deep/a.txt ");
    clear_line(&shell, CONNECTED);
    for (typed, completed) in [
        ("UPL", "upload "),
        ("it", "upload it\\ is\\ \\[1\\].txt "),
        ("--on", "--on-exists "),
        ("ren", "rename "),
        ("--t", "--to "),
        // Only directories go there, and one can go on behind them.
        ("i", "in\\ here/"),
        ("d", "in\\ here/deep/"),
    ] {
        shell.completes(typed, completed);
    }
    shell.type_text(ENTER);
    shell.shows("-> in here/deep/it is [1].txt");
    shell.shows("verified");
    assert_holds(&online.share("in here/deep/it is [1].txt"), b"four");
    shell.shows(CONNECTED);
    // What the server has now is offered, although it was not there a moment ago.
    shell.completes("cd in", "cd in\\ here/");
    shell.type_text(ENTER);
    shell.shows("fulmar 127.0.0.1:/in here> ");
    shell.completes("rm deep/it", "rm deep/it\\ is\\ \\[1\\].txt ");
    shell.type_text(ENTER);
    shell.shows("removed ");
    assert_absent(&online.share("in here/deep/it is [1].txt"));
    leave(shell);
}

#[test]
fn tab_lists_what_is_ambiguous_and_connects_to_nothing() {
    let online = Online::new();
    write(&online.local("one.txt"), "x");
    write(&online.local("other.txt"), "x");
    let shell = online.terminal(ALICE, &[]);
    shell.shows("fulmar> ");
    shell.type_text(&format!("upload o{TAB}{TAB}"));
    shell.shows("one.txt");
    shell.shows("other.txt");
    shell.shows("fulmar> upload o");
    clear_line(&shell, "fulmar> ");
    // Known servers are named, remote files are not looked for.
    shell.type_text(&format!("size {TAB}{TAB}"));
    clear_line(&shell, "fulmar> ");
    shell.completes("connme 127", &format!("connme {} ", online.server.addr));
    clear_line(&shell, "fulmar> ");
    leave(shell);
    let connected = online.stop().log().iter().filter(|record| record["event"] == "connected").count();
    assert_eq!(connected, 1, "only the enrolment has connected");
}

#[test]
fn control_c_cancels_a_transfer_and_it_can_be_repeated() {
    let online = Online::new();
    let content = bytes(1, 8 * MIB);
    write(&online.local("big.bin"), &content);
    let relay = online.relay();
    let shell = online.terminal(ALICE, &["shell", &relay.addr.to_string()]);
    for presses in 1..=3 {
        shell.shows(CONNECTED);
        relay.go_dark_after(Way::Up, MIB);
        shell.enter("upload big.bin");
        relay.wait_until_dark();
        // It stands still in the middle, so this is what ends it.
        shell.type_text(&CTRL_C.repeat(presses));
        shell.shows("fulmar: upload: cancelled");
        relay.clear();
        assert_absent(&online.share("big.bin"));
    }
    shell.shows(CONNECTED);
    shell.enter("upload big.bin");
    shell.shows("big.bin -> big.bin");
    shell.shows("verified");
    shell.enter("verify big.bin big.bin");
    shell.shows("identical");
    assert_holds(&online.share("big.bin"), &content);
    shell.shows(CONNECTED);
    shell.type_text(CTRL_D);
    shell.wait().expect(0);
}

#[test]
fn control_c_at_the_question_cancels_it_and_the_prompt_works() {
    let Online { server, lab } = Online::new();
    let known_hosts = lab.state(ALICE).join("known_hosts");
    fs::remove_file(&known_hosts).expect("removed");
    let shell = lab.terminal(ALICE, &[]);
    for _ in 0..2 {
        shell.shows("fulmar> ");
        shell.enter(&format!("connme {}", server.addr));
        shell.shows("paste the fingerprint: ");
        shell.type_text(&format!("ye{CTRL_C}"));
        shell.shows("fulmar: connme: cancelled");
        shell.shows("fulmar> ");
        assert_absent(&known_hosts);
        // The next line is a command and no answer.
        shell.enter("lpwd");
        shell.shows("/local");
    }
    shell.shows("fulmar> ");
    shell.enter(&format!("connme {}", server.addr));
    shell.shows("paste the fingerprint: ");
    // Neither history nor completion is there for an answer.
    shell.type_text(&format!("{UP}{TAB}"));
    shell.enter("yes");
    shell.shows(&format!("connected to {}", server.addr));
    shell.shows(CONNECTED);
    shell.type_text(UP);
    shell.shows(&format!("connme {}", server.addr));
    clear_line(&shell, CONNECTED);
    leave(shell);
}

#[test]
fn a_half_yes_is_told_what_a_whole_one_is() {
    let Online { server, lab } = Online::new();
    fs::remove_file(lab.state(ALICE).join("known_hosts")).expect("removed");
    let shell = lab.terminal(ALICE, &[]);
    for (answer, told) in [("y", "a whole yes"), ("", "the key was not accepted")] {
        shell.shows("fulmar> ");
        shell.enter(&format!("connme {}", server.addr));
        shell.shows("paste the fingerprint: ");
        shell.enter(answer);
        shell.shows(told);
    }
    shell.shows("fulmar> ");
    leave(shell);
}

#[test]
fn the_history_keeps_lines_over_runs_and_no_secrets() {
    let lab = Lab::new();
    let server = lab.serve(&[]);
    let invite = server.invite.clone().expect("nobody is enrolled");
    let token = invite.split(['.', '@']).nth(1).expect("a token").to_owned();
    let shell = lab.terminal(ALICE, &[]);
    shell.shows("fulmar> ");
    shell.enter("lpwd");
    shell.shows("fulmar> ");
    shell.enter(&format!("CONNME ful''{}", &invite[3..]));
    shell.shows(CONNECTED);
    shell.enter(" pwd");
    shell.shows(CONNECTED);
    // What is shown first is the line before those two.
    shell.type_text(UP);
    shell.shows("lpwd");
    shell.type_text(ENTER);
    shell.shows("/local");
    shell.shows(CONNECTED);
    shell.enter("size 'no such file'");
    shell.shows("hint: ");
    shell.shows(CONNECTED);
    shell.type_text(CTRL_D);
    shell.wait().expect(0);

    let path = lab.state(ALICE).join("history");
    let text = fs::read_to_string(&path).expect("kept");
    assert_eq!(text, "#V2\nlpwd\nsize 'no such file'\n");
    assert!(!text.contains(&token));
    let mode = |path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(path), mode(lab.state(ALICE))), (0o600, 0o700));

    let shell = lab.terminal(ALICE, &[]);
    shell.shows("fulmar> ");
    shell.type_text(&format!("{UP}{UP}"));
    shell.shows("lpwd");
    shell.type_text(ENTER);
    shell.shows("/local");
    leave(shell);
}

#[test]
fn two_shells_side_by_side_keep_each_others_lines() {
    let lab = Lab::new();
    let (a, b) = (lab.terminal(ALICE, &[]), lab.terminal(ALICE, &[]));
    for shell in [&a, &b] {
        shell.shows("fulmar> ");
    }
    for number in 0..3 {
        for (name, shell) in [("a", &a), ("b", &b)] {
            shell.enter(&format!("help {name}{number}"));
            shell.shows("there is no such command");
            shell.shows("fulmar> ");
        }
    }
    leave(a);
    leave(b);
    let text = fs::read_to_string(lab.state(ALICE).join("history")).expect("kept");
    for line in ["help a0", "help b0", "help a1", "help b1", "help a2", "help b2"] {
        assert!(text.lines().any(|kept| kept == line), "{line}: {text}");
    }
}

#[test]
fn a_history_that_cannot_be_used_is_told_once_and_the_shell_works() {
    let lab = Lab::new();
    let elsewhere = lab.local("precious.txt");
    write(&elsewhere, "precious\n");
    fs::create_dir_all(lab.state(ALICE)).expect("made");
    std::os::unix::fs::symlink(&elsewhere, lab.state(ALICE).join("history")).expect("linked");
    let shell = lab.terminal(ALICE, &[]);
    shell.shows("fulmar: history: ");
    shell.shows("symbolic link");
    for _ in 0..2 {
        shell.shows("fulmar> ");
        shell.enter("lpwd");
        shell.shows("/local");
    }
    shell.shows("fulmar> ");
    let text = shell.text();
    leave(shell);
    assert_eq!(text.matches("symbolic link").count(), 1, "{text:?}");
    assert_holds(&elsewhere, b"precious\n");
}

#[test]
fn sigterm_at_a_prompt_or_a_question_leaves_the_terminal_as_it_was() {
    let Online { server, lab } = Online::new();
    fs::remove_file(lab.state(ALICE).join("known_hosts")).expect("removed");
    for question in [false, true] {
        // Below another process, as usual: the terminal is looked at once the shell has ended.
        let shell = lab.terminal_below_sh(ALICE, &[], "echo ended $?; stty -a");
        shell.shows("fulmar> ");
        if question {
            shell.enter(&format!("connme {}", server.addr));
            shell.shows("paste the fingerprint: ");
        }
        shell.signal_child(Signal::TERM);
        shell.shows("ended 143");
        shell.shows("speed ");
        shell.shows("iexten");
        let text = shell.text();
        shell.wait().expect(0);
        let modes = &text[text.find("speed ").expect("shown")..];
        for mode in [" isig", " icanon", " icrnl", " echo "] {
            assert!(modes.replace('\n', " ").contains(mode), "{mode}: {modes:?}");
        }
        // Pastes are marked no longer either.
        let last = |sequence: &str| text.rfind(sequence).expect(sequence);
        assert!(last("\u{1b}[?2004l") > last("\u{1b}[?2004h"), "{text:?}");
    }
}

#[test]
fn a_shell_that_was_stopped_goes_on_where_it_was() {
    let lab = Lab::new();
    // As a shell with job control does, which sets the terminal up for itself in between.
    let afterwards = "echo stopped; stty sane; fg; echo ended $?";
    let shell = lab.terminal_below_sh(ALICE, &[], &format!("{afterwards}; {afterwards}"));
    shell.shows("fulmar> ");
    shell.type_text("lp");
    for _ in 0..2 {
        shell.type_text(CTRL_Z);
        shell.shows("stopped\r\n");
        shell.shows("fulmar> ");
    }
    shell.completes("w", "lpwd ");
    shell.type_text(ENTER);
    shell.shows("/local");
    shell.shows("fulmar> ");
    shell.enter("quit");
    shell.shows("ended 0");
    shell.wait().expect(0);
}

#[test]
fn a_signal_from_elsewhere_does_not_disturb_the_line() {
    let lab = Lab::new();
    let shell = lab.terminal(ALICE, &[]);
    shell.shows("fulmar> ");
    shell.type_text("lp");
    shell.shows("lp");
    shell.signal(Signal::INT);
    shell.enter("wd");
    shell.shows("/local");
    leave(shell);
}

#[test]
fn a_narrow_terminal_has_room_to_type() {
    let online = Online::new();
    let long = "a rather long name of a file that is wider than the terminal.txt";
    write(&online.share("projects/2026/november/site").join(long), "four");
    let shell = online.terminal_with(ALICE, &["shell", &online.server.addr], &[], (50, 40));
    shell.shows(CONNECTED);
    shell.enter("cd projects/2026/november/site");
    shell.shows("fulmar 127.0.0.1:/p…/site> ");
    // The line wraps, and can be edited at its beginning all the same.
    shell.completes("size 'a r", "terminal.txt'");
    shell.type_text(&format!("{HOME}{DELETE}{DELETE}{DELETE}{DELETE}du{ENTER}"));
    shell.shows("(4 bytes)  ");
    shell.enter("pwd");
    shell.shows("/projects/2026/november/site");
    leave(shell);
}

#[test]
fn a_dumb_terminal_has_a_prompt_and_no_escape_byte() {
    let Online { server, lab } = Online::new();
    fs::remove_file(lab.state(ALICE).join("known_hosts")).expect("removed");
    let shell = lab.terminal_with(ALICE, &[], &[("TERM", "dumb")], WIDE);
    shell.shows("fulmar> ");
    shell.enter(&format!("connme {}", server.addr));
    shell.shows("paste the fingerprint:");
    shell.enter("yes");
    shell.shows(&format!("connected to {}", server.addr));
    shell.shows(CONNECTED);
    shell.type_text(&format!("nonsense{CTRL_C}"));
    shell.shows(CONNECTED);
    shell.enter("pwd");
    shell.shows("/");
    shell.shows(CONNECTED);
    let text = shell.text();
    leave(shell);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(!text.replace("\r\n", "\n").contains('\r'), "{text:?}");
}

#[test]
fn hints_are_grey_or_not_there() {
    let lab = Lab::new();
    let typed = |variables: &[(&str, &str)]| {
        let shell = lab.terminal_with(ALICE, &[], variables, WIDE);
        shell.shows("fulmar> ");
        shell.type_text("rm ");
        clear_line(&shell, "fulmar> ");
        shell.enter("lpwd");
        shell.shows("/local");
        let text = shell.text();
        leave(shell);
        text
    };
    assert!(typed(&[]).contains("\u{1b}[90mPATH...\u{1b}[0m"));
    let plain = typed(&[("NO_COLOR", "1")]);
    assert!(!plain.contains("PATH...") && !plain.contains("\u{1b}[90m"), "{plain:?}");
}

#[test]
fn lines_that_are_pasted_or_typed_ahead_run_one_by_one() {
    let lab = Lab::new();
    let shell = lab.terminal(ALICE, &[]);
    shell.shows("fulmar> ");
    shell.paste("lcd ..\nlpwd\n# a comment\nlls local");
    shell.type_text(ENTER);
    shell.shows(&lab.path("local").parent().expect("the tree").to_string_lossy());
    shell.shows("(empty)");
    shell.shows("fulmar> ");
    // Faster than the shell, in one piece.
    shell.type_text(&format!("lcd local{ENTER}lpwd{ENTER}quit{ENTER}"));
    shell.shows("/local");
    shell.wait().expect(0);
}

#[test]
fn what_was_pasted_behind_a_cancelled_command_is_not_run() {
    let online = Online::new();
    write(&online.local("big.bin"), bytes(1, 8 * MIB));
    let relay = online.relay();
    let shell = online.terminal(ALICE, &["shell", &relay.addr.to_string()]);
    shell.shows(CONNECTED);
    relay.go_dark_after(Way::Up, MIB);
    shell.paste("upload big.bin\nquit\nquit\n");
    shell.type_text(ENTER);
    relay.wait_until_dark();
    shell.type_text(CTRL_C);
    shell.shows("fulmar: upload: cancelled");
    shell.shows("not run: the other lines that were pasted (2)");
    relay.clear();
    shell.shows(CONNECTED);
    leave(shell);
}

#[test]
fn a_changed_key_has_a_banner_on_a_terminal() {
    let Online { server, lab } = Online::new();
    let (addr, old) = (server.addr.clone(), server.fingerprint.clone());
    server.stop().expect(0);
    fs::rename(lab.state("server"), lab.state("old server")).expect("moved away");
    let server = lab.serve_on(&addr, &[]);
    let known = fs::read_to_string(lab.state(ALICE).join("known_hosts")).expect("known");
    let first_seen = known.trim().rsplit_once('=').expect("a date").1.to_owned();

    let shell = lab.terminal(ALICE, &["shell", &addr]);
    shell.shows(&format!("SERVER KEY CHANGED for {addr}\r\n"));
    shell.shows(&format!("  known since {first_seen}  {old}\r\n"));
    shell.shows(&format!("  offered now             {}\r\n", server.fingerprint));
    shell.shows("Nothing was sent.\r\n");
    shell.shows(&format!("fulmar: connme: {addr}: the server's key has changed"));
    shell.shows(&format!(": hosts forget {addr}, then connect again"));
    shell.shows("fulmar> ");
    leave(shell);
    let one_shot = lab.terminal(ALICE, &["-s", &addr, "ls"]);
    one_shot.shows("SERVER KEY CHANGED");
    one_shot.shows(&format!("fulmar hosts forget {addr}"));
    one_shot.wait().expect(6);
    // Elsewhere the error line and its hint are all, and a key that was demanded is not taken for one offered.
    let run = |args: &[&str]| lab.fulmar(ALICE, args).run().expect(6);
    let output = run(&["-s", &addr, "ls"]);
    assert!(!output.stderr.contains("SERVER KEY CHANGED"), "{output}");
    let output = run(&["--fingerprint", &server.fingerprint, "-s", &addr, "ls"]);
    assert!(!output.stderr.contains("offered"), "{output}");
    output.complains(&format!("the demanded key {} is not the key that is known", server.fingerprint));
    let invite = server.invite.clone().expect("nobody is enrolled");
    run(&["-s", &invite, "ls"]).complains("the invite's key SHA256:");
    // Nothing is known here: the pin is wrong, and no key has changed.
    let output = lab.fulmar("bob", ["--fingerprint", &old, "-s", &addr, "ls"]).run().expect(6);
    assert!(!output.stderr.contains("changed"), "{output}");
    output.complains(&format!("offered {}", server.fingerprint));
}
