//! Where an end's datagrams pass on their way out.

use std::time::Duration;

/// What quinn's driver gives the kernel in one call, in datagrams.
const QUINN_MAX_DATAGRAMS: usize = 10;

/// What stands between a connection and the network: in a real program the socket. It may make datagrams wait, and while it
/// does the connection makes no more of them.
pub trait Egress {
    /// The most datagrams that the connection may put into its next transmit; at least 1.
    fn max_datagrams(&self) -> usize {
        QUINN_MAX_DATAGRAMS
    }

    /// Asks whether a transmit may leave. One that is told to wait is offered again at the time named.
    fn offer(&mut self, now: Duration, offer: Offer) -> Pass;
}

/// One transmit of a connection: datagrams of one length, but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// How many datagrams.
    pub datagrams: usize,
    /// Their payload, in bytes.
    pub bytes: usize,
}

/// Whether a transmit leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Now.
    Now,
    /// Not before this time, when it is offered again.
    At(Duration),
}

/// A socket that is always ready: everything leaves at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Straight;

impl Egress for Straight {
    fn offer(&mut self, _now: Duration, _offer: Offer) -> Pass {
        Pass::Now
    }
}
