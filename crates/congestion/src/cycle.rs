//! After start-up: drain, cruise, and now and then a look up and down.

use std::time::{Duration, Instant};

use crate::state::State;

/// Between two drains there are at least so many rounds, and up to three more, so that flows do not drain in step.
const CYCLE_ROUNDS: u64 = 10;

/// And this long.
const LEAST_CYCLE: Duration = Duration::from_millis(500);

/// A drain to test the loss floor sends this share less.
const TEST_DEPTH: f64 = 0.25;

/// After a probe that found nothing, so many rounds until the next, doubling three times.
const PROBE_PAUSE_ROUNDS: u64 = 2;

/// How much longer there must be next to no queue before a probe, where rates are noisy, and the queue goes by chance.
const IDLE_ROUNDS_BY_NOISE: f64 = 25.0;

/// Rates that random loss makes vary by more than this share are noisy.
const NOISY: f64 = 0.01;

/// The gains of the second, third and later steps of a probe that finds more and more.
const PROBE_GAINS: [f64; 3] = [1.25, 1.5, 2.0];

/// What the cycle looks at. Times in seconds, rates in bytes per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) now: Instant,
    pub(crate) round: u64,
    /// Whether a round has just begun.
    pub(crate) round_began: bool,
    /// The queue of the quarter of a round that has just ended, if one has.
    pub(crate) quarter_queue: Option<f64>,
    /// The queue of the last round.
    pub(crate) queue: f64,
    pub(crate) queue_target: f64,
    pub(crate) base_rtt: f64,
    pub(crate) capacity: f64,
    /// What start-up's trains said the path carries.
    pub(crate) dispersion: f64,
    pub(crate) in_flight: f64,
    pub(crate) congested: bool,
    pub(crate) rival: bool,
    /// Whether it is time to test the loss floor.
    pub(crate) test_due: bool,
    /// By how much random loss makes the rate of a round vary, as a share of it.
    pub(crate) noise: f64,
}

/// Where in the cycle we are.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    state: State,
    /// The pace is the capacity times this.
    gain: f64,
    /// The round in which the state began.
    since_round: u64,
    began: Instant,
    rounds: u64,
    /// The round in which start-up ended.
    drained_in: Option<u64>,
    probe: Probe,
    /// For how many rounds there has been next to no queue.
    idle_rounds: u32,
    jitter: u64,
}

/// The probe for more.
#[derive(Clone, Copy, Debug, Default)]
struct Probe {
    step: usize,
    /// The capacity before the running step.
    from: f64,
    next_round: u64,
    failures: u32,
}

impl Cycle {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            state: State::Startup,
            gain: 1.0,
            since_round: 0,
            began: now,
            rounds: CYCLE_ROUNDS,
            drained_in: None,
            probe: Probe::default(),
            idle_rounds: 0,
            jitter: 0x9E37_79B9_7F4A_7C15,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn gain(&self) -> f64 {
        self.gain
    }

    /// Whether it tests the loss floor by sending much less.
    pub(crate) fn is_deep(&self) -> bool {
        self.state == State::Down && self.gain < 0.8
    }

    /// Whether start-up ended less than so many rounds ago.
    pub(crate) fn is_fresh(&self, round: u64, rounds: u64) -> bool {
        self.drained_in.is_some_and(|drained| round < drained + rounds)
    }

    /// Whether a rate tells of more than there was before the running probe, whose effect has had time to be seen.
    pub(crate) fn probe_has_found(&self, round: u64, rate: f64) -> bool {
        self.state == State::Up && round >= self.since_round + 2 && rate > 1.03 * self.probe.from
    }

    /// Notes whether the round that has just ended had next to no queue although we sent all we may.
    pub(crate) fn note_idle(&mut self, idle: bool) {
        self.idle_rounds = if idle { self.idle_rounds + 1 } else { 0 };
    }

    /// Ends start-up.
    pub(crate) fn drain(&mut self, now: Instant, round: u64) {
        self.drained_in = Some(round);
        self.enter(State::Drain, 0.6, now, round);
    }

    fn enter(&mut self, state: State, gain: f64, now: Instant, round: u64) {
        self.state = state;
        self.gain = gain;
        self.since_round = round;
        if state == State::Cruise {
            self.jitter ^= self.jitter << 13;
            self.jitter ^= self.jitter >> 7;
            self.jitter ^= self.jitter << 17;
            self.began = now;
            self.rounds = CYCLE_ROUNDS + self.jitter % 4;
        }
    }

