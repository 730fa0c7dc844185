//! `-r`: directories with all that is in them, there and back.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use crate::harness::{
    ALICE, Lab, Online,
    data::{MIB, assert_absent, assert_holds, assert_names, bytes, long_ago, names, set_modified, write},
};

/// What a directory holds, by path: bytes and time of files, nothing for directories.
type Tree = BTreeMap<String, Option<(Vec<u8>, SystemTime)>>;

fn tree(folder: &Path) -> Tree {
    let (mut tree, mut folders) = (Tree::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for name in names(&next) {
            let path = next.join(name);
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            let key = path.strip_prefix(folder).expect("below").to_str().expect("text").to_owned();
            let content = metadata
                .is_file()
                .then(|| (fs::read(&path).expect("readable"), metadata.modified().expect("a time")));
            if metadata.is_dir() {
                folders.push(path);
            }
            tree.insert(key, content);
        }
    }
    tree
}

#[track_caller]
fn assert_same(found: &Path, expected: &Path) {
    let (found, expected) = (tree(found), tree(expected));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, content) in &expected {
        assert!(found[name] == *content, "{name}: other bytes or another time");
    }
}

/// A tree with empty directories, hidden names, names that need care, and a file that goes in ranges.
fn write_photos(folder: &Path) {
    let files: [(&str, usize); 7] = [
        ("beach.jpg", 70_000),
        ("empty.txt", 0),
        (".hidden", 10),
        ("2026/november/a name with spaces & ünïcode 日本.png", 5_000),
        ("2026/november/-rf", 3),
        ("2026/long.bin", 5 * MIB + 7),
        ("2026/october/x", 1),
    ];
    for (number, (name, len)) in files.into_iter().enumerate() {
        write(&folder.join(name), bytes(4_000 + number as u64, len));
        set_modified(&folder.join(name), long_ago() + Duration::from_secs(number as u64));
    }
    for name in ["2026/empty", "2026/november/empty/within"] {
        fs::create_dir_all(folder.join(name)).expect("made");
    }
}

#[test]
fn a_tree_is_the_same_there_and_back() {
    let online = Online::new();
    write_photos(&online.local("photos"));
    let output = online.ok(["upload", "-r", "photos"]);
    assert_eq!(output.out().lines().filter(|line| line.ends_with("  verified")).count(), 7, "{output}");
    let sum = output.stderr.strip_suffix('\n').expect("a line");
    assert!(sum.starts_with("7 files, 5.32 MB in ") && sum.ends_with("MB/s)"), "{output}");
    assert_same(&online.share("photos"), &online.local("photos"));
    online.ok(["download", "-r", "photos", "back"]).complains("7 files, 5.32 MB in ");
    assert_same(&online.local("back"), &online.local("photos"));
    // Again, nothing is sent.
    for line in [["upload", "-r", "photos/.", "photos"], ["download", "-r", "photos/.", "back"]] {
        online.ok(line).complains("0 files, 7 already there\n");
    }
}

#[test]
fn times_and_bits_are_kept_as_for_single_files() {
    let online = Online::new();
    write(&online.local("d/run"), "#!/bin/sh\n");
    fs::set_permissions(online.local("d/run"), fs::Permissions::from_mode(0o755)).expect("set");
    set_modified(&online.local("d/run"), long_ago());
    online.ok(["upload", "-r", "--no-mtime", "d", "plain"]);
    online.ok(["upload", "-r", "-p", "d", "kept"]);
    online.ok(["download", "-r", "-p", "kept"]);
    let look = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there");
        (metadata.permissions().mode() & 0o100 != 0, metadata.modified().expect("a time") == long_ago())
    };
    assert_eq!(look(&online.share("plain/run")), (false, false));
    assert_eq!(look(&online.share("kept/run")), (true, true));
    assert_eq!(look(&online.local("kept/run")), (true, true));
}

