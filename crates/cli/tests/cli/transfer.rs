//! Single transfers: where they go, what is refused, and what is said of them.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::harness::{
    ALICE, Online,
    data::{
        MIB, assert_absent, assert_holds, assert_names, b3sum, bytes, long_ago, modified, set_modified, write,
    },
};

#[test]
fn s05_upload_goes_where_it_is_told_and_says_so() {
    let online = Online::new();
    let content = bytes(501, 5_000);
    write(&online.local("a.txt"), &content);
    fs::create_dir(online.share("in")).expect("made");
    let cases = [
        (&["upload", "a.txt"][..], "a.txt"),
        (&["put", "a.txt", "in"], "in/a.txt"),
        (&["upload", "a.txt", "in/new name.txt"], "in/new name.txt"),
        (&["upload", "a.txt", "top.dat"], "top.dat"),
        (&["upload", "--to", "/in", "./a.txt", "--on-exists", "overwrite"], "in/a.txt"),
    ];
    for (command, target) in cases {
        let output = online.ok(command);
        assert!(output.out().contains(&format!(" -> {target}  5.00 kB")), "{output}");
        assert_holds(&online.share(target), &content);
    }
    assert_names(&online.share("in"), &["a.txt", "new name.txt"]);
}

#[test]
fn s05_several_files_go_into_an_existing_directory() {
    let online = Online::new();
    for name in ["1.txt", "2.txt", "3.txt"] {
        write(&online.local(name), name);
    }
    // Three operands: the last one has to be a directory that is there.
    online.fails(3, ["upload", "1.txt", "2.txt", "in"]).complains("in").complains(" mkdir -p /in\n");
    online.ok(["mkdir", "in"]);
    assert_eq!(online.ok(["mput", "1.txt", "2.txt", "in"]).out().lines().count(), 2);
    assert_names(&online.share("in"), &["1.txt", "2.txt"]);
    online.ok(["upload", "--to", "in", "3.txt"]);
    assert_holds(&online.share("in/3.txt"), b"3.txt");
    online.fails(3, ["upload", "--to", "elsewhere", "3.txt"]);
    assert_names(&online.share("."), &[".fulmar", "in"]);
}

#[test]
fn s05_an_existing_name_with_other_bytes_is_refused_and_untouched() {
    let online = Online::new();
    // The same length and another one, in one piece and in ranges.
    for (old, new) in [(10, 10), (10, 11), (3 * MIB, 3 * MIB), (3 * MIB, 10)] {
        let (before, after) = (bytes(502, old), bytes(503, new));
        write(&online.share("taken.bin"), &before);
        write(&online.local("new.bin"), &after);
        let output = online.fails(8, ["upload", "new.bin", "taken.bin"]);
        output.complains("fulmar: upload: taken.bin: exists already").complains("hint: -f");
        assert_holds(&online.share("taken.bin"), &before);
        fs::remove_file(online.share("taken.bin")).expect("removed");
    }
}

#[test]
fn s05_a_name_that_a_directory_has_is_the_place_to_go_into() {
    let online = Online::new();
    write(&online.local("a.txt"), "new");
    write(&online.share("a.txt/inner"), "x");
    // `a.txt` is a directory there: the file goes into it, under its own name.
    online.ok(["upload", "a.txt", "a.txt"]);
    assert_names(&online.share("a.txt"), &["a.txt", "inner"]);
    // A directory that has the very name the file would get is in the way, and never replaced.
    online.fails(1, ["upload", "a.txt"]).complains("a.txt: is a directory");
    online.fails(1, ["upload", "-f", "a.txt"]).complains("a.txt: is a directory");
    assert_names(&online.share("a.txt"), &["a.txt", "inner"]);
}

