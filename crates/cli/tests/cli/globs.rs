//! Patterns: on the local side and on the server's, for every verb that takes them.

use std::fs;

use crate::harness::{
    ALICE, Online,
    data::{assert_absent, assert_holds, assert_names, write},
};

/// A server with some files in two levels.
fn with_logs() -> Online {
    let online = Online::new();
    for name in ["logs/a/x1.gz", "logs/a/xy.gz", "logs/b/x2.gz", "logs/b/y.gz", "logs/.c/x3.gz", "logs/x.txt"]
    {
        write(&online.share(name), name);
    }
    online
}

#[test]
fn a_local_pattern_is_expanded_where_no_shell_did_it() {
    let online = Online::new();
    for name in ["b.jpg", "a.jpg", ".hidden.jpg", "c.png", "ä?.jpg"] {
        write(&online.local(name), name);
    }
    fs::create_dir_all(online.local("dir.jpg")).expect("made");
    online.ok(["mkdir", "in"]);
    // Quoted on the command line.
    let output = online.ok(["upload", "?.jpg", "*.jpg", "--on-exists", "skip", "--to", "in"]);
    assert_names(&online.share("in"), &["a.jpg", "b.jpg", "ä?.jpg"]);
    output.complains("skipped 1 directory\n");
    // In a batch, where a directory behind the pattern is the target.
    online.ok(["rm", "-r", "in"]);
    online.batch("mkdir in\nupload [ab].jpg in\nupload {c,d}.png in\n").expect(0);
    assert_names(&online.share("in"), &["a.jpg", "b.jpg", "c.png"]);
    assert_holds(&online.share("in/a.jpg"), b"a.jpg");
}

#[test]
fn matches_are_sent_in_order_and_summed_up() {
    let online = Online::new();
    for name in ["3.txt", "1.txt", "2.txt"] {
        write(&online.local(name), "12345");
    }
    let output = online.ok(["upload", "*.txt"]);
    assert_eq!(output.out().lines().count(), 3);
    output.complains("3 files, 15 B in ");
}

#[test]
fn a_pattern_wants_a_directory_to_go_into() {
    let online = Online::new();
    write(&online.local("a.txt"), "a");
    let output = online.fails(3, ["upload", "*.txt", "new"]).complains("fulmar: upload: new: ");
    assert_eq!(output.stderr.lines().count(), 2, "one error with its hint: {output}");
    assert_names(&online.share("."), &[".fulmar"]);
    write(&online.share("a.bin"), "a");
    online.fails(3, ["download", "*.bin", "new"]).complains("new: the local directory does not exist");
    assert_names(&online.local("."), &["a.txt"]);
    // One that was rather meant for files is told apart.
    online.fails(3, ["upload", "*.txt", "*.md"]).complains("hint: --to . takes '*.md' for files too");
    online.fails(3, ["download", "*.bin", "*.md"]).complains("hint: --to . takes '*.md' for files too");
    // The target is never a pattern.
    fs::create_dir(online.local("n[1]w")).expect("made");
    online.ok(["download", "*.bin", "n[1]w"]);
    assert_names(&online.local("n[1]w"), &["a.bin"]);
}

#[test]
fn a_name_that_exists_is_no_pattern() {
    let online = Online::new();
    for name in ["a[1].txt", "a1.txt"] {
        write(&online.local(name), name);
    }
    online.ok(["upload", "a[1].txt"]);
    assert_names(&online.share("."), &[".fulmar", "a[1].txt"]);
    write(&online.share("a1.txt"), "a1.txt");
    online.ok(["download", "a[1].txt", "copy"]);
    assert_holds(&online.local("copy"), b"a[1].txt");
    assert_eq!(online.ok(["size", "a[1].txt"]).out(), "0.00 MB (8 bytes)  a[1].txt\n");
    online.ok(["rm", "a[1].txt"]);
    assert_names(&online.share("."), &[".fulmar", "a1.txt"]);
    // Now that it is gone the same word is a pattern; and a backslash makes names of patterns.
    assert_eq!(online.ok(["ls", "a[1].txt"]).out(), "a1.txt\n");
    write(&online.share("a*b"), "star");
    write(&online.share("axb"), "x");
    assert_eq!(online.ok(["ls", r"a\*b"]).out(), "a*b\n");
}

