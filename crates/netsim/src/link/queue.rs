//! The bottleneck: a rate, and a drop-tail queue before it.

use std::collections::VecDeque;

use super::{blackout::Blackouts, schedule::Schedule};

/// How far a packet has come that has passed the bottleneck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Served {
    /// How long it waited until its first bit was on the wire.
    pub(super) wait_ns: u64,
    /// When its last bit was.
    pub(super) departure_ns: u64,
}

/// A packet that has not left yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    departure_ns: u64,
    bytes: u32,
}

/// A bottleneck that serves in the order of arrival.
#[derive(Clone, Debug)]
pub(super) struct Bottleneck {
    /// In bytes per nanosecond; none where packets take no time.
    rate: Schedule<Option<f64>>,
    holds: Blackouts,
    limit_bytes: Option<u64>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: u64,
    /// When it has served all that it has taken. A fraction, so that rounding does not add up over packets.
    free_ns: f64,
    served_bytes: u64,
}

impl Bottleneck {
    pub(super) fn new(rate: Schedule<Option<f64>>, holds: Blackouts, limit_bytes: Option<u64>) -> Self {
        let waiting = VecDeque::new();
        Self { rate, holds, limit_bytes, waiting, waiting_bytes: 0, free_ns: 0.0, served_bytes: 0 }
    }

    /// Takes a packet; none when there is no room for it.
    pub(super) fn take(&mut self, now_ns: u64, bytes: u32) -> Option<Served> {
        self.let_go(now_ns);
        let length = self.waiting_bytes + u64::from(bytes);
        if self.limit_bytes.is_some_and(|limit| length > limit) {
            return None;
        }
        let start = self.ready(self.free_ns.max(now_ns as f64));
        self.free_ns = self.finish(start, bytes);
        // Rounded up, so that no packet is early.
        let departure_ns = self.free_ns.ceil() as u64;
        self.waiting.push_back(Waiting { departure_ns, bytes });
        self.waiting_bytes = length;
        self.served_bytes += u64::from(bytes);
        Some(Served { wait_ns: (start - now_ns as f64).round().max(0.0) as u64, departure_ns })
    }

    /// Forgets what has left by now.
    fn let_go(&mut self, now_ns: u64) {
        while let Some(first) = self.waiting.front().filter(|first| first.departure_ns <= now_ns) {
            self.waiting_bytes -= u64::from(first.bytes);
            self.waiting.pop_front();
        }
    }

    /// The end of the time in which nothing leaves, if `ns` lies in one.
    fn ready(&self, ns: f64) -> f64 {
        let mut ready = ns;
        while let Some(end) = self.holds.end(ready as u64) {
            ready = end as f64;
        }
        ready
    }

    /// When the last of `bytes` has left that begin to leave at `start`.
    fn finish(&self, start: f64, bytes: u32) -> f64 {
        let (mut now, mut left) = (start, f64::from(bytes));
        loop {
            let ns = now as u64;
            let Some(rate) = self.rate.at(ns) else { return now };
            let end = now + left / rate;
            let next = [self.rate.next_change(ns), self.holds.next_start(ns)].into_iter().flatten().min();
            match next.map(|next| next as f64).filter(|next| *next < end) {
                None => return end,
                Some(next) => {
                    left -= (next - now) * rate;
                    now = self.ready(next);
                }
            }
        }
    }

    /// Packets and bytes that wait now, and how long one that comes now would wait.
    pub(super) fn waiting(&mut self, now_ns: u64) -> (usize, u64, u64) {
        self.let_go(now_ns);
        let start = self.ready(self.free_ns.max(now_ns as f64));
        (self.waiting.len(), self.waiting_bytes, (start - now_ns as f64).round() as u64)
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    pub(super) fn limit_bytes(&self) -> Option<u64> {
        self.limit_bytes
    }

    /// The share of what could have left by now that has left; 0 without a rate.
    pub(super) fn utilisation(&self, now_ns: u64) -> f64 {
        let left = self.waiting.iter().filter(|packet| packet.departure_ns > now_ns);
        let gone_bytes = self.served_bytes - left.map(|packet| u64::from(packet.bytes)).sum::<u64>();
        let capacity_bytes = self.capacity_bytes(now_ns);
        if capacity_bytes > 0.0 { gone_bytes as f64 / capacity_bytes } else { 0.0 }
    }

    fn capacity_bytes(&self, now_ns: u64) -> f64 {
        let (mut at, mut bytes) = (self.ready(0.0), 0.0);
        while at < now_ns as f64 {
            let ns = at as u64;
            let Some(rate) = self.rate.at(ns) else { return 0.0 };
            let next = [self.rate.next_change(ns), self.holds.next_start(ns)].into_iter().flatten();
            let end = next.min().unwrap_or(u64::MAX).min(now_ns) as f64;
            bytes += (end - at) * rate;
            at = self.ready(end);
        }
        bytes
    }
}