#[test]
fn s05_a_missing_local_file_is_told_before_anything_is_sent() {
    let online = Online::new();
    write(&online.local("here.txt"), "x");
    online.ok(["mkdir", "in"]);
    let output = online.fails(3, ["upload", "here.txt", "gone.txt", "in"]);
    output.complains("fulmar: upload: gone.txt: no such file or directory");
    fs::create_dir(online.local("dir")).expect("made");
    online.fails(1, ["upload", "dir"]).complains("dir: is a directory");
    assert_names(&online.share("in"), &[]);
    let sent: Vec<_> = online.stop().commands().iter().map(|record| record["verb"].clone()).collect();
    assert_eq!(sent, ["mkdir"]);
}

#[test]
fn s05_a_missing_remote_directory_is_an_error_with_a_hint() {
    let online = Online::new();
    write(&online.local("a.txt"), "x");
    let output = online.fails(3, ["upload", "a.txt", "no/where/a.txt"]);
    output.complains("no/where").complains(" mkdir -p /no/where\n");
    online.fails(3, ["upload", "a.txt", "nowhere/"]).complains(" mkdir -p /nowhere\n");
    // The hint works.
    online.ok(["mkdir", "-p", "/no/where"]);
    online.ok(["upload", "a.txt", "no/where/a.txt"]);
}

#[test]
fn s05_a_backslash_gets_a_hint_and_the_reserved_name_is_refused() {
    let online = Online::new();
    write(&online.local("a.txt"), "x");
    online.fails(2, ["upload", "a.txt", r"in\a.txt"]).complains("hint: write in/a.txt");
    for target in [".fulmar", ".fulmar/a.txt", ".Fulmar", "../a.txt", "/../../a.txt"] {
        online.fails(4, ["upload", "a.txt", target]);
    }
    assert_names(&online.share("."), &[".fulmar"]);
    assert_names(&online.path("."), &["home", "local", "server.log", "share", "state", "tmp"]);
}

#[test]
fn s05_the_same_bytes_again_are_success() {
    let online = Online::new();
    for (seed, len) in [(504, 0), (505, 700), (506, 3 * MIB + 1)] {
        let content = bytes(seed, len);
        write(&online.local("twice.bin"), &content);
        online.ok(["upload", "twice.bin"]);
        let again = online.ok(["--json", "upload", "twice.bin"]).one_object();
        assert_eq!((&again["type"], &again["sent_bytes"]), (&"done".into(), &0.into()), "{again}");
        assert_eq!(again["blake3"], b3sum(&content), "{again}");
        online.ok(["upload", "twice.bin"]).says("already there");
        let piped = online.command(ALICE, ["upload", "-", "twice.bin"]).stdin(content).run();
        piped.expect(0).says("already there");
        fs::remove_file(online.share("twice.bin")).expect("removed");
    }
}

#[test]
fn s05_on_exists_decides() {
    let online = Online::new();
    let (old, new) = (b"old".as_slice(), b"newer".as_slice());
    write(&online.local("a.txt"), new);
    let reset = || write(&online.share("a.txt"), old);
    reset();
    online.fails(8, ["upload", "--on-exists", "fail", "a.txt"]);
    online.ok(["upload", "--on-exists", "skip", "a.txt"]).says("skipped");
    assert_holds(&online.share("a.txt"), old);
    online.ok(["upload", "--on-exists", "rename", "a.txt"]).says(" -> a (1).txt");
    online.ok(["upload", "--on-exists", "rename", "a.txt"]).says(" -> a (2).txt");
    assert_holds(&online.share("a.txt"), old);
    assert_holds(&online.share("a (1).txt"), new);
    assert_holds(&online.share("a (2).txt"), new);
    online.ok(["upload", "--on-exists", "overwrite", "a.txt"]);
    assert_holds(&online.share("a.txt"), new);
    reset();
    online.ok(["upload", "-f", "a.txt"]);
    assert_holds(&online.share("a.txt"), new);
    online.fails(2, ["upload", "--on-exists", "perhaps", "a.txt"]);
}

