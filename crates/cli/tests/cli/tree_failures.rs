//! Trees of which not everything can be transferred: what fails, fails alone, and is told.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink},
};

use crate::harness::{
    Online, Way,
    data::{KIB, MIB, assert_absent, assert_holds, assert_names, bytes, write},
};

#[test]
fn what_exists_with_other_content_fails_alone_and_is_listed_again() {
    let online = Online::new();
    for number in 0..30 {
        write(&online.local(&format!("d/{number:02}")), format!("new {number}"));
    }
    for number in 0..25 {
        write(&online.share(&format!("d/{number:02}")), "old");
    }
    let output = online.run(["upload", "-r", "d"]).expect(8);
    assert_eq!(output.out().lines().count(), 5, "{output}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    let told = |number: usize| format!("fulmar: upload: d/{number:02}: exists already, with other content");
    assert!((0..25).all(|number| lines.contains(&told(number).as_str())), "{output}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("hint: ")).count(), 1, "{output}");
    let listed = lines.iter().position(|line| *line == "fulmar: upload: 25 failed:").expect("a list");
    assert_eq!(lines.len(), listed + 1 + 20 + 1 + 1, "{output}");
    assert!(lines[listed + 1].starts_with("  d/"), "{output}");
    assert_eq!(lines[listed + 21], "  and 5 more");
    let sum = lines[listed + 22];
    assert!(sum.starts_with("fulmar: upload: 5 files, 30 B in ") && sum.ends_with(", 25 failed"), "{output}");
    assert_holds(&online.share("d/24"), b"old");
    // What there is to do about it.
    online.ok(["upload", "-r", "--on-exists", "skip", "d"]).complains("0 files, 30 skipped\n");
    online.ok(["upload", "-r", "-f", "d"]).complains("30 files, ");
    assert_holds(&online.share("d/24"), b"new 24");
    write(&online.local("d/24"), "newer");
    online.ok(["download", "-r", "--on-exists", "rename", "d", "."]);
    assert_holds(&online.local("d/24"), b"newer");
    assert_holds(&online.local("d/24 (1)"), b"new 24");
}

#[test]
fn several_reasons_are_code_seven_and_objects_tell_each() {
    let online = Online::new();
    for name in ["d/exists", "d/fine", "d/gone/x"] {
        write(&online.local(name), name);
    }
    write(&online.share("d/exists"), "other");
    write(&online.share("d/gone"), "a file where a directory has to be");
    let output = online.run(["--json", "upload", "-r", "d"]).expect(7);
    let mut objects = output.objects();
    objects.sort_by_key(|object| object["object"].to_string());
    let kinds: Vec<_> =
        objects.iter().map(|object| (object["type"].clone(), object["code"].clone())).collect();
    assert_eq!(
        kinds,
        [("error".into(), 8.into()), ("error".into(), 1.into()), ("done".into(), serde_json::Value::Null)],
        "{output}"
    );
    output.complains("1 file, 6 B in ").complains("2 failed, 1 not tried\n");
    assert_holds(&online.share("d/fine"), b"d/fine");
}

#[test]
fn nothing_local_in_the_way_is_followed_or_replaced() {
    let online = Online::new();
    for name in ["d/sub/x", "d/file", "d/dir", "d/fine", "d/link"] {
        write(&online.share(name), "remote");
    }
    write(&online.local("outside/link"), "mine");
    write(&online.local("d/dir/inner"), "mine");
    symlink("../outside", online.local("d/sub")).expect("made");
    symlink("../outside/link", online.local("d/link")).expect("made");
    let output = online.run(["download", "-r", "-f", "d"]).expect(11);
    output
        .complains("fulmar: download: d/sub: is a symbolic link")
        .complains("fulmar: download: d/link: is a symbolic link")
        .complains("fulmar: download: d/dir: is a directory")
        .complains("fulmar: download: 2 files, ");
    assert_names(&online.local("outside"), &["link"]);
    assert_holds(&online.local("outside/link"), b"mine");
    assert_names(&online.local("d"), &["dir", "file", "fine", "link", "sub"]);
}

#[test]
fn names_that_no_server_takes_are_told() {
    let online = Online::new();
    write(&online.local("d/fine"), "x");
    fs::write(online.local("d").join(OsStr::from_bytes(b"not\xffutf8")), "x").expect("written");
    write(&online.local("d/new\nline"), "x");
    write(&online.local("d/back\\slash/x"), "x");
    let output = online.run(["upload", "-r", "d"]).expect(2);
    output
        .complains("fulmar: upload: d/new\\nline: the local name cannot be used on a server")
        .complains("fulmar: upload: d/back\\\\slash: the local name cannot be used on a server")
        .complains("the path is not valid UTF-8")
        .complains("fulmar: upload: 1 file, 1 B in ")
        .complains(", 3 failed\n");
    assert_names(&online.share("d"), &["fine"]);
    // The other way the server says so.
    fs::write(online.share("d").join(OsStr::from_bytes(b"not\xffutf8")), "x").expect("written");
    online.run(["download", "-r", "d", "back"]).expect(2).complains("its name cannot be used in a path");
    assert_names(&online.local("back"), &["fine"]);
}

#[test]
fn a_tree_that_is_deeper_than_paths_are_ends_there() {
    let online = Online::new();
    let mut path = online.local("d");
    for level in 0..100 {
        fs::create_dir(&path).expect("made");
        fs::write(path.join("f"), level.to_string()).expect("written");
        path.push("s");
    }
    let output = online.run(["upload", "-r", "d"]).expect(2);
    // The path of a file may have 64 names, so that 63 directories hold files, and there is a last empty one.
    output.complains("63 files, ").complains("more than 64 components").complains("2 failed\n");
    online.ok(["download", "-r", "d", "back"]).complains("63 files, ");
    let mut path = online.local("back");
    for level in 0..63 {
        assert_holds(&path.join("f"), level.to_string().as_bytes());
        path.push("s");
    }
    assert_names(&path, &[]);
}

#[test]
fn what_cannot_be_read_fails_alone() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root reads everything");
        return;
    }
    let online = Online::new();
    for name in ["d/closed/x", "d/secret", "d/fine"] {
        write(&online.local(name), "x");
    }
    fs::set_permissions(online.local("d/closed"), fs::Permissions::from_mode(0o000)).expect("set");
    fs::set_permissions(online.local("d/secret"), fs::Permissions::from_mode(0o000)).expect("set");
    let output = online.run(["upload", "-r", "d"]).expect(11);
    output
        .complains("d/closed: permission denied")
        .complains("d/secret: permission denied")
        .complains("2 failed\n");
    assert_holds(&online.share("d/fine"), b"x");
    fs::set_permissions(online.local("d/closed"), fs::Permissions::from_mode(0o755)).expect("set");
}

