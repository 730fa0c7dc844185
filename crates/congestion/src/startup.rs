//! Start-up: finding the capacity from nothing.

use crate::{memory::Remembered, path::Path, sent::Train};

/// Packets that may leave before anything is known: about 90 KB.
pub(crate) const INITIAL_PACKETS: f64 = 64.0;

/// Fewer packets in flight would be waiting for each other's acknowledgements, however slow the path.
const LEAST_PACKETS: f64 = 4.0;

/// In so many seconds they leave.
const INITIAL_SPREAD_S: f64 = 0.025;

/// For so many rounds after they have told of it the trains bound the rate.
const BOUNDED_ROUNDS: u64 = 4;

/// The first trains have so many packets: fewer would say little where arrivals come in bunches, a millisecond's worth at a time.
const TRAIN_PACKETS: f64 = 32.0;

/// On paths with a shorter round trip, in seconds, processors that are busy elsewhere stretch trains more than links do, and overshoots are short.
pub(crate) const NEAR_S: f64 = 0.003;

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
    /// The trains of packets that have arrived since they were last read.
    trains: Vec<Train>,
    /// What they say the path carries; 0 before they say anything.
    dispersion: f64,
    /// The round in which they said so.
    told_in: Option<u64>,
    /// Whether the window comes from what the last connection has found, and nothing has confirmed it yet.
    resumed: bool,
    best_rate: f64,
    flat_rounds: u32,
    /// In bytes.
    window: f64,
}

impl Startup {
    pub(crate) fn new(mtu: f64) -> Self {
        let window = INITIAL_PACKETS * mtu;
        Self {
            trains: Vec::new(),
            dispersion: 0.0,
            told_in: None,
            resumed: false,
            best_rate: 0.0,
            flat_rounds: 0,
            window,
        }
    }

    pub(crate) fn window(&self) -> f64 {
        self.window
    }

    pub(crate) fn dispersion(&self) -> f64 {
        self.dispersion
    }

    pub(crate) fn note_train(&mut self, train: Train) {
        self.trains.push(train);
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
        let patience = if self.told_in.is_some() { 2 } else { 3 };
        queue.is_some_and(|queue| queue > bearable) || self.flat_rounds >= patience
    }

    /// Begins with what is remembered, unless this path is another or has already told what it carries. Tells whether it is the same.
    pub(crate) fn recall(&mut self, memory: &Remembered, base_rtt: f64) -> bool {
        let Some(rate) = memory.first_rate(base_rtt).filter(|_| self.told_in.is_none()) else { return false };
        let window = rate * base_rtt;
        self.resumed = window > self.window;
        self.window = self.window.max(window);
        true
    }

    /// Once a train that tells enough, or two, have arrived, jumps close to the rate at which they did.
    fn read_trains(&mut self, look: Look, base_rtt: f64) {
        let needed = if self.told_in.is_none() { 2 } else { 3 };
        if self.trains.len() < needed && !self.trains.iter().any(|train| train.tells) {
            return;
        }
        let mut rates: Vec<f64> = self.trains.drain(..).map(|train| train.rate).collect();
        rates.sort_by(f64::total_cmp);
        self.dispersion = self.dispersion.max(rates[rates.len() * 4 / 5]);
        let now = self.window / base_rtt;
        let rate = (0.9 * rates[rates.len() / 2]).min(20.0 * now);
        // What was remembered may turn out to be too much.
        let refuted = std::mem::take(&mut self.resumed) && rate < now;
        if self.told_in.is_none() && (rate > 1.2 * now || refuted) {
            self.window = rate * base_rtt;
            self.best_rate = 0.0;
            self.flat_rounds = 0;
        }
        if base_rtt > NEAR_S || rate > 1.2 * now || refuted {
            self.told_in = self.told_in.or(Some(look.round));
        }
    }

    /// How many bytes may leave back to back, for what their dispersion tells. None once it is known, or later than with the first window or
    /// the remembered one.
    pub(crate) fn train_bytes(&self, mtu: f64) -> f64 {
        let is_first = self.resumed || self.window < 2.0 * INITIAL_PACKETS * mtu;
        if self.dispersion == 0.0 && is_first { TRAIN_PACKETS * mtu } else { 0.0 }
    }

    fn judge_round(&mut self, look: Look, queue: f64, base_rtt: f64) {
        // The trains saw less than the path gives, because arrivals come in bunches: no bound any longer.
        if self.told_in.is_some() && look.capacity > 1.04 * self.dispersion && queue < 0.02 * base_rtt {
            self.dispersion *= 1.5;
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
        let least_pace = least_window / INITIAL_SPREAD_S;
        let mut pace = (1.25 * self.window / base_rtt).max(least_pace);
        let Some(told_in) = self.told_in else {
            // More than twice what has arrived would overflow a buffer of one product before the queue is seen.
            let careful = !self.resumed && base_rtt > NEAR_S;
            return if careful { pace.min(f64::max(2.0 * capacity, least_pace)) } else { pace };
        };
        if round < told_in + BOUNDED_ROUNDS {
            pace = pace.min(1.1 * self.dispersion);
        }
        pace = pace.min(2.0 * capacity.max(0.7 * self.dispersion));
        let most_window = (2.0 * pace * base_rtt).max(least_window);
        self.window = self.window.clamp(LEAST_PACKETS * mtu, most_window);
        pace
    }
}
