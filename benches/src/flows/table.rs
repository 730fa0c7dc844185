//! The table: a line for each case.

use super::{
    figures::{FlowRow, Row},
    plan::{Case, Plan},
};
use crate::measure::stats::Summary;

const HEAD: &str = "\
| case | Mbit/s | of the limit | queue ms, mean | p95 | overflow % | Jain | 90 % after s | each flow, Mbit/s | notes |
|---|---|---|---|---|---|---|---|---|---|
";

/// What comes before the first line.
pub(super) fn head(plan: &Plan) -> String {
    let name = if plan.description.is_empty() { &plan.name } else { &plan.description };
    format!("{}; median/worst over the seeds\n\n{HEAD}", fulmar_proto::text::Escaped(name))
}

/// What comes after the last one.
pub(super) fn foot(plan: &Plan, missed: usize) -> String {
    match (plan.expectations.is_empty(), missed) {
        (true, _) => "\nThe plan expects nothing.".to_owned(),
        (false, 0) => "\nAll expectations are met.".to_owned(),
        (false, missed) => format!("\nMissed: {missed}."),
    }
}

/// The line of one case.
pub(super) fn line(case: &Case, rows: &[Row], misses: &[String]) -> String {
    let worst = Worst::Least;
    let columns = [
        case.name.clone(),
        shown(rows, 2, worst, |row| Some(row.goodput_mbit_per_s)),
        shown(rows, 3, worst, |row| Some(row.share)),
        shown(rows, 1, Worst::Most, |row| Some(row.queue_mean_ms)),
        shown(rows, 1, Worst::Most, |row| Some(row.queue_p95_ms)),
        shown(rows, 2, Worst::Most, |row| Some(row.overflow * 100.0)),
        shown(rows, 3, worst, |row| row.jain),
        shown(rows, 2, Worst::Most, |row| row.reached_s),
        each(rows),
        notes(rows, misses),
    ];
    format!("| {} |\n", columns.join(" | "))
}

#[derive(Clone, Copy, PartialEq)]
enum Worst {
    Least,
    Most,
}

/// The median and the worst of a figure; a run without it is the worst, and nothing is shown where there is no other.
fn shown(rows: &[Row], digits: usize, worst: Worst, of: impl Fn(&Row) -> Option<f64>) -> String {
    let values: Vec<f64> = rows.iter().filter_map(of).collect();
    let all = values.len() == rows.len();
    let Some(Summary { min, median, max, .. }) = Summary::of(values) else { return String::new() };
    let extreme = if worst == Worst::Least { min } else { max };
    match (all, rows.len()) {
        (false, _) => format!("{median:.digits$}/-"),
        (true, 1) => format!("{median:.digits$}"),
        (true, _) => format!("{median:.digits$}/{extreme:.digits$}"),
    }
}

/// The median goodput of every flow, where there are several.
fn each(rows: &[Row]) -> String {
    let Some(first) = rows.first().filter(|row| row.flows.len() > 1) else { return String::new() };
    let median = |index: usize| Summary::of(rows.iter().map(|row| row.flows[index].goodput_mbit_per_s));
    let one = |(index, flow): (usize, &FlowRow)| Some(format!("{} {:.1}", flow.name, median(index)?.median));
    first.flows.iter().enumerate().filter_map(one).collect::<Vec<_>>().join(", ")
}

/// What else is to be known: amounts, deaths, black holes, and what was missed.
fn notes(rows: &[Row], misses: &[String]) -> String {
    let mut notes = Vec::new();
    let finished = shown(rows, 2, Worst::Most, |row| row.finished_s);
    if !finished.is_empty() {
        notes.push(format!("done in {finished} s"));
    }
    let flows = || rows.iter().flat_map(|row| &row.flows);
    let dead: Vec<&str> = flows().filter_map(|flow| flow.died_of.as_deref()).collect();
    if let Some(reason) = dead.first() {
        notes.push(format!("{} of {} died: {reason}", dead.len(), flows().count()));
    }
    let holes: u64 = flows().map(|flow| flow.black_holes).sum();
    if holes > 0 {
        let mtu = flows().map(|flow| flow.mtu_bytes).min().unwrap_or(0);
        notes.push(format!("black holes {holes}, MTU down to {mtu}"));
    }
    notes.extend(misses.iter().map(|miss| format!("MISS {miss}")));
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::figures::testing::{case, row};

    fn with(share: f64, queue_mean_ms: f64) -> Row {
        Row { share, queue_mean_ms, ..row() }
    }

    #[test]
    fn a_line_has_the_heads_columns_and_the_worst_is_the_bad_end() {
        let line = line(&case(), &[with(0.5, 1.0), with(0.9, 2.0), with(0.7, 9.0)], &[]);
        let columns = HEAD.lines().next().expect("a head").matches('|').count();
        assert_eq!(line.matches('|').count(), columns, "{line}");
        assert!(line.contains("| 0.700/0.500 | 2.0/9.0 |"), "{line}");
        assert!(line.contains("| cubic 1.0, bbr 3.0 |"), "{line}");
    }

    #[test]
    fn a_single_seed_has_no_worst_and_what_is_missing_shows() {
        assert!(line(&case(), &[with(0.5, 1.0)], &[]).contains("| 0.500 | 1.0 |"));
        let rows = [Row { reached_s: Some(2.0), ..row() }, Row { reached_s: None, ..row() }];
        assert!(line(&case(), &rows, &[]).contains("| 2.00/- |"));
    }

    #[test]
    fn deaths_black_holes_and_misses_are_told() {
        let mut dead = row();
        dead.flows[1].died_of = Some("timed out".to_owned());
        dead.flows[0].black_holes = 2;
        dead.flows[0].mtu_bytes = 1200;
        let line = line(&case(), &[row(), dead], &["share worst 0.1 below 0.2".to_owned()]);
        assert!(
            line.ends_with("| 1 of 4 died: timed out; black holes 2, MTU down to 1200; MISS share worst 0.1 below 0.2 |\n"),
            "{line}"
        );
    }
}
