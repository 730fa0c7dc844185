//! What came of a simulation.

use std::{ops::Range, time::Duration};

use serde::Serialize;

use super::Series;
use crate::{Cause, Counters, Fate, Way};

/// Everything that is known of a simulation afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Of each flow, in the scenario's order.
    pub flows: Vec<FlowOutcome>,
    /// What was recorded on the way.
    pub series: Series,
    /// What the shared link counted from the client to the server.
    pub up: Counters,
    /// What it counted from the server to the client.
    pub down: Counters,
    /// How many events there were: a fingerprint of the run, and a measure of its cost.
    pub events: u64,
}

/// What came of one flow.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowOutcome {
    /// What it is called.
    pub name: String,
    /// Which way its data went.
    pub way: Way,
    /// When the client dialled.
    pub start: Duration,
    /// When the sender's handshake was complete.
    pub connected: Option<Duration>,
    /// When its amount had arrived.
    pub finished: Option<Duration>,
    /// When and why its connection died, unless it was closed because it was done.
    pub died: Option<Death>,
    /// What the receiver's application got, in bytes.
    pub received_bytes: u64,
    /// Packets that the sender sent, by quinn's count.
    pub sent_packets: u64,
    /// Packets that the sender took for lost, by quinn's count; those that were late included.
    pub lost_packets: u64,
    /// How often the sender's controller was told of congestion.
    pub congestion_events: u64,
    /// How often the sender took a burst of losses for a path that carries no large datagrams.
    pub black_holes: u64,
    /// The length of the sender's datagrams in the end, in bytes of UDP payload.
    pub mtu_bytes: u16,
    /// The sender's last estimate of the round trip.
    pub rtt: Duration,
    /// The sender's last window, in bytes.
    pub window_bytes: u64,
    /// What the link did to the sender's packets.
    pub data: Traffic,
    /// What the link, or the flow's own return path, did to the receiver's packets.
    pub back: Traffic,
}

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Death {
    /// When.
    pub at: Duration,
    /// Why, in quinn's words.
    pub reason: String,
}

/// What became of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// How many came to the link.
    pub packets: u64,
    /// Their length with the headers of UDP and IP.
    pub bytes: u64,
    /// Those that did not arrive.
    pub drops: Drops,
}

/// Packets that did not arrive, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drops {
    /// They were longer than the MTU.
    pub too_big: u64,
    /// They left the queue during a blackout.
    pub blackout: u64,
    /// At random, before the bottleneck.
    pub before_queue: u64,
    /// The queue was full.
    pub queue_full: u64,
    /// At random, after the bottleneck.
    pub after_queue: u64,
}

impl Traffic {
    pub(super) fn count(&mut self, bytes: u32, fate: Fate) {
        self.packets += 1;
        self.bytes += u64::from(bytes);
        let Fate::Lost(cause) = fate else { return };
        let count = match cause {
            Cause::TooBig => &mut self.drops.too_big,
            Cause::Blackout => &mut self.drops.blackout,
            Cause::BeforeQueue => &mut self.drops.before_queue,
            Cause::QueueFull => &mut self.drops.queue_full,
            Cause::AfterQueue => &mut self.drops.after_queue,
        };
        *count += 1;
    }
}

impl Drops {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.too_big + self.blackout + self.before_queue + self.queue_full + self.after_queue
    }
}

impl Outcome {
    /// What a flow received over an interval, in bytes per second.
    #[must_use]
    pub fn goodput_bytes_per_s(&self, flow: usize, during: Range<Duration>) -> f64 {
        self.series.goodput_bytes_per_s(flow, during)
    }

    /// Jain's index of the flows' goodput over an interval: 1 when all got the same, 1/n when one got everything. None when
    /// nobody got anything.
    #[must_use]
    pub fn jain(&self, during: Range<Duration>) -> Option<f64> {
        let goodputs = (0..self.flows.len()).map(|flow| self.goodput_bytes_per_s(flow, during.clone()));
        jain(goodputs)
    }

    /// What the shared link counted one way.
    #[must_use]
    pub fn counters(&self, way: Way) -> &Counters {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }
}

fn jain(shares: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for share in shares {
        count += 1.0;
        sum += share;
        squares += share * share;
    }
    (squares > 0.0).then(|| sum * sum / (count * squares))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn jains_index_of_known_shares() {
        assert_eq!(jain([3.0, 3.0, 3.0].into_iter()), Some(1.0));
        assert_eq!(jain([5.0, 0.0, 0.0, 0.0].into_iter()), Some(0.25));
        assert_eq!(jain([0.0, 0.0].into_iter()), None);
        assert_eq!(jain(std::iter::empty()), None);
    }

    proptest! {
        #[test]
        fn jains_index_lies_between_a_share_and_one(shares in prop::collection::vec(0.0f64..1e9, 1..20)) {
            if let Some(index) = jain(shares.iter().copied()) {
                prop_assert!(index <= 1.0 + 1e-9 && index >= 1.0 / shares.len() as f64 - 1e-9);
            }
        }
    }

    #[test]
    fn every_cause_has_its_count() {
        let mut traffic = Traffic::default();
        for cause in [Cause::TooBig, Cause::Blackout, Cause::BeforeQueue, Cause::QueueFull, Cause::AfterQueue]
        {
            traffic.count(100, Fate::Lost(cause));
        }
        traffic.count(100, Fate::Delivered { at: Duration::ZERO, copy_at: None });
        assert_eq!((traffic.packets, traffic.bytes, traffic.drops.total()), (6, 600, 5));
        let drops = Drops { too_big: 1, blackout: 1, before_queue: 1, queue_full: 1, after_queue: 1 };
        assert_eq!(traffic.drops, drops);
    }
}
