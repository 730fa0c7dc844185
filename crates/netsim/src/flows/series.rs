//! What is recorded while a simulation runs.

use std::{ops::Range, time::Duration};

use super::network::{Network, index};
use crate::Way;

/// What was recorded at regular times: how much each flow had received, and how long the queue was.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    step: Duration,
    ended: Duration,
    /// Of each flow: the bytes received by the start, and by the end of each step.
    received: Vec<Vec<u64>>,
    /// Of each flow: all that it received.
    totals: Vec<u64>,
    ways: [WaySeries; 2],
}

/// Of one way of the shared link.
#[derive(Clone, Debug, Default, PartialEq)]
struct WaySeries {
    /// How long a packet would have waited, in milliseconds: once in each step.
    wait_ms: Vec<f32>,
    /// Packets by the start and by the end of each step: at the entry, and those that found the queue full.
    offered: Vec<u64>,
    overflowed: Vec<u64>,
}

/// How long packets would have waited over an interval, each moment counting alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueueFigures {
    /// The mean, in milliseconds.
    pub mean_ms: f64,
    /// What it stays below for 95 % of the time, in milliseconds.
    pub p95_ms: f64,
    /// The longest that was seen, in milliseconds.
    pub max_ms: f64,
}

impl Series {
    /// How long from one sample to the next.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.step
    }

    /// When the simulation ended.
    #[must_use]
    pub fn ended(&self) -> Duration {
        self.ended
    }

    /// What a flow had received by `at`: exact at the samples, linear between them.
    #[must_use]
    pub fn received_bytes(&self, flow: usize, at: Duration) -> f64 {
        let (samples, total) = (&self.received[flow], self.totals[flow] as f64);
        if at >= self.ended {
            return total;
        }
        let position = self.position(at);
        let (index, part) = (position as usize, position.fract());
        let last = samples.len() - 1;
        if index < last {
            let (low, high) = (samples[index] as f64, samples[index + 1] as f64);
            return low + (high - low) * part;
        }
        // Between the last sample and the end, which need not be a step later.
        let (from, low) = (self.time(last), samples[last] as f64);
        let length = self.ended.saturating_sub(from).as_secs_f64();
        let part = if length > 0.0 { at.saturating_sub(from).as_secs_f64() / length } else { 1.0 };
        low + (total - low) * part
    }

    /// What a flow received over an interval, in bytes per second; the end of the simulation does not end the interval.
    #[must_use]
    pub fn goodput_bytes_per_s(&self, flow: usize, during: Range<Duration>) -> f64 {
        let length = during.end.saturating_sub(during.start).as_secs_f64();
        if length <= 0.0 {
            return 0.0;
        }
        (self.received_bytes(flow, during.end) - self.received_bytes(flow, during.start)) / length
    }

    /// How long it took from `from` on until a flow had received at `bytes_per_s` or more over a whole `window`: the end of
    /// the first such window.
    #[must_use]
    pub fn time_to(
        &self,
        flow: usize,
        bytes_per_s: f64,
        from: Duration,
        window: Duration,
    ) -> Option<Duration> {
        let mut start = from;
        while start + window <= self.ended {
            if self.goodput_bytes_per_s(flow, start..start + window) >= bytes_per_s {
                return Some(start + window - from);
            }
            start += self.step;
        }
        None
    }

    /// How long packets would have waited on one way of the shared link; nothing where there was no sample.
    #[must_use]
    pub fn queue(&self, way: Way, during: Range<Duration>) -> QueueFigures {
        let waits = &self.ways[index(way)].wait_ms;
        let place = |at: Duration| (self.position(at) as usize).min(waits.len());
        let (from, to) = (place(during.start), place(during.end));
        let mut waits: Vec<f32> = waits.get(from..to).unwrap_or(&[]).to_vec();
        waits.sort_unstable_by(f32::total_cmp);
        let Some(max) = waits.last() else { return QueueFigures::default() };
        let sum: f64 = waits.iter().copied().map(f64::from).sum();
        let p95 = waits[(waits.len() * 95).div_ceil(100) - 1];
        QueueFigures { mean_ms: sum / waits.len() as f64, p95_ms: f64::from(p95), max_ms: f64::from(*max) }
    }

    /// The ratio of packets at the entry of one way of the shared link that its queue had no room for.
    #[must_use]
    pub fn overflow(&self, way: Way, during: Range<Duration>) -> f64 {
        let WaySeries { offered, overflowed, .. } = &self.ways[index(way)];
        let place = |at: Duration| (self.position(at) as usize).min(offered.len() - 1);
        let (from, to) = (place(during.start), place(during.end));
        let between = |counts: &[u64]| counts[to.max(from)] - counts[from];
        between(overflowed) as f64 / between(offered).max(1) as f64
    }

    /// The rate of a flow and the mean queue of a way for each `bin` of time: its end, bytes per second, milliseconds.
    #[must_use]
    pub fn bins(&self, flow: usize, way: Way, bin: Duration) -> Vec<(Duration, f64, f64)> {
        let bin = bin.max(self.step);
        let mut bins = Vec::new();
        let mut from = Duration::ZERO;
        while from < self.ended {
            let to = (from + bin).min(self.ended);
            let rate = self.goodput_bytes_per_s(flow, from..to);
            bins.push((to, rate, self.queue(way, from..to).mean_ms));
            from += bin;
        }
        bins
    }

    /// A time in samples.
    fn position(&self, at: Duration) -> f64 {
        let (whole, step) = (at.as_nanos(), self.step.as_nanos());
        (whole / step) as f64 + (whole % step) as f64 / step as f64
    }

    fn time(&self, sample: usize) -> Duration {
        time(self.step, sample as f64)
    }
}

