//! The real program, with a small plan.

use std::{path::Path, process::Command};

use serde_json::Value;

const PLAN: &str = "\
name = 'small'
seeds = 2
[[matrix]]
rates_mbit_per_s = [20]
rtts_ms = [10]
losses = [0, 0.05]
bytes = [1_000, 2_500_000]
ways = ['up', 'down']
[[target]]
of = '0% 2500kB'
share = { median_at_least = 0.4 }
seconds = { median_at_most = 3 }
";

/// Runs `fulmar-bench transfers`; what it says on standard output and on standard error, and whether it was content.
fn transfers(arguments: &[&str]) -> (String, String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
    let output = command.arg("transfers").args(arguments).output().expect("started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.success())
}

fn written(dir: &Path, text: &str) -> String {
    let path = dir.join("plan.toml");
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn a_plan_is_run_shown_and_written_and_gives_the_same_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = written(dir.path(), PLAN);
    let json = dir.path().join("rows.json");
    let (table, errors, content) = transfers(&[&plan, "--json", json.to_str().expect("text")]);
    assert!(content, "{errors}");
    assert_eq!(table.matches("\n| 20M 10ms ").count(), 8, "{table}");
    assert!(table.ends_with("\nAll targets are reached.\n"), "{table}");
    let rows: Vec<Value> = std::fs::read_to_string(json)
        .expect("rows")
        .lines()
        .map(|row| serde_json::from_str(row).expect("an object"))
        .collect();
    assert_eq!(rows.len(), 16);
    // Longer than a handshake and a command, and never better than the link.
    let within = |row: &Value| row["seconds"].as_f64() > Some(0.02) && row["share"].as_f64() < Some(1.0);
    assert!(rows.iter().all(within), "{rows:?}");
    let (again, _, _) = transfers(&[&plan, "--threads", "1"]);
    assert_eq!(again, table);
}

#[test]
fn whole_transfers_are_not_slower_than_they_were() {
    // What the plan says of its bounds holds: they are what was reached, and no targets. The time is virtual.
    let (table, errors, content) = transfers(&[concat!(env!("CARGO_MANIFEST_DIR"), "/plans/floor.toml")]);
    assert!(content, "{table}{errors}");
    assert_eq!(table.matches("\n| 100M 100ms ").count(), 8, "{table}");
}

#[test]
fn a_missed_target_is_a_failure_and_said_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = written(dir.path(), &PLAN.replace("median_at_least = 0.4", "median_at_least = 1"));
    let (table, errors, content) =
        transfers(&[&plan, "--seeds", "1", "--only", " 0% ", "--bytes", "2500000"]);
    assert!(!content && errors.contains("2 of the plan's targets were missed"), "{errors}");
    assert_eq!(table.matches("MISS share median").count(), 2, "{table}");
    let (_, errors, content) = transfers(&[&plan, "--only", "no such case"]);
    assert!(!content && errors.contains("no case of the plan has that in its name"), "{errors}");
}
