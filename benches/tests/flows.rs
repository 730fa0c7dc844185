//! The real program, with a small plan.

use std::{path::Path, process::Command};

use serde_json::Value;

const PLAN: &str = "\
name = 'small'
description = 'two links, two controllers'
seeds = 2
timing = { duration_s = 6, warm_up_s = 2 }
[sets]
cubic = [{ controller = 'cubic' }]
both = [{ controller = 'cubic' }, { controller = 'newreno', start_s = 0.5 }]
file = [{ controller = 'bbr', amount_bytes = 300_000, way = 'down' }]
[[matrix]]
rates_mbit_per_s = [4]
rtts_ms = [20]
losses = [0, 0.1]
sets = ['cubic', 'both']
[[scenario]]
name = 'a file'
set = 'file'
up = { rate_mbit_per_s = 1, delay_ms = 10 }
down = { rate_mbit_per_s = 4, delay_ms = 10 }
[[expect]]
of = ' 0% cubic'
bounds.share = { worst_at_least = 0.95 }
bounds.deaths = { worst_at_most = 0 }
[[expect]]
of = 'file'
bounds.finished_s = { worst_at_most = 2 }
[[expect]]
of = ' 0% both'
flow = 'newreno'
bounds.share = { median_at_least = 0.2 }
";

/// Runs `fulmar-bench flows`; what it says on standard output and on standard error, and whether it was content.
fn flows(arguments: &[&str]) -> (String, String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
    let output = command.arg("flows").args(arguments).output().expect("started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.success())
}

fn written(dir: &Path, text: &str) -> String {
    let path = dir.join("plan.toml");
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn a_plan_is_run_shown_and_written_and_gives_the_same_in_another_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = written(dir.path(), PLAN);
    let (json, svg) = (dir.path().join("rows.json"), dir.path().join("chart.svg"));
    let files = ["--json", json.to_str().expect("text"), "--svg", svg.to_str().expect("text")];
    let (table, errors, content) = flows(&[&[plan.as_str(), "--threads", "1"][..], &files[..]].concat());
    assert!(content, "{errors}");
    assert!(
        table.contains("two links, two controllers")
            && table.contains("All expectations are met, in 3 of 3 cases."),
        "{table}"
    );

    let text = std::fs::read_to_string(&json).expect("written");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |row: &Value| format!("{} {}", row["case"].as_str().expect("a name"), row["seed"]);
    let names: Vec<String> = rows.iter().map(of).collect();
    assert_eq!(names.len(), 5 * 2);
    assert_eq!(names[..3], ["4M 20ms 0% cubic 1", "4M 20ms 0% cubic 2", "4M 20ms 0% both 1"]);
    for row in &rows {
        assert!(table.contains(&format!("| {} |", row["case"].as_str().expect("a name"))), "{table}");
        assert!(
            row["goodput_mbit_per_s"].as_f64() > Some(0.0) && row["share"].as_f64() < Some(1.01),
            "{row}"
        );
        assert_eq!(row["jain"].is_number(), row["flows"].as_array().expect("flows").len() == 2, "{row}");
    }
    let file = rows.last().expect("there");
    assert_eq!((&file["flows"][0]["name"], file["finished_s"].is_number()), (&"bbr".into(), true));
    assert!(std::fs::read_to_string(&svg).expect("drawn").starts_with("<svg"));

    // Another process has other keys; threads come in another order.
    let (again, _, _) = flows(&[&[plan.as_str(), "--threads", "3"][..], &files[..2]].concat());
    assert_eq!(again, table);
    assert_eq!(std::fs::read_to_string(&json).expect("written"), text);
}

#[test]
fn a_quick_look_at_the_controller_meets_the_targets_of_its_cells() {
    // Two seeds of what the plan names for a quick look: the floor that no change may fall through. The time is virtual.
    let (table, errors, content) = flows(&["cc", "--quick", "--seeds", "2"]);
    assert!(content, "{table}{errors}");
    assert!(table.contains("| steady far 50M 100ms 10% lrc |"), "{table}");
    assert!(table.contains("All expectations are met, in 14 of 14 cases."), "{table}");
}

#[test]
fn what_is_missed_is_told_and_fails() {
    let dir = tempfile::tempdir().expect("a folder");
    let expectation = "[[expect]]\nof = '10% cubic'\nbounds.share = { median_at_least = 0.9 }\n";
    let plan = written(dir.path(), &format!("{PLAN}{expectation}"));
    let (table, errors, content) =
        flows(&[&plan, "--only", "10% cubic", "--seeds", "1", "--first-seed", "9"]);
    assert!(!content);
    assert!(table.contains("MISS share median 0.") && table.contains("below 0.9 |\n"), "{table}");
    assert_eq!(table.matches("| 4M 20ms").count(), 1, "{table}");
    let last = errors.lines().last().expect("a line");
    assert_eq!(last, "fulmar-bench: 1 of the plan's expectations were missed; the table says which");
}

#[test]
fn what_cannot_be_run_is_refused_in_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = written(dir.path(), "name = 'x'\nsets = {}\nmatrix = 3\n");
    for (arguments, begin) in [
        (&["nowhere"][..], "fulmar-bench: there is no plan nowhere; try: fulmar-bench flows --list"),
        (&["/nonexistent/plan.toml"], "fulmar-bench: cannot read /nonexistent/plan.toml: "),
        (&[plan.as_str()], "fulmar-bench: plan "),
        (
            &["stock", "--only", "a case that is not there"],
            "fulmar-bench: no case of the plan has that in its name",
        ),
    ] {
        let (table, errors, content) = flows(arguments);
        assert!(!content && table.is_empty(), "{table}");
        assert!(errors.starts_with(begin) && errors.lines().count() == 1, "{errors}");
    }
    let (listed, _, content) = flows(&["--list"]);
    assert!(content && listed.lines().count() == 4 && listed.starts_with("stock "), "{listed}");
}