#[test]
fn a_directory_goes_into_one_that_exists_and_else_becomes_it() {
    let online = Online::new();
    write(&online.local("d/a"), "a");
    write(&online.local("e/b"), "b");
    fs::create_dir(online.share("in")).expect("made");
    for (line, there) in [
        (&["d", "in"][..], "in/d/a"),
        (&["d/", "new"], "new/a"),
        (&["d", "in/newer"], "in/newer/a"),
        (&["d/.", "in"], "in/a"),
        (&["d"], "d/a"),
        (&["--to", "in", "d", "e"], "in/e/b"),
        (&["d", "e", "in/newer"], "in/newer/d/a"),
        (&["d", "e/b", "in/newer"], "in/newer/b"),
        (&["[e]", "in/d"], "in/d/e/b"),
        (&["e/b", "file"], "file"),
        (&[".", "all"], "all/e/b"),
    ] {
        assert_absent(&online.share(there));
        online.ok([&["upload", "-r"], line].concat());
        assert!(online.share(there).is_file(), "{line:?}");
    }
    fs::create_dir(online.local("to")).expect("made");
    for (line, there) in [
        (&["in", "to"][..], "to/in/newer/a"),
        (&["in/", "fetched"], "fetched/d/a"),
        (&["in/newer/.", "to"], "to/newer/a"),
        (&["new"], "new/a"),
        (&["--to", "to", "new", "d"], "to/new/a"),
        (&["in/newe[r]", "to"], "to/newer/b"),
        (&["new/a", "single"], "single"),
        (&["/", "whole"], "whole/in/a"),
        (&[".", "whole2"], "whole2/in/a"),
    ] {
        if there != "to/newer/a" && there != "to/newer/b" {
            assert_absent(&online.local(there));
        }
        online.ok([&["download", "-r"], line].concat());
        let there = if line[0] == "in/newer/." { "to/a" } else { there };
        assert!(online.local(there).is_file(), "{line:?}");
    }
    assert_absent(&online.local("whole/.fulmar"));
}

#[test]
fn the_directory_above_the_target_has_to_exist() {
    let online = Online::new();
    write(&online.local("d/a"), "a");
    write(&online.local("file"), "x");
    write(&online.share("d/a"), "a");
    write(&online.share("file"), "x");
    online.fails(3, ["upload", "-r", "d", "no/where"]).complains(" mkdir -p /no\n");
    online.fails(3, ["upload", "-r", "d", "nowhere/"]).complains(" mkdir -p /nowhere\n");
    online.fails(1, ["upload", "-r", "d", "file"]).complains("fulmar: upload: file: not a directory");
    online.fails(1, ["upload", "-r", "d", "file/x"]).complains("not a directory");
    online.fails(3, ["download", "-r", "d", "no/where"]).complains("mkdir -p ");
    online.fails(3, ["download", "-r", "d", "nowhere/"]).complains("nowhere");
    online.fails(11, ["download", "-r", "d", "file"]).complains("file: not a directory");
    online.fails(3, ["download", "-r", "gone"]).complains("fulmar: download: gone: no such file");
    online.fails(3, ["upload", "-r", "gone"]).complains("fulmar: upload: gone: no such file");
    // Without -r a directory is refused, with the command that takes it.
    online.fails(1, ["upload", "d"]).complains(" upload -r d` takes all that is in it\n");
    online.fails(1, ["download", "d"]).complains(" download -r d` takes all that is in it\n");
    online.fails(2, ["upload", "-r", "-", "x"]);
    online.fails(2, ["download", "-r", "d", "-"]);
    write(&online.local("e/d/a"), "b");
    online.fails(2, ["upload", "-r", "d", "e/d", "d"]).complains("e/d: would get the same name as d\n");
    assert_names(&online.share("."), &[".fulmar", "d", "file"]);
    assert_names(&online.local("."), &["d", "e", "file"]);
}