#[test]
fn s06_download_goes_where_it_is_told_and_says_so() {
    let online = Online::new();
    let content = bytes(601, 5_000);
    write(&online.share("in/a.txt"), &content);
    fs::create_dir(online.local("dir")).expect("made");
    let absolute = online.path("home/absolute.txt").to_string_lossy().into_owned();
    let cases = [
        (&["download", "in/a.txt"][..], "local/a.txt"),
        (&["get", "in/a.txt", "dir"], "local/dir/a.txt"),
        (&["download", "in/a.txt", "dir/new name.txt"], "local/dir/new name.txt"),
        (&["download", "/in/a.txt", &absolute], "home/absolute.txt"),
        (&["download", "-f", "--to", "dir", "in/a.txt"], "local/dir/a.txt"),
    ];
    for (command, target) in cases {
        let output = online.ok(command);
        let end = target.rsplit('/').next().expect("a name");
        assert!(
            output.out().contains(" -> ") && output.out().contains(&format!("{end}  5.00 kB")),
            "{output}"
        );
        assert_holds(&online.path(target), &content);
    }
    assert_names(&online.local("dir"), &["a.txt", "new name.txt"]);
}

#[test]
fn s06_several_files_go_into_an_existing_directory() {
    let online = Online::new();
    write(&online.share("1.txt"), "1");
    write(&online.share("2.txt"), "2");
    online.fails(3, ["download", "1.txt", "2.txt", "dir"]).complains("dir");
    fs::create_dir(online.local("dir")).expect("made");
    online.ok(["mget", "1.txt", "/2.txt", "dir"]);
    assert_names(&online.local("dir"), &["1.txt", "2.txt"]);
    online.fails(3, ["download", "1.txt", "nowhere/"]);
    assert_names(&online.local("."), &["dir"]);
}

#[test]
fn s06_an_existing_local_file_is_refused_and_untouched() {
    let online = Online::new();
    for (old, new) in [(10, 10), (10, 11), (3 * MIB, 3 * MIB), (3 * MIB, 10)] {
        let (before, after) = (bytes(602, old), bytes(603, new));
        write(&online.local("taken.bin"), &before);
        write(&online.share("new.bin"), &after);
        let output = online.fails(8, ["download", "new.bin", "taken.bin"]);
        output.complains("taken.bin: exists already").complains("hint: -f");
        assert_holds(&online.local("taken.bin"), &before);
        assert_names(&online.local("."), &["taken.bin"]);
    }
}

#[test]
fn s06_the_same_bytes_again_are_success() {
    let online = Online::new();
    for (seed, len) in [(604, 0), (605, 700), (606, 3 * MIB + 1)] {
        let content = bytes(seed, len);
        write(&online.share("twice.bin"), &content);
        write(&online.local("twice.bin"), &content);
        let again = online.ok(["--json", "download", "twice.bin"]).one_object();
        assert_eq!(
            (&again["sent_bytes"], &again["outcome"]),
            (&0.into(), &"already-there".into()),
            "{again}"
        );
        online.ok(["download", "twice.bin"]).says("already there");
    }
}

#[test]
fn s06_on_exists_decides() {
    let online = Online::new();
    let (old, new) = (b"old".as_slice(), b"newer".as_slice());
    write(&online.share("a.txt"), new);
    write(&online.local("a.txt"), old);
    online.fails(8, ["download", "--on-exists", "fail", "a.txt"]);
    online.ok(["download", "--on-exists", "skip", "a.txt"]).says("skipped");
    online.ok(["download", "--on-exists", "rename", "a.txt"]).says("a (1).txt");
    assert_holds(&online.local("a.txt"), old);
    assert_holds(&online.local("a (1).txt"), new);
    online.ok(["download", "--on-exists", "overwrite", "a.txt"]);
    assert_holds(&online.local("a.txt"), new);
    assert_names(&online.local("."), &["a (1).txt", "a.txt"]);
}

#[test]
fn s06_a_missing_remote_file_leaves_no_local_one() {
    let online = Online::new();
    write(&online.share("dir/x"), "x");
    online.fails(3, ["download", "gone.bin"]).complains("fulmar: download: gone.bin: no such file");
    online.fails(3, ["download", "gone.bin", "other name"]);
    online.fails(1, ["download", "dir"]).complains("dir");
    online.fails(4, ["download", ".fulmar/catalog"]);
    online.fails(4, ["download", "../server.log"]);
    assert_names(&online.local("."), &[]);
    // Nor on standard output, nor instead of a file that is there.
    online.fails(3, ["download", "gone.bin", "-"]);
    write(&online.local("kept"), "kept");
    online.fails(3, ["download", "-f", "gone.bin", "kept"]);
    assert_holds(&online.local("kept"), b"kept");
}

