//! The loss floor: how much the path loses whatever we send.

use std::time::{Duration, Instant};

use super::ledger::{Phase, Tested};
use crate::state::State;

/// A floor above that is not believed: nothing could be told from it.
pub(super) const MOST: f64 = 0.4;

/// How many packets the memory of cruising reaches back over, and that of draining.
const CRUISE_MEMORY_PACKETS: f64 = 4000.0;
const DOWN_MEMORY_PACKETS: f64 = 1500.0;

/// Below so many packets a pool tells nothing.
const LEAST_PACKETS: f64 = 100.0;

/// A test with fewer packets tells nothing.
const LEAST_TEST_PACKETS: f64 = 24.0;

/// A floor above this is tested again after that time.
const TESTED_ABOVE: f64 = 0.01;
const TEST_AFTER: Duration = Duration::from_secs(20);

/// After so many rounds with a queue the losses that were once seen fade.
const STALE_ROUNDS: u32 = 12;

/// Acknowledged and lost bytes, with forgetting.
#[derive(Clone, Copy, Debug, Default)]
struct Pool {
    acked: f64,
    lost: f64,
}

impl Pool {
    fn ratio(&self) -> f64 {
        self.lost / (self.acked + self.lost).max(1.0)
    }

    fn packets(&self, mtu: f64) -> f64 {
        (self.acked + self.lost) / mtu
    }

    fn absorb(&mut self, phase: &Phase, memory_packets: f64, mtu: f64) {
        let keep = 1.0 - (phase.packets(mtu) / memory_packets).min(0.5);
        self.acked = self.acked * keep + phase.acked_bytes as f64;
        self.lost = self.lost * keep + phase.lost_bytes as f64;
    }
}

/// Whether a phase lost more than the floor explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excess {
    pub(super) weak: bool,
    pub(super) strong: bool,
}

/// The floor, and how well it is known.
#[derive(Clone, Debug)]
pub(super) struct Floor {
    cruise: Pool,
    down: Pool,
    /// The first rounds of start-up, long before the path is full.
    early: Pool,
    ratio: f64,
    /// Whether cruising loses more than draining.
    differs: bool,
    /// By how much the variance of losses exceeds that of independent ones; at least 1. Bursts are not congestion.
    spread: f64,
    stale_rounds: u32,
    /// The most that is believed; less than [`MOST`] after a test that failed.
    bound: f64,
    tested_ratio: f64,
    tested: Instant,
}