#[test]
fn what_is_excluded_is_left_out() {
    let online = Online::new();
    for name in ["a.txt", "a.tmp", "x/b.tmp", "x/b.txt", "x/build/o", "build/o", ".git/config", "x/y/only"] {
        write(&online.local("d").join(name), name);
    }
    let patterns = ["--exclude", "*.tmp", "--exclude", ".git/", "--exclude", "/build", "--exclude=x/y"];
    online.ok([&["upload", "-r", "d"], &patterns[..]].concat()).complains("3 files, ");
    assert_eq!(
        tree(&online.share("d")).into_keys().collect::<Vec<_>>(),
        ["a.txt", "x", "x/b.txt", "x/build", "x/build/o"]
    );
    online.ok(["upload", "-r", "d", "all"]).complains("8 files, ");
    online.ok([&["download", "-r", "all", "fetched"], &patterns[..]].concat()).complains("3 files, ");
    assert_same(&online.local("fetched"), &online.share("d"));
    online.fails(2, ["upload", "-r", "d", "--exclude", "[a"]).complains("fulmar: upload: [a: no pattern: ");
    online.fails(2, ["upload", "d/a.txt", "--exclude", "x"]).complains("--recursive");
}

#[test]
fn a_dry_run_changes_nothing() {
    let online = Online::new();
    write_photos(&online.local("photos"));
    write(&online.share("in/photos/beach.jpg"), "other");
    write(&online.share("in/photos/empty.txt"), "");
    let (here, there) = (tree(&online.local(".")), tree(&online.share("in")));
    let output = online.run(["upload", "-r", "--dry-run", "photos", "in"]).expect(8);
    let output = output
        .says("photos/2026/october/x -> in/photos/2026/october/x  1 B  would be stored\n")
        .says("photos/2026/ -> in/photos/2026/  would be made\n")
        .says("photos/empty.txt -> in/photos/empty.txt  0 B  already there\n");
    output
        .complains("in/photos/beach.jpg: exists already")
        .complains("nothing was done: 5 files, 5.25 MB would be stored, 1 already there, 1 failed\n");
    let output = online.ok(["upload", "-r", "-f", "--dry-run", "photos", "in"]);
    output.says("photos/beach.jpg -> in/photos/beach.jpg  70.00 kB  would replace what is there\n");
    online.ok(["upload", "-r", "--dry-run", "photos", "new"]).complains("7 files, 5.32 MB would be stored\n");
    online.ok(["download", "-r", "--dry-run", "in"]).says("in/photos/ -> in/photos/  would be made\n");
    // Single files too.
    online
        .ok(["upload", "--dry-run", "photos/beach.jpg", "in"])
        .says("photos/beach.jpg -> in/beach.jpg  70.00 kB  would be stored\n");
    online.fails(3, ["upload", "--dry-run", "photos/beach.jpg", "no/where"]);
    online.fails(1, ["upload", "--dry-run", "photos"]);
    online
        .ok(["download", "--dry-run", "in/photos/beach.jpg", "photos/empty.txt", "--on-exists", "skip"])
        .says("in/photos/beach.jpg -> photos/empty.txt  would be skipped: it exists\n");
    let plans = online.ok(["--json", "download", "--dry-run", "-r", "in"]);
    let plan = &plans.objects()[0];
    assert_eq!(
        (&plan["type"], &plan["action"], &plan["source"]),
        (&"plan".into(), &"make-directory".into(), &"in".into())
    );
    assert!(tree(&online.local(".")) == here && tree(&online.share("in")) == there, "something has changed");
    let sent: Vec<_> = online.stop().commands().iter().map(|record| record["verb"].clone()).collect();
    assert!(
        sent.iter()
            .all(|verb| ["stat", "ls", "hash", "open", "list", "download"]
                .contains(&verb.as_str().expect("text"))),
        "{sent:?}"
    );
}

