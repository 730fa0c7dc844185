//! Files that change while they are sent or fetched.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::harness::{
    Online, Relay, Way,
    data::{MIB, assert_absent, assert_holds, assert_names, bytes, write},
};

/// What passes before the relay goes dark.
const SOME: usize = 3 * MIB;
/// The length of the files: more than that and all ranges of a transfer that can be under way with it, so that some of
/// the file has not been read yet.
const ALL: usize = SOME + 18 * 2 * MIB + 321;

/// Something done to a file.
type Change = fn(&Path);

/// Replaces a part in the middle by other bytes, in place, and gives the new content.
fn change(path: &Path, content: &mut [u8], seed: u64) {
    let (part, at) = (bytes(seed, 1000), ALL / 2);
    content[at..at + part.len()].copy_from_slice(&part);
    let file = File::options().write(true).open(path).expect("it exists");
    file.write_all_at(&part, at as u64).expect("written");
}

/// Changes the file again and again, as fast as it goes, until `work` is done; at least once before that.
fn keep_changing_while<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let file = File::options().write(true).open(path).expect("it exists");
    let once = |round: u64| file.write_all_at(&round.to_le_bytes(), ALL as u64 / 2).expect("written");
    once(0);
    thread::scope(|scope| {
        let rounds = (1..).take_while(|_| !done.load(Ordering::Relaxed));
        scope.spawn(|| rounds.for_each(once));
        let result = catch_unwind(AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Changes the file while the relay is dark, and lets things go on.
fn change_in_the_dark(relay: &Relay, path: &Path, content: &mut [u8], seed: u64) {
    relay.wait_until_dark();
    change(path, content, seed);
    relay.clear();
}

#[test]
fn s17_a_file_that_changes_once_while_it_is_sent_arrives_as_it_is_then() {
    let online = Online::new();
    let mut content = bytes(1701, ALL);
    let path = online.local("big.bin");
    write(&path, &content);
    let relay = online.relay();
    relay.go_dark_after(Way::Up, SOME);
    let upload = online.through(&relay, ["upload", "big.bin"]).spawn();
    change_in_the_dark(&relay, &path, &mut content, 1702);
    upload.wait().expect(0).complains("changed").says("verified");
    assert_holds(&online.share("big.bin"), &content);
}

#[test]
fn s17_a_file_that_keeps_changing_while_it_is_sent_is_an_error() {
    let online = Online::new();
    let path = online.local("big.bin");
    write(&path, bytes(1703, ALL));
    let relay = online.relay();
    relay.go_dark_after(Way::Up, SOME);
    let upload = online.through(&relay, ["upload", "big.bin"]).spawn();
    relay.wait_until_dark();
    let output = keep_changing_while(&path, || {
        relay.clear();
        upload.wait().expect(1)
    });
    assert_eq!(output.out(), "");
    output.complains("starting once more").complains("fulmar: upload: big.bin: it keeps changing");
    assert_absent(&online.share("big.bin"));
    online.ok(["upload", "big.bin"]);
    assert_holds(&online.share("big.bin"), &fs::read(&path).expect("there"));
}

#[test]
fn s17_a_file_that_grows_shrinks_or_is_replaced_while_it_is_sent() {
    let online = Online::new();
    let path = online.local("big.bin");
    let changes: [(&str, Change); 3] = [
        ("grown", |path| {
            File::options()
                .write(true)
                .open(path)
                .and_then(|file| file.set_len(ALL as u64 + 5))
                .expect("grown");
        }),
        ("cut", |path| {
            File::options().write(true).open(path).and_then(|file| file.set_len(SOME as u64)).expect("cut");
        }),
        ("replaced", |path| {
            write(&path.with_extension("new"), bytes(1707, ALL));
            fs::rename(path.with_extension("new"), path).expect("renamed");
        }),
    ];
    for (how, change) in changes {
        write(&path, bytes(1706, ALL));
        let relay = online.relay();
        relay.go_dark_after(Way::Up, SOME);
        let upload = online.through(&relay, ["upload", "big.bin", how]).spawn();
        relay.wait_until_dark();
        change(&path);
        relay.clear();
        upload.wait().expect(0);
        assert_holds(&online.share(how), &fs::read(&path).expect("there"));
    }
}

#[test]
fn s17_a_file_that_vanishes_while_it_is_sent_is_an_error() {
    let online = Online::new();
    let path = online.local("big.bin");
    write(&path, bytes(1708, ALL));
    let relay = online.relay();
    relay.go_dark_after(Way::Up, SOME);
    let upload = online.through(&relay, ["upload", "big.bin"]).spawn();
    relay.wait_until_dark();
    fs::remove_file(&path).expect("removed");
    relay.clear();
    let output = upload.wait();
    assert_ne!(output.code, Some(0), "{output}");
    output.complains("big.bin");
    assert_absent(&online.share("big.bin"));
}

#[test]
fn s17_a_file_that_changes_once_while_it_is_fetched_arrives_as_it_is_then() {
    let online = Online::new();
    let mut content = bytes(1711, ALL);
    let path = online.share("big.bin");
    write(&path, &content);
    let relay = online.relay();
    relay.go_dark_after(Way::Down, SOME);
    let download = online.through(&relay, ["download", "big.bin"]).spawn();
    change_in_the_dark(&relay, &path, &mut content, 1712);
    download.wait().expect(0).complains("changed").says("verified");
    assert_holds(&online.local("big.bin"), &content);
    assert_names(&online.local("."), &["big.bin"]);
}

#[test]
fn s17_a_file_that_is_replaced_while_it_is_fetched_arrives_as_the_new_one() {
    let online = Online::new();
    let path = online.share("big.bin");
    write(&path, bytes(1713, ALL));
    let new = bytes(1714, 4 * MIB);
    write(&online.local("new.bin"), &new);
    let relay = online.relay();
    relay.go_dark_after(Way::Down, SOME);
    let download = online.through(&relay, ["download", "big.bin"]).spawn();
    relay.wait_until_dark();
    // By another client, through the server.
    online.ok(["upload", "-f", "new.bin", "big.bin"]);
    relay.clear();
    download.wait().expect(0);
    assert_holds(&online.local("big.bin"), &new);
}

#[test]
fn s17_a_file_that_keeps_changing_while_it_is_fetched_is_an_error() {
    let online = Online::new();
    let path = online.share("big.bin");
    write(&path, bytes(1715, ALL));
    let relay = online.relay();
    relay.go_dark_after(Way::Down, SOME);
    let download = online.through(&relay, ["download", "big.bin"]).spawn();
    relay.wait_until_dark();
    let output = keep_changing_while(&path, || {
        relay.clear();
        download.wait().expect(1)
    });
    assert_eq!(output.out(), "");
    output.complains("starting once more").complains("fulmar: download: big.bin: it keeps changing");
    assert_names(&online.local("."), &[]);
    online.ok(["download", "big.bin"]);
    assert_holds(&online.local("big.bin"), &fs::read(&path).expect("there"));
}

#[test]
fn s17_what_went_to_standard_output_is_never_mixed() {
    let online = Online::new();
    let old = bytes(1718, ALL);
    let mut content = old.clone();
    let path = online.share("big.bin");
    write(&path, &content);
    let relay = online.relay();
    relay.go_dark_after(Way::Down, SOME);
    let download = online.through(&relay, ["download", "big.bin", "-"]).spawn();
    change_in_the_dark(&relay, &path, &mut content, 1719);
    let output = download.wait().expect(1);
    assert!(old.starts_with(&output.stdout), "other bytes than those it began with");
    assert!(output.stdout.len() < ALL);
    output.complains("big.bin: it keeps changing");
}

#[test]
fn s17_a_file_removed_while_it_is_fetched_leaves_no_local_one() {
    let online = Online::new();
    write(&online.share("big.bin"), bytes(1720, ALL));
    let relay = online.relay();
    relay.go_dark_after(Way::Down, SOME);
    let download = online.through(&relay, ["download", "big.bin"]).spawn();
    relay.wait_until_dark();
    online.ok(["rm", "big.bin"]);
    relay.clear();
    let output = download.wait().expect(3);
    output.complains("big.bin");
    assert_names(&online.local("."), &[]);
}
