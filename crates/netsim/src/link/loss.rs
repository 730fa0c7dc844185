//! Random loss.

use super::schedule::Schedule;
use crate::{profile::Loss, random::Stream};

/// One place on the way at which packets get lost at random.
#[derive(Clone, Debug)]
pub(super) struct Lossy {
    loss: Schedule<Option<Loss>>,
    bad: bool,
    /// When the last packet came.
    last_ns: u64,
    stream: Stream,
}

impl Lossy {
    pub(super) fn new(loss: Schedule<Option<Loss>>, stream: Stream) -> Self {
        Self { loss, bad: false, last_ns: 0, stream }
    }

    /// Whether a packet that comes by now is lost. Draws as often whatever the loss is, so that the fate of later packets does
    /// not depend on that of earlier ones.
    pub(super) fn takes(&mut self, ns: u64) -> bool {
        let (step, toss) = (self.stream.unit(), self.stream.unit());
        let elapsed_ms = ns.saturating_sub(self.last_ns) as f64 / 1e6;
        self.last_ns = self.last_ns.max(ns);
        match self.loss.at(ns) {
            None => false,
            Some(Loss::Bernoulli(ratio)) => toss < ratio,
            Some(Loss::GilbertElliott(bursts)) => {
                let (enter, leave) = bursts.transitions();
                self.bad = if self.bad { step >= leave } else { step < enter };
                toss < if self.bad { bursts.loss_in_bad } else { bursts.loss_in_good }
            }
            Some(Loss::Spells(spells)) => {
                self.bad = step < spells.bad_after(self.bad, elapsed_ms);
                self.bad
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Spells;

    fn sample(loss: Loss, packets: usize, seed: u64) -> Vec<bool> {
        let mut lossy = Lossy::new(Schedule::new(Some(loss), []), Stream::new(seed, "loss"));
        (0..packets).map(|_| lossy.takes(0)).collect()
    }

    fn share(lost: &[bool]) -> f64 {
        lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64
    }

    #[test]
    fn bernoulli_loss_is_within_binomial_bounds() {
        for (seed, p) in [(1, 0.0), (2, 0.001), (3, 0.05), (4, 0.5), (5, 1.0)] {
            let n = 200_000.0;
            let measured = share(&sample(Loss::Bernoulli(p), n as usize, seed));
            // Five standard deviations: one seed in two million lies outside.
            let bound = 5.0 * (p * (1.0 - p) / n).sqrt();
            assert!((measured - p).abs() <= bound, "{p}: {measured} (seed {seed})");
        }
    }

    #[test]
    fn bursts_have_the_ratio_and_the_length_that_was_asked_for() {
        for (seed, p, length) in [(1, 0.01, 4.0), (2, 0.05, 5.0), (3, 0.1, 1.5), (4, 0.2, 20.0)] {
            let lost = sample(Loss::bursts(p, length), 1_000_000, seed);
            let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
            let measured = share(&lost);
            let mean = measured * lost.len() as f64 / bursts;
            // Losses within a burst depend on each other, so the ratio spreads more by about twice the length.
            let bound = 5.0 * (p * (1.0 - p) * 2.0 * length / lost.len() as f64).sqrt();
            assert!((measured - p).abs() < bound, "{p}: {measured} (seed {seed})");
            assert!((mean / length - 1.0).abs() < 0.05, "{length}: {mean} (seed {seed})");
        }
    }

    #[test]
    fn bursts_of_time_last_as_long_however_few_packets_meet_them() {
        for (seed, ratio, length_ms, gap_ms) in
            [(1, 0.05, 10.0, 0.1), (2, 0.2, 50.0, 1.0), (3, 0.1, 5.0, 0.05), (4, 0.2, 10.0, 1000.0)]
        {
            let mut lossy =
                Lossy::new(Schedule::new(Some(Loss::spells(ratio, length_ms)), []), Stream::new(seed, "l"));
            let packets = 1_000_000;
            let lost: Vec<bool> =
                (0..packets).map(|n| lossy.takes((f64::from(n) * gap_ms * 1e6) as u64)).collect();
            let measured = share(&lost);
            // Packets within two bursts of each other depend on each other.
            let dependent = 1.0 + 2.0 * length_ms / gap_ms;
            let bound = 5.0 * (ratio * (1.0 - ratio) * dependent / f64::from(packets)).sqrt();
            assert!((measured - ratio).abs() < bound, "{ratio}: {measured} (seed {seed})");
            let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
            let mean_packets = measured * lost.len() as f64 / bursts;
            // One packet after another stays in the same bad time with the probability that the chain gives.
            let stays = Spells { ratio, mean_burst_ms: length_ms }.bad_after(true, gap_ms);
            let expected = 1.0 / (1.0 - stays);
            assert!((mean_packets / expected - 1.0).abs() < 0.05, "{expected}: {mean_packets} (seed {seed})");
            if gap_ms < length_ms / 20.0 {
                assert!((mean_packets * gap_ms / length_ms - 1.0).abs() < 0.1, "{mean_packets} packets");
            }
        }
    }

    #[test]
    fn what_is_lost_at_a_higher_ratio_includes_what_is_lost_at_a_lower_one() {
        let (few, many) = (sample(Loss::Bernoulli(0.01), 10_000, 9), sample(Loss::Bernoulli(0.1), 10_000, 9));
        assert!(few.iter().zip(&many).all(|(few, many)| !few || *many));
    }
}
