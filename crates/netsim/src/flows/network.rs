//! The link that all flows share, and what each has of its own around it.

use std::time::Duration;

use super::{
    FlowsError, Scenario, Traffic,
    agenda::{Agenda, Datagram, EndId, Event},
    end::round_up,
};
use crate::{Channel, Counters, Fate, Link, UDP_OVER_IPV4_BYTES, Way};

pub(super) struct Network {
    link: Link,
    flows: Vec<OwnPath>,
    /// What arrivals are multiples of; zero for none.
    arrival_step: Duration,
    /// Of each way: packets at the entry, and those that the queue had no room for.
    offered: [u64; 2],
    overflowed: [u64; 2],
}

/// What of the path is a flow's own.
struct OwnPath {
    data_way: Way,
    near_delay: Duration,
    far_delay: Duration,
    /// What the receiver's packets go through instead of the shared link.
    own_return: Option<Channel>,
    /// Of the data's way, and of the way back.
    traffic: [Traffic; 2],
}

/// Clients are at even places, the server of each right behind it.
pub(super) fn flow_of(end: EndId) -> usize {
    end / 2
}

pub(super) fn peer_of(end: EndId) -> EndId {
    end ^ 1
}

/// Which end of a flow sends its data, and which receives it.
pub(super) fn sender_of(flow: usize, way: Way) -> EndId {
    2 * flow + usize::from(way == Way::Down)
}

pub(super) fn receiver_of(flow: usize, way: Way) -> EndId {
    peer_of(sender_of(flow, way))
}

impl Network {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Result<Self, FlowsError> {
        let own_path = |(index, flow): (u64, &super::FlowSpec)| {
            let rtt = scenario.rtt(flow);
            // Each own path has fates of its own.
            let seed = seed.wrapping_add((index + 1) << 32);
            let channel = |own| Channel::new(own, rtt, seed);
            Ok(OwnPath {
                data_way: flow.way,
                near_delay: flow.near_delay,
                far_delay: flow.far_delay,
                own_return: flow.own_return.as_ref().map(channel).transpose()?,
                traffic: [Traffic::default(); 2],
            })
        };
        Ok(Self {
            link: Link::new(&scenario.profile, seed)?,
            flows: (0..).zip(&scenario.flows).map(own_path).collect::<Result<_, FlowsError>>()?,
            arrival_step: scenario.granularity.arrivals,
            offered: [0; 2],
            overflowed: [0; 2],
        })
    }

    /// Takes a datagram that `from` sends now.
    pub(super) fn send(&mut self, now: Duration, from: EndId, datagram: Datagram, agenda: &mut Agenda) {
        let before = self.delays(from).0;
        if before.is_zero() {
            self.enter(now, from, datagram, agenda);
        } else {
            agenda.add(now + before, Event::Enter(from, datagram));
        }
    }

    /// A datagram of `from` reaches the shared link now.
    pub(super) fn enter(&mut self, now: Duration, from: EndId, datagram: Datagram, agenda: &mut Agenda) {
        let after = self.delays(from).1;
        let way = way_of(from);
        let flow = &mut self.flows[flow_of(from)];
        let bytes =
            u32::try_from(datagram.payload.len()).unwrap_or(u32::MAX).saturating_add(UDP_OVER_IPV4_BYTES);
        let back = flow.data_way != way;
        let fate = match &mut flow.own_return {
            Some(channel) if back => channel.send(now, bytes).fate,
            _ => {
                let fate = self.link.send(way, now, bytes).fate;
                self.offered[index(way)] += 1;
                self.overflowed[index(way)] += u64::from(fate == Fate::Lost(crate::Cause::QueueFull));
                fate
            }
        };
        flow.traffic[usize::from(back)].count(bytes, fate);
        if let Fate::Delivered { at, copy_at } = fate {
            let arrival = |at| round_up(at + after, self.arrival_step);
            if let Some(at) = copy_at {
                agenda.add(arrival(at), Event::Arrive(peer_of(from), datagram.clone()));
            }
            agenda.add(arrival(at), Event::Arrive(peer_of(from), datagram));
        }
    }

    /// The flow's own delays between `from` and the shared link, and between that and the other end.
    fn delays(&self, from: EndId) -> (Duration, Duration) {
        let flow = &self.flows[flow_of(from)];
        if way_of(from) == flow.data_way {
            (flow.near_delay, flow.far_delay)
        } else {
            (flow.far_delay, flow.near_delay)
        }
    }

    /// How long a packet would wait for the bottleneck now.
    pub(super) fn queue_wait(&mut self, way: Way, now: Duration) -> Duration {
        self.link.queue(way, now).wait
    }

    /// Packets that came to the shared link one way, and those that its queue had no room for.
    pub(super) fn offered_and_overflowed(&self, way: Way) -> (u64, u64) {
        (self.offered[index(way)], self.overflowed[index(way)])
    }

    pub(super) fn counters(&self, way: Way, now: Duration) -> Counters {
        self.link.counters(way, now)
    }

    /// What became of a flow's packets: those with its data, and those of the receiver.
    pub(super) fn traffic(&self, flow: usize) -> [Traffic; 2] {
        self.flows[flow].traffic
    }
}

fn way_of(from: EndId) -> Way {
    if from.is_multiple_of(2) { Way::Up } else { Way::Down }
}

/// The place of a way among two.
pub(super) fn index(way: Way) -> usize {
    match way {
        Way::Up => 0,
        Way::Down => 1,
    }
}
