//! Looking around and tidying up: `ls`, `rm`, `size`, `lls`, `lcd`.

use std::fs;

use crate::harness::{
    ALICE, Lab, Online,
    data::{assert_absent, assert_names, write},
};

#[test]
fn s02_ls_lists_the_root_and_directories() {
    let online = Online::new();
    assert_eq!(online.ok(["ls"]).out(), "(empty)\n");
    write(&online.share("b.txt"), "12345");
    write(&online.share("a b.txt"), "");
    write(&online.share("docs/inner.md"), "x");
    write(&online.share(".hidden"), "x");
    fs::create_dir(online.share("void")).expect("made");
    assert_eq!(online.ok(["ls"]).out(), "a b.txt\nb.txt\ndocs/\nvoid/\n");
    assert_eq!(online.ok(["ls", "/"]).out(), "a b.txt\nb.txt\ndocs/\nvoid/\n");
    assert_eq!(online.ok(["dir", "-a"]).out(), ".hidden\na b.txt\nb.txt\ndocs/\nvoid/\n");
    assert_eq!(online.ok(["ls", "docs"]).out(), "inner.md\n");
    assert_eq!(online.ok(["ls", "/docs/"]).out(), "inner.md\n");
    assert_eq!(online.ok(["ls", "void"]).out(), "(empty)\n");
    assert_eq!(online.ok(["--json", "ls", "void"]).out(), "", "--json says nothing of an empty directory");
}

#[test]
fn s02_a_missing_directory_is_an_error() {
    let online = Online::new();
    let output = online.fails(3, ["ls", "no/such dir"]);
    output.complains("fulmar: ls: no/such dir: no such file or directory");
    online.fails(4, ["ls", ".."]).complains("outside");
    // What the server keeps for itself is not to be seen, however it is spelt.
    for name in [".fulmar", "/.fulmar", ".FULMAR", ".fulmar/x"] {
        online.fails(4, ["ls", name]);
    }
    assert!(!online.ok(["ls", "-la"]).out().contains(".fulmar"));
}

#[test]
fn s02_a_batch_lists_from_where_it_is() {
    let online = Online::new();
    write(&online.share("d/e/f.txt"), "x");
    let output = online.batch("cd d\npwd\nls\ncd e\nls\nls ..\ncd /\npwd\nls ./d//e/.\n").expect(0);
    assert_eq!(output.out(), "/d\ne/\nf.txt\ne/\n/\nf.txt\n");
    online.batch("cd d/e/f.txt\n").expect(1).complains("not a directory");
    online.batch("cd nowhere\n").expect(3).complains("nowhere");
}

#[test]
fn s03_rm_removes_and_says_so() {
    let online = Online::new();
    write(&online.share("a.txt"), "x");
    write(&online.share("b c.txt"), "x");
    write(&online.share("keep.txt"), "x");
    let output = online.ok(["rm", "a.txt", "b c.txt"]);
    assert_eq!(output.out(), "removed a.txt\nremoved b c.txt\n");
    assert_absent(&online.share("a.txt"));
    assert_absent(&online.share("b c.txt"));
    assert_eq!(online.ok(["ls"]).out(), "keep.txt\n");
}

#[test]
fn s03_a_missing_file_is_named() {
    let online = Online::new();
    online.fails(3, ["rm", "gone.txt"]).complains("fulmar: rm: gone.txt: no such file");
    // What can be removed is removed; one kind of failure keeps its own code.
    write(&online.share("there.txt"), "x");
    let output = online.run(["rm", "gone.txt", "there.txt", "lost.txt"]).expect(3);
    assert_eq!(output.out(), "removed there.txt\n");
    output.complains("gone.txt").complains("lost.txt");
}

#[test]
fn s03_different_failures_of_several_items_are_seven() {
    let online = Online::new();
    write(&online.share("dir/a"), "x");
    online.run(["rm", "gone.txt", "/"]).expect(7);
    online.run(["rm", "gone.txt", "gone too"]).expect(3);
}

#[test]
fn s03_a_directory_needs_r() {
    let online = Online::new();
    write(&online.share("dir/sub/a"), "x");
    write(&online.share("dir/b"), "x");
    online.fails(1, ["rm", "dir"]).complains("dir").complains("hint: fulmar ").complains(" rm -r dir\n");
    assert_names(&online.share("dir"), &["b", "sub"]);
    let output = online.ok(["rm", "-r", "dir"]);
    assert_eq!(output.out(), "removed dir (2 files, 2 directories)\n");
    assert_absent(&online.share("dir"));
    fs::create_dir(online.share("void")).expect("made");
    online.ok(["rm", "-r", "void"]);
    assert_absent(&online.share("void"));
}

