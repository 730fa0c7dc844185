//! Start-up: finding the capacity from nothing.

use crate::path::Path;

/// Packets that may leave before anything is known: about 90 KB.
pub(crate) const INITIAL_PACKETS: f64 = 64.0;

/// In so many seconds they leave.
const INITIAL_SPREAD_S: f64 = 0.025;

/// For so many rounds after the jump the trains bound the rate.
const BOUNDED_ROUNDS: u64 = 4;

/// What start-up looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) round: u64,
    /// Whether a round has just begun.
    pub(crate) round_began: bool,
    /// Whether the application had less to send than it might have.
    pub(crate) app_limited: bool,
    pub(crate) capacity: f64,
    /// For how long a train waits after quinn has stamped it, in seconds.
    pub(crate) held_s: f64,
}

/// What has been found so far. Rates in bytes per second.
#[derive(Clone, Debug)]
pub(crate) struct Startup {
    /// The rates at which the trains of the running round arrived.
    trains: Vec<f64>,
    /// What they say the path carries; 0 before they say anything.
    dispersion: f64,
    /// The round in which the window jumped to it.
    jumped: Option<u64>,
    best_rate: f64,
    flat_rounds: u32,
    /// In bytes.
    window: f64,
}

impl Startup {
    pub(crate) fn new(mtu: f64) -> Self {
        let window = INITIAL_PACKETS * mtu;
        Self { trains: Vec::new(), dispersion: 0.0, jumped: None, best_rate: 0.0, flat_rounds: 0, window }
    }

    pub(crate) fn window(&self) -> f64 {
        self.window
    }

    pub(crate) fn dispersion(&self) -> f64 {
        self.dispersion
    }

    pub(crate) fn note_train(&mut self, rate: f64) {
        self.trains.push(rate);
    }

    /// The window grows by what left the network, so that it doubles each round, losses notwithstanding.
    pub(crate) fn grow(&mut self, bytes: f64) {
        self.window += bytes;
    }

    /// Looks at what came in with an acknowledgement. Tells whether start-up is over.
    pub(crate) fn step(&mut self, look: Look, path: &Path) -> bool {
        self.read_trains(look, path.base_rtt());
        let queue = path.recent_queue();
        if look.round_began {
            self.judge_round(look, queue.unwrap_or(f64::MAX), path.base_rtt());
        }
        let bearable = (path.base_rtt() / 8.0).clamp(0.003, 0.016) + look.held_s;
        let patience = if self.jumped.is_some() { 2 } else { 3 };
        queue.is_some_and(|queue| queue > bearable) || self.flat_rounds >= patience
    }

    /// Once two trains have arrived, jumps close to the rate at which they did.
    fn read_trains(&mut self, look: Look, base_rtt: f64) {
        let needed = if self.jumped.is_none() { 2 } else { 3 };
        if self.trains.len() < needed {
            return;
        }
        let mut rates = std::mem::take(&mut self.trains);
        rates.sort_by(f64::total_cmp);
        self.dispersion = self.dispersion.max(rates[rates.len() * 4 / 5]);
        let now = self.window / base_rtt;
        let rate = (0.9 * rates[rates.len() / 2]).min(10.0 * now);
        if self.jumped.is_none() && rate > 1.2 * now {
            self.jumped = Some(look.round);
            self.window = rate * base_rtt;
            self.best_rate = 0.0;
            self.flat_rounds = 0;
        }
    }

    fn judge_round(&mut self, look: Look, queue: f64, base_rtt: f64) {
        // The trains saw less than the path gives, because arrivals come in bunches: no bound any longer.
        if self.jumped.is_some() && look.capacity > 0.9 * self.dispersion && queue < 0.02 * base_rtt {
            self.dispersion *= 2.0;
            self.flat_rounds = 0;
        }
        if look.round <= 2 {
            return;
        }
        if look.capacity >= self.best_rate * 1.2 {
            self.best_rate = look.capacity;
            self.flat_rounds = 0;
        } else if !look.app_limited {
            self.flat_rounds += 1;
        }
    }

    /// The pace, in bytes per second; fits the window to it.
    pub(crate) fn pace(&mut self, round: u64, base_rtt: f64, capacity: f64, mtu: f64) -> f64 {
        let base_rtt = base_rtt.max(0.0005);
        let least_window = INITIAL_PACKETS * mtu;
        let mut pace = (1.25 * self.window / base_rtt).max(least_window / INITIAL_SPREAD_S);
        if let Some(jumped) = self.jumped {
            if round < jumped + BOUNDED_ROUNDS {
                pace = pace.min(1.1 * self.dispersion);
            }
            pace = pace.min(2.6 * capacity.max(0.7 * self.dispersion));
            self.window = self.window.min((2.0 * pace * base_rtt).max(least_window));
        }
        pace
    }
}
