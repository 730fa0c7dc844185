//! What a server may demand of every client.

use crate::harness::{
    ALICE, Lab, Online,
    data::{assert_absent, assert_holds, assert_names, write},
};

#[test]
fn s12_extensions_are_kept_on_demand() {
    let online = Online::with(&["--keep-extension"]);
    write(&online.local("a.txt"), "a");
    write(&online.local("plain"), "p");
    write(&online.share("r.jpg"), "r");
    for target in ["a.md", "a", "a.txt.gz", "in.d"] {
        online.fails(4, ["upload", "a.txt", target]).complains("extension");
        assert_absent(&online.share(target));
    }
    online.fails(4, ["upload", "plain", "plain.txt"]).complains("extension");
    online.ok(["upload", "a.txt", "b.txt"]);
    online.ok(["upload", "a.txt", "C.TXT"]);
    online.ok(["upload", "plain", "plain2"]);
    online.fails(4, ["mv", "r.jpg", "r.png"]).complains("extension");
    online.fails(4, ["mv", "r.jpg", "r"]);
    assert_holds(&online.share("r.jpg"), b"r");
    online.ok(["mv", "r.jpg", "s.jpg"]);
    for target in ["s.png", "s", "s.jpg.bak"] {
        online.fails(4, ["download", "s.jpg", target]).complains("extension");
        assert_absent(&online.local(target));
    }
    online.ok(["download", "s.jpg", "t.jpg"]);
    online.ok(["mkdir", "dir.old"]);
    online.ok(["mv", "s.jpg", "dir.old"]);
    assert_names(&online.share("dir.old"), &["s.jpg"]);
}

#[test]
fn s12_without_the_option_any_extension_will_do() {
    let online = Online::new();
    write(&online.local("a.txt"), "a");
    online.ok(["upload", "a.txt", "a.md"]);
    online.ok(["mv", "a.md", "a"]);
    online.ok(["download", "a", "b.pdf"]);
    assert_holds(&online.local("b.pdf"), b"a");
}

#[test]
fn a_read_only_server_changes_nothing() {
    let lab = Lab::new();
    write(&lab.share("a.txt"), "a");
    let online = Online::in_lab(lab, &["--read-only"]);
    write(&online.local("b.txt"), "b");
    write(&online.local("big.bin"), vec![1; 3 << 20]);
    for command in [
        &["upload", "b.txt"][..],
        &["upload", "big.bin"],
        &["upload", "-f", "b.txt", "a.txt"],
        &["rm", "a.txt"],
        &["rm", "-r", "a.txt"],
        &["mv", "a.txt", "c.txt"],
        &["mkdir", "d"],
    ] {
        online.fails(4, command).complains("read-only");
    }
    assert_eq!(online.ok(["ls"]).out(), "a.txt\n");
    online.ok(["ls", "-l"]);
    online.ok(["hash", "a.txt"]);
    assert!(online.ok(["download", "a.txt", "-"]).stdout == b"a");
    assert_names(&online.share("."), &[".fulmar", "a.txt"]);
}

#[test]
fn a_server_can_forbid_overwriting() {
    let online = Online::with(&["--no-overwrite"]);
    write(&online.share("a.txt"), "old");
    write(&online.share("b.txt"), "b");
    write(&online.local("a.txt"), "new");
    online.fails(4, ["upload", "-f", "a.txt"]).complains("overwritten");
    online.fails(4, ["mv", "-f", "b.txt", "a.txt"]);
    online.fails(8, ["upload", "a.txt"]);
    assert_holds(&online.share("a.txt"), b"old");
    online.ok(["upload", "--on-exists", "rename", "a.txt"]);
    online.ok(["rm", "a.txt"]);
    online.ok(["upload", "a.txt"]);
}

#[test]
fn strangers_may_do_what_the_server_lets_anyone_do() {
    let lab = Lab::new();
    write(&lab.share("a.txt"), "a");
    write(&lab.local("b.txt"), "b");
    for (anonymous, may_write) in [("read", false), ("write", true)] {
        let server = lab.serve(&["--anonymous", anonymous]);
        let run =
            |args: &[&str]| lab.fulmar("stranger", ["--trust-new", "-s", &server.addr]).args(args).run();
        assert_eq!(run(&["ls", "a.txt"]).expect(0).out(), "a.txt\n");
        assert!(run(&["download", "a.txt", "-"]).expect(0).stdout == b"a");
        run(&["upload", "b.txt"]).expect(if may_write { 0 } else { 4 });
        run(&["rm", "a.txt"]).expect(4).complains("delete");
        server.stop().expect(0);
    }
}

#[test]
fn an_invite_gives_the_grants_that_it_names() {
    let online = Online::new();
    write(&online.share("a.txt"), "a");
    write(&online.local("b.txt"), "b");
    let invite = online.invite(&["--grants", "list,read"]);
    online.enrol("reader", &invite);
    let run = |args: &[&str]| online.command("reader", args).run();
    assert_eq!(run(&["ls"]).expect(0).out(), "a.txt\n");
    assert!(run(&["download", "a.txt", "-"]).expect(0).stdout == b"a");
    run(&["upload", "b.txt"]).expect(4).complains("write");
    run(&["mkdir", "d"]).expect(4);
    run(&["rm", "a.txt"]).expect(4).complains("delete");
    run(&["mv", "a.txt", "b"]).expect(4);
    assert_names(&online.share("."), &[".fulmar", "a.txt"]);
    // Who may write and not read learns only that a name is taken.
    let invite = online.invite(&["--grants", "list,write"]);
    online.enrol("writer", &invite);
    write(&online.local("a.txt"), "a");
    online.command("writer", ["upload", "a.txt"]).run().expect(8);
    online.command("writer", ["upload", "b.txt"]).run().expect(0);
    online.command("writer", ["upload", "-f", "b.txt", "a.txt"]).run().expect(4);
    online.command("writer", ["download", "a.txt", "-"]).run().expect(4);
    online.command(ALICE, ["rm", "a.txt"]).run().expect(0);
}
