//! Several files of one command: at the same time, each told of, and all of them together.

use std::fs;

use rustix::process::Signal;

use crate::harness::{
    ALICE, Online, Output, Way,
    data::{MIB, assert_absent, assert_holds, assert_names, bytes, write},
    terminal::CTRL_C,
};

#[test]
fn files_are_under_way_at_the_same_time() {
    let online = Online::new();
    let relay = online.relay();
    for number in 0..6 {
        write(&online.local(&format!("{number}.bin")), bytes(2_000 + number, 4 * MIB));
    }
    relay.go_dark_after(Way::Up, 2 * MIB);
    let addr = relay.addr.to_string();
    let terminal = online.terminal_with(ALICE, &["-s", &addr, "upload", "*.bin"], &[], (24, 100));
    relay.wait_until_dark();
    // Four at most, in the order of their names; the others wait.
    for text in ["0 of 6 files", "0.bin ", "1.bin ", "2.bin ", "3.bin ", "0 of 6 files"] {
        terminal.shows(text);
    }
    let before = terminal.text();
    assert!(!before.contains("4.bin") && !before.contains("5.bin"), "{before:?}");
    assert!(!before.contains("verified"), "none has ended: {before:?}");
    relay.clear();
    terminal.shows("6 files, 25.17 MB in ");
    terminal.wait().expect(0);
    for number in 0..6 {
        assert_holds(&online.share(&format!("{number}.bin")), &bytes(2_000 + number, 4 * MIB));
    }
}

#[test]
fn objects_say_how_many_files_have_ended() {
    let online = Online::new();
    for number in 0..6 {
        write(&online.local(&format!("{number}.bin")), bytes(2_050 + number, 4 * MIB));
    }
    let output = online.ok(["--progress", "json", "--json", "upload", "*.bin"]);
    let objects = output.objects();
    let progress = |name: &str| -> Vec<_> {
        objects.iter().filter(|object| object["type"] == "progress" && object["path"] == name).collect()
    };
    assert!(progress("0.bin").iter().all(|object| object["files_total"] == 6), "{output}");
    // The last of six begins when two have ended.
    let last = progress("5.bin");
    let done = |object: &&&serde_json::Value| {
        object["files_done"].as_u64().is_some_and(|done| (2..=5).contains(&done))
    };
    assert!(!last.is_empty() && last.iter().all(|object| done(&object)), "{output}");
    let one = online.ok(["--progress", "json", "--json", "download", "0.bin", "copy.bin"]);
    assert!(one.objects().iter().all(|object| object.get("files_total").is_none()), "{one}");
}

#[test]
fn one_line_for_each_file_and_one_for_all() {
    let online = Online::new();
    for number in 0..9 {
        write(&online.local(&format!("{number}.txt")), "x".repeat(1_000));
    }
    let output = online.ok(["upload", "*.txt"]);
    let lines: Vec<_> = output.out().lines().collect();
    assert_eq!(lines.len(), 9, "{output}");
    assert!(lines.iter().all(|line| line.ends_with("  verified")), "{output}");
    let sum = output.stderr.strip_suffix('\n').expect("a line");
    assert!(
        sum.starts_with("9 files, 9.00 kB in ") && sum.ends_with("MB/s)") && !sum.contains('\n'),
        "{sum}"
    );
    // One file has no sum, a quiet command none, and a script has objects.
    assert_eq!(online.ok(["download", "1.txt", "copy.txt"]).stderr, "");
    fs::create_dir(online.local("d")).expect("made");
    let quiet = online.ok(["-q", "download", "*.txt", "d"]);
    assert_eq!((quiet.out(), &quiet.stderr[..]), ("", ""));
    let json = online.ok(["--json", "download", "-f", "*.txt", "d"]);
    assert_eq!((json.objects().len(), &json.stderr[..]), (9, ""));
    // Only what was stored has a size and a rate.
    let mixed = online.ok(["upload", "*.txt"]);
    mixed.complains("1 file, 1.00 kB in ").complains("), 9 already there\n");
    assert_eq!(online.ok(["upload", "*.txt"]).stderr, "10 files already there\n");
    assert_eq!(online.ok(["upload", "--on-exists", "skip", "*.txt"]).stderr, "10 files skipped\n");
}

