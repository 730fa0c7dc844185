//! Medians and spreads.

use std::collections::BTreeMap;

use serde::Serialize;

/// What many measurements of one thing come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) min: f64,
    /// A quarter is less.
    pub(crate) lower: f64,
    pub(crate) median: f64,
    /// A quarter is more.
    pub(crate) upper: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of the finite ones among `values`; none when there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let [lower, median, upper] = [0.25, 0.5, 0.75].map(|share| quantile(&values, share));
        Some(Self { count: values.len(), min, lower, median, upper, max })
    }
}

/// How what was measured in some rounds compares with what else was measured in the same ones: of each round the ratio,
/// of the ratios a summary. What disturbs the machine for longer than a round disturbs both and leaves their ratio alone.
pub(crate) fn ratio(ours: &BTreeMap<u32, f64>, theirs: &BTreeMap<u32, f64>) -> Option<Summary> {
    Summary::of(ours.iter().filter_map(|(round, value)| Some(value / theirs.get(round)?)))
}

/// The value below which `share` of the sorted `values` lies, interpolated between neighbours.
fn quantile(values: &[f64], share: f64) -> f64 {
    let position = share * (values.len() - 1) as f64;
    let below = position.floor();
    let (index, part) = (below as usize, position - below);
    let low = values[index];
    let high = values.get(index + 1).copied().unwrap_or(low);
    low + (high - low) * part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_and_the_quartiles_of_known_rows() {
        let summary = Summary::of([5.0, 1.0, 3.0, 2.0, 4.0]).expect("some");
        assert_eq!(
            (summary.min, summary.lower, summary.median, summary.upper, summary.max),
            (1.0, 2.0, 3.0, 4.0, 5.0)
        );
        assert_eq!(Summary::of([1.0, 2.0]).expect("some").median, 1.5);
        assert_eq!(Summary::of([7.0]).expect("some").upper, 7.0);
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([f64::NAN, f64::INFINITY]), None);
    }

    proptest! {
        #[test]
        fn the_five_numbers_are_in_order_and_the_order_of_values_does_not_matter(values in prop::collection::vec(-1e9f64..1e9, 1..60)) {
            let summary = Summary::of(values.iter().copied()).expect("some");
            let five = [summary.min, summary.lower, summary.median, summary.upper, summary.max];
            prop_assert!(five.is_sorted(), "{five:?}");
            prop_assert!(values.contains(&summary.min) && values.contains(&summary.max));
            let below = values.iter().filter(|value| **value < summary.median).count();
            let above = values.iter().filter(|value| **value > summary.median).count();
            prop_assert!(below <= values.len() / 2 && above <= values.len() / 2);
            prop_assert_eq!(Summary::of(values.iter().rev().copied()), Some(summary));
        }

        #[test]
        fn scaling_the_values_scales_the_summary(values in prop::collection::vec(1f64..1e6, 1..40)) {
            let one = Summary::of(values.iter().copied()).expect("some");
            let two = Summary::of(values.iter().map(|value| value * 2.0)).expect("some");
            prop_assert!((two.median - 2.0 * one.median).abs() < 1e-6 * two.median);
            prop_assert!((two.lower - 2.0 * one.lower).abs() < 1e-6 * two.lower);
        }
    }
}
