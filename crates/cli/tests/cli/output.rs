//! What scripts see: objects, pipes, batches, usage, and the demo.

use std::{fs, io::Read as _, process::Stdio};

use crate::harness::{
    ALICE, Lab, Online, Output,
    data::{MIB, assert_absent, assert_holds, b3sum, bytes, write},
};

#[test]
fn every_verb_prints_well_formed_objects() {
    let online = Online::new();
    let content = bytes(1601, 3 * MIB);
    write(&online.local("a.txt"), &content);
    let cases: [(&[&str], &[&str]); 16] = [
        (&["connme"], &["connected"]),
        (&["upload", "a.txt"], &["done"]),
        (&["upload", "a.txt", "b.txt"], &["done"]),
        (&["ls"], &["entry", "entry"]),
        (&["ls", "-l"], &["entry", "entry"]),
        (&["size", "a.txt", "b.txt"], &["size", "size"]),
        (&["stat", "a.txt"], &["entry"]),
        (&["hash", "a.txt"], &["done"]),
        (&["verify", "a.txt", "b.txt"], &["done"]),
        (&["mkdir", "d"], &["done"]),
        (&["mv", "b.txt", "d"], &["done"]),
        (&["download", "d/b.txt"], &["done"]),
        (&["rm", "-r", "d"], &["done"]),
        (&["rm", "a.txt"], &["done"]),
        (&["ls"], &[]),
        (&["lls"], &["done", "done"]),
    ];
    for (command, types) in cases {
        let output = online.ok([&["--json"], command].concat());
        let objects = output.objects();
        let found: Vec<_> = objects.iter().map(|object| object["type"].as_str().expect("text")).collect();
        assert_eq!(found, types, "{output}");
        assert_eq!(output.stderr, "", "{command:?}");
    }
}

#[test]
fn entries_carry_bytes_times_and_hex() {
    let online = Online::new();
    write(&online.local("a.txt"), "12345");
    online.ok(["upload", "a.txt"]);
    online.ok(["mkdir", "d"]);
    let objects = online.ok(["--json", "ls"]).objects();
    let (file, dir) = (&objects[0], &objects[1]);
    assert_eq!((&file["path"], &file["kind"], &file["size"]), (&"a.txt".into(), &"file".into(), &5.into()));
    assert_eq!(file["blake3"], b3sum(b"12345"));
    let modified = file["modified"].as_str().expect("a time");
    assert!(modified.ends_with('Z') && modified.contains('T') && modified.len() >= 20, "{modified}");
    assert_eq!((&dir["path"], &dir["kind"]), (&"d".into(), &"directory".into()));
    let inner = online.ok(["--json", "stat", "/a.txt"]).one_object();
    assert_eq!((&inner["path"], &inner["id"]), (&file["path"], &file["id"]));
}

#[test]
fn errors_are_objects_too() {
    let online = Online::new();
    write(&online.local("a.txt"), "x");
    write(&online.share("a.txt"), "other");
    let cases: [(i32, &[&str], &str); 6] = [
        (3, &["download", "gone.txt"], "not-found"),
        (8, &["upload", "a.txt"], "exists"),
        (4, &["rm", "/"], "refused"),
        (10, &["verify", "a.txt", "a.txt"], "digest-mismatch"),
        (2, &["rm"], "usage"),
        (2, &["nonsense"], "usage"),
    ];
    for (code, command, kind) in cases {
        let output = online.run([&["--json"], command].concat()).expect(code);
        let error = output.one_object();
        assert_eq!((&error["type"], &error["code"]), (&"error".into(), &code.into()), "{output}");
        assert_eq!(error["kind"], kind, "{output}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{output}");
    }
    let lab = Lab::new();
    let args = ["--json", "--connect-timeout", "1s", "-s", "127.0.0.1:9", "ls"];
    let error = lab.fulmar(ALICE, args).run().expect(5).one_object();
    assert_eq!(error["code"], 5);
    let error = lab.fulmar(ALICE, ["--json", "ls"]).run().expect(5).one_object();
    assert_eq!(error["kind"], "not-connected");
}

