//! The table: a line for each case.

use super::{
    expect::Tally,
    figures::{FlowRow, Row},
    plan::{Case, Plan},
};
use crate::measure::stats::Summary;

const HEAD: &str = "\
| case | Mbit/s | of the limit | queue ms, mean | p95 | overflow % | Jain | 90 % after s | each flow, Mbit/s | targets | notes |
|---|---|---|---|---|---|---|---|---|---|---|
";

/// What comes before the first line.
pub(super) fn head(plan: &Plan) -> String {
    let name = if plan.description.is_empty() { &plan.name } else { &plan.description };
    format!("{}; median/worst over the seeds\n\n{HEAD}", fulmar_proto::text::Escaped(name))
}

/// What comes after the last one.
pub(super) fn foot(plan: &Plan, tally: &Tally) -> String {
    let Tally { cases, missed_cases, misses } = tally;
    let met = cases - missed_cases.len();
    match (plan.expectations.is_empty(), misses) {
        (true, _) => "\nThe plan expects nothing.".to_owned(),
        (false, 0) => format!("\nAll expectations are met, in {cases} of {cases} cases."),
        (false, _) => {
            let list: String = missed_cases.iter().map(|case| format!("\n- {case}")).collect();
            format!("\nMet in {met} of {cases} cases; expectations missed: {misses}, in\n{list}")
        }
    }
}

/// The line of one case: what it came to, what was expected, and what of that was missed.
pub(super) fn line(case: &Case, rows: &[Row], targets: &str, misses: &[String]) -> String {
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
        targets.to_owned(),
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
        let line = line(&case(), &[with(0.5, 1.0), with(0.9, 2.0), with(0.7, 9.0)], "", &[]);
        let columns = HEAD.lines().next().expect("a head").matches('|').count();
        assert_eq!(line.matches('|').count(), columns, "{line}");
        assert!(line.contains("| 0.700/0.500 | 2.0/9.0 |"), "{line}");
        assert!(line.contains("| cubic 1.0, bbr 3.0 |"), "{line}");
    }

    #[test]
    fn a_single_seed_has_no_worst_and_what_is_missing_shows() {
        assert!(line(&case(), &[with(0.5, 1.0)], "", &[]).contains("| 0.500 | 1.0 |"));
        let rows = [Row { reached_s: Some(2.0), ..row() }, Row { reached_s: None, ..row() }];
        assert!(line(&case(), &rows, "", &[]).contains("| 2.00/- |"));
    }

    #[test]
    fn deaths_black_holes_and_misses_are_told() {
        let mut dead = row();
        dead.flows[1].died_of = Some("timed out".to_owned());
        dead.flows[0].black_holes = 2;
        dead.flows[0].mtu_bytes = 1200;
        let line = line(&case(), &[row(), dead], "share >= -/0.2", &["share worst 0.1 below 0.2".to_owned()]);
        assert!(
            line.ends_with("| share >= -/0.2 | 1 of 4 died: timed out; black holes 2, MTU down to 1200; MISS share worst 0.1 below 0.2 |\n"),
            "{line}"
        );
    }

    #[test]
    fn the_end_says_how_many_cases_did_what_was_expected_and_which_did_not() {
        let text = "name = 'x'\nsets.one = [{ controller = 'cubic' }]\n[[matrix]]\nrates_mbit_per_s = [1]\nrtts_ms = [9]\n\
                    sets = ['one']\n";
        let plan = Plan::parse(text).expect("a plan");
        assert_eq!(foot(&plan, &Tally::default()), "\nThe plan expects nothing.");
        let expecting = Plan::parse(&format!("{text}[[expect]]\nbounds.share = {{ worst_at_least = 2 }}"))
            .expect("a plan");
        let mut tally = Tally { cases: 2, ..Tally::default() };
        assert_eq!(foot(&expecting, &tally), "\nAll expectations are met, in 2 of 2 cases.");
        tally = Tally { cases: 2, missed_cases: vec!["a case".to_owned()], misses: 3 };
        assert_eq!(foot(&expecting, &tally), "\nMet in 1 of 2 cases; expectations missed: 3, in\n\n- a case");
    }
}
