//! How late packets are delivered.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::Lateness;

/// How late packets were delivered so far, to three digits.
#[derive(Debug)]
pub(super) struct LatenessHistogram(Histogram<u64>);

impl LatenessHistogram {
    /// None so far.
    pub(super) fn new() -> Self {
        // Only a precision above 5 digits is refused.
        let mut histogram = Histogram::new(3).unwrap_or_else(|error| unreachable!("{error}"));
        histogram.auto(true);
        Self(histogram)
    }

    /// Another one.
    pub(super) fn note(&mut self, late: Duration) {
        // A histogram that widens itself refuses nothing that a clock can show.
        let _ = self.0.record(u64::try_from(late.as_micros()).unwrap_or(u64::MAX >> 1));
    }

    /// What it comes to.
    pub(super) fn summary(&self) -> Lateness {
        let quantile_ms = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Lateness { p50_ms: quantile_ms(0.5), p99_ms: quantile_ms(0.99), max_ms: quantile_ms(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_packets_of_any_degree_are_told() {
        let mut histogram = LatenessHistogram::new();
        assert_eq!(histogram.summary(), Lateness::default());
        for late_us in 1..=98 {
            histogram.note(Duration::from_micros(late_us));
        }
        histogram.note(Duration::from_millis(30));
        histogram.note(Duration::from_secs(2));
        let Lateness { p50_ms, p99_ms, max_ms } = histogram.summary();
        assert_eq!(p50_ms, 0.05);
        assert!((p99_ms - 30.0).abs() < 0.03 && (max_ms - 2000.0).abs() < 2.0, "{p99_ms} {max_ms}");
    }
}