#[test]
fn a_remote_pattern_goes_down_one_directory_at_a_time() {
    let online = with_logs();
    let output = online.ok(["download", "logs/*/x?.gz"]);
    assert_names(&online.local("."), &["x1.gz", "x2.gz", "xy.gz"]);
    let mut names: Vec<_> = output.out().lines().filter_map(|line| line.split(" -> ").next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["logs/a/x1.gz", "logs/a/xy.gz", "logs/b/x2.gz"]);
    assert_holds(&online.local("x2.gz"), b"logs/b/x2.gz");
    // From a current directory, with a literal end, with a dot that is meant, and with alternatives across slashes.
    let script = "cd logs\nls */x2.gz\nls ../logs/.*/*\nls {a,b/}/y*\nls /logs/*.txt\nls */\n";
    let listed = online.batch(script).expect(0);
    assert_eq!(listed.out(), "b/x2.gz\n../logs/.c/x3.gz\nb/y.gz\n/logs/x.txt\na/\nb/\n");
}

#[test]
fn only_files_are_transferred_and_what_is_passed_over_is_told_once() {
    let online = with_logs();
    let output = online.ok(["download", "logs/*"]);
    assert_names(&online.local("."), &["x.txt"]);
    assert_eq!(output.stderr, "skipped 2 directories\n");
    let all = online.ok(["download", "-f", "logs/*", "*/x.*", "logs/[ax]*", "--to", "."]);
    assert_eq!(all.out().lines().count(), 1, "each file once: {all}");
    assert_eq!(all.stderr, "skipped 3 directories\n");
    let nothing = online.run(["download", "logs/?"]).expect(3);
    nothing
        .complains("skipped 2 directories\n")
        .complains("fulmar: download: logs/?: no file matches\nhint: `fulmar -s ");
}

#[test]
fn ls_size_and_rm_take_patterns_too() {
    let online = with_logs();
    assert_eq!(online.ok(["ls", "logs/*"]).out(), "logs/a/\nlogs/b/\nlogs/x.txt\n");
    let table = online.ok(["ls", "-l", "logs/*.txt"]);
    assert!(table.out().starts_with("id ") && table.out().ends_with("  logs/x.txt\n"), "{table}");
    let objects = online.ok(["--json", "ls", "/logs/*/y.gz"]).objects();
    assert_eq!((&objects[0]["path"], &objects[0]["name"]), (&"logs/b/y.gz".into(), &"y.gz".into()));
    let sizes = online.ok(["size", "logs/?", "logs/x*"]);
    let expected = "0.00 MB (24 bytes)  logs/a  (2 files, 0 directories)\n\
                    0.00 MB (23 bytes)  logs/b  (2 files, 0 directories)\n\
                    0.00 MB (10 bytes)  logs/x.txt\n";
    assert_eq!(sizes.out(), expected);
    // Directories need -r as ever; the rest goes on.
    let output = online.ok(["rm", "logs/*"]);
    assert_eq!(output.out(), "removed logs/x.txt\n");
    assert_eq!(output.stderr, "skipped 2 directories; -r removes them\n");
    let removed = online.ok(["rm", "-r", "logs/*"]);
    assert_eq!(
        removed.out(),
        "removed logs/a (2 files, 1 directory)\nremoved logs/b (2 files, 1 directory)\n"
    );
    assert_names(&online.share("logs"), &[".c"]);
}

#[test]
fn a_pattern_removes_directories_only_with_r() {
    let online = Online::new();
    for dir in ["d/empty", "d/full"] {
        fs::create_dir_all(online.share(dir)).expect("made");
    }
    for name in ["d/full/a", "d/file", "d/other"] {
        write(&online.share(name), "x");
    }
    std::os::unix::fs::symlink("nowhere", online.share("d/link")).expect("made");
    let output = online.ok(["rm", "d/[eo]*", "d/f*", "d/l*"]);
    assert_eq!(output.out(), "removed d/other\nremoved d/file\nremoved d/link\n");
    assert_eq!(output.stderr, "skipped 2 directories; -r removes them\n");
    assert_names(&online.share("d"), &["empty", "full"]);
    // Where nothing else matches, it fails as `rm d/full` does.
    let plain = online.fails(1, ["rm", "d/full"]);
    let server = &online.server.addr;
    assert!(plain.stderr.ends_with(&format!("hint: fulmar -s {server} rm -r d/full\n")), "{plain}");
    for pattern in ["d/e*", "d/*", "d/*/"] {
        let output = online.fails(1, ["rm", pattern]);
        output
            .complains(&format!("fulmar: rm: {pattern}: only directories match"))
            .complains(&format!("hint: fulmar -s {server} rm -r '{pattern}'"));
    }
    assert_names(&online.share("d"), &["empty", "full"]);
    let all = online.ok(["rm", "-r", "d/*"]);
    assert_eq!(all.out(), "removed d/empty (0 files, 1 directory)\nremoved d/full (1 file, 1 directory)\n");
    assert_names(&online.share("d"), &[]);
}

