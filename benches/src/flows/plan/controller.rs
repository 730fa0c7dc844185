//! The congestion controllers there are.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fulmar_congestion::{LrcConfig, Mode, Pacer, Remembered};
use fulmar_netsim::flows::{Egress, Offer, Own, Pass, Straight, Transport};
use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use serde::Deserialize;

/// What quinn's driver gives the kernel in one call, in datagrams.
const QUINN_MAX_DATAGRAMS: usize = 10;

/// A congestion controller, by its name in a plan.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Controller {
    Cubic,
    #[serde(rename = "newreno")]
    NewReno,
    Bbr,
    /// fulmar's, behind a socket that keeps its pace.
    Lrc,
    /// fulmar's, by its window alone.
    LrcWindow,
}

impl Controller {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::NewReno => "newreno",
            Self::Bbr => "bbr",
            Self::Lrc => "lrc",
            Self::LrcWindow => "lrc-window",
        }
    }

    /// What a receiver has that nobody says anything of: the same, but that it keeps no pace, since it sends next to nothing.
    pub(super) fn receiver(self) -> Self {
        if self == Self::Lrc { Self::LrcWindow } else { self }
    }

    /// What one connection with it has of its own. Only ours makes use of what a connection before it has found.
    pub(super) fn own(self, memory: Option<Remembered>) -> Own {
        let straight = |controller: Arc<dyn ControllerFactory + Send + Sync>| Own {
            controller,
            egress: Box::new(Straight),
        };
        match self {
            Self::Cubic => straight(Arc::new(CubicConfig::default())),
            Self::NewReno => straight(Arc::new(NewRenoConfig::default())),
            Self::Bbr => straight(Arc::new(BbrConfig::default())),
            Self::LrcWindow => {
                let mut config = LrcConfig::new(Mode::Window);
                config.memory(memory);
                straight(Arc::new(config))
            }
            Self::Lrc => {
                let mut config = LrcConfig::new(Mode::Paced);
                config.memory(memory);
                let pacer = Pacer::new(config.signals().clone());
                let egress = Box::new(PacedSocket { pacer, start: Instant::now() });
                Own { controller: Arc::new(config), egress }
            }
        }
    }

    /// The transport parameters that go with it, where they are not quinn's.
    pub(super) fn transport(self) -> Option<Transport> {
        match self {
            Self::Cubic | Self::NewReno | Self::Bbr => None,
            Self::Lrc | Self::LrcWindow => Some(Transport {
                packet_threshold: 128,
                time_threshold: 1.25,
                initial_rtt_ms: 50.0,
                black_hole_cooldown_s: 5.0,
                ..Transport::default()
            }),
        }
    }
}

/// A socket that keeps the controller's pace.
struct PacedSocket {
    pacer: Pacer,
    start: Instant,
}

impl Egress for PacedSocket {
    fn max_datagrams(&self) -> usize {
        self.pacer.max_datagrams(1452).clamp(1, QUINN_MAX_DATAGRAMS)
    }

    fn offer(&mut self, now: Duration, offer: Offer) -> Pass {
        match self.pacer.offer(self.start + now, offer.bytes) {
            Ok(()) => Pass::Now,
            Err(next) => Pass::At(next.saturating_duration_since(self.start)),
        }
    }
}
