//! Any size and any name, there and back again.

use std::fs;

use crate::harness::{
    ALICE, Online,
    data::{KIB, MIB, assert_holds, b3sum, bytes, long_ago, modified, names, set_modified, write},
};

/// Around the end of every length that a range can have, and around the end of the longest one's second.
fn boundaries() -> Vec<usize> {
    let ranges = (0..=5).map(|power| (64 * KIB) << power);
    let around = ranges.chain([4 * MIB]).flat_map(|length| [length - 1, length, length + 1]);
    [0, 1, 2, 1023, 1024, 1025].into_iter().chain(around).chain([2 * 2 * MIB + 64 * KIB + 1]).collect()
}

#[test]
fn s07_every_size_around_a_boundary_arrives_identical() {
    let online = Online::new();
    let sizes = boundaries();
    assert_eq!(sizes.len(), 6 + 7 * 3 + 1);
    for (seed, size) in (7_000..).zip(&sizes) {
        let path = online.local(&format!("{size}.bin"));
        write(&path, bytes(seed, *size));
        set_modified(&path, long_ago());
    }
    let files: Vec<String> = sizes.iter().map(|size| format!("{size}.bin")).collect();
    fs::create_dir(online.share("up")).expect("made");
    fs::create_dir(online.local("down")).expect("made");
    let to = |directory| ["--to", directory].map(str::to_owned);
    let up = online.ok([&["--json".to_owned(), "upload".to_owned()][..], &to("up"), &files].concat());
    let remote: Vec<String> = files.iter().map(|name| format!("up/{name}")).collect();
    let down = online.ok([&["--json".to_owned(), "download".to_owned()][..], &to("down"), &remote].concat());
    for (index, (seed, size)) in (7_000..).zip(&sizes).enumerate() {
        let content = bytes(seed, *size);
        for (output, dir) in [(&up, online.share("up")), (&down, online.local("down"))] {
            let path = dir.join(&files[index]);
            assert_holds(&path, &content);
            assert_eq!(modified(&path), long_ago(), "{size}");
            // In the order in which they ended.
            let objects = output.objects();
            let of_this = |object: &&serde_json::Value| {
                object["path"].as_str().is_some_and(|path| path.rsplit('/').next() == Some(&files[index]))
            };
            let found: Vec<_> = objects.iter().filter(of_this).collect();
            assert_eq!(found.len(), 1, "{size}");
            assert_eq!(found[0]["blake3"], b3sum(&content), "{size}");
        }
    }
}

#[test]
fn s07_names_of_all_kinds_go_there_and_back() {
    let online = Online::new();
    let all = [
        "with space.txt",
        " leading and trailing ",
        "it's.txt",
        "say \"hello\".txt",
        "both ' and \".txt",
        "naïve Größe Ωμέγα.txt",
        "日本語のファイル.txt",
        "🦭🌊.bin",
        "e\u{301} and \u{e9}.txt",
        "-starts-with-dash",
        "*?[a].txt",
        "$HOME `id` $(id).txt",
        "semi;colon&and|pipe.txt",
        "#comment.txt",
        ".dotfile",
        "no extension",
        "two.dots.tar.gz",
        "100%.txt",
        "tilde~",
    ];
    fs::create_dir(online.share("up")).expect("made");
    fs::create_dir(online.local("down")).expect("made");
    for name in all {
        write(&online.local(name), name);
        // Behind `--` everything is a name.
        online.ok(["upload", "--to", "up", "--", name]);
        let remote = format!("up/{name}");
        online.ok(["download", "--to", "down", "--", &remote]);
        assert_holds(&online.share(&remote), name.as_bytes());
        assert_holds(&online.local("down").join(name), name.as_bytes());
        online.ok(["size", "--", &remote]).says("0.00 MB");
    }
    let mut expected: Vec<_> = all.iter().map(|name| (*name).to_owned()).collect();
    expected.sort();
    assert_eq!(names(&online.share("up")), expected);
    let listed = online.ok(["--json", "ls", "-a", "up"]).objects();
    let listed: Vec<_> =
        listed.iter().map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(listed, expected);
}

#[test]
fn s07_a_shell_takes_quoted_names() {
    let online = Online::new();
    write(&online.local("my file.txt"), "x");
    write(&online.local("it's.txt"), "y");
    let script =
        "upload 'my file.txt'\nput \"it's.txt\" it\\'s\\ there.txt\nsize 'my file.txt'\nrm my\\ file.txt\n";
    let output = online.batch(script).expect(0);
    assert!(output.out().ends_with("removed my file.txt\n"), "{output}");
    assert_eq!(names(&online.share(".")), [".fulmar", "it's there.txt"]);
}