#[test]
fn what_a_pattern_finds_is_a_file_whatever_its_name() {
    let online = Online::new();
    online.ok(["mkdir", "in"]);
    write(&online.local("-"), "a file");
    online.command(ALICE, ["upload", "[-]", "in"]).stdin("standard input").run().expect(0);
    assert_holds(&online.share("in/-"), b"a file");
    write(&online.local("~/x.txt"), "below the current directory");
    write(&online.path("home/x.txt"), "at home");
    online.batch("upload */x.txt in\n").expect(0);
    assert_holds(&online.share("in/x.txt"), b"below the current directory");
    // Typed, it is the home directory as ever.
    online.batch("upload -f ~/[x].txt in\n").expect(0);
    assert_holds(&online.share("in/x.txt"), b"at home");
}

#[test]
fn what_matches_nothing_is_not_found() {
    let online = with_logs();
    write(&online.local("a.txt"), "a");
    for verb in ["upload", "download", "ls", "size", "rm"] {
        let output = online.fails(3, [verb, "logs/*.zip"]);
        output.complains(&format!("fulmar: {verb}: logs/*.zip: no file matches")).complains("hint: ");
        online.fails(3, [verb, "gone/*"]);
        online
            .fails(2, [verb, "logs/**"])
            .complains("'**' is not supported")
            .complains("hint: name each level");
    }
    // Nothing is sent when one of the patterns matches nothing.
    online.fails(3, ["upload", "*.txt", "*.zip", "--to", "logs"]);
    assert_absent(&online.share("logs/a.txt"));
    // But what is there is fetched all the same.
    online.run(["download", "logs/*.zip", "logs/*.txt", "--to", "."]).expect(3);
    assert_holds(&online.local("x.txt"), b"logs/x.txt");
    online.fails(4, ["ls", "../*"]).complains("outside");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_no_command_takes_never_match() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let online = Online::new();
    write(&online.share("a.txt"), "a");
    write(&online.share("a\u{7}.txt"), "bell");
    fs::write(online.share(".").join(OsStr::from_bytes(b"a\xff.txt")), "not UTF-8").expect("written");
    assert_eq!(online.ok(["ls", "a*"]).out(), "a.txt\n");
    online.ok(["download", "*"]);
    assert_names(&online.local("."), &["a.txt"]);
    assert_eq!(online.ok(["rm", "*"]).out(), "removed a.txt\n");
}

#[test]
fn a_client_that_may_not_list_can_still_fetch_a_name_with_brackets() {
    let online = Online::new();
    write(&online.share("a[1].txt"), "a");
    write(&online.share("a1.txt"), "b");
    let invite = online.invite(&["--grants", "read"]);
    online.enrol("bob", &invite);
    online.command("bob", ["download", "a[1].txt"]).run().expect(0);
    assert_holds(&online.local("a[1].txt"), b"a");
    online.command("bob", ["ls", "a*"]).run().expect(4);
    online.command(ALICE, ["ls", "a*"]).run().expect(0);
}

#[test]
fn thousands_of_matches_are_fetched_sorted() {
    let online = Online::new();
    for number in 0..2_500 {
        write(&online.share(&format!("many/{number:04}.txt")), "");
    }
    let listed = online.ok(["ls", "many/*1.txt"]);
    let expected: String = (0..250).map(|tens| format!("many/{tens:03}1.txt\n")).collect();
    assert_eq!(listed.out(), expected);
    fs::create_dir(online.local("many")).expect("made");
    let output = online.ok(["download", "many/*", "many"]);
    assert_eq!(output.out().lines().count(), 2_500);
    output.complains("2500 files, 0 B in ");
    assert_eq!(fs::read_dir(online.local("many")).expect("there").count(), 2_500);
}