/// Makes a series.
pub(super) struct Recorder {
    series: Series,
    /// How many steps are complete, and whether the queue of the running one was looked at.
    done: usize,
    queue_seen: bool,
}

impl Recorder {
    pub(super) fn new(flows: usize, step: Duration, duration: Duration) -> Self {
        let samples = usize::try_from(duration.as_nanos() / step.as_nanos()).unwrap_or(0) + 1;
        let begin = || {
            let mut counts = Vec::with_capacity(samples);
            counts.push(0);
            counts
        };
        let way =
            || WaySeries { wait_ms: Vec::with_capacity(samples), offered: begin(), overflowed: begin() };
        let received = (0..flows).map(|_| begin()).collect();
        let series =
            Series { step, ended: Duration::ZERO, received, totals: Vec::new(), ways: [way(), way()] };
        Self { series, done: 0, queue_seen: false }
    }

    /// Takes all samples before `now`; nothing has happened since the last event.
    pub(super) fn catch_up(&mut self, now: Duration, network: &mut Network, received: impl Fn(usize) -> u64) {
        loop {
            let at = if self.queue_seen { self.step_ends() } else { self.queue_at() };
            if at >= now {
                return;
            }
            if self.queue_seen {
                self.end_step(network, &received);
            } else {
                self.look_at_queue(at, network);
            }
        }
    }

    pub(super) fn finish(mut self, ended: Duration, totals: Vec<u64>) -> Series {
        self.series.ended = ended;
        self.series.totals = totals;
        self.series
    }

    fn step_ends(&self) -> Duration {
        self.series.time(self.done + 1)
    }

    /// Somewhere within the running step, elsewhere in each (a sequence of low discrepancy): timers that fire at whole
    /// milliseconds would otherwise always be met just before or just after.
    fn queue_at(&self) -> Duration {
        const GOLDEN: f64 = 0.618_033_988_749_895;
        time(self.series.step, self.done as f64 + (self.done as f64 * GOLDEN).fract())
    }

    fn look_at_queue(&mut self, at: Duration, network: &mut Network) {
        for way in [Way::Up, Way::Down] {
            let wait_ms = network.queue_wait(way, at).as_secs_f64() * 1e3;
            self.series.ways[index(way)].wait_ms.push(wait_ms as f32);
        }
        self.queue_seen = true;
    }

    fn end_step(&mut self, network: &Network, received: impl Fn(usize) -> u64) {
        for (flow, samples) in self.series.received.iter_mut().enumerate() {
            samples.push(received(flow));
        }
        for way in [Way::Up, Way::Down] {
            let (offered, overflowed) = network.offered_and_overflowed(way);
            self.series.ways[index(way)].offered.push(offered);
            self.series.ways[index(way)].overflowed.push(overflowed);
        }
        self.done += 1;
        self.queue_seen = false;
    }
}

