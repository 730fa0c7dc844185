//! Very large directories.

use std::fs::File;

use crate::harness::{ALICE, Lab, Online, Process, data::write};

const ENTRIES: usize = 200_000;
/// What a listing of any length may cost either side.
const MAX_GROWTH_KIB: u64 = 32 * 1024;

/// Runs a line of a shell to its end, which the answer to the next one shows.
fn run_line(shell: &mut Process, line: &str, from: usize) -> usize {
    shell.feed(format!("{line}\nlpwd\n").as_bytes());
    // No name of the listing has a slash in its middle.
    shell.wait_for(from, "/local\n")
}

#[test]
fn s18_two_hundred_thousand_entries_cost_neither_side_memory() {
    let lab = Lab::in_memory();
    for index in 0..ENTRIES {
        let name = format!("many/file number {index:06}.txt");
        if index == 0 {
            write(&lab.share(&name), "");
        } else {
            File::create(lab.share(&name)).expect("made");
        }
    }
    std::fs::create_dir(lab.share("none")).expect("made");
    let online = Online::in_lab(lab, &["-q"]);
    let mut shell = online.command(ALICE, ["shell"]).spawn();
    let mut seen = run_line(&mut shell, "ls none", 0);
    let before = [shell.resident_kib("VmHWM"), online.server.process.resident_kib("VmHWM")];
    seen = run_line(&mut shell, "ls many", seen);
    let after = [shell.resident_kib("VmHWM"), online.server.process.resident_kib("VmHWM")];
    for (side, (before, after)) in ["client", "server"].into_iter().zip(before.into_iter().zip(after)) {
        println!("{side}: {before} KiB before, {after} KiB after");
        assert!(after - before < MAX_GROWTH_KIB, "{side}: {before} KiB before, {after} KiB after");
    }
    // Every name is there, once.
    let text = String::from_utf8(shell.stdout.bytes()[..seen].to_vec()).expect("text");
    check_bound_of_patterns(&online);
    let mut names: Vec<&str> = text.lines().filter(|line| line.starts_with("file number ")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ENTRIES);
    shell.finish().expect(0).complains("not sorted");
    assert_eq!(text.lines().filter(|line| line.starts_with("file number ")).count(), ENTRIES);
}

/// A pattern may lead to a hundred thousand names, and to no more.
#[track_caller]
fn check_bound_of_patterns(online: &Online) {
    let just_as_many = online.ok(["ls", "many/file number 0*"]);
    assert_eq!(just_as_many.out().lines().count(), 100_000);
    assert!(just_as_many.out().ends_with("many/file number 099999.txt\n"), "sorted");
    let one_more = online.fails(1, ["ls", "many/file number {0*,100000.txt}"]);
    one_more.complains("more than 100000 names match").complains("hint: ");
}
