//! Rounds: from the sending of a packet to its acknowledgement, one after another without gaps.

use std::time::Instant;

/// A round has at least so many packets: at low rates a round trip holds too few to tell a rate or a ratio.
const LEAST_PACKETS: f64 = 16.0;

/// Or it lasts this long, in seconds.
const LONG_ROUND_S: f64 = 0.25;

/// The bytes of a connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) delivered_bytes: u64,
    pub(crate) lost_bytes: u64,
}

/// The running round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// From 0.
    pub(crate) number: u64,
    start: Instant,
    at_start: Totals,
    /// The round ends when a packet is acknowledged that left after this many bytes had been delivered.
    ends_after_bytes: u64,
    rtt: RttRange,
    /// Whether a packet of it was sent when the application had nothing more to send. Also before the first round.
    pub(crate) app_limited: bool,
    /// Whether a packet of it was sent while slowing down.
    slowed: bool,
    silent: bool,
}

/// The round trips of a round, in seconds.
#[derive(Clone, Copy, Debug)]
struct RttRange {
    min: f64,
    max: f64,
    sum: f64,
    count: f64,
}

impl RttRange {
    const NONE: Self = Self { min: f64::MAX, max: 0.0, sum: 0.0, count: 0.0 };
}

/// A round that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// In seconds.
    pub(crate) duration: f64,
    pub(crate) acked_bytes: f64,
    pub(crate) lost_bytes: f64,
    pub(crate) min_rtt: f64,
    pub(crate) max_rtt: f64,
    pub(crate) mean_rtt: f64,
    pub(crate) app_limited: bool,
    pub(crate) slowed: bool,
    /// Whether nothing was heard for a long time: its rate says nothing.
    pub(crate) silent: bool,
}

impl Round {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            number: 0,
            start: now,
            at_start: Totals::default(),
            ends_after_bytes: 0,
            rtt: RttRange::NONE,
            app_limited: true,
            slowed: false,
            silent: false,
        }
    }

    /// Notes an acknowledgement and the least round trip in it, in seconds.
    pub(crate) fn note(&mut self, rtt: f64, app_limited: bool, slowed: bool) {
        self.rtt.min = self.rtt.min.min(rtt);
        self.rtt.max = self.rtt.max.max(rtt);
        self.rtt.sum += rtt;
        self.rtt.count += 1.0;
        self.app_limited |= app_limited;
        self.slowed |= slowed;
    }

    /// Notes that nothing had been heard for long.
    pub(crate) fn note_silence(&mut self) {
        self.silent = true;
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(crate) fn min_rtt(&self) -> f64 {
        self.rtt.min
    }

    /// What it would be if it ended now.
    pub(crate) fn so_far(&self, now: Instant, totals: Totals) -> Ended {
        Ended {
            duration: self.elapsed(now),
            acked_bytes: (totals.delivered_bytes - self.at_start.delivered_bytes) as f64,
            lost_bytes: (totals.lost_bytes - self.at_start.lost_bytes) as f64,
            min_rtt: self.rtt.min,
            max_rtt: self.rtt.max,
            mean_rtt: self.rtt.sum / self.rtt.count.max(1.0),
            app_limited: self.app_limited,
            slowed: self.slowed,
            silent: self.silent,
        }
    }

    fn elapsed(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.start).as_secs_f64()
    }

    /// Whether it ends with the acknowledgement of a packet that left after `delivered_before` bytes had been delivered.
    pub(crate) fn is_over(
        &self,
        now: Instant,
        delivered_before: u64,
        totals: Totals,
        path: RoundLength,
    ) -> bool {
        let elapsed = self.elapsed(now);
        let acked = (totals.delivered_bytes - self.at_start.delivered_bytes) as f64;
        let enough = path.short || acked > LEAST_PACKETS * path.mtu || elapsed > LONG_ROUND_S;
        delivered_before >= self.ends_after_bytes && enough && elapsed >= 0.9 * path.base_rtt
    }

    /// Ends it and begins the next.
    pub(crate) fn end(&mut self, now: Instant, totals: Totals) -> Ended {
        let ended = self.so_far(now, totals);
        *self = Self {
            number: self.number + 1,
            at_start: totals,
            ends_after_bytes: totals.delivered_bytes,
            app_limited: false,
            ..Self::new(now)
        };
        ended
    }
}

/// What decides how long a round must be at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundLength {
    /// One round trip is enough, however few packets it holds.
    pub(crate) short: bool,
    pub(crate) mtu: f64,
    /// In seconds.
    pub(crate) base_rtt: f64,
}