#[test]
fn s03_the_root_the_reserved_name_and_the_outside_stay() {
    let online = Online::new();
    write(&online.share("sub/a.txt"), "x");
    write(&online.path("outside.txt"), "precious");
    for path in [
        "/",
        ".",
        "..",
        "./",
        "sub/..",
        "../outside.txt",
        "/../outside.txt",
        "sub/../../outside.txt",
        ".fulmar",
        "/.fulmar",
        ".Fulmar",
        ".fulmar/",
        ".fulmar/catalog",
        "sub/../.fulmar",
    ] {
        for recursive in [&["rm", path][..], &["rm", "-r", path]] {
            online.fails(4, recursive);
        }
    }
    assert_eq!(fs::read(online.path("outside.txt")).expect("there"), b"precious");
    assert!(online.share(".fulmar").is_dir());
    assert_eq!(online.ok(["ls", "sub"]).out(), "a.txt\n");
}

#[test]
fn s03_a_link_is_removed_and_never_followed() {
    let online = Online::new();
    write(&online.path("outside/precious.txt"), "precious");
    std::os::unix::fs::symlink(online.path("outside"), online.share("link")).expect("linked");
    online.fails(1, ["rm", "link/precious.txt"]);
    online.ok(["rm", "-r", "link"]);
    assert_absent(&online.share("link"));
    assert!(online.path("outside/precious.txt").exists());
}

#[test]
fn s04_size_tells_megabytes_and_bytes() {
    let online = Online::new();
    let sized = |name: &str, bytes: u64| {
        fs::File::create(online.share(name)).and_then(|file| file.set_len(bytes)).expect("made");
    };
    sized("movie.bin", 12_582_912);
    sized("empty", 0);
    sized("round.bin", 1_005_000);
    sized("below.bin", 4_999);
    assert_eq!(online.ok(["size", "movie.bin"]).out(), "12.58 MB (12582912 bytes)  movie.bin\n");
    let several = online.ok(["du", "empty", "round.bin", "below.bin"]);
    let expected =
        "0.00 MB (0 bytes)  empty\n1.01 MB (1005000 bytes)  round.bin\n0.00 MB (4999 bytes)  below.bin\n";
    assert_eq!(several.out(), expected);
}

#[test]
fn s04_a_directory_is_summed_with_its_count() {
    let online = Online::new();
    write(&online.share("d/one"), vec![0; 1_000_000]);
    write(&online.share("d/sub/two"), vec![0; 500_000]);
    let text = online.ok(["size", "d"]);
    assert_eq!(text.out(), "1.50 MB (1500000 bytes)  d  (2 files, 1 directory)\n");
    let object = online.ok(["--json", "size", "d"]).one_object();
    assert_eq!((&object["type"], &object["path"]), (&"size".into(), &"d".into()));
    assert_eq!((&object["bytes"], &object["files"]), (&1_500_000.into(), &2.into()));
}

#[test]
fn s04_a_missing_file_is_named() {
    let online = Online::new();
    online.fails(3, ["size", "no.bin"]).complains("fulmar: size: no.bin: no such file");
}

#[test]
fn s11_the_client_sees_what_it_could_send() {
    let lab = Lab::new();
    write(&lab.local("report.pdf"), vec![0; 2_500]);
    write(&lab.local("photos/cat.jpg"), "x");
    fs::create_dir(lab.local("void")).expect("made");
    // None of it needs a connection.
    let script = "lls\nlls -l\nlcd photos\nlls\nlcd ..\nlls void\nlls photos\n";
    let output = lab.fulmar(ALICE, ["shell"]).stdin(script).run().expect(0);
    let lines: Vec<&str> = output.out().lines().collect();
    assert_eq!(lines[..3], ["photos/", "report.pdf", "void/"]);
    assert!(lines[4].trim_start().starts_with("2.50 kB") && lines[4].ends_with("report.pdf"), "{output}");
    assert_eq!(lines[6..], ["cat.jpg", "(empty)", "cat.jpg"]);
}

#[test]
fn s11_lcd_decides_where_transfers_look() {
    let online = Online::new();
    write(&online.local("sub/up.txt"), "upwards");
    write(&online.share("down.txt"), "downwards");
    let output = online.batch("lcd sub\nupload up.txt\ndownload down.txt\nlpwd\n").expect(0);
    let here = online.local("sub").canonicalize().expect("there");
    assert!(output.out().ends_with(&format!("{}\n", here.display())), "{output}");
    assert_eq!(fs::read(online.share("up.txt")).expect("uploaded"), b"upwards");
    assert_names(&online.local("sub"), &["down.txt", "up.txt"]);
}

#[test]
fn s11_a_missing_local_directory_is_named_and_changes_nothing() {
    let lab = Lab::new();
    let script = "-lcd nowhere\nlpwd\nlls gone\n";
    let output = lab.fulmar(ALICE, ["shell"]).stdin(script).run().expect(3);
    let here = lab.path("local").canonicalize().expect("there");
    assert_eq!(output.out(), format!("{}\n", here.display()));
    output.complains("fulmar: lcd: nowhere: ").complains("fulmar: lls: gone: ");
}