#[test]
fn links_and_special_files_are_left_out_and_told() {
    let online = Online::new();
    write(&online.local("outside/secret"), "not yours");
    write(&online.local("d/a"), "a");
    symlink("a", online.local("d/link")).expect("made");
    symlink("../outside", online.local("d/out")).expect("made");
    symlink("..", online.local("d/round")).expect("made");
    symlink("nowhere", online.local("d/broken")).expect("made");
    let _socket = std::os::unix::net::UnixListener::bind(online.local("d/socket")).expect("a socket");
    let output = online.ok(["upload", "-r", "d"]);
    let output = output.complains("1 file, 1 B in ").complains("5 links or special files left out\n");
    for name in ["link", "out", "round", "broken"] {
        assert!(output.stderr.contains(&format!("left out d/{name}: a symbolic link\n")), "{output}");
    }
    output.complains("left out d/socket: neither a file nor a directory\n");
    assert_names(&online.share("d"), &["a"]);
    // The same on the other side.
    symlink("a", online.share("d/link")).expect("made");
    online.ok(["download", "-r", "d", "back"]).complains("left out d/link: a symbolic link\n");
    assert_names(&online.local("back"), &["a"]);
    // A link that was named is the user's own.
    symlink("d", online.local("named")).expect("made");
    online.ok(["upload", "-r", "named"]);
    assert_names(&online.share("named"), &["a"]);
}

#[test]
fn batches_and_the_shell_take_trees_too() {
    let online = Online::new();
    write_photos(&online.local("photos"));
    let script = "mkdir in\ncd in\nput -r photos\nlcd photos\nput -r . flat\nget -r flat ../back\nls flat\n";
    let output = online.batch(script).expect(0);
    output.says("2026/\nbeach.jpg\nempty.txt\n");
    assert_same(&online.share("in/photos"), &online.local("photos"));
    assert_same(&online.share("in/flat"), &online.local("photos"));
    assert_same(&online.local("back"), &online.local("photos"));
}

#[test]
fn two_thousand_files_arrive_whole() {
    let online = Online::new();
    for number in 0..2_000_usize {
        let name = format!("d/{:02}/{number}.txt", number % 40);
        write(&online.local(&name), number.to_string().repeat(number % 300));
    }
    online.ok(["-q", "upload", "-r", "d"]);
    assert_same(&online.share("d"), &online.local("d"));
    let output = online.ok(["--json", "download", "-r", "d", "back"]);
    assert_same(&online.local("back"), &online.local("d"));
    let objects = output.objects();
    assert_eq!(objects.len(), 2_000);
    assert!(
        objects.iter().all(|object| object["type"] == "done" && object["outcome"] == "stored"),
        "{output}"
    );
}

#[test]
fn long_listings_do_not_keep_files_from_coming() {
    // Two listings of more than 2 MiB: left unread, they would fill the window of a short path for good.
    let lab = Lab::in_memory();
    let long = "a long name ".repeat(18);
    for folder in ["d/one", "d/two"] {
        fs::create_dir_all(lab.share(folder)).expect("made");
        for number in 0..9_000 {
            File::create(lab.share(&format!("{folder}/{number:05} {long}"))).expect("made");
        }
    }
    let online = Online::in_lab(lab, &["-q"]);
    online.ok(["-q", "download", "-r", "d"]);
    for folder in ["d/one", "d/two"] {
        assert!(names(&online.local(folder)) == names(&online.share(folder)), "{folder}");
    }
}

#[test]
fn on_a_terminal_many_files_are_one_line() {
    let online = Online::new();
    for number in 0..30 {
        write(&online.local(&format!("d/{number}")), "x");
    }
    let addr = &online.server.addr;
    let terminal = online.terminal(ALICE, &["-s", addr, "upload", "-r", "d"]);
    terminal.shows("30 files, 30 B in ");
    let (output, text) = terminal.wait_for_all();
    output.expect(0);
    assert!(!text.contains("verified"), "{text}");
    let terminal = online.terminal(ALICE, &["-v", "-s", addr, "upload", "-rf", "d"]);
    let (output, text) = terminal.wait_for_all();
    output.expect(0);
    assert_eq!(text.matches("  verified").count(), 30, "{text}");
    assert_holds(&online.share("d/7"), b"x");
}