#[test]
fn s07_names_that_could_harm_a_terminal_are_escaped() {
    let online = Online::new();
    let evil = "evil\u{1b}[2J\u{7}.txt";
    fs::write(online.share(evil), "x").expect("written");
    fs::write(online.local(evil), "x").expect("written");
    for output in [online.ok(["ls"]), online.ok(["ls", "-l"]), online.batch("lls\n").expect(0)] {
        assert!(!output.out().contains('\u{1b}') && !output.out().contains('\u{7}'), "{output}");
        assert!(output.out().contains("\\u{1b}"), "{output}");
    }
    let output = online.run(["upload", evil]).expect(2);
    assert!(!output.stderr.contains('\u{1b}'), "{output}");
}

#[test]
fn s07_standard_input_of_any_length_is_uploaded() {
    let online = Online::new();
    for (seed, len) in [(710, 0), (711, 1), (712, MIB), (713, MIB + 1), (714, 3 * MIB + 1), (715, 2 * MIB)] {
        let content = bytes(seed, len);
        let name = format!("piped {len}.bin");
        let output = online.command(ALICE, ["--json", "upload", "-", &name]).stdin(content.clone()).run();
        let done = output.expect(0).one_object();
        assert_eq!((&done["bytes"], &done["blake3"]), (&len.into(), &b3sum(&content).into()));
        assert_holds(&online.share(&name), &content);
        let back = online.ok(["download", &name, "-"]);
        assert!(back.stdout == content, "{len}: other bytes on standard output");
    }
}

#[test]
fn s07_standard_input_that_comes_in_pieces_is_one_file() {
    let online = Online::new();
    let content = bytes(716, 2 * MIB + 300);
    let mut upload = online.command(ALICE, ["--progress", "json", "upload", "-", "slow.bin"]).spawn();
    // Every piece has been acknowledged before the next one is given.
    upload.feed(&content[..MIB]);
    let seen = upload.wait_for(0, &format!("\"bytes\":{MIB}"));
    upload.feed(&content[MIB..MIB + 1]);
    upload.feed(&content[MIB + 1..2 * MIB + 100]);
    upload.feed(&content[2 * MIB + 100..]);
    assert!(seen > 0);
    upload.finish().expect(0);
    assert_holds(&online.share("slow.bin"), &content);
}

#[test]
fn s07_standard_input_needs_a_name_and_a_command_of_its_own() {
    let online = Online::new();
    online.fails(2, ["upload", "-"]).complains("name");
    online.fails(2, ["upload", "--to", "/", "-"]);
    write(&online.local("a"), "x");
    online.fails(2, ["upload", "-", "a", "/"]);
    online.batch("upload - x\n").expect(2);
    online.batch("download x -\n").expect(2);
    let into_a_directory = online.command(ALICE, ["upload", "-", "/"]).stdin("x").run();
    assert_ne!(into_a_directory.code, Some(0), "{into_a_directory}");
    assert_eq!(names(&online.share(".")), [".fulmar"]);
}

#[test]
fn s07_a_file_that_does_not_tell_its_size_is_never_taken_for_an_empty_one() {
    let online = Online::new();
    // Files of this file system are 0 bytes long until they are read.
    let path = "/proc/version";
    let content = fs::read(path).expect("there");
    assert!(!content.is_empty() && fs::metadata(path).expect("there").len() == 0);
    let output = online.run(["upload", path, "version"]);
    if output.code == Some(0) {
        assert_holds(&online.share("version"), &content);
    }
    // As standard input it has as many bytes as it has.
    online.command(ALICE, ["upload", "-", "piped"]).stdin(content.clone()).run().expect(0);
    assert_holds(&online.share("piped"), &content);
}

#[test]
fn s07_a_sparse_file_of_seventy_mebibytes_arrives_identical() {
    let online = Online::new();
    let len = 70 * MIB + 5;
    let path = online.local("sparse.bin");
    let file = fs::File::create(&path).expect("made");
    file.set_len(len as u64).expect("its length can be set");
    for (seed, offset) in [(720, 0), (721, 32 * MIB - 100), (722, len - 200)] {
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes(seed, 200), offset as u64).expect("written");
    }
    drop(file);
    let content = fs::read(&path).expect("there");
    let up = online.ok(["--json", "upload", "sparse.bin"]).one_object();
    assert_eq!((&up["bytes"], &up["blake3"]), (&len.into(), &b3sum(&content).into()));
    assert_holds(&online.share("sparse.bin"), &content);
    let down = online.ok(["--json", "download", "sparse.bin", "back.bin"]).one_object();
    assert_eq!(down["blake3"], up["blake3"]);
    assert_holds(&online.local("back.bin"), &content);
}
