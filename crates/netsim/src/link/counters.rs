//! What happened on one way of a link.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Cause, Fate, Passage};

/// What happened on one way of a link. Every packet that was offered was delivered or is counted under one cause of loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counters {
    /// Packets that came to the link's entry.
    pub offered_packets: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Packets that arrive, or will; second copies are not counted.
    pub delivered_packets: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets that arrive twice.
    pub duplicated_packets: u64,
    /// Packets longer than the MTU.
    pub lost_too_big_packets: u64,
    /// Packets that left the queue during a blackout.
    pub lost_blackout_packets: u64,
    /// Packets lost at random before the queue.
    pub lost_before_queue_packets: u64,
    /// Packets for which the queue had no room.
    pub lost_queue_full_packets: u64,
    /// Packets lost at random after the queue.
    pub lost_after_queue_packets: u64,
    /// How long packets waited for the bottleneck, on average, in milliseconds.
    pub queue_wait_mean_ms: f64,
    /// What 95 % of them did not exceed. Within 0.1 %.
    pub queue_wait_p95_ms: f64,
    /// What 99 % of them did not exceed. Within 0.1 %.
    pub queue_wait_p99_ms: f64,
    /// The longest wait.
    pub queue_wait_max_ms: f64,
    /// The most bytes that waited at once.
    pub queue_peak_bytes: u64,
    /// The share of what the bottleneck could have carried that it did carry; 0 without one.
    pub utilisation: f64,
}

impl Counters {
    /// Packets lost, whatever the cause.
    #[must_use]
    pub fn lost_packets(&self) -> u64 {
        self.lost_too_big_packets
            + self.lost_blackout_packets
            + self.lost_before_queue_packets
            + self.lost_queue_full_packets
            + self.lost_after_queue_packets
    }
}

/// Counters while they grow.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    counts: Counters,
    /// Waits in microseconds, of packets that the queue took.
    waits_us: Histogram<u64>,
    wait_sum_ns: u128,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { counts: Counters::default(), waits_us: unbounded_histogram(), wait_sum_ns: 0 }
    }

    pub(super) fn note(&mut self, bytes: u32, passage: Passage) {
        let counts = &mut self.counts;
        counts.offered_packets += 1;
        counts.offered_bytes += u64::from(bytes);
        match passage.fate {
            Fate::Delivered { copy_at, .. } => {
                counts.delivered_packets += 1;
                counts.delivered_bytes += u64::from(bytes);
                counts.duplicated_packets += u64::from(copy_at.is_some());
            }
            Fate::Lost(Cause::TooBig) => counts.lost_too_big_packets += 1,
            Fate::Lost(Cause::Blackout) => counts.lost_blackout_packets += 1,
            Fate::Lost(Cause::BeforeQueue) => counts.lost_before_queue_packets += 1,
            Fate::Lost(Cause::QueueFull) => counts.lost_queue_full_packets += 1,
            Fate::Lost(Cause::AfterQueue) => counts.lost_after_queue_packets += 1,
        }
    }

    pub(super) fn note_wait(&mut self, wait_ns: u64, queued_bytes: u64) {
        // A histogram that resizes itself refuses nothing below 2^63; `saturating_record` would not resize it.
        let _ = self.waits_us.record(wait_ns / 1000);
        self.wait_sum_ns += u128::from(wait_ns);
        self.counts.queue_peak_bytes = self.counts.queue_peak_bytes.max(queued_bytes);
    }

    pub(super) fn counters(&self, utilisation: f64) -> Counters {
        let waits = self.waits_us.len();
        let quantile_ms = |quantile| self.waits_us.value_at_quantile(quantile) as f64 / 1e3;
        let mean_ms = if waits == 0 { 0.0 } else { self.wait_sum_ns as f64 / waits as f64 / 1e6 };
        Counters {
            queue_wait_mean_ms: mean_ms,
            queue_wait_p95_ms: quantile_ms(0.95),
            queue_wait_p99_ms: quantile_ms(0.99),
            queue_wait_max_ms: quantile_ms(1.0),
            utilisation,
            ..self.counts.clone()
        }
    }
}

/// Three significant digits, growing with the values.
fn unbounded_histogram() -> Histogram<u64> {
    let mut histogram = match Histogram::new(3) {
        Ok(histogram) => histogram,
        // Only a precision above 5 digits is refused.
        Err(error) => unreachable!("{error}"),
    };
    histogram.auto(true);
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_of_any_length_are_told() {
        let mut tally = Tally::new();
        for wait_ms in [1, 20, 300, 4_000] {
            tally.note_wait(wait_ms * 1_000_000, 1);
        }
        let counters = tally.counters(0.0);
        let near = |value: f64, expected: f64| (value - expected).abs() <= expected * 1e-3;
        assert!(near(counters.queue_wait_max_ms, 4_000.0), "{counters:?}");
        assert!(near(counters.queue_wait_p95_ms, 4_000.0), "{counters:?}");
        assert_eq!(counters.queue_wait_mean_ms, 4_321.0 / 4.0);
    }
}