#[test]
fn a_failure_of_one_stops_no_other() {
    let online = Online::new();
    online.ok(["mkdir", "in"]);
    for number in 0..8 {
        write(&online.local(&format!("{number}.txt")), format!("new {number}"));
    }
    write(&online.share("in/0.txt"), "old");
    write(&online.share("in/5.txt"), "older");
    let output = online.run(["upload", "*.txt", "in"]).expect(8);
    assert_eq!(output.out().lines().count(), 6);
    let output = output.complains("in/0.txt: exists already").complains("in/5.txt: exists already");
    let last = output.stderr.lines().last().expect("a line");
    assert!(
        last.starts_with("fulmar: upload: 2 of 8 files failed (listed above); 6 files, 30 B in "),
        "{output}"
    );
    assert_holds(&online.share("in/0.txt"), b"old");
    assert_holds(&online.share("in/7.txt"), b"new 7");
    // Different reasons are code 7, as ever.
    write(&online.local("1.txt"), "other");
    let mixed = online.run(["download", "--to", ".", "in/1.txt", "in/gone", "in/2.txt"]).expect(7);
    mixed.complains("2 of 3 files failed (listed above); 1 file already there\n");
}

#[test]
fn what_is_wrong_with_the_directory_is_told_once() {
    let online = Online::new();
    for number in 0..20 {
        write(&online.local(&format!("{number:02}.txt")), "x");
        write(&online.share(&format!("down/{number:02}.txt")), "x");
    }
    let output = online.fails(3, ["upload", "*.txt", "nowhere"]);
    let lines: Vec<_> = output.stderr.lines().collect();
    assert!(
        lines[0].starts_with("fulmar: upload: nowhere: ")
            && lines[1].starts_with("hint: fulmar -s ")
            && lines[1].ends_with(" mkdir -p /nowhere"),
        "{output}"
    );
    assert!(lines[2].starts_with("fulmar: upload: 1 of 20 files failed (listed above)"), "{output}");
    assert!(lines[2].contains(" not tried") && lines.len() == 3, "{output}");
    let output = online.fails(3, ["download", "down/*", "nowhere"]);
    let lines: Vec<_> = output.stderr.lines().collect();
    assert!(
        lines[0].starts_with("fulmar: download: nowhere: the local directory does not exist"),
        "{output}"
    );
    assert!(lines[2].contains("1 of 20 files failed") && lines.len() == 3, "{output}");
    assert_absent(&online.local("nowhere"));
}

#[test]
fn a_file_that_is_named_as_the_directory_stops_no_other() {
    let online = Online::new();
    fs::create_dir(online.local("logs")).expect("made");
    for number in 0..20 {
        write(&online.share(&format!("{number:02}.txt")), "x");
    }
    let output = online.run(["download", "logs", "*.txt", "--to", "logs"]).expect(3);
    let output = output.complains("fulmar: download: logs: ").complains("1 of 21 files failed");
    assert_eq!(output.out().lines().count(), 20, "{output}");
}

/// A shell of a client that is revoked before this line comes.
fn revoked_before(line: &str) -> Output {
    let online = Online::new();
    for name in ["a", "b", "c"] {
        write(&online.share(name), "x");
    }
    let peer = online.peer();
    let mut shell = online.command(ALICE, ["shell"]).spawn();
    shell.feed(b"pwd\n");
    shell.wait_for(0, "/\n");
    let key = online.fulmar(ALICE, ["fingerprint", "--client"]).run().expect(0);
    online.fulmar("server", ["clients", "revoke", key.out().trim()]).run().expect(0);
    peer.wait_for_end();
    online.fails(4, ["ls"]);
    shell.feed(line.as_bytes());
    let output = shell.finish();
    assert_names(&online.share("."), &[".fulmar", "a", "b", "c"]);
    output
}

#[test]
fn without_a_connection_nothing_is_tried() {
    for line in ["rm a b c\n", "size a b c\n", "rm *a *b c\n", "download *a *b c --to .\n"] {
        let output = revoked_before(line).expect(4).complains("access was revoked");
        assert_eq!(output.stderr.lines().count(), 2, "one failure and its hint: {output}");
    }
}

#[test]
fn nothing_more_is_tried_once_the_connection_is_gone() {
    let online = Online::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        write(&online.share(name), "x");
    }
    let (peer, relay) = (online.peer(), online.relay());
    let mut shell = online.through(&relay, ["shell"]).spawn();
    shell.feed(b"pwd\n");
    shell.wait_for(0, "/\n");
    // The client is revoked in the middle of it.
    relay.go_dark_after(Way::Down, 1);
    shell.feed(b"lpwd\nrm a b c d e f\n");
    shell.wait_for(0, "/local\n");
    relay.wait_until_dark();
    let key = online.fulmar(ALICE, ["fingerprint", "--client"]).run().expect(0);
    online.fulmar("server", ["clients", "revoke", key.out().trim()]).run().expect(0);
    peer.wait_for_end();
    relay.clear();
    let output = shell.finish();
    // Whether it still hears why, or only that nobody knows the connection, is up to the transport.
    assert!(matches!(output.code, Some(4 | 5)), "{output}");
    let lines: Vec<_> = output.stderr.lines().filter(|line| !line.starts_with("hint: ")).collect();
    assert_eq!(lines.len(), 2, "one failure and what becomes of the others: {output}");
    assert!(
        lines[1].starts_with("fulmar: rm: 1 of 6 names failed (listed above), ")
            && lines[1].ends_with(" not tried"),
        "{output}"
    );
    assert!(online.share("f").exists(), "{output}");
}

