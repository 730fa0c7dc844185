//! Where packets are lost, before the bottleneck or after it, and what that says of a round's rate.
//!
//! A full bottleneck carries the same in every round. Packets that are lost after it have used it, so what is steady is what was sent:
//! acknowledged and lost together. Packets that are lost before it are replaced by others, so what is steady is what arrives, and the
//! rate of what was sent varies with the luck of the round: at 20 % loss and 32 packets a round by a twelfth. The sender cannot see
//! where a packet got lost, but it sees whether its rate goes along with its losses, and takes out what does: a regression with the
//! losses as the control variate.

/// Over how many rounds it is learnt.
const MEMORY_ROUNDS: f64 = 32.0;

/// How much of what a round lost more or less than usual shows in its rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    rounds: f64,
    /// Means over rounds: of the product of both deviations, and of their squares.
    product: f64,
    lost_square: f64,
    rate_square: f64,
}

impl Place {
    /// Notes a round: by how much the ratio of its losses exceeds the usual one, and by how much its rate exceeds the estimate, as a
    /// share of it.
    pub(crate) fn note_round(&mut self, lost_more: f64, rate_more: f64) {
        self.rounds = (self.rounds + 1.0).min(MEMORY_ROUNDS);
        self.product += (lost_more * rate_more - self.product) / self.rounds;
        self.lost_square += (lost_more * lost_more - self.lost_square) / self.rounds;
        self.rate_square += (rate_more * rate_more - self.rate_square) / self.rounds;
    }

    /// 0 where packets are lost after the bottleneck, and while nothing is lost; 1 where they are lost before it.
    ///
    /// Chance alone gives a squared correlation of one over the number of rounds, so that much of the slope is not believed.
    pub(crate) fn before(&self) -> f64 {
        let squares = self.lost_square * self.rate_square;
        if self.product <= 0.0 || squares <= 0.0 {
            return 0.0;
        }
        let correlation_squared = self.product * self.product / squares;
        let believed = (1.0 - 1.0 / (correlation_squared * self.rounds)).max(0.0);
        (believed * self.product / self.lost_square).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of which every second one loses 15 %, and the others 25 %.
    fn rounds() -> impl Iterator<Item = f64> {
        (0..200).map(|round| if round % 2 == 0 { 0.15 } else { 0.25 })
    }

    #[test]
    fn what_is_lost_before_a_full_bottleneck_shows_in_the_rate() {
        let mut place = Place::default();
        for lost in rounds() {
            // 0.8 arrive in the time of a round, however many are lost.
            let sent = 0.8 / (1.0 - lost);
            place.note_round(lost - 0.2, sent - 1.0);
        }
        assert!(place.before() == 1.0, "{}", place.before());
    }

    #[test]
    fn what_is_lost_after_it_does_not() {
        let mut place = Place::default();
        assert_eq!(place.before(), 0.0);
        rounds().for_each(|lost| place.note_round(lost - 0.2, 0.01));
        assert!(place.before() < 0.02, "{}", place.before());
        // Nor does what follows when losses begin, and the link idles for it.
        rounds().for_each(|lost| place.note_round(lost - 0.2, 0.1 * (0.2 - lost)));
        assert_eq!(place.before(), 0.0);
    }

    #[test]
    fn half_of_each_counts_half() {
        let mut place = Place::default();
        rounds().for_each(|lost| place.note_round(lost - 0.2, 0.5 * (lost - 0.2)));
        assert!((place.before() - 0.5).abs() < 0.02, "{}", place.before());
    }

    /// A flow that climbs has rates of which losses explain nothing.
    #[test]
    fn a_slope_that_chance_explains_is_not_believed() {
        let mut place = Place::default();
        place.note_round(0.05, 0.3);
        assert_eq!(place.before(), 0.0, "one round tells nothing");
        for (round, lost) in rounds().enumerate() {
            place.note_round(lost - 0.2, if round % 16 < 9 { 0.3 } else { -0.3 });
        }
        assert!(place.before() < 0.05, "{}", place.before());
    }
}