    /// Goes on after an acknowledgement.
    pub(crate) fn step(&mut self, view: &View) {
        let rounds = view.round - self.since_round;
        match self.state {
            State::Startup => {}
            State::Drain => self.step_drain(view, rounds),
            State::Cruise => self.step_cruise(view, rounds),
            State::Up => self.step_up(view, rounds),
            State::Down if view.round_began && rounds >= 1 => {
                self.enter(State::Cruise, 1.0, view.now, view.round);
            }
            State::Down => {}
        }
    }

    fn step_drain(&mut self, view: &View, rounds: u64) {
        // The capacity is still an average over the ramp; the trains know better, within limits.
        let capacity = view.capacity.max((0.95 * view.dispersion).min(1.2 * view.capacity));
        if view.in_flight <= capacity * (view.base_rtt + view.queue_target) || rounds > 4 {
            self.enter(State::Cruise, 1.0, view.now, view.round);
            self.rounds = 3;
        }
    }

    fn step_cruise(&mut self, view: &View, rounds: u64) {
        // The queue seen in the first round after the drain is the old one.
        let old_queue = rounds < 1 && self.is_fresh(view.round, 5);
        if let Some(queue) = view.quarter_queue.filter(|_| !old_queue) {
            self.gain = cruise_gain(queue, view);
        }
        if !view.round_began || view.rival {
            return;
        }
        if self.idle_rounds >= 2 + (IDLE_ROUNDS_BY_NOISE * view.noise) as u32
            && !view.congested
            && view.round >= self.probe.next_round
        {
            self.probe = Probe { step: 0, from: view.capacity, ..self.probe };
            let gain = 1.0 + (0.004 / view.base_rtt).clamp(0.05, 0.25);
            self.enter(State::Up, gain, view.now, view.round);
        } else if (view.queue < 2.0 * view.queue_target && rounds >= self.rounds
            || view.test_due && rounds >= 2 * self.rounds)
            && view.now.saturating_duration_since(self.began) > LEAST_CYCLE
        {
            let by_queue = (1.2 * view.queue / view.base_rtt.max(0.001) + 0.02).clamp(0.04, 0.18);
            let depth = if view.test_due { TEST_DEPTH } else { by_queue };
            self.enter(State::Down, 1.0 - depth, view.now, view.round);
        }
    }

    /// One round of sending more, one of waiting for what comes of it.
    fn step_up(&mut self, view: &View, rounds: u64) {
        if view.quarter_queue.is_some_and(|queue| queue > 1.5 * view.queue_target)
            || view.round_began && rounds == 1
        {
            self.gain = self.gain.min(1.0);
        }
        if !view.round_began || rounds < 2 {
            return;
        }
        let found = view.capacity > 1.025 * self.probe.from
            && view.queue < 2.0 * view.queue_target
            && !view.congested;
        if found {
            let gain = PROBE_GAINS[self.probe.step.min(PROBE_GAINS.len() - 1)];
            let step = self.probe.step + 1;
            self.probe = Probe { step, from: view.capacity, failures: 0, ..self.probe };
            self.enter(State::Up, gain, view.now, view.round);
        } else {
            self.probe.failures = (self.probe.failures + 1).min(3);
            self.probe.next_round = view.round + (PROBE_PAUSE_ROUNDS << self.probe.failures);
            // The cycle goes on where it was.
            let (began, cycle_rounds) = (self.began, self.rounds);
            self.enter(State::Cruise, 1.0, view.now, view.round);
            (self.began, self.rounds) = (began, cycle_rounds);
        }
    }
}

/// Feedback on the queue's delay. A slope of half a capacity per base round trip is far from where a loop with 1.2 round trips of
/// delay begins to swing (pi/2).
fn cruise_gain(queue: f64, view: &View) -> f64 {
    let error = (view.queue_target - queue) / view.base_rtt.max(0.05);
    // Where random loss makes the queue wander, what has become too much is let go sooner.
    let (rtts, targets) = if view.noise > NOISY { (0.1, 1.7) } else { (0.2, 2.5) };
    let far_off = queue > f64::max(rtts * view.base_rtt, targets * view.queue_target);
    let (slope, least) = if far_off { (0.7, 0.5) } else { (0.5, 0.85) };
    let gain = (1.0 + slope * error).clamp(least, 1.08);
    if view.congested { gain.min(0.95) } else { gain }
}
