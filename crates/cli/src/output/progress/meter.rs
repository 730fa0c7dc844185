//! How fast bytes have been coming lately, and how long the rest will take.

use std::{collections::VecDeque, time::Duration};

/// The rate is that of this time back.
const RATE_WINDOW: Duration = Duration::from_secs(2);
/// The time left is judged by this time back: longer, so that it does not jump about.
const LEFT_WINDOW: Duration = Duration::from_secs(10);
/// What comes sooner than this after the last sample replaces it.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// Nothing is known sooner than this after the start.
const FIRST_RATE: Duration = Duration::from_millis(200);

/// Remembers how many bytes there were when, for the longest window.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    /// In order of time, which is counted from the start of the command; never empty.
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// A meter of something that begins now with no bytes.
    pub(super) fn new(now: Duration) -> Self {
        Self { samples: VecDeque::from([(now, 0)]) }
    }

    /// Takes note of how many bytes there are by now. Fewer than before is a beginning anew.
    pub(super) fn note(&mut self, now: Duration, bytes: u64) {
        let len = self.samples.len();
        if self.samples.back().is_some_and(|(_, last)| bytes < *last) {
            self.samples.clear();
        } else if len > 1 && now.saturating_sub(self.samples[len - 2].0) < SAMPLE_INTERVAL {
            self.samples.pop_back();
        }
        self.samples.push_back((now, bytes));
        // The window begins at the last sample that lies before it.
        while self.samples.len() > 1 && now.saturating_sub(self.samples[1].0) >= LEFT_WINDOW {
            self.samples.pop_front();
        }
    }

    /// Bytes per second of late.
    pub(super) fn rate(&self, now: Duration) -> Option<u64> {
        self.over(RATE_WINDOW, now)
    }

    /// How long `remaining` bytes will take; none when nothing moves.
    pub(super) fn left(&self, now: Duration, remaining: u64) -> Option<Duration> {
        let rate = self.over(LEFT_WINDOW, now).filter(|rate| *rate > 0)?;
        Some(Duration::from_secs(remaining.div_ceil(rate)))
    }

    fn over(&self, window: Duration, now: Duration) -> Option<u64> {
        let before = |sample: &&(Duration, u64)| now.saturating_sub(sample.0) >= window;
        let from = self.samples.iter().rev().find(before).or(self.samples.front())?;
        let last = self.samples.back()?;
        let elapsed = now.saturating_sub(from.0);
        // What was before the window does not count, however long ago the sample was.
        let elapsed = elapsed.min(window + 2 * SAMPLE_INTERVAL);
        if elapsed < FIRST_RATE {
            return None;
        }
        let per_second = u128::from(last.1 - from.1) * 1_000_000_000 / elapsed.as_nanos();
        Some(u64::try_from(per_second).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_rate_is_that_of_two_seconds() {
        let mut meter = Meter::new(ms(0));
        assert_eq!(meter.rate(ms(100)), None);
        for tenth in 1..=100 {
            // 1 MB/s for nine seconds, then ten times as fast.
            let fast = if tenth > 90 { (tenth - 90) * 900_000 } else { 0 };
            meter.note(ms(tenth * 100), tenth * 100_000 + fast);
        }
        // Half of the last two seconds was fast, a tenth of the last ten.
        assert_eq!(meter.rate(ms(10_000)), Some(5_500_000));
        assert_eq!(meter.left(ms(10_000), 19_000_000), Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_stall_shows() {
        let mut meter = Meter::new(ms(0));
        for tenth in 1..=20 {
            meter.note(ms(tenth * 100), tenth * 100_000);
        }
        assert_eq!(meter.rate(ms(2_000)), Some(1_000_000));
        assert_eq!(meter.rate(ms(3_000)), Some(500_000));
        assert_eq!(meter.rate(ms(4_000)), Some(0));
        assert!(meter.left(ms(8_000), 1_000_000).is_some_and(|left| left > Duration::from_secs(3)));
        assert_eq!(meter.left(ms(60_000), 1_000_000), None);
    }

    #[test]
    fn a_beginning_anew_is_no_negative_rate() {
        let mut meter = Meter::new(ms(0));
        meter.note(ms(1_000), 5_000_000);
        meter.note(ms(1_500), 0);
        meter.note(ms(2_500), 1_000_000);
        assert_eq!(meter.rate(ms(2_500)), Some(1_000_000));
    }

    #[test]
    fn many_events_take_little_memory() {
        let mut meter = Meter::new(ms(0));
        for milli in 1..=60_000 {
            meter.note(ms(milli), milli * 1_000);
        }
        assert!(meter.samples.len() <= 110, "{}", meter.samples.len());
        assert_eq!(meter.rate(ms(60_000)), Some(1_000_000));
    }

    proptest! {
        #[test]
        fn no_history_panics(steps in prop::collection::vec((0u64..20_000, any::<u64>()), 0..40), remaining: u64) {
            let mut meter = Meter::new(ms(0));
            let mut now = 0;
            for (step, bytes) in steps {
                now += step;
                meter.note(ms(now), bytes);
                let _ = (meter.rate(ms(now)), meter.left(ms(now), remaining));
            }
        }
    }
}
