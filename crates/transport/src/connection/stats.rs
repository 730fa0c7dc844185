//! What is known of a connection's path.

use std::time::Duration;

use fulmar_congestion::Snapshot;

use super::used_window;
use crate::sending::{Algorithm, Sender};

/// What the transport has counted and measured on one connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// The smoothed estimate of the round-trip time (RFC 9002 section 5.3).
    pub rtt: Duration,
    /// The shortest round trip so far (RFC 9002 section 5.2).
    pub min_rtt: Duration,
    /// How many bytes may be in flight (RFC 9002 section 7).
    pub congestion_window_bytes: u64,
    /// As much of that as counts, in bytes: no more than twice what was in flight at once of late. A window that the application or the
    /// processors never fill goes on growing, and says nothing about the path.
    pub used_window_bytes: u64,
    /// The largest UDP payload that the path is known to carry (RFC 9000 section 14).
    pub path_mtu_bytes: u16,
    /// How often the path seemed to have stopped carrying large datagrams.
    pub black_holes: u64,
    /// Packets sent, probes of the path's MTU among them.
    pub sent_packets: u64,
    /// Packets sent and declared lost (RFC 9002 section 6). Lost probes are not counted.
    pub lost_packets: u64,
    /// Bytes of UDP payload sent.
    pub sent_bytes: u64,
    /// Bytes of UDP payload received.
    pub received_bytes: u64,
    /// The controller that decides how fast this side sends.
    pub algorithm: Algorithm,
    /// How fast this side sends at most, in bytes per second of UDP payload.
    pub max_rate_bytes_per_s: Option<u64>,
    /// The controller's view of the path this side sends on, where it is the loss-resilient one and has learnt something.
    pub path: Option<Snapshot>,
}

impl Stats {
    pub(super) fn new(stats: quinn::ConnectionStats, sender: &Sender) -> Self {
        let signals = sender.lane.signals();
        let path = stats.path;
        let learnt = Some(signals.snapshot()).filter(|learnt| learnt.window_bytes > 0);
        // What quinn is told by the loss-resilient controller has to get past quinn's own pacer.
        let window_bytes = learnt.map_or(path.cwnd, |learnt| learnt.window_bytes);
        Self {
            rtt: path.rtt,
            min_rtt: path.min_rtt,
            congestion_window_bytes: window_bytes,
            used_window_bytes: used_window(window_bytes, sender.lane.usage().most_bytes()),
            path_mtu_bytes: path.current_mtu,
            black_holes: path.black_holes_detected,
            sent_packets: path.sent_packets,
            lost_packets: path.lost_packets,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            algorithm: sender.algorithm(),
            max_rate_bytes_per_s: signals.max_rate(),
            path: learnt.filter(|learnt| learnt.capacity_bytes_per_s > 0.0),
        }
    }
}
