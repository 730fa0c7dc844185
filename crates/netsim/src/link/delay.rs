//! Propagation.

use super::schedule::Schedule;
use crate::random::Stream;

/// The way after the bottleneck: a delay, and jitter around it.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    delay_ns: Schedule<u64>,
    jitter_ns: f64,
    reordering: bool,
    /// When the last packet arrives so far.
    last_ns: u64,
    stream: Stream,
}

impl Delay {
    pub(super) fn new(delay_ns: Schedule<u64>, jitter_ns: f64, reordering: bool, stream: Stream) -> Self {
        Self { delay_ns, jitter_ns, reordering, last_ns: 0, stream }
    }

    /// When a packet that sets out now arrives.
    pub(super) fn arrival(&mut self, ns: u64) -> u64 {
        let delay_ns = self.delay_ns.at(ns);
        let shift_ns = (self.stream.unit() * 2.0 - 1.0) * self.jitter_ns;
        // Jitter is at most the delay; rounding up never makes a packet early.
        let arrival = ns + (delay_ns as f64 + shift_ns).ceil().max(0.0) as u64;
        if self.reordering {
            return arrival;
        }
        self.last_ns = self.last_ns.max(arrival);
        self.last_ns
    }
}
