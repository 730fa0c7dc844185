//! The catalog: what the server knows about its files beyond what the file system does.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::harness::{
    ALICE, Online,
    data::{MIB, b3sum, bytes, long_ago, modified, set_modified, write},
};

fn entries(online: &Online, args: &[&str]) -> Vec<Value> {
    online.ok([&["--json", "ls"], args].concat()).objects()
}

/// The listed entry of this name.
#[track_caller]
fn entry(online: &Online, name: &str) -> Value {
    let all = entries(online, &[]);
    let found = all.iter().find(|entry| entry["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} among {all:?}")).clone()
}

#[test]
fn s08_every_upload_has_an_id_a_name_a_size_and_a_type() {
    let online = Online::new();
    let files = [
        ("picture.jpg", 700, "image/jpeg"),
        ("notes.txt", 0, "text/plain"),
        ("page.HTML", 5, "text/html"),
        ("movie.mp4", 3 * MIB, "video/mp4"),
        ("no extension", 1, "application/octet-stream"),
    ];
    let client = online.fulmar(ALICE, ["fingerprint", "--client"]).run().expect(0).out().trim().to_owned();
    let mut ids = BTreeSet::new();
    for (seed, (name, len, media_type)) in (801..).zip(files) {
        let content = bytes(seed, len);
        write(&online.local(name), &content);
        online.ok(["upload", name]);
        let entry = entry(&online, name);
        assert_eq!(entry["type"], "entry");
        assert_eq!((&entry["size"], &entry["media_type"]), (&len.into(), &media_type.into()), "{entry}");
        assert_eq!(
            (&entry["blake3"], &entry["uploaded_by"]),
            (&b3sum(&content).into(), &client.clone().into())
        );
        assert!(entry["uploaded"].is_string() && entry["modified"].is_string(), "{entry}");
        ids.insert(entry["id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(ids.len(), files.len(), "ids are unique");
    // The id stays when the file gets another name, and a listing repeated gives the same.
    let before = entry(&online, "picture.jpg");
    assert_eq!(entry(&online, "picture.jpg"), before);
    online.ok(["mv", "picture.jpg", "renamed.jpg"]);
    assert_eq!(entry(&online, "renamed.jpg")["id"], before["id"]);
    assert_eq!(entry(&online, "renamed.jpg")["blake3"], before["blake3"]);
}

#[test]
fn s08_ls_l_is_a_table() {
    let online = Online::new();
    fs::create_dir(online.share("sub")).expect("made");
    for (name, len) in [("a.txt", 1), ("long name.jpeg", 12_582_912)] {
        write(&online.local(name), vec![7; len]);
        set_modified(&online.local(name), long_ago());
        online.ok(["upload", name]);
    }
    let output = online.ok(["ls", "-l"]);
    let lines: Vec<&str> = output.out().lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["id", "type", "size", "modified", "name"]);
    let rows: Vec<Vec<&str>> = lines[1..]
        .iter()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(rows.len(), 3, "{output}");
    assert!(rows.iter().all(|row| row.len() == 5), "{output}");
    assert_eq!(rows[0][1..], ["text/plain", "1 B", "2009-02-13 23:31:30Z", "a.txt"]);
    assert_eq!(rows[1][1..], ["image/jpeg", "12.58 MB", "2009-02-13 23:31:30Z", "long name.jpeg"]);
    assert_eq!((rows[2][1], rows[2][4]), ("directory", "sub/"));
    for (row, name) in [(&rows[0], "a.txt"), (&rows[1], "long name.jpeg")] {
        assert_eq!(entry(&online, name)["id"], row[0], "{output}");
    }
    // The columns stand below each other.
    let column = |line: &str, text: &str| line.find(text).expect("there");
    assert_eq!(column(lines[0], "modified"), column(lines[1], "2009"));
}

#[test]
fn s08_a_file_edited_by_hand_never_shows_a_stale_digest() {
    let online = Online::new();
    let (old, new) = (bytes(811, 5_000), bytes(812, 5_000));
    write(&online.local("a.bin"), &old);
    set_modified(&online.local("a.bin"), long_ago());
    online.ok(["upload", "a.bin"]);
    assert_eq!(entry(&online, "a.bin")["blake3"], b3sum(&old));
    // The same length, and even the same modification time.
    let path = online.share("a.bin");
    fs::write(&path, &new).expect("edited");
    set_modified(&path, long_ago());
    assert_eq!(modified(&path), long_ago());
    for _ in 0..2 {
        let shown = entry(&online, "a.bin")["blake3"].clone();
        assert!(shown.is_null() || shown == b3sum(&new), "{shown}");
    }
    assert!(!online.ok(["stat", "a.bin"]).out().contains(&b3sum(&old)));
    assert_eq!(online.ok(["hash", "a.bin"]).out(), format!("{}  a.bin\n", b3sum(&new)));
    assert_eq!(entry(&online, "a.bin")["blake3"], b3sum(&new));
    let back = online.ok(["download", "a.bin", "-"]);
    assert!(back.stdout == new, "not what is there now");
    // Replaced by another file under the same name, the old one kept beside it.
    fs::rename(&path, online.share("old.bin")).expect("moved");
    fs::write(&path, &old[1..]).expect("replaced");
    assert_eq!(entry(&online, "a.bin")["size"], old.len() - 1);
    assert_eq!(online.ok(["hash", "a.bin"]).out(), format!("{}  a.bin\n", b3sum(&old[1..])));
}

#[test]
fn s08_files_copied_in_by_hand_are_served_and_catalogued() {
    let online = Online::new();
    let content = bytes(813, 3 * MIB + 1);
    write(&online.share("copied.png"), &content);
    let seen = entry(&online, "copied.png");
    assert_eq!((&seen["size"], &seen["media_type"]), (&content.len().into(), &"image/png".into()));
    assert!(seen["uploaded_by"].is_null() && seen["id"].is_string(), "{seen}");
    assert_eq!(entry(&online, "copied.png")["id"], seen["id"], "the id stays");
    assert!(online.ok(["download", "copied.png", "-"]).stdout == content);
    online.ok(["hash", "copied.png"]);
    assert_eq!(entry(&online, "copied.png")["blake3"], b3sum(&content));
}

#[test]
fn s08_what_the_server_does_not_have_cannot_be_downloaded() {
    let online = Online::new();
    write(&online.local("a.txt"), "x");
    online.ok(["upload", "a.txt", "b.txt"]);
    online.ok(["rm", "b.txt"]);
    online.fails(3, ["download", "b.txt"]).complains("b.txt: no such file");
    assert!(entries(&online, &[]).is_empty());
    // Removed by hand counts as well.
    online.ok(["upload", "a.txt"]);
    fs::remove_file(online.share("a.txt")).expect("removed");
    online.fails(3, ["download", "a.txt", "back.txt"]);
    assert!(entries(&online, &[]).is_empty());
}

#[test]
fn s08_things_that_cannot_be_served_are_listed_as_such() {
    use std::os::unix::ffi::OsStrExt as _;
    let online = Online::new();
    std::os::unix::fs::symlink("/etc/passwd", online.share("link")).expect("linked");
    let odd = std::ffi::OsStr::from_bytes(b"not \xff utf-8");
    fs::write(online.share(".").join(odd), "x").expect("written");
    let fifo = online.share("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from(0o600)).expect("made");
    let listed = entries(&online, &[]);
    let kind = |name: &str| listed.iter().find(|entry| entry["name"] == name).map(|e| e["kind"].clone());
    assert_eq!(kind("link"), Some("link".into()));
    assert_eq!(kind("pipe"), Some("other".into()));
    assert!(listed.iter().any(|entry| entry["servable"] == false), "{listed:?}");
    for name in ["link", "pipe"] {
        online.fails(1, ["download", name, "x"]);
    }
}

#[test]
fn s08_the_catalog_outlives_the_server() {
    let online = Online::new();
    let content = bytes(814, 100);
    write(&online.local("a.gif"), &content);
    online.ok(["upload", "a.gif"]);
    let before = entry(&online, "a.gif");
    let lab = online.stop();
    let online = Online { server: lab.serve(&[]), lab };
    online.fulmar(ALICE, ["-s", &online.server.addr, "--trust-new", "connme"]).run().expect(0);
    assert_eq!(entry(&online, "a.gif"), before);
}