#[test]
fn a_file_that_vanishes_on_the_way_fails_alone() {
    let online = Online::new();
    let relay = online.relay();
    // The window takes 64 MiB at once, so the last ones have not been opened when nothing moves any more.
    for number in 0..80 {
        write(&online.local(&format!("d/{number:02}")), bytes(5_000 + number, MIB));
    }
    relay.go_dark_after(Way::Up, 2 * MIB);
    let process = online.through(&relay, ["upload", "-r", "d"]).spawn();
    relay.wait_until_dark();
    fs::remove_file(online.local("d/79")).expect("removed");
    relay.clear();
    let output = process.wait().expect(3);
    output.complains("d/79: not found").complains("fulmar: upload: 79 files, ").complains(", 1 failed\n");
    assert_absent(&online.share("d/79"));
    assert_holds(&online.share("d/78"), &bytes(5_078, MIB));
}

#[test]
fn what_would_fail_for_every_file_is_told_once() {
    let online = Online::with(&["--read-only"]);
    for number in 0..300 {
        write(&online.local(&format!("d/{number}")), "x");
    }
    let output = online.fails(4, ["upload", "-r", "d"]);
    assert_eq!(output.stderr.matches("the server is read-only").count(), 1, "{output}");
    online.fails(4, ["upload", "-r", "--dry-run", "d"]).complains("the server is read-only");
    let output = online.fails(4, ["upload", "-r", "d/.", "/"]);
    // Some were under way at the same time.
    assert!(output.stderr.matches("the server is read-only").count() <= 300, "{output}");
    output.complains(" not tried\n");
    assert_names(&online.share("."), &[".fulmar"]);
}

