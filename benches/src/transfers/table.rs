//! The table: a line for each case.

use super::{
    figures::{Row, Typical, seconds, share},
    plan::{Case, Plan},
};

const HEAD: &str = "\
| case | of the limit | s | connected s | overflow % | notes |
|---|---|---|---|---|---|
";

/// What comes before the first line.
pub(super) fn head(plan: &Plan) -> String {
    let name = if plan.description.is_empty() { &plan.name } else { &plan.description };
    format!("{}; median/p90 over the seeds\n\n{HEAD}", fulmar_proto::text::Escaped(name))
}

/// What comes after the last one.
pub(super) fn foot(plan: &Plan, missed: usize) -> String {
    let expects = plan.cases.iter().any(|case| !case.targets.is_empty());
    match (expects, missed) {
        (false, _) => "\nThe plan has no targets for these cases.".to_owned(),
        (true, 0) => "\nAll targets are reached.".to_owned(),
        (true, missed) => format!("\nMissed: {missed}."),
    }
}

/// The line of one case.
pub(super) fn line(case: &Case, rows: &[Row], misses: &[String]) -> String {
    let notes: Vec<String> = misses.iter().map(|miss| format!("MISS {miss}")).collect();
    let columns = [
        case.name.clone(),
        shown(share(rows), 3),
        shown(seconds(rows), 3),
        shown(Typical::of(rows.iter().map(|row| row.connected_s), false), 3),
        shown(Typical::of(rows.iter().map(|row| row.overflow * 100.0), false), 2),
        notes.join("; "),
    ];
    format!("| {} |\n", columns.join(" | "))
}

fn shown(typical: Option<Typical>, digits: usize) -> String {
    typical.map_or_else(String::new, |Typical { median, p90 }| format!("{median:.digits$}/{p90:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfers::plan;

    #[test]
    fn a_line_has_the_heads_columns_and_tells_what_was_missed() {
        let plan = plan::load(None).expect("a plan");
        let case = &plan.cases[0];
        let row = |share| Row {
            case: case.name.clone(),
            seed: 1,
            way: case.way,
            bytes: case.bytes,
            seconds: 1.0,
            share,
            connected_s: 0.2,
            packets: 100,
            overflow: 0.01,
        };
        let line = line(case, &[row(0.5), row(0.7)], &["share median 0.6 below 1".to_owned()]);
        let columns = HEAD.lines().next().expect("a head").matches('|').count();
        assert_eq!(line.matches('|').count(), columns, "{line}");
        assert!(
            line.ends_with(
                "| 0.600/0.500 | 1.000/1.000 | 0.200/0.200 | 1.00/1.00 | MISS share median 0.6 below 1 |\n"
            ),
            "{line}"
        );
    }
}
