//! What a controller tells others, the socket that paces and whoever watches; and what it is told.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use crate::{memory::Remembered, state::State};

/// The least cap, in bytes per second: less would starve the acknowledgements.
const LEAST_CAP_BYTES_PER_S: u64 = 10_000;

/// What a connection's controller tells. Written by the controller, read from anywhere.
#[derive(Debug, Default)]
pub struct Signals {
    pace_bytes_per_s: AtomicU64,
    quantum_bytes: AtomicU64,
    train_bytes: AtomicU64,
    repeats: AtomicU64,
    max_rate_bytes_per_s: AtomicU64,
    memory: Mutex<Option<Remembered>>,
    snapshot: Mutex<Snapshot>,
}

/// What the controller is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Looking for the capacity.
    #[default]
    Startup,
    /// Sending at the capacity.
    Cruise,
    /// Probing for more.
    Probe,
    /// Sharing the path with a flow that fills buffers.
    Rival,
}

/// What keeps a flow from being faster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// It has just begun, and does not know the path yet.
    #[default]
    Startup,
    /// The path carries no more.
    Path,
    /// The application has less to send, or the peer's windows are full.
    Application,
    /// The rate that it was told never to exceed ([`LrcConfig::max_rate`](crate::LrcConfig::max_rate)).
    RateCap,
    /// Another flow that fills the buffers on the path.
    Rival,
}

/// The controller's view of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// What the path carries, in bytes per second as they are sent.
    pub capacity_bytes_per_s: f64,
    /// The ratio of packets that the path loses at random, 0 to 0.4.
    pub loss_floor: f64,
    /// The ratio of packets that were lost lately, whatever the cause.
    pub loss: f64,
    /// The round trip without queues.
    pub base_rtt: Duration,
    /// How much of the last round's round trip was a queue.
    pub queue: Duration,
    /// How far single round trips lie above the least of their round, on average.
    pub jitter: Duration,
    /// The window, in bytes.
    pub window_bytes: u64,
    /// What the controller is doing.
    pub phase: Phase,
    /// What keeps the flow from being faster.
    pub limit: Limit,
}

impl Signals {
    /// Never faster than this, in bytes per second as they are sent, headers of QUIC included, whichever controller decides. Holds
    /// from now on; at least 10,000.
    pub fn set_max_rate(&self, bytes_per_s: Option<u64>) {
        let rate = bytes_per_s.map_or(0, |rate| rate.max(LEAST_CAP_BYTES_PER_S));
        self.max_rate_bytes_per_s.store(rate, Ordering::Relaxed);
    }

    /// The cap, if there is one.
    #[must_use]
    pub fn max_rate(&self) -> Option<u64> {
        Some(self.max_rate_bytes_per_s.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// What the last connection to this peer has found ([`Remembered::of`] its last snapshot), if that was not long ago. The controller
    /// takes it with the next packet that it sends, once there is a round trip to recognise the path by; of no use after start-up.
    pub fn recall(&self, memory: Option<Remembered>) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }

    pub(crate) fn take_memory(&self) -> Option<Remembered> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What a socket has to keep to: the pace or the cap, whichever is less; none while there is neither.
    #[must_use]
    pub fn limit_bytes_per_s(&self) -> Option<u64> {
        let pace = Some(self.pace_bytes_per_s()).filter(|pace| *pace > 0);
        pace.into_iter().chain(self.max_rate()).min()
    }

    /// Takes back what a controller told that is there no more.
    pub fn clear(&self) {
        self.set_pace(0.0, 0.0);
        self.set_train(0.0);
        self.set_repeats(0);
        self.set_snapshot(Snapshot::default());
    }

    /// The pace to keep, in bytes per second of UDP payload; 0 while there is none yet.
    #[must_use]
    pub fn pace_bytes_per_s(&self) -> u64 {
        self.pace_bytes_per_s.load(Ordering::Relaxed)
    }

    /// How many bytes may leave back to back: about a millisecond's worth, at least one packet.
    #[must_use]
    pub fn quantum_bytes(&self) -> u64 {
        self.quantum_bytes.load(Ordering::Relaxed)
    }

    /// How many bytes may leave back to back, in several quanta, whenever the pace would let one leave: start-up learns from how such
    /// a train arrives. 0 at all other times.
    #[must_use]
    pub fn train_bytes(&self) -> u64 {
        self.train_bytes.load(Ordering::Relaxed)
    }

    /// How many extra copies of each datagram are worth their cost: 0 but in the tail of a transfer on a path that loses
    /// packets, where nothing but retransmissions is left to send.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// The controller's view of the path as of the last acknowledgement.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_pace(&self, pace_bytes_per_s: f64, quantum_bytes: f64) {
        self.pace_bytes_per_s.store(pace_bytes_per_s as u64, Ordering::Relaxed);
        self.quantum_bytes.store(quantum_bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_train(&self, bytes: f64) {
        self.train_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_repeats(&self, repeats: u64) {
        self.repeats.store(repeats, Ordering::Relaxed);
    }

    pub(crate) fn set_snapshot(&self, snapshot: Snapshot) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

impl Phase {
    pub(crate) fn of(state: State, rival: bool) -> Self {
        match state {
            _ if rival => Self::Rival,
            State::Startup | State::Drain => Self::Startup,
            State::Cruise | State::Down => Self::Cruise,
            State::Up => Self::Probe,
        }
    }
}
