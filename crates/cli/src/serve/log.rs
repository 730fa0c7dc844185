//! The server's log: JSON lines in a file, one line for people on standard error.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use fulmar_proto::text::Escaped;
use fulmar_server::{Audit, AuditKind, AuditRecord};
use serde::Serialize;

use crate::output::{Failure, Printer, units};

/// Keeps the records of connections and commands.
pub(super) struct Log {
    file: Option<Mutex<File>>,
    printer: Arc<Printer>,
    /// The operator has been told that the file cannot be written.
    told: AtomicBool,
}

/// A record as a line of the file.
#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    time: Option<String>,
    event: &'static str,
    connection: u64,
    client: String,
    name: &'a str,
    remote: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    verb: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    step: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    bytes: u64,
    result: &'a str,
    duration_ns: u64,
}

impl Log {
    /// Appends to `file`, which only its owner may read, when there is one.
    pub(super) fn open(file: Option<&Path>, printer: &Arc<Printer>) -> Result<Self, Failure> {
        let open = |path: &Path| {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            file.map_err(|error| Failure::local(path, &error))
        };
        let file = file.map(open).transpose()?.map(Mutex::new);
        Ok(Self { file, printer: Arc::clone(printer), told: AtomicBool::new(false) })
    }

    fn append(&self, file: &Mutex<File>, record: &AuditRecord) {
        // One write for a whole line: lines of concurrent commands never mix, and nothing waits in a buffer.
        let result =
            serde_json::to_vec(&Line::new(record)).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
            });
        if let Err(error) = result
            && !self.told.swap(true, Ordering::Relaxed)
        {
            self.printer.write_stderr(format_args!("fulmar: serve: the log cannot be written: {error}"));
        }
    }
}

impl Audit for Log {
    fn record(&self, record: &AuditRecord) {
        if let Some(file) = &self.file {
            self.append(file, record);
        }
        self.printer.note(human(record));
    }
}

impl<'a> Line<'a> {
    fn new(record: &'a AuditRecord) -> Self {
        Self {
            v: 1,
            time: units::rfc3339(record.time),
            event: record.kind.word(),
            connection: record.connection,
            client: record.client.to_string(),
            name: &record.client_name,
            remote: record.remote.to_string(),
            verb: record.verb,
            step: record.step,
            path: record.path.as_deref(),
            target: record.target.as_deref(),
            bytes: record.bytes,
            result: &record.result,
            duration_ns: units::nanos(record.duration),
        }
    }
}

/// A record as people read it, everything that a peer chose escaped.
fn human(record: &AuditRecord) -> String {
    let mut line =
        format!("{}  {} {}", units::table_time(record.time), record.remote, Escaped(&record.client_name));
    if record.kind == AuditKind::Command {
        line.push_str(&format!("  {}", record.verb));
        for path in [&record.path, &record.target].into_iter().flatten() {
            line.push_str(&format!(" /{}", Escaped(path.trim_start_matches('/'))));
        }
        if record.bytes > 0 {
            line.push_str(&format!("  {}", units::size(record.bytes)));
        }
    } else {
        line.push_str(&format!("  {}", record.kind.word()));
    }
    line.push_str(&format!("  {}  {}", Escaped(&record.result), units::duration(record.duration)));
    line
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, time::Duration};

    use fulmar_proto::{fingerprint::Fingerprint, time::Timestamp};

    use super::*;
    use crate::output::PrinterOptions;

    fn record() -> AuditRecord {
        AuditRecord {
            time: Timestamp::new(1_795_000_000, 0).expect("valid"),
            kind: AuditKind::Command,
            connection: 7,
            remote: "192.0.2.7:5555".parse().expect("an address"),
            client: Fingerprint([0; 32]),
            client_name: "evil\u{1b}[2J".to_owned(),
            verb: "upload",
            step: "put",
            path: Some("in/a.bin".to_owned()),
            target: None,
            bytes: 1_500,
            result: "ok".to_owned(),
            duration: Duration::from_millis(35),
        }
    }

    #[test]
    fn a_record_is_one_line_for_people() {
        assert_eq!(
            human(&record()),
            "2026-11-18 11:06:40Z  192.0.2.7:5555 evil\\u{1b}[2J  upload /in/a.bin  1.50 kB  ok  35 ms"
        );
    }

    #[test]
    fn the_file_gets_one_json_line_per_record_and_is_private() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("log");
        let printer = Arc::new(Printer::new(PrinterOptions { quiet: true, ..PrinterOptions::default() }));
        for _ in 0..2 {
            Log::open(Some(&path), &printer).expect("opens").record(&record());
        }
        let text = std::fs::read_to_string(&path).expect("read");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        for (key, value) in [("verb", "upload"), ("path", "in/a.bin"), ("result", "ok"), ("event", "command")]
        {
            assert_eq!(lines[0][key], value);
        }
        assert_eq!(lines[0]["bytes"], 1_500);
        assert_eq!(lines[0]["duration_ns"], 35_000_000);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_told_before_anything_is_served() {
        let printer = Arc::new(Printer::new(PrinterOptions::default()));
        assert!(Log::open(Some(Path::new("/nonexistent/log")), &printer).is_err());
    }
}