#[test]
fn what_is_below_a_directory_that_failed_is_not_made() {
    let online = Online::new();
    write(&online.local("d/sub/deep/x"), "x");
    // Whoever may not list learns only from making the directory that there is nothing to make it in.
    online.enrol("writer", &online.invite(&["--grants", "write"]));
    let output = online.command("writer", ["upload", "-r", "d", "--to", "gone"]).run().expect(3);
    output.complains("fulmar: upload: d: ").complains("1 failed, 1 not tried\n");
    assert_absent(&online.share("gone"));
}

#[test]
fn an_operand_that_leads_to_nothing_does_not_keep_the_others() {
    let online = Online::new();
    write(&online.share("d/x"), "x");
    write(&online.share("y"), "y");
    let line = ["download", "-r", "gone*", "d", "y", "--to", "."];
    online
        .run(["download", "--dry-run", "gone*", "y", "--to", "."])
        .expect(3)
        .says("y -> ./y  1 B  would be stored\n");
    online.run(line).expect(3).complains("fulmar: download: gone*: no file matches").complains("2 files, ");
    assert_holds(&online.local("d/x"), b"x");
    assert_holds(&online.local("y"), b"y");
    online.fails(3, ["download", "-r", "gone*", "--to", "."]);
}

#[test]
fn operands_of_one_name_are_refused_unless_both_are_kept() {
    let online = Online::new();
    for name in ["a/d/x", "b/d/x", "a/y", "b/y"] {
        write(&online.local(name), name);
    }
    fs::create_dir(online.share("to")).expect("made");
    online.ok(["upload", "--dry-run", "a/y", "a/y", "--to", "to"]).complains(": 1 file, ");
    for way in ["--dry-run", "-r"] {
        online.fails(2, ["upload", way, "a/y", "b/y", "--to", "to"]).complains("hint: --on-exists rename");
    }
    let rename = ["a/d", "b/d", "a/y", "b/y", "--on-exists", "rename", "--to", "to"];
    online.ok([&["upload", "-r", "--dry-run"], &rename[..]].concat()).complains(": 4 files, ");
    assert_names(&online.share("to"), &[]);
    online.ok([&["upload", "-r"], &rename[..]].concat()).complains("4 files, ");
    assert_names(&online.share("to"), &["d", "y", "y (1)"]);
    assert_names(&online.share("to/d"), &["x", "x (1)"]);
    // What is in two directories is found too late to be refused, and must not be replaced by chance.
    for verb in ["upload", "download"] {
        let output = online.fails(2, [verb, "-r", "-f", "a/.", "b/.", "--to", "."]);
        output.complains("might replace each other");
    }
    online.run(["upload", "-r", "a/.", "b/.", "--to", "to"]).expect(8);
}

#[test]
fn what_is_cancelled_leaves_nothing_half() {
    let online = Online::new();
    let relay = online.relay();
    for number in 0..200 {
        write(&online.share(&format!("d/{number:03}")), bytes(6_000 + number, 64 * KIB));
    }
    relay.go_dark_after(Way::Down, 4 * MIB);
    let process = online.through(&relay, ["download", "-r", "d"]).spawn();
    relay.wait_until_dark();
    process.signal(rustix::process::Signal::INT);
    process.wait().expect(130);
    for name in crate::harness::data::names(&online.local("d")) {
        let number: u64 = name.parse().expect("a whole file and no part of one");
        assert_holds(&online.local("d").join(&name), &bytes(6_000 + number, 64 * KIB));
    }
}
