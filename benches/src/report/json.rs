//! The conditions and every transfer, one JSON object per line.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use super::Report;
use crate::{loopback::Row, measure::machine::Conditions};

/// One line; the word in `kind` says which.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a> {
    Conditions(&'a Conditions),
    Transfer(&'a Row),
}

/// Writes a report. Those of several directories may follow each other.
pub(crate) fn write(out: &mut impl Write, report: &Report) -> Result<()> {
    let conditions = std::iter::once(Line::Conditions(&report.conditions));
    for line in conditions.chain(report.rows.iter().map(Line::Transfer)) {
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::testing::report;

    #[test]
    fn the_conditions_come_first_and_every_transfer_has_a_line() {
        let mut out = Vec::new();
        let report = report();
        write(&mut out, &report).expect("written");
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 1 + report.rows.len());
        assert_eq!(lines[0]["kind"], "conditions");
        assert!(lines[1..].iter().all(|line| line["kind"] == "transfer"));
        let last = lines.last().expect("there");
        assert_eq!((&last["contender"], &last["direction"]), (&"fulmar".into(), &"download".into()));
        assert_eq!((&last["size"], &last["round"]), (&(1u64 << 30).into(), &1.into()));
        assert_eq!(last["client"]["peak_bytes"], 10 << 20);
    }
}