impl Floor {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            cruise: Pool::default(),
            down: Pool::default(),
            early: Pool::default(),
            ratio: 0.0,
            differs: false,
            spread: 1.0,
            stale_rounds: 0,
            bound: MOST,
            tested_ratio: 0.0,
            tested: now,
        }
    }

    pub(super) fn ratio(&self) -> f64 {
        self.ratio
    }

    pub(super) fn differs(&self) -> bool {
        self.differs
    }

    /// Whether the last test, if there was one, has confirmed it.
    pub(super) fn is_trusted(&self) -> bool {
        self.bound >= MOST
    }

    /// Whether anything has been learnt since start-up.
    pub(super) fn is_known(&self) -> bool {
        self.cruise.packets(1.0) + self.down.packets(1.0) > 0.0
    }

    pub(super) fn has_drained(&self, mtu: f64) -> bool {
        self.down.packets(mtu) > LEAST_PACKETS
    }

    /// The most that a round of so many packets may lose at random.
    pub(super) fn upper_bound(&self, packets: f64) -> f64 {
        let deviation = (self.ratio * (1.0 - self.ratio) / packets).sqrt();
        (self.ratio + f64::max(2.0 * deviation, 0.005)).min(MOST)
    }

    /// Learns from a settled phase of start-up.
    pub(super) fn note_early(&mut self, phase: &Phase) {
        self.early.acked += phase.acked_bytes as f64;
        self.early.lost += phase.lost_bytes as f64;
    }

    /// The most that a round of start-up may lose at random: what its settled rounds lost, when there were enough.
    pub(super) fn early_bound(&self, mtu: f64) -> f64 {
        let (ratio, packets) = (self.early.ratio(), self.early.packets(mtu));
        if packets < LEAST_PACKETS {
            return MOST;
        }
        let deviation = (ratio * (1.0 - ratio) / packets).sqrt();
        (ratio + f64::max(3.0 * deviation, 0.02)).min(MOST)
    }

    pub(super) fn wants_test(&self, now: Instant) -> bool {
        let grown = self.ratio > 1.2 * self.tested_ratio + TESTED_ABOVE;
        let old = now.saturating_duration_since(self.tested) > TEST_AFTER && self.ratio > TESTED_ABOVE;
        !self.is_trusted() || grown || old
    }

    /// Learns from a settled phase.
    pub(super) fn note(&mut self, phase: &Phase, now: Instant, mtu: f64) -> Tested {
        self.stale_rounds = if phase.low_queue { 0 } else { self.stale_rounds + 1 };
        if self.stale_rounds > STALE_ROUNDS {
            self.cruise.lost *= 0.95;
            self.down.lost *= 0.95;
        }
        let down = phase.state == State::Down;
        // A phase with a queue may only lower the floor.
        if phase.low_queue || down && phase.ratio() < self.ratio {
            if down {
                self.down.absorb(phase, DOWN_MEMORY_PACKETS, mtu);
            } else {
                self.cruise.absorb(phase, CRUISE_MEMORY_PACKETS, mtu);
            }
        }
        let tested = self.test(phase, now, mtu);
        self.pool(mtu);
        self.note_spread(phase, mtu);
        tested
    }

    /// Sending a quarter less must not lower the ratio.
    fn test(&mut self, phase: &Phase, now: Instant, mtu: f64) -> Tested {
        let packets = phase.packets(mtu);
        if !phase.deep || packets <= LEAST_TEST_PACKETS || self.cruise.packets(mtu) <= LEAST_PACKETS {
            return Tested::No;
        }
        let (cruise, deep) = (self.cruise.ratio(), phase.ratio());
        let deviation = (self.spread.min(10.0) * cruise * (1.0 - cruise) / packets).sqrt();
        self.tested = now;
        if cruise - deep <= f64::max(0.02, 3.5 * deviation) {
            self.bound = MOST;
            self.tested_ratio = cruise;
            return Tested::Confirmed;
        }
        self.bound = deep;
        self.tested_ratio = deep;
        self.cruise = Pool::default();
        self.down = Pool { acked: phase.acked_bytes as f64, lost: phase.lost_bytes as f64 };
        Tested::Refuted { factor: (1.0 - cruise) / (1.0 - deep) }
    }

    fn pool(&mut self, mtu: f64) {
        let (cruise, down) = (self.cruise.ratio(), self.down.ratio());
        let (cruise_packets, down_packets) = (self.cruise.packets(mtu), self.down.packets(mtu));
        self.differs = false;
        let ratio = if cruise_packets > LEAST_PACKETS && down_packets > LEAST_PACKETS {
            let all = (cruise * cruise_packets + down * down_packets) / (cruise_packets + down_packets);
            let share = 1.0 / cruise_packets + 1.0 / down_packets;
            let deviation = (self.spread * all * (1.0 - all) * share).sqrt();
            self.differs = cruise - down > f64::max(0.01, 3.0 * deviation);
            if self.differs { down } else { all }
        } else if cruise_packets > 0.0 {
            cruise
        } else {
            down
        };
        self.ratio = ratio.min(self.bound);
    }

    /// How far cruising phases lie from their own mean, beside what chance explains. Their own, because a difference between
    /// cruising and draining is not a burst.
    fn note_spread(&mut self, phase: &Phase, mtu: f64) {
        let mean = self.cruise.ratio();
        if phase.low_queue && phase.state == State::Cruise && mean > 0.001 {
            let distance = (phase.ratio() - mean).powi(2) / variance(mean, phase.packets(mtu));
            self.spread = (self.spread + (distance.min(40.0) - self.spread) / 16.0).max(1.0);
        }
    }

    pub(super) fn excess(&self, phase: &Phase, mtu: f64) -> Excess {
        let deviation = (self.spread * variance(self.ratio, phase.packets(mtu))).sqrt();
        let over = phase.ratio() - self.ratio;
        Excess {
            weak: over > f64::max(0.005, 3.0 * deviation),
            strong: over > f64::max(0.02, 4.0 * deviation),
        }
    }
}

