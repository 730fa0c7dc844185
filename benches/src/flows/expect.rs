//! Bounds on figures, from the plan.

use super::{
    figures::{Figure, Row},
    plan::{Bound, Expectation, Plan},
};
use crate::measure::stats::Summary;

/// How the cases of a plan did against what it expects of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How many cases there were of which anything is expected.
    pub(super) cases: usize,
    /// Which of them missed something.
    pub(super) missed_cases: Vec<String>,
    /// How many expectations they missed.
    pub(super) misses: usize,
}

impl Tally {
    /// Counts a case.
    pub(super) fn add(&mut self, plan: &Plan, case: &str, misses: &[String]) {
        self.cases += usize::from(of_case(&plan.expectations, case).next().is_some());
        self.misses += misses.len();
        if !misses.is_empty() {
            self.missed_cases.push(case.to_owned());
        }
    }
}

/// What is expected of a case: of each figure, what the median and the worst have to be.
pub(super) fn targets(expectations: &[Expectation], case: &str) -> String {
    let bounds = of_case(expectations, case).flat_map(|expectation| {
        let of = expectation.flow.as_ref().map_or(String::new(), |flow| format!("{flow} "));
        expectation
            .bounds
            .iter()
            .flat_map(move |(figure, bound)| bounded(&format!("{of}{}", figure.word()), bound))
    });
    bounds.collect::<Vec<_>>().join(", ")
}

/// Each side of a bound on which there is one, in words: median/worst.
fn bounded(figure: &str, bound: &Bound) -> Vec<String> {
    let said = |bound: Option<f64>| bound.map_or("-".to_owned(), |bound| bound.to_string());
    let sides = [
        (">=", bound.median_at_least, bound.worst_at_least),
        ("<=", bound.median_at_most, bound.worst_at_most),
    ];
    let sides = sides.into_iter().filter(|(_, median, worst)| median.is_some() || worst.is_some());
    sides.map(|(word, median, worst)| format!("{figure} {word} {}/{}", said(median), said(worst))).collect()
}

fn of_case<'a>(expectations: &'a [Expectation], case: &str) -> impl Iterator<Item = &'a Expectation> {
    expectations.iter().filter(move |expectation| case.contains(&expectation.of))
}

/// What is missed of the expectations of a case: one line for each.
pub(super) fn misses(expectations: &[Expectation], case: &str, rows: &[Row]) -> Vec<String> {
    let of_figures = of_case(expectations, case).flat_map(|expectation| {
        let flow = expectation.flow.as_deref();
        expectation.bounds.iter().flat_map(move |(figure, bound)| missed(*figure, flow, bound, rows))
    });
    of_figures.collect()
}

/// What is missed of the bounds on one figure. A run without the figure misses all of them: what was never reached was
/// not reached in time.
fn missed(figure: Figure, flow: Option<&str>, bound: &Bound, rows: &[Row]) -> Vec<String> {
    let of = flow.map_or(String::new(), |flow| format!("{flow} "));
    let values: Option<Vec<f64>> = rows.iter().map(|row| row.value(figure, flow)).collect();
    let Some(Summary { min, median, max, .. }) = values.and_then(Summary::of) else {
        return vec![format!("{of}{} has no value", figure.word())];
    };
    let checks = [
        ("median", median, bound.median_at_least, true),
        ("worst", min, bound.worst_at_least, true),
        ("median", median, bound.median_at_most, false),
        ("worst", max, bound.worst_at_most, false),
    ];
    let misses = checks.into_iter().filter_map(|(what, actual, bound, least)| {
        let bound = bound?;
        let holds = if least { actual >= bound } else { actual <= bound };
        let word = if least { "below" } else { "above" };
        (!holds).then(|| format!("{of}{} {what} {actual:.4} {word} {bound}", figure.word()))
    });
    misses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::figures::testing::row;

    fn bound(text: &str) -> Bound {
        toml::from_str(text).expect("a bound")
    }

    fn rows(shares: &[f64]) -> Vec<Row> {
        shares.iter().map(|share| Row { share: *share, ..row() }).collect()
    }

    fn misses_of(text: &str, shares: &[f64]) -> Vec<String> {
        missed(Figure::Share, None, &bound(text), &rows(shares))
    }

    #[test]
    fn every_bound_is_checked_on_both_sides() {
        let shares = [0.5, 0.6, 0.9];
        for (met, not) in [
            ("median_at_least = 0.6", "median_at_least = 0.61"),
            ("worst_at_least = 0.5", "worst_at_least = 0.51"),
            ("median_at_most = 0.6", "median_at_most = 0.59"),
            ("worst_at_most = 0.9", "worst_at_most = 0.89"),
        ] {
            assert_eq!(misses_of(met, &shares), Vec::<String>::new(), "{met}");
            assert_eq!(misses_of(not, &shares).len(), 1, "{not}");
        }
        assert_eq!(misses_of("worst_at_least = 0.51", &shares), ["share worst 0.5000 below 0.51"]);
    }

    #[test]
    fn what_was_never_reached_misses_any_bound() {
        let rows = [Row { reached_s: Some(1.0), ..row() }, Row { reached_s: None, ..row() }];
        let bound = bound("worst_at_most = 100");
        assert_eq!(missed(Figure::ReachedS, None, &bound, &rows), ["reached_s has no value"]);
        assert!(missed(Figure::ReachedS, None, &bound, &rows[..1]).is_empty());
    }

    #[test]
    fn what_is_expected_is_told_as_median_and_worst() {
        let text = "bounds.share = { median_at_least = 0.98, worst_at_least = 0.97 }\nbounds.deaths = { worst_at_most = 0 }";
        let all: Expectation = toml::from_str(text).expect("one");
        let of_a_flow: Expectation =
            toml::from_str("of = 'beta'\nflow = 'cubic'\nbounds.share = { median_at_least = 0.39 }")
                .expect("one");
        let expectations = [all, of_a_flow];
        assert_eq!(targets(&expectations, "alpha"), "share >= 0.98/0.97, deaths <= -/0");
        assert_eq!(
            targets(&expectations, "beta"),
            "share >= 0.98/0.97, deaths <= -/0, cubic share >= 0.39/-"
        );
    }

    #[test]
    fn cases_are_counted_by_what_they_missed() {
        let plan = "name = 'x'\nsets.one = [{ controller = 'cubic' }]\n[[matrix]]\nrates_mbit_per_s = [1, 2]\nrtts_ms = [9]\n\
                    sets = ['one']\n[[expect]]\nof = '1M'\nbounds.share = { worst_at_least = 2 }";
        let plan = Plan::parse(plan).expect("a plan");
        let mut tally = Tally::default();
        for (case, misses) in [("1M 9ms 0% one", 2), ("2M 9ms 0% one", 0), ("1M again", 0)] {
            tally.add(&plan, case, &vec!["share".to_owned(); misses]);
        }
        assert_eq!((tally.cases, tally.misses), (2, 2));
        assert_eq!(tally.missed_cases, ["1M 9ms 0% one"]);
    }

    #[test]
    fn only_the_cases_with_the_word_and_only_the_flow_are_meant() {
        let expectation: Expectation =
            toml::from_str("of = 'beta'\nflow = 'cubic'\nbounds.share = { worst_at_least = 2 }")
                .expect("one");
        let rows = [row()];
        assert!(misses(std::slice::from_ref(&expectation), "alpha", &rows).is_empty());
        let missed = misses(&[expectation], "alpha beta", &rows);
        assert_eq!(missed, ["cubic share worst 0.2500 below 2"]);
    }
}
