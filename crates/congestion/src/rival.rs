//! Sharing a path with a flow that fills buffers until they overflow, as CUBIC (RFC 9438) does.
//!
//! Who yields to delay beside such a flow gets nothing. So when the queue stays although we yield, the window is governed as
//! that flow's is: it grows slowly, and is cut at losses above the floor. From time to time it dips, to find out whether the
//! rival is still there.

use std::time::{Duration, Instant};

/// A rival is remembered for so long: CUBIC empties the queue each time it backs off, and that must not look like its end.
const MEMORY: Duration = Duration::from_secs(20);

/// A queue of less than so many times the target is nobody's.
const BEARABLE_TARGETS: f64 = 1.5;

/// Nor is one of less than this share of the round trip, unless a rival was met lately.
const BEARABLE_RTTS: f64 = 0.1;

/// We must have yielded so many times the queue.
const PROVEN_QUEUES: f64 = 3.0;

/// A queue must stay for so many rounds; for fewer when a rival was met lately.
const PATIENCE_ROUNDS: u32 = 12;
const SHORT_PATIENCE_ROUNDS: u32 = 6;
const LEAST_PATIENCE: Duration = Duration::from_millis(500);

/// The window is cut to this share.
const CUT: f64 = 0.75;

/// Every so many rounds the window dips for the last two of them.
const DIP_EVERY_ROUNDS: u64 = 40;
const DIP: f64 = 0.6;

/// What the rival is recognised by. Times in seconds, rates in bytes per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) now: Instant,
    pub(crate) round: u64,
    pub(crate) queue: f64,
    pub(crate) queue_target: f64,
    pub(crate) base_rtt: f64,
    pub(crate) capacity: f64,
    /// How long the round lasted, and the pace as a share of the capacity.
    pub(crate) duration: f64,
    pub(crate) gain: f64,
    /// Whether a queue may be of our own making: start-up and what follows it.
    pub(crate) own_queue: bool,
    /// Whether more was lost than the floor explains.
    pub(crate) excess: bool,
    pub(crate) mtu: f64,
}

/// What is known of rivals.
#[derive(Clone, Debug)]
pub(crate) struct Rival {
    active: bool,
    last_seen: Option<Instant>,
    queued_rounds: u32,
    queued_since: Instant,
    /// What a queue has to exceed. Held while it does: the target grows as we yield.
    bearable: f64,
    /// By how much the queue would have shrunk if it were ours alone.
    yielded: f64,
    /// The capacity when the queue came.
    capacity_before: f64,
    window: f64,
    began_in: u64,
    cut_in: u64,
}

impl Rival {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            active: false,
            last_seen: None,
            queued_rounds: 0,
            queued_since: now,
            bearable: 0.0,
            yielded: 0.0,
            capacity_before: 0.0,
            window: 0.0,
            began_in: 0,
            cut_in: 0,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// The window in bytes, while a rival is there.
    pub(crate) fn window(&self, round: u64) -> Option<f64> {
        let dips = round.saturating_sub(self.began_in) % DIP_EVERY_ROUNDS >= DIP_EVERY_ROUNDS - 2;
        self.active.then_some(if dips { self.window * DIP } else { self.window })
    }

    /// Looks at a round that has ended.
    pub(crate) fn note_round(&mut self, sight: &Sight) {
        let lately = self.last_seen.is_some_and(|seen| sight.now.saturating_duration_since(seen) < MEMORY);
        if self.queued_rounds == 0 {
            let share = if lately { 0.0 } else { BEARABLE_RTTS * sight.base_rtt };
            self.bearable = share.max(BEARABLE_TARGETS * sight.queue_target);
        }
        if sight.queue <= self.bearable || sight.own_queue {
            self.queued_rounds = 0;
            self.queued_since = sight.now;
            self.yielded = 0.0;
        } else {
            self.queued_rounds += 1;
            self.yielded += (1.0 - sight.gain).max(0.0) * sight.duration;
        }
        if self.queued_rounds == 1 {
            self.capacity_before = sight.capacity;
        }
        if sight.queue < sight.queue_target {
            self.active = false;
        } else if !self.active && self.is_proven(sight, lately) {
            self.begin(sight);
        }
        if self.active {
            self.last_seen = Some(sight.now);
            self.govern(sight);
        }
    }