fn time(step: Duration, steps: f64) -> Duration {
    let (whole, part) = (steps.trunc(), steps.fract());
    let nanos = step.as_nanos() * whole as u128 + (step.as_nanos() as f64 * part) as u128;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn series(received: Vec<u64>, wait_ms: Vec<f32>, ended: Duration, total: u64) -> Series {
        let way = WaySeries { wait_ms, offered: received.clone(), overflowed: vec![0; received.len()] };
        let ways = [way.clone(), way];
        Series { step: MS, ended, received: vec![received], totals: vec![total], ways }
    }

    #[test]
    fn bytes_are_exact_at_samples_and_linear_between_and_up_to_the_end() {
        let series = series(vec![0, 100, 300], vec![], MS * 5 / 2, 400);
        let at = |us| series.received_bytes(0, Duration::from_micros(us));
        assert_eq!([at(0), at(500), at(1000), at(1500), at(2000)], [0.0, 50.0, 100.0, 200.0, 300.0]);
        assert_eq!([at(2250), at(2500), at(9000)], [350.0, 400.0, 400.0]);
        assert_eq!(series.goodput_bytes_per_s(0, MS..2 * MS), 200_000.0);
        assert_eq!(series.goodput_bytes_per_s(0, MS..MS), 0.0);
    }

    #[test]
    fn a_rate_is_reached_at_the_end_of_the_first_whole_window() {
        let series = series(vec![0, 0, 0, 10, 20, 30], vec![], MS * 5, 30);
        assert_eq!(series.time_to(0, 10_000.0, Duration::ZERO, MS), Some(3 * MS));
        assert_eq!(series.time_to(0, 10_000.0, Duration::ZERO, 2 * MS), Some(4 * MS));
        assert_eq!(series.time_to(0, 10_000.0, 3 * MS, MS), Some(MS));
        assert_eq!(series.time_to(0, 10_001.0, Duration::ZERO, MS), None);
        assert_eq!(series.time_to(0, 0.0, Duration::ZERO, 6 * MS), None);
    }

    #[test]
    fn the_queue_is_told_over_the_interval_that_is_asked_for() {
        let waits: Vec<f32> = (0..100u8).map(f32::from).collect();
        let series = series(vec![0; 101], waits, MS * 100, 0);
        let all = series.queue(Way::Up, Duration::ZERO..100 * MS);
        assert_eq!(all, QueueFigures { mean_ms: 49.5, p95_ms: 94.0, max_ms: 99.0 });
        let half = series.queue(Way::Up, 50 * MS..100 * MS);
        assert_eq!((half.mean_ms, half.max_ms), (74.5, 99.0));
        assert_eq!(series.queue(Way::Up, 100 * MS..200 * MS), QueueFigures::default());
    }

    #[test]
    fn bins_cover_the_whole_run() {
        let series = series(vec![0, 10, 20, 30], vec![1.0, 2.0, 6.0], MS * 3, 30);
        let bins = series.bins(0, Way::Up, 2 * MS);
        assert_eq!(bins, [(2 * MS, 10_000.0, 1.5), (3 * MS, 10_000.0, 6.0)]);
    }

    proptest! {
        #[test]
        fn bytes_never_fall_and_goodputs_add_up(steps in prop::collection::vec(0u64..1000, 1..40), rest in 0u64..1000, cut in 0u64..50_000) {
            let mut received = vec![0];
            for step in &steps {
                received.push(received.last().copied().unwrap_or(0) + step);
            }
            let total = received.last().copied().unwrap_or(0) + rest;
            let ended = MS * u32::try_from(steps.len()).expect("few") + MS / 3;
            let series = series(received, vec![], ended, total);
            let cut = Duration::from_micros(cut).min(ended);
            let sum = |range: Range<Duration>| {
                let length = (range.end - range.start).as_secs_f64();
                series.goodput_bytes_per_s(0, range) * length
            };
            prop_assert!((sum(Duration::ZERO..cut) + sum(cut..ended) - total as f64).abs() < 1e-6 * (1.0 + total as f64));
            let mut last = 0.0;
            for us in (0..60_000).step_by(250) {
                let bytes = series.received_bytes(0, Duration::from_micros(us));
                prop_assert!(bytes >= last);
                last = bytes;
            }
        }
    }
}