#[test]
fn s06_the_rest_is_fetched_when_one_is_missing() {
    let online = Online::new();
    write(&online.share("1.txt"), "1");
    write(&online.share("3.txt"), "3");
    let output = online.run(["download", "--to", ".", "1.txt", "2.txt", "3.txt"]).expect(3);
    assert_eq!(output.out().lines().count(), 2);
    output.complains("2.txt");
    assert_names(&online.local("."), &["1.txt", "3.txt"]);
}

#[test]
fn s09_a_transfer_ends_in_a_line_with_size_time_rate_and_hash() {
    let online = Online::new();
    let content = bytes(901, 2_500_000);
    write(&online.local("a.bin"), &content);
    let hash = &b3sum(&content)[..16];
    let up = online.ok(["upload", "a.bin", "b.bin"]);
    check_line(up.out(), "a.bin -> b.bin  2.50 MB in ", hash);
    let down = online.ok(["download", "b.bin", "c.bin"]);
    assert!(down.out().contains("c.bin  2.50 MB in "), "{down}");
    check_line(down.out(), "b.bin -> ", hash);
    // On standard output there are only the bytes; the line is beside them.
    let piped = online.ok(["download", "b.bin", "-"]);
    assert!(piped.stdout == content, "other bytes");
    check_line(&piped.stderr, "b.bin -> -  2.50 MB in ", hash);
    let failed = online.fails(3, ["download", "no.bin"]);
    assert_eq!(failed.stderr.lines().next(), failed.stderr.lines().find(|line| line.contains("no.bin")));
}

/// One line: beginning, time, rate, hash, and how it ended.
#[track_caller]
fn check_line(text: &str, beginning: &str, hash: &str) {
    let line = text.strip_suffix('\n').filter(|line| !line.contains('\n'));
    let line = line.unwrap_or_else(|| panic!("not one line: {text:?}"));
    assert!(line.starts_with(beginning), "{line}");
    let rest = line.split(" in ").nth(1).expect("a time");
    assert!(rest.contains(" ms (") || rest.contains(" s ("), "{line}");
    assert!(rest.contains("MB/s)  blake3 "), "{line}");
    assert!(rest.contains(&format!("blake3 {hash}")) && rest.ends_with("verified"), "{line}");
}

#[test]
fn s09_json_tells_what_crossed_the_network() {
    let online = Online::new();
    let content = bytes(902, 3 * MIB + 17);
    write(&online.local("a.bin"), &content);
    for (command, path) in
        [(["upload", "a.bin", "b.bin"], "b.bin"), (["download", "b.bin", "c.bin"], "c.bin")]
    {
        let done = online.ok(["--json"].iter().chain(&command)).one_object();
        assert_eq!((&done["type"], &done["verb"]), (&"done".into(), &command[0].into()), "{done}");
        assert!(done["path"].as_str().is_some_and(|found| found.ends_with(path)), "{done}");
        for key in ["bytes", "sent_bytes"] {
            assert_eq!(done[key], content.len(), "{done}");
        }
        assert_eq!((&done["resumed_bytes"], &done["blake3"]), (&0.into(), &b3sum(&content).into()), "{done}");
        assert!(done["elapsed_ns"].as_u64().is_some_and(|elapsed| elapsed > 0), "{done}");
    }
}

