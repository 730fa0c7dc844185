//! What the signal of the queue shows although there is no queue.
//!
//! On a path that jitters even the least round trip of a quarter of a round lies above the base, which is the least of ten seconds. Taken
//! for a queue that would slow a flow down on an idle link. How much of it is noise is learned when the path is known to be
//! drained, from what was sent while slowing down, and only that much is left out: how far round trips spread at other times says little,
//! because queues spread them too.

/// The steps towards a greater and a lesser sample.
const RISE: f64 = 0.25;
const FALL: f64 = 0.5;

/// No more counts as noise than this share of the jitter, so that a path that has become quiet is believed at once.
const MOST_OF_JITTER: f64 = 0.3;

/// The noise of a signal that is the least of several round trips, in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noise {
    /// What quarters of the drained round showed.
    drained: Vec<f64>,
    quarter: f64,
    round: f64,
}

impl Noise {
    /// Notes what a quarter showed while the path was drained.
    pub(crate) fn note_drained_quarter(&mut self, shown: f64) {
        self.drained.push(shown);
    }

    /// Learns from a drained round, which has ended, and showed this much in all.
    pub(crate) fn learn(&mut self, shown: f64) {
        let mut quarters = std::mem::take(&mut self.drained);
        // The first ones saw the queue go.
        quarters.sort_by(f64::total_cmp);
        if let [least, next, ..] = quarters[..] {
            self.quarter = step(self.quarter, 0.5 * (least + next));
            self.round = step(self.round, shown);
        }
    }

    /// What a quarter of a round shows without a queue, on a path with this jitter.
    pub(crate) fn of_quarter(&self, jitter: f64) -> f64 {
        self.quarter.min(MOST_OF_JITTER * jitter)
    }

    /// The same for a whole round, which is the least of more.
    pub(crate) fn of_round(&self, jitter: f64) -> f64 {
        self.round.min(MOST_OF_JITTER * jitter)
    }
}

fn step(from: f64, to: f64) -> f64 {
    from + if to > from { RISE } else { FALL } * (to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(noise: &mut Noise, quarters: [f64; 4], round: f64) {
        for shown in quarters {
            noise.note_drained_quarter(shown);
        }
        noise.learn(round);
    }

    #[test]
    fn what_a_drained_path_shows_is_learnt_slowly_and_forgotten_faster() {
        let mut noise = Noise::default();
        // The first two quarters still see the queue go.
        drained(&mut noise, [0.009, 0.006, 0.003, 0.001], 0.001);
        assert!((noise.of_quarter(1.0) - 0.0005).abs() < 1e-9, "{}", noise.of_quarter(1.0));
        assert!((noise.of_round(1.0) - 0.00025).abs() < 1e-9);
        for _ in 0..50 {
            drained(&mut noise, [0.009, 0.006, 0.003, 0.001], 0.001);
        }
        assert!((noise.of_quarter(1.0) - 0.002).abs() < 1e-6);
        drained(&mut noise, [0.0; 4], 0.0);
        assert!((noise.of_quarter(1.0) - 0.001).abs() < 1e-6);
    }

    #[test]
    fn a_path_that_has_become_quiet_is_believed_at_once() {
        let mut noise = Noise::default();
        for _ in 0..50 {
            drained(&mut noise, [0.002; 4], 0.001);
        }
        assert_eq!((noise.of_quarter(0.0), noise.of_round(0.0)), (0.0, 0.0));
        assert!((noise.of_quarter(0.002) - 0.0006).abs() < 1e-9);
    }

    #[test]
    fn a_single_quarter_tells_nothing() {
        let mut noise = Noise::default();
        noise.note_drained_quarter(0.005);
        noise.learn(0.005);
        assert_eq!(noise.of_quarter(1.0), 0.0);
    }
}