    /// A queue is somebody else's when it stays although we have yielded several times what it holds.
    fn is_proven(&self, sight: &Sight, lately: bool) -> bool {
        let patience = if lately { SHORT_PATIENCE_ROUNDS } else { PATIENCE_ROUNDS };
        self.queued_rounds >= patience
            && sight.now.saturating_duration_since(self.queued_since) > LEAST_PATIENCE
            && self.yielded > PROVEN_QUEUES * sight.queue
    }

    fn begin(&mut self, sight: &Sight) {
        self.active = true;
        let capacity = self.capacity_before.max(sight.capacity);
        self.window = capacity * (sight.base_rtt + 0.5 * sight.queue);
        self.began_in = sight.round;
        self.cut_in = sight.round;
    }

    fn govern(&mut self, sight: &Sight) {
        if sight.excess && sight.round > self.cut_in + 2 {
            self.window *= CUT;
            self.cut_in = sight.round;
        } else {
            self.window += f64::max(2.0 * sight.mtu, 0.005 * self.window);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: f64 = 1000.0;

    fn sight(start: Instant, round: u64, queue: f64) -> Sight {
        Sight {
            now: start + Duration::from_millis(50 * round),
            round,
            queue,
            queue_target: 0.003,
            base_rtt: 0.050,
            capacity: 1e6,
            duration: 0.05,
            gain: 0.8,
            own_queue: false,
            excess: false,
            mtu: MTU,
        }
    }

    fn met(start: Instant) -> (Rival, u64) {
        let mut rival = Rival::new(start);
        let round = (1..100).find(|round| {
            rival.note_round(&sight(start, *round, 0.030));
            rival.is_active()
        });
        (rival, round.expect("it is recognised"))
    }

    #[test]
    fn a_queue_that_stays_is_a_rivals() {
        let (_, round) = met(Instant::now());
        assert_eq!(round, 12);
    }

    #[test]
    fn a_queue_of_our_own_or_one_that_goes_is_not() {
        let start = Instant::now();
        let mut rival = Rival::new(start);
        for round in 1..200 {
            let own = Sight { own_queue: round < 100, ..sight(start, round, 0.030) };
            rival.note_round(&own);
            if round % 11 == 0 {
                rival.note_round(&sight(start, round, 0.001));
            }
            assert!(!rival.is_active(), "round {round}");
        }
    }

    #[test]
    fn the_window_grows_is_cut_and_dips() {
        let start = Instant::now();
        let (mut rival, round) = met(start);
        let window = |rival: &Rival, round| rival.window(round).expect("it is there");
        let before = window(&rival, round);
        rival.note_round(&sight(start, round + 1, 0.030));
        assert_eq!(window(&rival, round + 1), before + 2.0 * MTU);
        let lossy = |round| Sight { excess: true, ..sight(start, round, 0.030) };
        let grown = window(&rival, round + 1);
        rival.note_round(&lossy(round + 3));
        assert_eq!(window(&rival, round + 3), grown * CUT);
        rival.note_round(&lossy(round + 4));
        assert!(window(&rival, round + 4) > grown * CUT, "not twice in three rounds");
        assert_eq!(window(&rival, round + 38), window(&rival, round + 37) * DIP);
    }

    #[test]
    fn it_is_remembered_for_a_while() {
        let start = Instant::now();
        let (mut rival, round) = met(start);
        rival.note_round(&sight(start, round + 1, 0.001));
        assert!(!rival.is_active() && rival.window(round + 1).is_none());
        let again = (round + 2..round + 100).find(|round| {
            rival.note_round(&sight(start, *round, 0.006));
            rival.is_active()
        });
        // Six rounds of 50 ms are not half a second.
        assert_eq!(again, Some(round + 2 + 10));
    }
}