#[test]
fn the_modification_time_is_kept_unless_told_otherwise() {
    let online = Online::new();
    for (len, name) in [(0, "empty"), (5, "small"), (3 * MIB, "big")] {
        write(&online.local(name), bytes(701, len));
        set_modified(&online.local(name), long_ago());
        online.ok(["upload", name]);
        assert_eq!(modified(&online.share(name)), long_ago(), "{name} up");
        let copy = format!("{name}.copy");
        online.ok(["download", name, &copy]);
        assert_eq!(modified(&online.local(&copy)), long_ago(), "{name} down");
        let fresh = format!("{name}.fresh");
        online.ok(["upload", "--no-mtime", name, &fresh]);
        assert_ne!(modified(&online.share(&fresh)), long_ago(), "{name} up, not kept");
        online.ok(["download", "--no-mtime", name, &fresh]);
        assert_ne!(modified(&online.local(&fresh)), long_ago(), "{name} down, not kept");
    }
}

#[test]
fn the_executable_bit_goes_along_on_request() {
    let online = Online::new();
    write(&online.local("run.sh"), "#!/bin/sh\n");
    fs::set_permissions(online.local("run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
    let executable =
        |path: std::path::PathBuf| fs::metadata(path).expect("there").permissions().mode() & 0o111 != 0;
    online.ok(["upload", "run.sh", "plain.sh"]);
    online.ok(["upload", "-p", "run.sh", "kept.sh"]);
    assert!(!executable(online.share("plain.sh")) && executable(online.share("kept.sh")));
    online.ok(["download", "kept.sh", "plain.sh"]);
    online.ok(["download", "-p", "kept.sh", "kept.sh"]);
    assert!(!executable(online.local("plain.sh")) && executable(online.local("kept.sh")));
}

#[test]
fn mv_renames_and_mkdir_makes() {
    let online = Online::new();
    write(&online.share("a.txt"), "a");
    write(&online.share("b.txt"), "b");
    online.ok(["mkdir", "d"]);
    online.fails(8, ["mkdir", "d"]);
    online.ok(["mkdir", "-p", "d/e/f"]);
    online.ok(["mkdir", "-p", "d/e/f"]);
    online.fails(3, ["mkdir", "x/y"]);
    assert_eq!(online.ok(["mv", "a.txt", "d"]).out(), "a.txt -> d/a.txt\n");
    online.ok(["mv", "d/a.txt", "new name.txt"]);
    online.fails(8, ["mv", "new name.txt", "b.txt"]);
    assert_holds(&online.share("b.txt"), b"b");
    online.ok(["mv", "-f", "new name.txt", "b.txt"]);
    assert_holds(&online.share("b.txt"), b"a");
    assert_absent(&online.share("new name.txt"));
    online.fails(3, ["mv", "gone", "x"]).complains("gone");
    online.fails(4, ["mv", "b.txt", "../x"]);
    online.fails(4, ["mv", "b.txt", ".fulmar/x"]);
}

#[test]
fn a_directory_cannot_be_moved_into_itself() {
    let online = Online::new();
    write(&online.share("d/e/f.txt"), "x");
    for target in ["d/new", "d/e", "d/e/new", "d"] {
        let output = online.run(["mv", "d", target]);
        assert_ne!(output.code, Some(0), "{output}");
        assert!(!output.stderr.contains("does not exist"), "it does: {output}");
        assert_holds(&online.share("d/e/f.txt"), b"x");
    }
}

#[test]
fn verify_compares_and_hash_tells() {
    let online = Online::new();
    let content = bytes(1001, 2 * MIB + 5);
    write(&online.local("same.bin"), &content);
    write(&online.share("same.bin"), &content);
    write(&online.share("short.bin"), &content[1..]);
    let mut other = content.clone();
    other[MIB] ^= 1;
    write(&online.share("other.bin"), &other);
    online.ok(["verify", "same.bin", "same.bin"]).says(&b3sum(&content));
    online.fails(10, ["verify", "same.bin", "other.bin"]).complains("other.bin");
    online.fails(10, ["verify", "same.bin", "short.bin"]);
    online.fails(3, ["verify", "same.bin", "gone.bin"]).complains("gone.bin");
    online.fails(3, ["verify", "gone.bin", "same.bin"]).complains("gone.bin");
    assert_eq!(online.ok(["hash", "other.bin"]).out(), format!("{}  other.bin\n", b3sum(&other)));
}
