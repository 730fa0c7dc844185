//! The model of a link: a function of packets and time.
//!
//! Each direction is a chain of stages, and each stage a function of a packet and the time at which it meets it. The
//! bottleneck is first in, first out, and its rate is known in advance, so the time of a delivery is known when the packet
//! is offered: whoever drives the model needs one queue of deliveries and no timers.

mod blackout;
mod channel;
mod counters;
mod delay;
mod loss;
mod queue;
mod schedule;

use std::time::Duration;

pub use channel::Channel;
pub use counters::Counters;

use crate::profile::{Profile, ProfileError};

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Way {
    /// The other way.
    #[must_use]
    pub fn back(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }

    /// `up` or `down`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// How long it waits for the bottleneck, or would have waited.
    pub queue_wait: Duration,
    /// Whether it arrives.
    pub fate: Fate,
}

/// Whether and when a packet arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Delivered {
        /// When.
        at: Duration,
        /// When it arrives a second time, if it does.
        copy_at: Option<Duration>,
    },
    /// It does not.
    Lost(Cause),
}

/// Why a packet does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It is longer than the MTU.
    TooBig,
    /// It left the queue during a blackout.
    Blackout,
    /// At random, before it used the bottleneck.
    BeforeQueue,
    /// The queue had no room for it.
    QueueFull,
    /// At random, after it used the bottleneck.
    AfterQueue,
}

/// What waits before a bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// How many packets, the one on the wire included.
    pub packets: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many bytes there is room for; none without a bound.
    pub bytes_limit: Option<u64>,
    /// How long a packet that comes now would wait.
    pub wait: Duration,
}

/// Both ways of one link. With the same profile and seed the n-th packet of a way has the same fate, whatever the packets of
/// the other way do.
#[derive(Clone, Debug)]
pub struct Link {
    up: Channel,
    down: Channel,
}

impl Link {
    /// A link at time zero.
    ///
    /// # Errors
    /// [`ProfileError`] when the profile is out of range.
    pub fn new(profile: &Profile, seed: u64) -> Result<Self, ProfileError> {
        profile.check()?;
        let rtt_ms = profile.rtt_ms();
        let channel = |way: Way| Channel::unchecked(profile.direction(way), rtt_ms, seed, way.word());
        Ok(Self { up: channel(Way::Up), down: channel(Way::Down) })
    }

    /// Takes a packet at the link's entry and tells what becomes of it. `now` never goes back within a way; one that does
    /// is taken for the latest so far.
    pub fn send(&mut self, way: Way, now: Duration, packet_bytes: u32) -> Passage {
        self.channel(way).send(now, packet_bytes)
    }

    /// What happened on one way from the start to `now`.
    #[must_use]
    pub fn counters(&self, way: Way, now: Duration) -> Counters {
        match way {
            Way::Up => self.up.counters(now),
            Way::Down => self.down.counters(now),
        }
    }

    /// What waits on one way now.
    pub fn queue(&mut self, way: Way, now: Duration) -> QueueState {
        self.channel(way).queue(now)
    }

    /// One way alone.
    pub fn channel(&mut self, way: Way) -> &mut Channel {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

#[cfg(test)]
mod tests;
