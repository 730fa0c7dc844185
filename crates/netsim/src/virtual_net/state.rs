//! Everything behind the network's lock. Nothing here waits, and nothing here reads a clock.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    net::{IpAddr, SocketAddr},
    task::Waker,
    time::Duration,
};

use quinn::udp::EcnCodepoint;

use super::{
    hosts::{Hosts, Packet},
    paths::Paths,
    trace::{PacketFate, PacketRecord, Recorder},
};
use crate::{UDP_OVER_IPV4_BYTES, UDP_OVER_IPV6_BYTES, link::Fate};

/// A packet that a link will deliver.
#[derive(Debug)]
struct Flight {
    at: Duration,
    /// Of two that arrive together the one that was sent first comes first.
    number: u64,
    packet: Packet,
}

impl Ord for Flight {
    /// The earliest is the greatest, because a heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Flight {}

/// The hosts, what joins them, and what is on its way.
#[derive(Debug)]
pub(super) struct State {
    pub(super) hosts: Hosts,
    pub(super) paths: Paths,
    pub(super) recorder: Recorder,
    in_flight: BinaryHeap<Flight>,
    flights: u64,
    /// The pump, and when it wakes by itself.
    pub(super) pump: Option<Waker>,
    pub(super) pump_at: Option<Duration>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hosts: Hosts::default(),
            paths: Paths::new(seed),
            recorder: Recorder::default(),
            in_flight: BinaryHeap::new(),
            flights: 0,
            pump: None,
            pump_at: None,
        }
    }

    /// A socket sends one datagram.
    pub(super) fn send(
        &mut self,
        now: Duration,
        sender: SocketAddr,
        destination: SocketAddr,
        ecn: Option<EcnCodepoint>,
        payload: &[u8],
    ) {
        let (from, to) = (sender.ip(), self.hosts.home(destination));
        let source = self.hosts.public(sender);
        self.paths.overhear(from, to, payload);
        let fate = match self.pass(now, from, to, destination, payload) {
            Ok((at, copy_at)) => {
                let mut payload: Box<[u8]> = payload.into();
                let corrupted = self.paths.maybe_corrupt(from, to, &mut payload);
                let packet = Packet { source, destination, ecn, payload };
                if let Some(copy_at) = copy_at {
                    self.fly(copy_at, packet.clone());
                }
                self.fly(at, packet);
                PacketFate::Delivered { at, copy_at, corrupted }
            }
            Err(fate) => fate,
        };
        self.record(now, source, destination, payload.len(), fate);
    }

    /// Offers a datagram to what is between two hosts: when it arrives, and once more if it is duplicated.
    fn pass(
        &mut self,
        now: Duration,
        from: IpAddr,
        to: IpAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> Result<(Duration, Option<Duration>), PacketFate> {
        if self.paths.is_blocked(from, to) {
            return Err(PacketFate::Blocked);
        }
        let header_bytes = if destination.is_ipv4() { UDP_OVER_IPV4_BYTES } else { UDP_OVER_IPV6_BYTES };
        let packet_bytes = length(payload.len()).saturating_add(header_bytes);
        match self.paths.send(from, to, now, packet_bytes) {
            Some(Fate::Delivered { at, copy_at }) => Ok((at, copy_at)),
            Some(Fate::Lost(cause)) => Err(PacketFate::Lost(cause)),
            None => Err(PacketFate::NoLink),
        }
    }

    /// A datagram appears at its destination out of nowhere.
    pub(super) fn inject(
        &mut self,
        now: Duration,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) {
        self.record(now, source, destination, payload.len(), PacketFate::Injected);
        self.fly(now, Packet { source, destination, ecn: None, payload: payload.into() });
    }

    fn fly(&mut self, at: Duration, packet: Packet) {
        self.flights += 1;
        self.in_flight.push(Flight { at, number: self.flights, packet });
    }

    fn record(
        &mut self,
        time: Duration,
        source: SocketAddr,
        destination: SocketAddr,
        payload_bytes: usize,
        fate: PacketFate,
    ) {
        let payload_bytes = length(payload_bytes);
        self.recorder.record(PacketRecord { time, source, destination, payload_bytes, fate });
    }

    /// When the next packet arrives.
    pub(super) fn next_arrival(&self) -> Option<Duration> {
        self.in_flight.peek().map(|flight| flight.at)
    }

    /// The pump's waker, when something arrives before it would wake by itself.
    pub(super) fn pump_if_late(&mut self) -> Option<Waker> {
        let next = self.next_arrival()?;
        if self.pump_at.is_some_and(|at| at <= next) { None } else { self.pump.take() }
    }

    /// Hands over all that has arrived by `now`. Whoever waited for it is put into `readers`.
    pub(super) fn deliver(&mut self, now: Duration, readers: &mut Vec<Waker>) {
        while self.next_arrival().is_some_and(|at| at <= now)
            && let Some(Flight { packet, .. }) = self.in_flight.pop()
        {
            if let Some(port) = self.hosts.receiver(packet.destination) {
                port.arrived.push_back(packet);
                readers.extend(port.reader.take());
            } else {
                let (source, destination) = (packet.source, packet.destination);
                self.record(now, source, destination, packet.payload.len(), PacketFate::NobodyThere);
            }
        }
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
