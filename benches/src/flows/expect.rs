//! Bounds on figures, from the plan.

use super::{
    figures::{Figure, Row},
    plan::{Bound, Expectation},
};
use crate::measure::stats::Summary;

/// What is missed of the expectations of a case: one line for each.
pub(super) fn misses(expectations: &[Expectation], case: &str, rows: &[Row]) -> Vec<String> {
    let of_case = expectations.iter().filter(|expectation| case.contains(&expectation.of));
    let of_figures = of_case.flat_map(|expectation| {
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
