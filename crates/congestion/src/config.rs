//! How the controller is set up.

use std::{sync::Arc, time::Instant};

use quinn_proto::congestion::{Controller, ControllerFactory};

use crate::{controller::Lrc, memory::Remembered, signals::Signals};

/// Who keeps the pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A socket that reads the pace from the connection's [`Signals`]. The window is then only a cap.
    Paced,
    /// Nobody but quinn, at 1.25 times window over round trip: the window is the control.
    #[default]
    Window,
}

/// Makes the controllers of one connection: the first, and those of later paths when the peer moves.
///
/// Use one configuration for each connection when the signals are read: all controllers of a configuration write to the same.
#[derive(Clone, Debug, Default)]
pub struct LrcConfig {
    mode: Mode,
    signals: Arc<Signals>,
}

impl LrcConfig {
    /// A configuration in which nobody but quinn keeps the pace.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// A configuration whose controllers write to signals that are there already.
    #[must_use]
    pub fn with_signals(mode: Mode, signals: Arc<Signals>) -> Self {
        Self { mode, signals }
    }

    /// What the controllers of this configuration tell.
    #[must_use]
    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Never sends faster than this; see [`Signals::set_max_rate`]. None by default.
    pub fn max_rate(&mut self, bytes_per_s: Option<u64>) -> &mut Self {
        self.signals.set_max_rate(bytes_per_s);
        self
    }

    /// What the last connection to this peer has found; see [`Signals::recall`]. It is a start, verified within the first round
    /// trips. None by default.
    pub fn memory(&mut self, memory: Option<Remembered>) -> &mut Self {
        self.signals.recall(memory);
        self
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn rate_cap(&self) -> f64 {
        self.signals.max_rate().map_or(f64::INFINITY, |rate| rate as f64)
    }
}

impl ControllerFactory for LrcConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Lrc::new((*self).clone(), now, current_mtu))
    }
}
