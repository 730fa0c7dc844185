//! How much the path carries.

use std::collections::VecDeque;

/// So many rounds make up the estimate, and up to so many, of so many seconds, where they are noisy.
const ROUNDS: usize = 6;
const MOST_ROUNDS: usize = 24;
const LONGEST_S: f64 = 1.5;

/// The noise to get down to, as a share of the rate.
const NOISE: f64 = 0.015;

/// One round: bytes that the path is known to have carried, and how long it took, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) carried_bytes: f64,
    pub(crate) duration: f64,
    /// The variance that random loss leaves in its rate, relative to the rate squared.
    pub(crate) variance: f64,
}

impl Sample {
    pub(crate) fn rate(self) -> f64 {
        self.carried_bytes / self.duration.max(1e-6)
    }
}

/// What a round says, beside its rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// Whether a rate below the estimate would be our own doing: we had nothing to send, or held back.
    pub(crate) own_doing: bool,
    /// Whether what came before is out of date.
    pub(crate) forget: bool,
}

/// The capacity in bytes per second as they are sent: what is lost at the floor's ratio counts as carried.
///
/// A mean over whole rounds, not a maximum: with random loss the maximum of noisy rates lies above the truth, and would make
/// a standing queue. Low rates are left out where they are our own doing, which cannot push the mean up, because a mean that is too
/// high makes a queue, and rounds with a queue always count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capacity {
    bytes_per_s: f64,
    samples: VecDeque<Sample>,
}

impl Capacity {
    /// 0 before the first round.
    pub(crate) fn bytes_per_s(&self) -> f64 {
        self.bytes_per_s
    }

    pub(crate) fn note_round(&mut self, sample: Sample, verdict: Verdict) {
        let is_low = sample.rate() < self.bytes_per_s;
        if is_low && verdict.own_doing && !self.samples.is_empty() {
            return;
        }
        if verdict.forget {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        while self.samples.len() > ROUNDS
            && (self.samples.len() > MOST_ROUNDS
                || self.duration() > LONGEST_S
                || self.noise_without_oldest() < NOISE)
        {
            self.samples.pop_front();
        }
        let carried: f64 = self.samples.iter().map(|sample| sample.carried_bytes).sum();
        self.bytes_per_s = carried / self.duration();
    }

    fn duration(&self) -> f64 {
        self.samples.iter().map(|sample| sample.duration).sum()
    }

    /// The standard deviation of the mean of all rounds but the oldest, as a share of it.
    fn noise_without_oldest(&self) -> f64 {
        let variances = self.samples.iter().skip(1).map(|sample| sample.variance);
        variances.sum::<f64>().sqrt() / (self.samples.len() - 1) as f64
    }

    /// Raises the estimate to a rate that was seen.
    pub(crate) fn raise(&mut self, bytes_per_s: f64) {
        self.bytes_per_s = self.bytes_per_s.max(bytes_per_s);
    }

    /// Replaces the estimate by a share of it, as if the last round had had that rate.
    pub(crate) fn scale(&mut self, factor: f64, duration: f64) {
        self.bytes_per_s *= factor;
        self.samples.clear();
        self.samples.push_back(Sample {
            carried_bytes: self.bytes_per_s * duration,
            duration,
            variance: 0.0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: Verdict = Verdict { own_doing: false, forget: false };

    fn round(rate: f64) -> Sample {
        Sample { carried_bytes: rate / 10.0, duration: 0.1, variance: 0.0 }
    }

    #[test]
    fn the_estimate_is_the_mean_of_six_rounds() {
        let mut capacity = Capacity::default();
        for rate in [9e9, 1e6, 2e6, 3e6, 1e6, 2e6, 3e6] {
            capacity.note_round(round(rate), COUNTS);
        }
        assert!((capacity.bytes_per_s() - 2e6).abs() < 1.0);
    }

    #[test]
    fn what_is_our_own_doing_only_raises_it() {
        let mut capacity = Capacity::default();
        let own_doing = Verdict { own_doing: true, ..COUNTS };
        capacity.note_round(round(1e6), own_doing);
        assert_eq!(capacity.bytes_per_s(), 1e6, "the first round counts whatever it is");
        capacity.note_round(round(0.5e6), own_doing);
        assert_eq!(capacity.bytes_per_s(), 1e6);
        capacity.note_round(round(2e6), own_doing);
        assert_eq!(capacity.bytes_per_s(), 1.5e6);
        capacity.note_round(round(0.5e6), Verdict { forget: true, ..COUNTS });
        assert_eq!(capacity.bytes_per_s(), 0.5e6);
    }

    /// Six rounds of few packets, some lost at random, would be off by several percent.
    #[test]
    fn noisy_rounds_count_for_longer() {
        let noisy = |rate: f64| Sample { variance: 0.05_f64.powi(2), ..round(rate) };
        let mut capacity = Capacity::default();
        for rate in [3e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6] {
            capacity.note_round(noisy(rate), COUNTS);
        }
        assert!((capacity.bytes_per_s() - 1.25e6).abs() < 1.0, "the first still counts");
        for _ in 0..12 {
            capacity.note_round(noisy(1e6), COUNTS);
        }
        assert_eq!(capacity.bytes_per_s(), 1e6);
    }
}
