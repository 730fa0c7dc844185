//! The table of bad links with the real program and small files, where the machine allows a lab.
//!
//! Where it does not, each test says so by its name. Nothing here depends on how fast the machine is: a link may be slower than
//! it is set to, but never faster.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No lab is possible here.
const UNAVAILABLE: i32 = 77;

/// The lab itself failed.
const FAILED: i32 = 125;

/// Slow enough that a file of 1 MiB takes eight seconds.
const SLOW: &str = "name = \"slow\"\n[both]\nrate_mbit_per_s = 1\ndelay_ms = 5\n";

/// Folders for what a test moves and for what it reads afterwards.
struct Scene {
    files: tempfile::TempDir,
    out: tempfile::TempDir,
}

impl Scene {
    /// None when no lab is possible here, which is said then.
    fn new(test: &str) -> Option<Self> {
        let scene = Self {
            files: tempfile::tempdir().expect("a folder"),
            out: tempfile::tempdir().expect("a folder"),
        };
        let tried = scene.run(&["run", "--congestion", "bbr", "--counters", "/dev/null", "--", "true"]);
        if tried.status.code() == Some(UNAVAILABLE) {
            // Written past the capture of the test harness, for scripts/test.
            let _ = writeln!(io::stderr(), "skipped: {test}: {}", text(&tried.stderr).trim());
            return None;
        }
        assert!(tried.status.success(), "{tried:?}");
        Some(scene)
    }

