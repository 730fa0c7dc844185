//! How a connection sends: with which congestion controller, and how fast at most.
//!
//! * [`Sending`]: what is wanted, by a user or by the peer. It may change while the connection lives: a server learns from Hello
//!   what the client would like.
//! * `governor`: the controller that quinn is given, which follows the wishes.
//! * `patience`: what every controller needs to answer after an outage.
//! * `lane`: what the tasks and the socket of one connection have in common: the controller's signals and the pacer.
//! * `repeats`: which datagrams leave more than once.
//! * `stranger`: a server's handshake, repeated within what a stranger has paid for.
//! * `tail`: what shortens the end of a transfer on a path that loses packets.
//! * `usage`: how much of the congestion window is made use of.

mod governor;
mod lane;
mod patience;
mod repeats;
mod stranger;
mod tail;
mod usage;

use std::{num::NonZeroU64, sync::Arc};

use fulmar_proto::hello::Congestion;
use quinn::Side;

pub(crate) use governor::GovernorConfig;
pub(crate) use lane::{Lane, LaneRuntime};
pub(crate) use stranger::FIRST_BYTES;
pub(crate) use tail::Prober;

/// A congestion controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// The loss-resilient controller of `fulmar-congestion`, behind a socket that keeps its pace.
    #[default]
    Lrc,
    /// CUBIC (RFC 9438).
    Cubic,
    /// NewReno (RFC 9002 section 7).
    NewReno,
    /// quinn's experimental BBR.
    Bbr,
}

impl From<Congestion> for Algorithm {
    /// What a peer would like; what is not known, or left to us, is the default.
    fn from(wish: Congestion) -> Self {
        match wish {
            Congestion::CUBIC => Self::Cubic,
            Congestion::NEW_RENO => Self::NewReno,
            Congestion::BBR => Self::Bbr,
            _ => Self::default(),
        }
    }
}

impl From<Algorithm> for Congestion {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Lrc => Self::LRC,
            Algorithm::Cubic => Self::CUBIC,
            Algorithm::NewReno => Self::NEW_RENO,
            Algorithm::Bbr => Self::BBR,
        }
    }
}

/// How a connection is to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// With which controller.
    pub algorithm: Algorithm,
    /// How fast at most, in bytes per second of UDP payload, headers of QUIC included.
    pub max_rate_bytes_per_s: Option<NonZeroU64>,
}

/// What a connection needs before it exists, to send as is wanted: the lane for its tasks and the controllers for its paths.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) lane: Arc<Lane>,
    pub(crate) governor: Arc<GovernorConfig>,
}

impl Sender {
    pub(crate) fn new(side: Side, sending: Sending) -> Self {
        let lane = Arc::new(Lane::new(side));
        let governor = Arc::new(GovernorConfig::new(sending.algorithm, lane.clone()));
        let this = Self { lane, governor };
        this.set(sending);
        this
    }

    /// Has the connection send so from now on.
    pub(crate) fn set(&self, sending: Sending) {
        self.lane.signals().set_max_rate(sending.max_rate_bytes_per_s.map(NonZeroU64::get));
        self.governor.set(sending.algorithm);
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.governor.wanted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_of_a_peer_are_known_controllers_or_the_default() {
        for algorithm in [Algorithm::Lrc, Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr] {
            assert_eq!(Algorithm::from(Congestion::from(algorithm)), algorithm);
        }
        assert_eq!(Algorithm::from(Congestion::ANY), Algorithm::Lrc);
        assert_eq!(Algorithm::from(Congestion(200)), Algorithm::Lrc);
    }
}