#[test]
fn two_files_of_one_name_are_refused_before_anything_is_sent() {
    let online = Online::new();
    for name in ["a/x.txt", "b/x.txt", "b/y.txt"] {
        write(&online.local(name), name);
        write(&online.share(&format!("in/{name}")), name);
    }
    let output = online.fails(2, ["upload", "*/*.txt", "in"]);
    output
        .complains("fulmar: upload: b/x.txt: would get the same name as a/x.txt")
        .complains("hint: --on-exists");
    online
        .fails(2, ["download", "in/a/x.txt", "in/b/x.txt", "."])
        .complains("in/b/x.txt: would get the same name");
    assert_names(&online.share("in"), &["a", "b"]);
    assert_names(&online.local("."), &["a", "b"]);
    // What replaces and what skips would leave it to chance which of them is kept.
    for policy in [&["-f"][..], &["--on-exists", "overwrite"], &["--on-exists", "skip"]] {
        let output = online.fails(2, [&["upload"], policy, &["*/*.txt", "in"]].concat());
        output.complains("would get the same name").complains("hint: --on-exists rename keeps both\n");
        online.fails(2, [&["download"], policy, &["in/a/x.txt", "in/b/x.txt", "."]].concat());
    }
    assert_names(&online.share("in"), &["a", "b"]);
    assert_names(&online.local("."), &["a", "b"]);
    // Said what to do, it is done.
    online.ok(["upload", "--on-exists", "rename", "*/*.txt", "in"]);
    assert_names(&online.share("in"), &["a", "b", "x (1).txt", "x.txt", "y.txt"]);
}

#[test]
fn control_c_drops_all_of_them() {
    let online = Online::new();
    let relay = online.relay();
    for number in 0..5 {
        write(&online.local(&format!("{number}.bin")), bytes(2_100 + number, 4 * MIB));
    }
    relay.go_dark_after(Way::Up, 5 * MIB);
    let shell = online.terminal(ALICE, &["-s", &relay.addr.to_string(), "shell"]);
    shell.shows(":/> ");
    shell.enter("upload *.bin");
    relay.wait_until_dark();
    shell.type_text(CTRL_C);
    shell.shows("fulmar: upload: cancelled");
    shell.shows(":/> ");
    relay.clear();
    shell.enter("ls");
    shell.shows("(empty)");
    shell.shows(":/> ");
    // And all of it can be repeated.
    shell.enter("upload *.bin");
    shell.shows("5 files, 20.97 MB in ");
    shell.enter("quit");
    shell.wait().expect(0);
    assert_holds(&online.share("4.bin"), &bytes(2_104, 4 * MIB));
}

#[test]
fn a_killed_command_leaves_nothing_of_any_file() {
    let online = Online::new();
    let relay = online.relay();
    for number in 0..5 {
        write(&online.share(&format!("{number}.bin")), bytes(2_200 + number, 4 * MIB));
    }
    relay.go_dark_after(Way::Down, 5 * MIB);
    let download = online.through(&relay, ["download", "*.bin"]).spawn();
    relay.wait_until_dark();
    download.signal(Signal::TERM);
    let output = download.wait().expect(143);
    assert_eq!(output.stderr, "fulmar: download: cancelled\n");
    assert_names(&online.local("."), &[]);
}

#[test]
fn details_are_shown_on_request() {
    let online = Online::new();
    write(&online.local("a.txt"), "12345");
    for flags in [&["-v"][..], &["-vv"], &["-vvv"], &["-v", "-v"]] {
        let output = online.ok([flags, &["upload", "a.txt"]].concat());
        output.complains("connected to 127.0.0.1:").complains("rtt ").complains("a.txt: ");
    }
    let again = online.ok(["-v", "upload", "a.txt"]);
    again.complains("a.txt: 0 B crossed the network, the target has the same size and BLAKE3\n");
    let skipped = online.ok(["-v", "upload", "--on-exists", "skip", "a.txt"]);
    skipped.complains("a.txt: nothing crossed the network, the target exists\n");
    let fetched = online.ok(["-v", "download", "a.txt", "b.txt"]);
    fetched.complains("a.txt: 5 B crossed the network\n");
    assert_eq!(online.ok(["upload", "a.txt"]).stderr, "");
}
