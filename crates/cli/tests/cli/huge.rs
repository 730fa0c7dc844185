//! Files beyond four gibibytes.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
};

use crate::harness::{
    ALICE, Online, Process,
    data::{bytes, same_file_content},
};

const LEN: u64 = (5 << 30) + 5;
/// What either process may hold in memory while such a file passes through it.
const MAX_RESIDENT_KIB: u64 = 200 * 1024;
/// Five gibibytes and their digests on a slow disk.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1800);

/// Whether the tests that take minutes are wanted; otherwise says by name that this one is left out.
fn wanted(name: &str) -> bool {
    let wanted = std::env::var_os("FULMAR_LONG").is_some_and(|value| value == "1");
    if !wanted {
        // Not by the macro, whose output is hidden when a test passes.
        let _ = writeln!(io::stderr(), "skipped: {name} (FULMAR_LONG=1 runs it)");
    }
    wanted
}

#[test]
fn s07_five_gibibytes_go_up_and_down_in_little_memory() {
    if !wanted("s07_five_gibibytes_go_up_and_down_in_little_memory") {
        return;
    }
    let online = Online::new();
    let path = online.local("huge.bin");
    let file = File::create(&path).expect("made");
    file.set_len(LEN).expect("sparse");
    // Something around every place where an offset could lose its upper half, and at the end.
    for (seed, offset) in [(1801, 0), (1802, (1 << 32) - 500), (1803, (1 << 31) - 500), (1804, LEN - 1000)] {
        file.write_all_at(&bytes(seed, 1000), offset).expect("written");
    }
    let mut shell = online.command(ALICE, ["--json", "shell"]).spawn();
    let mut seen = 0;
    for line in ["upload huge.bin", "size huge.bin", "download huge.bin back.bin"] {
        seen = run_line(&mut shell, line, seen);
    }
    let resident = [shell.resident_kib("VmHWM"), online.server.process.resident_kib("VmHWM")];
    println!("client {} KiB, server {} KiB", resident[0], resident[1]);
    assert!(resident.iter().all(|kib| *kib < MAX_RESIDENT_KIB), "{resident:?}");
    let objects = shell.finish().expect(0).objects();
    assert_eq!(objects[0]["bytes"], LEN);
    assert_eq!(objects[0]["blake3"], objects[4]["blake3"]);
    assert!(same_file_content(&path, &online.share("huge.bin")));
    assert!(same_file_content(&path, &online.local("back.bin")));
}

/// Runs a line of a shell to its end, which the answer to the next one shows.
fn run_line(shell: &mut Process, line: &str, from: usize) -> usize {
    shell.feed(format!("{line}\nlpwd\n").as_bytes());
    let found = shell.stdout.wait(PATIENCE, |bytes| {
        let needle = b"\"verb\":\"lpwd\"";
        let at = bytes.get(from..)?.windows(needle.len()).position(|window| window == needle)?;
        Some(from + at + needle.len())
    });
    found.unwrap_or_else(|| panic!("{line}: {shell}"))
}
