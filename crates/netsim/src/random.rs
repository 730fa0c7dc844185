//! Repeatable randomness.

use rand_pcg::{
    Pcg64,
    rand_core::{Rng as _, SeedableRng as _},
};

/// A stream of random numbers that depends on a seed and a label alone. Streams with different labels are independent, so
/// that one more draw in one place changes nothing in another.
#[derive(Clone, Debug)]
pub struct Stream(Pcg64);

impl Stream {
    /// The stream of this seed and label. The same on every platform and in every release of the generator, whose
    /// output is part of its documented interface.
    #[must_use]
    pub fn new(seed: u64, label: &str) -> Self {
        // FNV-1a tells seeds and labels apart; the generator's own seeding does the mixing.
        let bytes = seed.to_le_bytes().into_iter().chain(label.bytes());
        let one = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(Pcg64::seed_from_u64(one))
    }

    /// The next number, uniform over all of them.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [0, `bound`); 0 when `bound` is 0. The bias is below 2^-64 times `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.number()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// Whether an event of this probability happens. Draws once, whatever the probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u64, label: &str) -> [u64; 4] {
        let mut stream = Stream::new(seed, label);
        std::array::from_fn(|_| stream.number())
    }

    #[test]
    fn a_seed_and_a_label_give_always_the_same() {
        assert_eq!(first(7, "loss"), first(7, "loss"));
        assert_ne!(first(7, "loss"), first(8, "loss"));
        assert_ne!(first(7, "loss"), first(7, "jitter"));
        // Pinned, so that a kept seed means the same link after an update of the generator.
        assert_eq!(first(1, "pinned")[0], PINNED);
    }

    #[test]
    fn neighbouring_seeds_are_independent() {
        for label in ["", "a", "up/after queue"] {
            let mean_differing_bits = (0..1000)
                .map(|seed| (first(seed, label)[0] ^ first(seed + 1, label)[0]).count_ones())
                .sum::<u32>() as f64
                / 1000.0;
            assert!((mean_differing_bits - 32.0).abs() < 1.0, "{label}: {mean_differing_bits}");
        }
    }

    #[test]
    fn draws_are_uniform_and_in_bounds() {
        let mut stream = Stream::new(3, "uniform");
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[stream.below(10) as usize] += 1;
        }
        // Six standard deviations of a binomial count with n = 100,000 and p = 0.1.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 570), "{counts:?}");
        let mean = (0..100_000).map(|_| stream.unit()).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 0.006, "{mean}");
        assert!((0..1000).all(|_| stream.below(0) == 0 && stream.below(1) == 0));
        assert!((0..1000).all(|_| !stream.chance(0.0) && stream.chance(1.0)));
    }

    const PINNED: u64 = 12_225_661_717_835_247_007;
}