#[test]
fn progress_is_objects_on_demand() {
    let online = Online::new();
    write(&online.local("a.bin"), bytes(1602, 8 * MIB));
    for command in [["upload", "a.bin", "b.bin"], ["download", "b.bin", "c.bin"]] {
        let output = online.ok(["--json", "--progress", "json"].iter().chain(&command));
        let objects = output.objects();
        let (done, progress) = objects.split_last().expect("at least one");
        assert_eq!(done["type"], "done", "{output}");
        assert!(!progress.is_empty(), "{output}");
        let mut last = 0;
        for object in progress {
            assert_eq!((&object["type"], &object["total"]), (&"progress".into(), &(8 * MIB).into()));
            let bytes = object["bytes"].as_u64().expect("a number");
            assert!(bytes >= last && bytes <= 8 * MIB as u64, "{output}");
            last = bytes;
        }
    }
}

/// Nothing that only a terminal understands.
#[track_caller]
fn check_plain(output: &Output) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), output.stderr);
    assert!(!text.contains(['\u{1b}', '\r', '\u{8}', '\u{7}']), "{output}");
}

#[test]
fn no_escape_bytes_and_no_prompt_are_piped() {
    let online = Online::new();
    write(&online.local("a.bin"), bytes(1603, 4 * MIB));
    for how in ["auto", "bar", "plain", "json", "none"] {
        let args = ["--progress", how, "upload", "-f", "a.bin"];
        check_plain(&online.ok(args));
    }
    let output =
        online.batch("ls\nls -l\nsize a.bin\ndownload a.bin b.bin\nhelp\n-rm gone\nrm a.bin\n").expect(0);
    check_plain(&output);
    assert!(!output.out().contains("fulmar> ") && !output.out().contains(":/> "), "{output}");
    check_plain(&online.run(["nonsense"]).expect(2));
    check_plain(&online.ok(["--help"]));
    check_plain(&online.command(ALICE, ["ls", "gone"]).env("CLICOLOR_FORCE", "1").run().expect(3));
}

#[test]
fn quiet_prints_data_and_errors_only() {
    let online = Online::new();
    write(&online.local("a.txt"), "x");
    let silent = online.ok(["-q", "upload", "a.txt"]);
    assert_eq!((silent.out(), &silent.stderr[..]), ("", ""));
    assert_eq!(online.ok(["-q", "ls"]).out(), "a.txt\n");
    assert_eq!(online.ok(["-q", "rm", "a.txt"]).out(), "");
    online.fails(3, ["-q", "rm", "a.txt"]).complains("a.txt");
}

#[test]
fn a_reader_that_goes_away_is_no_disaster() {
    let online = Online::new();
    write(&online.share("a.bin"), bytes(1604, 20 * MIB));
    let mut invocation = online.command(ALICE, ["download", "a.bin", "-"]);
    invocation.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = invocation.command.spawn().expect("starts");
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_exact(&mut [0; 1000]).expect("something comes");
    drop(stdout);
    let output = crate::harness::Process::follow(child, "download to a pipe".to_owned()).wait();
    assert!(output.code.is_some_and(|code| code != 0), "it ends by itself: {output}");
    assert!(!output.stderr.contains("panic"), "{output}");
}

#[test]
fn a_batch_stops_at_the_first_failure_with_its_code() {
    let online = Online::new();
    write(&online.local("a.txt"), "new");
    write(&online.share("a.txt"), "old");
    let cases = [
        ("rm gone\n", 3),
        ("upload a.txt\n", 8),
        ("rm /\n", 4),
        ("verify a.txt a.txt\n", 10),
        ("nonsense\n", 2),
        ("rm\n", 2),
        ("download a.txt nowhere/\n", 3),
        ("download *.zip\n", 3),
        ("upload a* nowhere\n", 3),
        ("upload a.txt ./a.txt --to /\n", 2),
        ("rm **\n", 2),
        ("rm gone /\n", 7),
    ];
    for (line, code) in cases {
        let output = online.batch(&format!("pwd\n{line}mkdir never\n")).expect(code);
        assert_eq!(output.out(), "/\n", "{line}");
        output.complains("(line 2)");
        assert_absent(&online.share("never"));
        // A dash in front ignores that.
        online.batch(&format!("-{line}pwd\n")).expect(0).says("/\n");
    }
}

