//! The real program, with small files: all contenders, both directions.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::Path,
    process::Command,
};

use serde_json::Value;

/// Runs `fulmar-bench loopback` and returns what it says on standard output, or how it failed.
fn loopback(dir: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
    command.arg("loopback").arg("--dir").arg(dir).args(arguments);
    let output = command.output().expect("started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("written");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_contender_moves_every_file_both_ways() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = tempfile::tempdir().expect("a folder");
    let (json, svg) = (out.path().join("rows.json"), out.path().join("chart.svg"));
    let options = ["--sizes", "1MiB,3MiB", "--rounds", "1", "--seed", "7"];
    let files = ["--json", json.to_str().expect("text"), "--svg", svg.to_str().expect("text")];
    let table = loopback(dir.path(), &[&options[..], &files[..]].concat()).expect("measured");

    let lines = lines(&json);
    assert_eq!(lines[0]["kind"], "conditions");
    assert_eq!(lines[0]["cipher_suite"], "TLS13_AES_128_GCM_SHA256");
    // Four rounds of both sizes, two directions, three contenders. The program itself compares the digests of both
    // sides and of the published file with the source's, and fails when one differs.
    let rows = &lines[1..];
    assert_eq!(rows.len(), 4 * 2 * 2 * 3);
    let cells: BTreeSet<String> =
        rows.iter().map(|row| format!("{} {} {}", row["size"], row["direction"], row["contender"])).collect();
    assert_eq!(cells.len(), 2 * 2 * 3, "{cells:?}");
    for row in rows {
        for side in ["client", "server"] {
            assert!(row[side]["cpu_s"].as_f64() > Some(0.0), "{row}");
            assert!(row[side]["peak_bytes"].as_u64() > Some(1 << 20), "{row}");
        }
        assert!(row["goodput_bytes_per_s"].as_f64() > Some(0.0), "{row}");
    }
    for size in ["| 1 MiB |", "| 3 MiB |"] {
        assert_eq!(table.matches(size).count(), 2 * 3, "{table}");
    }
    let chart = std::fs::read_to_string(svg).expect("drawn");
    assert!(chart.starts_with("<svg") && chart.contains("3 MiB"));
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing is left behind");
    let everything = format!("{table}{}", std::fs::read_to_string(json).expect("there"));
    assert!(!everything.contains(dir.path().to_str().expect("text")), "paths are nobody's business");
}

#[test]
fn only_what_is_asked_for_is_measured() {
    let dir = tempfile::tempdir().expect("a folder");
    let only = ["--sizes", "64KiB", "--rounds", "1", "--directions", "download", "--contenders", "tls"];
    let table = loopback(dir.path(), &only).expect("measured");
    assert!(table.contains("TLS over TCP") && !table.contains("| fulmar |"), "{table}");
    assert!(table.contains("Download") && !table.contains("Upload"), "{table}");
}

#[test]
fn with_an_mtu_the_files_go_through_a_pair_of_devices() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = tempfile::tempdir().expect("a folder");
    let json = out.path().join("rows.json");
    let options =
        ["--mtu", "1500", "--sizes", "1MiB", "--rounds", "1", "--json", json.to_str().expect("text")];
    let table = match loopback(dir.path(), &options) {
        Err(error) if error.contains("no lab is possible here") => {
            // Written past the capture of the test harness, for scripts/test.
            let name = "with_an_mtu_the_files_go_through_a_pair_of_devices";
            let _ = writeln!(io::stderr(), "skipped: {name}: {}", error.trim());
            return;
        }
        other => other.expect("measured"),
    };
    assert!(table.contains("MTU of veth 1500;"), "{table}");
    let lines = lines(&json);
    assert_eq!((&lines[0]["interface"], &lines[0]["mtu_bytes"]), (&"veth".into(), &1500.into()));
    assert_eq!(lines.len(), 1 + 4 * 2 * 3);
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing is left behind");
}

#[test]
fn an_mtu_that_no_device_has_is_refused_in_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = loopback(dir.path(), &["--mtu", "100"]).expect_err("no such MTU");
    assert!(error.contains("1228 to 65535") || error.contains("no lab is possible here"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_directory_without_space_or_without_existence_is_refused_in_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let full = loopback(dir.path(), &["--sizes", "1000000GiB"]).expect_err("no disk is so large");
    assert!(full.contains("MiB are needed") && full.contains("--sizes"), "{full}");
    let gone = loopback(&dir.path().join("gone"), &[]).expect_err("there is none");
    assert!(gone.starts_with("fulmar-bench: cannot use ") && gone.lines().count() == 1, "{gone}");
}
