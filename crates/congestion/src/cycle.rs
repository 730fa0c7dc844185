//! After start-up: drain, cruise, and now and then a look up and down.

use std::time::{Duration, Instant};

use crate::{path::QuarterQueue, state::State};

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
    pub(crate) quarter_queue: Option<QuarterQueue>,
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
    /// By how much random loss makes what reaches the bottleneck in a round vary, as a share of it.
    pub(crate) noise: f64,
    /// How much of that noise the bottleneck sees, 0 to 1: none where packets are lost after it.
    pub(crate) lost_before: f64,
    /// Whether the pace is kept, so that the gain says how fast the queue changes. A window says how long it is.
    pub(crate) paced: bool,
}

impl View {
    fn is_noisy(&self) -> bool {
        self.noise > NOISY
    }

    /// Whether the loop has to be fast, and can be.
    fn is_prompt(&self) -> bool {
        self.lost_before * self.noise > NOISY && self.paced
    }
}

/// Where in the cycle we are.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    state: State,
    /// The pace is the capacity times this.
    gain: f64,
    lead: Lead,
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

/// How far ahead of the capacity we were, and when, in seconds.
#[derive(Clone, Copy, Debug)]
struct Lead {
    seconds: f64,
    at: Instant,
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
            lead: Lead { seconds: 0.0, at: now },
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

    /// By how much more than the capacity we have decided to send in all, in seconds of it. What of that is younger than a round
    /// trip makes a queue that no acknowledgement can show yet.
    pub(crate) fn lead(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.lead.at).as_secs_f64();
        self.lead.seconds + (self.gain - 1.0) * elapsed
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
        self.lead = Lead { seconds: self.lead(now), at: now };
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
        self.lead = Lead { seconds: self.lead(view.now), at: view.now };
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
        if view.quarter_queue.is_some_and(|queue| queue.shown > 1.5 * view.queue_target)
            || view.round_began && rounds == 1
        {
            self.gain = self.gain.min(1.0);
        }
        // What random loss makes of the queue meanwhile is no part of the probe.
        if let Some(queue) =
            view.quarter_queue.filter(|queue| view.is_prompt() && queue.shown > view.queue_target)
        {
            self.gain = self.gain.min(cruise_gain(queue, view));
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
///
/// Where packets are lost at random, what has become too much is let go sooner. Where they are lost before the bottleneck, so that the
/// queue wanders, the loop of a pace has to be faster too. It may be, because it reckons with what is on the way: the delay is out of
/// the loop then (Smith, 1957), and only the way itself is left to chance. That is right as far as the capacity is, so it counts for no
/// more than the queue aimed at: a probe for more is on the way too.
fn cruise_gain(queue: QuarterQueue, view: &View) -> f64 {
    let (least, most) = (queue.shown - view.queue_target, queue.shown + view.queue_target);
    let (queue, slope, most_gain, least_rtt) = if view.is_prompt() {
        (queue.coming.clamp(least, most), 1.0, 1.15, 0.03)
    } else {
        (queue.shown, 0.5, 1.08, 0.05)
    };
    let (rtts, targets) = if view.is_noisy() { (0.1, 1.7) } else { (0.2, 2.5) };
    let far_off = queue > f64::max(rtts * view.base_rtt, targets * view.queue_target);
    let (slope, least_gain) = if far_off { (f64::max(slope, 0.7), 0.5) } else { (slope, 0.85) };
    let error = (view.queue_target - queue) / view.base_rtt.max(least_rtt);
    let gain = (1.0 + slope * error).clamp(least_gain, most_gain);
    if view.congested { gain.min(0.95) } else { gain }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of 100 ms on which 4 ms of queue are aimed at.
    fn view(noise: f64, paced: bool) -> View {
        View {
            now: Instant::now(),
            round: 9,
            round_began: false,
            quarter_queue: None,
            queue: 0.0,
            queue_target: 0.004,
            base_rtt: 0.1,
            capacity: 1e6,
            dispersion: 1e6,
            in_flight: 1e5,
            congested: false,
            rival: false,
            test_due: false,
            noise,
            lost_before: 1.0,
            paced,
        }
    }

    fn gain(shown_ms: f64, coming_ms: f64, view: &View) -> f64 {
        cruise_gain(QuarterQueue { shown: shown_ms / 1e3, coming: coming_ms / 1e3 }, view)
    }

    #[test]
    fn a_noisy_pace_reckons_with_what_is_on_the_way() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let prompt = view(0.05, true);
        assert!(near(gain(4.0, 4.0, &prompt), 1.0));
        assert!(near(gain(4.0, 2.0, &prompt), 1.02) && near(gain(4.0, 6.0, &prompt), 0.98));
        // A probe that has doubled the rate is on the way too.
        assert!(near(gain(0.0, 100.0, &prompt), 1.0) && near(gain(20.0, 0.0, &prompt), 0.88));
        let after = View { lost_before: 0.1, ..prompt };
        for other in [view(0.0, true), view(0.05, false), after] {
            assert!(near(gain(4.0, 2.0, &other), 1.0) && near(gain(2.0, 4.0, &other), 1.01));
        }
    }

    #[test]
    fn the_lead_is_what_was_sent_beyond_the_capacity() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut cycle = Cycle::new(start);
        assert_eq!(cycle.lead(at(100)), 0.0);
        cycle.drain(at(100), 1);
        assert!((cycle.lead(at(150)) + 0.02).abs() < 1e-9, "50 ms at 0.6");
        // What is in flight is drained already: on it goes at the capacity.
        cycle.step(&View { now: at(200), round: 1, in_flight: 0.0, ..view(0.0, true) });
        assert_eq!(cycle.state(), State::Cruise);
        assert!((cycle.lead(at(900)) + 0.04).abs() < 1e-9);
    }
}