#[test]
fn a_batch_comes_from_a_file_or_standard_input() {
    let online = Online::new();
    write(&online.local("script"), "# what to do\nmkdir one\n\ncd one\nmkdir two\nls\n");
    assert!(online.ok(["-b", "script"]).out().ends_with("two/\n"));
    let piped = online.command(ALICE, ["-b", "-"]).stdin("ls\n").run().expect(0);
    assert_eq!(piped.out(), "one/\n");
    let bare = online.command(ALICE, [] as [&str; 0]).stdin("ls\n").run().expect(0);
    assert_eq!(bare.out(), "one/\n");
    online.fails(3, ["-b", "no such script"]).complains("no such script");
    online.command(ALICE, ["-b", "-", "ls"]).run().expect(2);
    // In a file standard input is free, but the commands stay the only ones.
    write(&online.local("failing"), "ls\nrm gone\nls\n");
    online.run(["-b", "failing"]).expect(3).complains("line 2");
    let nothing = online.command(ALICE, ["-b", "-"]).stdin("").run().expect(0);
    assert_eq!(nothing.out(), "");
}

#[test]
fn what_is_wrong_with_a_command_line_is_usage() {
    let online = Online::new();
    for args in [
        &["nonsense"][..],
        &["rm"],
        &["--no-such-option", "ls"],
        &["ls", "a", "b"],
        &["mv", "one"],
        &["--progress", "sometimes", "ls"],
        &["cd", "d"],
        &["byebye"],
        &["download", "a b", ""],
    ] {
        let output = online.run(args);
        assert_eq!(output.code, Some(2), "{output}");
        assert!(output.stdout.is_empty() && output.stderr.starts_with("fulmar: "), "{output}");
    }
    let lab = Lab::new();
    lab.fulmar(ALICE, ["-s", "a b", "ls"]).run().expect(2);
    lab.fulmar(ALICE, ["-s", "host:99999", "ls"]).run().expect(2);
    lab.fulmar(ALICE, ["ls"]).env("FULMAR_SERVER", "not an endpoint!").run().expect(2);
    lab.fulmar(ALICE, ["--version"]).run().expect(0).says("fulmar ");
    let help = lab.fulmar(ALICE, ["--help"]).run().expect(0);
    for word in ["serve", "shell", "demo", "upload", "download", "--json", "--trust-new"] {
        assert!(help.out().contains(word), "{word}");
    }
}

#[test]
fn data_and_nothing_else_is_on_standard_output() {
    let online = Online::new();
    let content = bytes(1605, MIB + 3);
    write(&online.share("a.bin"), &content);
    for options in [&[][..], &["--json"], &["-v"], &["--progress", "plain"]] {
        let output = online.ok([options, &["download", "a.bin", "-"]].concat());
        assert!(output.stdout == content, "{options:?}");
    }
    let json = online.ok(["--json", "download", "a.bin", "-"]);
    let done: serde_json::Value = serde_json::from_str(json.stderr.trim()).expect("an object, aside");
    assert_eq!(done["blake3"], b3sum(&content));
}

#[test]
fn the_demo_works_and_leaves_nothing_behind() {
    let lab = Lab::new();
    let output = lab.fulmar(ALICE, ["demo"]).run().expect(0);
    for verb in ["serve", "upload", "ls -l", "size", "download", "verify", "rm"] {
        assert!(
            output.out().lines().any(|line| line.starts_with("$ fulmar") && line.contains(verb)),
            "{verb}"
        );
    }
    output.says("12.58 MB (12582912 bytes)").says("removed ");
    assert_eq!(fs::read_dir(lab.path("tmp")).expect("there").count(), 0);
    assert_eq!(fs::read_dir(lab.path("local")).expect("there").count(), 0);
}

#[test]
fn one_state_folder_serves_both_sides() {
    let lab = Lab::new();
    let server = lab.serve(&[]);
    let invite = server.invite.clone().expect("nobody is enrolled");
    write(&lab.local("a.txt"), "x");
    lab.fulmar("server", ["-s", &invite, "upload", "a.txt"]).run().expect(0);
    assert_holds(&lab.share("a.txt"), b"x");
    let own = lab.fulmar("server", ["fingerprint", "--client"]).run().expect(0);
    assert_ne!(own.out().trim(), server.fingerprint);
}
