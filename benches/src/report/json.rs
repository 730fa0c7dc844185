//! The conditions and every transfer, one JSON object per line.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use crate::measure::machine::Conditions;

/// One line; the word in `kind` says which.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a, R> {
    Conditions(&'a Conditions),
    Transfer(&'a R),
    Cell(&'a R),
}

/// Writes the conditions and what was measured under them. Those of several directories may follow each other.
pub(crate) fn write(out: &mut impl Write, conditions: &Conditions, rows: &[impl Serialize]) -> Result<()> {
    write_conditions(out, conditions)?;
    write_rows(out, rows)
}

/// Writes what is being measured under.
pub(crate) fn write_conditions(out: &mut impl Write, conditions: &Conditions) -> Result<()> {
    write_lines(out, [Line::<()>::Conditions(conditions)])
}

/// Writes what was measured.
pub(crate) fn write_rows(out: &mut impl Write, rows: &[impl Serialize]) -> Result<()> {
    write_lines(out, rows.iter().map(Line::Transfer))
}

/// Writes what that comes to.
pub(crate) fn write_cells(out: &mut impl Write, cells: &[impl Serialize]) -> Result<()> {
    write_lines(out, cells.iter().map(Line::Cell))
}

fn write_lines<'a, R: Serialize + 'a>(
    out: &mut impl Write,
    lines: impl IntoIterator<Item = Line<'a, R>>,
) -> Result<()> {
    for line in lines {
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
        write(&mut out, &report.conditions, &report.rows).expect("written");
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
