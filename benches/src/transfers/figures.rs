//! What the runs of a case come to.

use serde::Serialize;

use super::plan::{Bound, Case, Way};
use crate::measure::stats::Summary;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) case: String,
    pub(super) seed: u64,
    pub(super) way: Way,
    pub(super) bytes: u64,
    /// From connecting to the acknowledged end.
    pub(super) seconds: f64,
    /// Of what the link could have carried in that time.
    pub(super) share: f64,
    /// From connecting until the first command could be sent.
    pub(super) connected_s: f64,
    /// Datagrams that the sender's side of the link was offered.
    pub(super) packets: u64,
    /// The ratio of them that the queue had no room for.
    pub(super) overflow: f64,
}

/// The median and what nine of ten runs are at least as good as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Typical {
    pub(super) median: f64,
    pub(super) p90: f64,
}

impl Typical {
    /// `larger_is_better` says at which end the bad runs are. None without values.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, larger_is_better: bool) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        let median = Summary::of(values.iter().copied())?.median;
        values.sort_unstable_by(f64::total_cmp);
        if larger_is_better {
            values.reverse();
        }
        let place = (values.len() * 9).div_ceil(10).saturating_sub(1);
        values.get(place).map(|p90| Self { median, p90: *p90 })
    }
}

pub(super) fn share(rows: &[Row]) -> Option<Typical> {
    Typical::of(rows.iter().map(|row| row.share), true)
}

pub(super) fn seconds(rows: &[Row]) -> Option<Typical> {
    Typical::of(rows.iter().map(|row| row.seconds), false)
}

/// What is missed of the targets of a case: one line for each.
pub(super) fn misses(case: &Case, rows: &[Row]) -> Vec<String> {
    let of_target = |target: &super::plan::Target| {
        let share = target.share.map(|bound| missed("share", share(rows), bound));
        let seconds = target.seconds.map(|bound| missed("seconds", seconds(rows), bound));
        share.into_iter().chain(seconds).flatten().collect::<Vec<_>>()
    };
    case.targets.iter().flat_map(of_target).collect()
}

fn missed(figure: &str, typical: Option<Typical>, bound: Bound) -> Vec<String> {
    let Some(Typical { median, p90 }) = typical else { return vec![format!("{figure} has no value")] };
    let checks = [
        ("median", median, bound.median_at_least, true),
        ("p90", p90, bound.p90_at_least, true),
        ("median", median, bound.median_at_most, false),
        ("p90", p90, bound.p90_at_most, false),
    ];
    let misses = checks.into_iter().filter_map(|(what, actual, bound, least)| {
        let bound = bound?;
        let holds = if least { actual >= bound } else { actual <= bound };
        let word = if least { "below" } else { "above" };
        (!holds).then(|| format!("{figure} {what} {actual:.4} {word} {bound}"))
    });
    misses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_of_ten_are_at_least_as_good() {
        let values = || (1..=10).map(f64::from);
        assert_eq!(Typical::of(values(), true), Some(Typical { median: 5.5, p90: 2.0 }));
        assert_eq!(Typical::of(values(), false), Some(Typical { median: 5.5, p90: 9.0 }));
        assert_eq!(Typical::of([7.0], true), Some(Typical { median: 7.0, p90: 7.0 }));
        assert_eq!(Typical::of([], true), None);
    }

    #[test]
    fn every_bound_is_checked_on_both_sides() {
        let typical = Some(Typical { median: 0.6, p90: 0.5 });
        let none = Bound::default();
        for (met, not) in [
            (Bound { median_at_least: Some(0.6), ..none }, Bound { median_at_least: Some(0.61), ..none }),
            (Bound { p90_at_least: Some(0.5), ..none }, Bound { p90_at_least: Some(0.51), ..none }),
            (Bound { median_at_most: Some(0.6), ..none }, Bound { median_at_most: Some(0.59), ..none }),
            (Bound { p90_at_most: Some(0.5), ..none }, Bound { p90_at_most: Some(0.49), ..none }),
        ] {
            assert!(missed("share", typical, met).is_empty(), "{met:?}");
            assert_eq!(missed("share", typical, not).len(), 1, "{not:?}");
        }
        assert_eq!(missed("share", None, none), ["share has no value"]);
    }
}