    fn lab(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
        command.env("XDG_RUNTIME_DIR", self.out.path()).arg("lab").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn table(&self, arguments: &[&str]) -> Command {
        let dir = self.files.path().to_str().expect("text");
        self.lab(&[&["table", "--dir", dir, "--seed", "3", "--rounds", "1"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.lab(arguments);
        within_bounds(move || command.output().expect("started"))
    }

    /// Measures, and returns the table and the lines of JSON.
    fn measure(&self, arguments: &[&str]) -> (String, Vec<Value>) {
        let json = self.path("rows.json");
        let mut command = self.table(&[arguments, &["--json", json.to_str().expect("text")]].concat());
        let output = within_bounds(move || command.output().expect("started"));
        assert!(output.status.success(), "{output:?}");
        let lines = fs::read_to_string(json).expect("written");
        let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (text(&output.stdout), lines)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.out.path().join(name)
    }

    /// A file with a profile; its path.
    fn profile(&self, toml: &str) -> String {
        let path = self.path("profile.toml");
        fs::write(&path, toml).expect("written");
        path.to_str().expect("text").to_owned()
    }

    fn has_been_left_as_it_was(&self) -> bool {
        fs::read_dir(self.files.path()).expect("there").next().is_none()
    }
}

/// The watchdog: what takes that long never ends.
fn within_bounds<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    result.recv_timeout(Duration::from_secs(300)).expect("it hangs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn every_contender_moves_a_file_both_ways_over_a_link() {
    let Some(scene) = Scene::new("every_contender_moves_a_file_both_ways_over_a_link") else { return };
    let svg = scene.path("chart.svg");
    let contenders = ["--contenders", "tcp-cubic,tcp-bbr,tls-cubic,tls-bbr,fulmar"];
    let small = ["--links", "wan", "--size", "300KiB", "--limit-s", "120", "--repeats", "0"];
    let files = ["--svg", svg.to_str().expect("text")];
    let (table, lines) = scene.measure(&[&contenders[..], &small[..], &files[..]].concat());

    assert_eq!(lines[0]["kind"], "conditions");
    // The program itself compares the digests of both sides and of the published file with the source's, and fails when
    // one differs.
    let rows = &lines[1..];
    let kinds: BTreeSet<String> =
        rows.iter().map(|row| format!("{} {}", row["direction"], row["contender"])).collect();
    assert_eq!((rows.len(), kinds.len()), (2 * 5, 2 * 5), "{kinds:?}");
    for row in rows {
        assert_eq!((&row["end"], &row["received_bytes"]), (&"finished".into(), &(300 << 10).into()), "{row}");
        assert_eq!((&row["link"], &row["lab"]["seed"]), (&"wan".into(), &3.into()), "{row}");
        let contender = row["contender"].as_str().expect("text");
        let congestion = contender.split_once('-').map(|(_, name)| name);
        assert_eq!(row["lab"]["congestion"].as_str(), congestion, "{row}");
        // The file went over the link, its way, and no faster than that carries it.
        let way = if row["direction"] == "upload" { "up" } else { "down" };
        assert!(number(&row["lab"][way]["delivered_bytes"]) > 300.0 * 1024.0, "{row}");
        assert!(number(&row["goodput_mbit_per_s"]) < 100.0 && number(&row["seconds"]) > 0.04, "{row}");
    }
    for title in ["TCP CUBIC", "TCP BBR", "TLS, TCP CUBIC", "TLS, TCP BBR", "fulmar"] {
        assert_eq!(table.matches(&format!("| wan | 300 KiB | {title} |")).count(), 2, "{table}");
    }
    let chart = fs::read_to_string(svg).expect("drawn");
    assert!(chart.starts_with("<svg") && chart.contains("TLS, TCP BBR"));
    assert!(scene.has_been_left_as_it_was());
}

#[test]
fn whoever_crawls_is_stopped_and_what_has_arrived_counts() {
    let Some(scene) = Scene::new("whoever_crawls_is_stopped_and_what_has_arrived_counts") else { return };
    let profile = scene.profile(SLOW);
    let short = ["--links", &profile, "--size", "1MiB", "--limit-s", "1", "--repeats", "0"];
    let (table, lines) = scene.measure(&short);
    let rows = &lines[1..];
    assert_eq!(rows.len(), 2 * 4);
    for row in rows {
        assert_eq!(row["end"], "stopped", "{row}");
        let (seconds, received) = (number(&row["seconds"]), number(&row["received_bytes"]));
        assert!(seconds >= 1.0, "{row}");
        // Not the whole file, not more than the link can have carried, and of a stream something in any case.
        assert!(received < f64::from(1 << 20), "{row}");
        assert!(received * 8.0 / 1e6 <= number(&row["lab"]["seconds"]), "{row}");
        assert!(received > 0.0 || row["contender"] == "fulmar" || row["contender"] == "tls-bbr", "{row}");
        let goodput = number(&row["goodput_mbit_per_s"]);
        assert!((goodput - received * 8e-6 / seconds).abs() < 1e-9, "{row}");
    }
    assert_eq!(table.matches("stopped: 1 of 1").count(), 2 * 4, "{table}");
    assert!(table.contains("within 1 s"), "{table}");
    assert!(scene.has_been_left_as_it_was());
}

#[test]
fn a_cell_of_the_matrix_is_measured_against_its_targets() {
    let Some(scene) = Scene::new("a_cell_of_the_matrix_is_measured_against_its_targets") else { return };
    let (json, dir) = (scene.path("rows.json"), scene.files.path().to_str().expect("text"));
    let words = ["cc", "--quick", "--only", "100M 20ms 0%", "--repeats", "0", "--dir", dir, "--json"];
    let mut command = scene.lab(&[&words[..], &[json.to_str().expect("text")]].concat());
    let output = within_bounds(move || command.output().expect("started"));
    let lines = fs::read_to_string(json).expect("written");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();

    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().expect("text")).collect();
    assert_eq!(kinds, ["conditions", "transfer", "transfer", "transfer", "cell"], "{output:?}");
    let contenders: BTreeSet<&str> =
        lines[1..4].iter().map(|row| row["contender"].as_str().expect("text")).collect();
    assert_eq!(contenders, BTreeSet::from(["fulmar", "tcp-bbr", "tcp-cubic"]));
    // The program says what it found: how fast the machine is decides whether that is enough.
    let verdicts = lines[4]["verdicts"].as_array().expect("verdicts");
    let met = verdicts.iter().all(|verdict| verdict["met"] == true);
    for verdict in verdicts.iter().filter(|verdict| verdict["at_least"].is_number()) {
        assert_eq!(
            verdict["met"],
            number(&verdict["ratio"]["median"]) >= number(&verdict["at_least"]),
            "{verdict}"
        );
    }
    assert_eq!(output.status.code(), Some(if met { 0 } else { 1 }), "{output:?}");
    let table = text(&output.stdout);
    assert!(
        table.contains("| 100M 20ms 0% | 25 MB | ") && table.contains("0.97 of the better TCP"),
        "{table}"
    );
    assert!(table.contains(if met { "Targets met in 1 of 1 cells." } else { "**missed**: " }), "{table}");
    assert!(scene.has_been_left_as_it_was());
}

#[test]
fn many_files_arrive_or_it_is_told_why_not() {
    let name = "many_files_arrive_or_it_is_told_why_not";
    let Some(scene) = Scene::new(name) else { return };
    // fulmar's own program is built by the tests of another crate.
    let fulmar = Path::new(env!("CARGO_BIN_EXE_fulmar-bench")).with_file_name("fulmar");
    if !fulmar.is_file() {
        let _ = writeln!(io::stderr(), "skipped: {name}: there is no program {}", fulmar.display());
        return;
    }
    let (json, dir) = (scene.path("rows.json"), scene.files.path().to_str().expect("text"));
    let words = ["many", "--quick", "--repeats", "0", "--limit-s", "40", "--dir", dir, "--json"];
    let mut command = scene.lab(&[&words[..], &[json.to_str().expect("text")]].concat());
    let output = within_bounds(move || command.output().expect("started"));
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let lines = fs::read_to_string(json).expect("written");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let rows: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "transfer").collect();
    let table = text(&output.stdout);
    // With sshd there are six, without it the three that are fulmar's, and it is said what is missing.
    assert_eq!(rows.len(), if table.contains("\nskipped: rsync and scp: ") { 3 } else { 6 }, "{table}");
    let files = |row: &Value| {
        if row["who"] == "fulmar-one-file" { 1 } else { row["count"].as_u64().expect("a count") }
    };
    for row in &rows {
        // The program compares every name and every byte, and a transfer that left one out has failed.
        assert_eq!(row["end"] == "finished", row["arrived_files"] == files(row), "{row}");
        assert!(
            row["end"] != "finished" || number(&row["lab"]["up"]["delivered_bytes"]) > 400_000.0,
            "{row}"
        );
    }
    let one = rows.iter().find(|row| row["who"] == "fulmar-one-file").expect("there");
    assert_ne!(one["end"], "failed", "{one}");
    assert!(scene.has_been_left_as_it_was());
}

#[test]
fn asked_to_end_it_ends_its_processes_and_removes_what_it_made() {
    let Some(scene) = Scene::new("asked_to_end_it_ends_its_processes_and_removes_what_it_made") else {
        return;
    };
    let profile = scene.profile(SLOW);
    let only = ["--links", &profile, "--contenders", "tcp-cubic", "--directions", "upload"];
    let mut command = scene.table(&[&only[..], &["--size", "64MiB", "--limit-s", "3600"]].concat());
    let mut child = command.spawn().expect("started");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let stderr = within_bounds(move || {
        let mut line = String::new();
        while !line.contains("over the links") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("read") > 0, "it has ended");
        }
        stderr
    });
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a number");
    kill_process(process, Signal::TERM).expect("signalled");
    let status = within_bounds(move || child.wait().expect("known"));
    assert_eq!(status.code(), Some(128 + 15));
    // Its processes have the same standard error: once nobody has it any more, none is left.
    let mut stderr = stderr;
    within_bounds(move || stderr.read_to_end(&mut Vec::new()).expect("read"));
    assert!(scene.has_been_left_as_it_was());
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |dir: &Path, links: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
        command.args(["lab", "table", "--links", links, "--dir"]).arg(dir);
        let output = within_bounds(move || command.output().expect("started"));
        assert_eq!(output.status.code(), Some(FAILED), "{output:?}");
        text(&output.stderr)
    };
    let unknown = refused(dir.path(), "wan,lossy-11");
    assert!(unknown.contains("lossy-11") && unknown.lines().count() == 1, "{unknown}");
    let gone = refused(&dir.path().join("gone"), "wan");
    assert!(gone.contains("cannot use ") && gone.lines().count() == 1, "{gone}");
}