/// The variance of the loss ratio of so many packets, if they are lost independently of each other.
fn variance(ratio: f64, packets: f64) -> f64 {
    (ratio * (1.0 - ratio) / packets).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::ledger::Ledger;

    const MTU: f64 = 1000.0;

    /// A phase of 1,000 packets.
    fn phase(state: State, deep: bool, lost_packets: u64) -> Phase {
        Ledger::phase_of(state, deep, (1000 - lost_packets) * 1000, lost_packets * 1000)
    }

    fn floor(cruise_lost: u64, down_lost: u64) -> Floor {
        let now = Instant::now();
        let mut floor = Floor::new(now);
        for _ in 0..20 {
            floor.note(&phase(State::Cruise, false, cruise_lost), now, MTU);
            floor.note(&phase(State::Down, false, down_lost), now, MTU);
        }
        floor
    }

    #[test]
    fn loss_that_is_the_same_when_drained_is_the_floor() {
        let floor = floor(100, 100);
        assert!((floor.ratio() - 0.1).abs() < 1e-9 && !floor.differs());
        assert_eq!(
            floor.excess(&phase(State::Cruise, false, 120), MTU),
            Excess { weak: false, strong: false }
        );
        // Three deviations of 1,000 packets are 2.8 %, four are 3.8 %.
        assert_eq!(
            floor.excess(&phase(State::Cruise, false, 130), MTU),
            Excess { weak: true, strong: false }
        );
        assert_eq!(floor.excess(&phase(State::Cruise, false, 140), MTU), Excess { weak: true, strong: true });
    }

    #[test]
    fn loss_that_goes_away_when_drained_is_not() {
        let floor = floor(100, 20);
        assert!(floor.differs());
        assert!((floor.ratio() - 0.02).abs() < 1e-9, "{}", floor.ratio());
    }

    #[test]
    fn bursts_widen_what_is_taken_for_chance() {
        let (now, mut floor) = (Instant::now(), floor(50, 50));
        for round in 0..60 {
            floor.note(&phase(State::Cruise, false, if round % 2 == 0 { 10 } else { 90 }), now, MTU);
        }
        assert!(floor.spread > 10.0, "{}", floor.spread);
        assert!(!floor.excess(&phase(State::Cruise, false, 100), MTU).strong);
    }

    #[test]
    fn a_test_confirms_or_refutes() {
        let now = Instant::now();
        let mut same = floor(100, 100);
        assert_eq!(same.note(&phase(State::Down, true, 95), now, MTU), Tested::Confirmed);
        assert!(same.is_trusted() && !same.wants_test(now));
        assert!(same.wants_test(now + Duration::from_secs(21)));
        let mut own = floor(100, 100);
        let Tested::Refuted { factor } = own.note(&phase(State::Down, true, 10), now, MTU) else {
            panic!("it was our own")
        };
        assert!((factor - 0.9 / 0.99).abs() < 1e-3, "{factor}");
        assert!(!own.is_trusted() && own.wants_test(now));
        assert!(own.ratio() <= 0.0101, "{}", own.ratio());
    }

    #[test]
    fn phases_with_a_queue_only_lower_it_and_old_losses_fade() {
        let (now, mut floor) = (Instant::now(), floor(50, 50));
        let queued = |state, lost| Phase { low_queue: false, ..phase(state, false, lost) };
        floor.note(&queued(State::Cruise, 300), now, MTU);
        assert!((floor.ratio() - 0.05).abs() < 1e-9);
        floor.note(&queued(State::Down, 10), now, MTU);
        assert!(floor.ratio() < 0.05);
        for _ in 0..60 {
            floor.note(&queued(State::Cruise, 300), now, MTU);
        }
        assert!(floor.ratio() < 0.005, "{}", floor.ratio());
    }
}
