//! What round trips tell of the path: the base round trip, jitter, and the queue.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::noise::Noise;

/// The base round trip is taken anew when it has not been seen for so long: the route may have changed.
const BASE_LIFETIME: Duration = Duration::from_secs(10);

/// How many acknowledgements start-up looks back on.
const RECENT: usize = 12;

/// A quarter of a round needs at least so many acknowledgements to tell a queue.
const QUARTER_ACKS: u32 = 6;

/// Round trips, in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// The least round trip; huge before there is one.
    base_rtt: f64,
    base_seen: Instant,
    /// The least one since the base was seen.
    least_since: f64,
    /// How far single round trips lie above the least of their round, on average.
    pub(crate) jitter: f64,
    /// How far the least of the last round lay above the base.
    pub(crate) queue: f64,
    /// As quinn smooths it (RFC 9002 section 5.3).
    pub(crate) smoothed_rtt: f64,
    recent: VecDeque<f64>,
    quarter: Quarter,
    noise: Noise,
}

/// The running quarter of a round.
#[derive(Clone, Copy, Debug)]
struct Quarter {
    start: Instant,
    acks: u32,
    min: f64,
    /// The least round trip without what had been sent ahead of the capacity by then.
    min_without_lead: f64,
}

/// The queue of a quarter of a round, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct QuarterQueue {
    /// What its acknowledgements showed.
    pub(crate) shown: f64,
    /// What it comes to with what has been sent since, and not been seen yet.
    pub(crate) coming: f64,
}

impl Quarter {
    fn begin(start: Instant) -> Self {
        Self { start, acks: 0, min: f64::MAX, min_without_lead: f64::MAX }
    }
}

impl Path {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            base_rtt: f64::MAX,
            base_seen: now,
            least_since: f64::MAX,
            jitter: 0.0,
            queue: 0.0,
            smoothed_rtt: 0.1,
            recent: VecDeque::with_capacity(RECENT),
            quarter: Quarter::begin(now),
            noise: Noise::default(),
        }
    }

    /// Notes the least round trip of an acknowledgement; `round_min` is the least of the running round. Of packets behind which the
    /// application had no more, only the base is learnt: their receiver may hold the acknowledgement back (RFC 9000 section 13.2.1),
    /// 25 ms as a rule, which looks like a queue. `lead` is how far ahead of the capacity we were when they left, in seconds.
    pub(crate) fn note(&mut self, now: Instant, rtt: f64, round_min: f64, app_limited: bool, lead: f64) {
        self.least_since = self.least_since.min(rtt);
        let seen = rtt <= self.base_rtt * 1.01 + 0.0002;
        if seen || now.saturating_duration_since(self.base_seen) > BASE_LIFETIME {
            self.base_rtt = if seen { self.base_rtt.min(rtt) } else { self.least_since };
            self.base_seen = now;
            self.least_since = f64::MAX;
        }
        if app_limited {
            return;
        }
        self.jitter += ((rtt - round_min).max(0.0) - self.jitter) / 64.0;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(rtt);
        self.quarter.acks += 1;
        self.quarter.min = self.quarter.min.min(rtt);
        self.quarter.min_without_lead = self.quarter.min_without_lead.min(rtt - lead);
    }

    /// The round trip without queues. Huge before the first acknowledgement.
    pub(crate) fn base_rtt(&self) -> f64 {
        self.base_rtt
    }

    /// The queue of the last acknowledgements; none while there were too few.
    pub(crate) fn recent_queue(&self) -> Option<f64> {
        let least = self.recent.iter().copied().fold(f64::MAX, f64::min);
        (self.recent.len() >= 8).then_some(least - self.base_rtt)
    }

    /// Takes over the queue of a round that has ended. `drained` tells that what it heard of was sent while slowing down.
    pub(crate) fn note_round(&mut self, least_rtt: f64, drained: bool) {
        let shown = (least_rtt - self.base_rtt).max(0.0);
        if drained {
            self.noise.learn(shown);
        }
        self.queue = (shown - self.noise.of_round(self.jitter)).max(0.0);
    }

    /// Ends a quarter of a round when it is over, and tells its queue. It halves the delay of the control loop. `lead` is how far ahead
    /// of the capacity we are now.
    pub(crate) fn quarter_queue(&mut self, now: Instant, drained: bool, lead: f64) -> Option<QuarterQueue> {
        let elapsed = now.saturating_duration_since(self.quarter.start).as_secs_f64();
        if self.quarter.acks < QUARTER_ACKS || elapsed < 0.25 * self.base_rtt {
            return None;
        }
        let shown = (self.quarter.min - self.base_rtt).max(0.0);
        let coming = (self.quarter.min_without_lead + lead - self.base_rtt).max(0.0);
        self.quarter = Quarter::begin(now);
        if drained {
            self.noise.note_drained_quarter(shown);
        }
        let noise = self.noise.of_quarter(self.jitter);
        Some(QuarterQueue { shown: (shown - noise).max(0.0), coming: (coming - noise).max(0.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn the_base_is_the_least_of_ten_seconds() {
        let start = Instant::now();
        let mut path = Path::new(start);
        for (ms, rtt) in [(0, 0.120), (100, 0.100), (200, 0.150), (10_100, 0.150)] {
            path.note(at(start, ms), rtt, rtt, false, 0.0);
        }
        assert_eq!(path.base_rtt(), 0.100, "exactly ten seconds are not more than ten");
        path.note(at(start, 10_101), 0.140, 0.140, false, 0.0);
        assert_eq!(path.base_rtt(), 0.140, "the least since it was last seen");
    }

    #[test]
    fn a_base_that_is_nearly_seen_again_lives_on() {
        let start = Instant::now();
        let mut path = Path::new(start);
        path.note(start, 0.100, 0.100, false, 0.0);
        path.note(at(start, 9000), 0.1011, 0.1011, false, 0.0);
        path.note(at(start, 15_000), 0.130, 0.130, false, 0.0);
        assert_eq!(path.base_rtt(), 0.100);
    }

    #[test]
    fn a_quarter_needs_time_and_acknowledgements() {
        let start = Instant::now();
        let mut path = Path::new(start);
        for step in 0..6 {
            assert_eq!(path.quarter_queue(at(start, step), false, 0.0), None);
            path.note(at(start, step), 0.100 + step as f64 / 1e3, 0.100, false, 0.0);
        }
        assert_eq!(path.quarter_queue(at(start, 24), false, 0.0), None, "a quarter of 100 ms");
        assert_eq!(
            path.quarter_queue(at(start, 25), false, 0.0),
            Some(QuarterQueue { shown: 0.0, coming: 0.0 })
        );
        for _ in 0..6 {
            path.note(at(start, 40), 0.108, 0.100, false, 0.001);
        }
        // When they left we were a millisecond ahead; now we are three ahead.
        let queue = path.quarter_queue(at(start, 50), false, 0.003).expect("it is over");
        assert!((queue.shown - 0.008).abs() < 1e-9 && (queue.coming - 0.010).abs() < 1e-9, "{queue:?}");
    }
}
