//! Two kinds of loss told apart: the floor, which is compensated, and the excess, which is obeyed.

mod floor;
mod ledger;

use std::time::Instant;

use crate::{round::Ended, state::State};
use floor::Floor;
use ledger::{Ledger, Tested};

/// Marked congestion lasts for so many rounds.
const CONGESTED_ROUNDS: u32 = 3;

/// What a round counts for in the recent ratio, as a share of the one after it.
const RECENT: f64 = 0.8;

/// The least bound of the queue target, in seconds: sending a millisecond's worth at once alone looks like a queue of 0.8 ms.
const LEAST_QUEUE_BOUND_S: f64 = 0.0012;

/// The queue of the round that has just ended, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    /// The least.
    pub(crate) least: f64,
    /// On average.
    pub(crate) mean: f64,
    /// The most.
    pub(crate) most: f64,
    /// What it should be.
    pub(crate) target: f64,
    /// The round trip without it.
    pub(crate) base_rtt: f64,
}

impl Queued {
    fn is_low(&self) -> bool {
        self.least <= 1.5 * self.target
    }
}

/// What the losses say.
#[derive(Clone, Debug)]
pub(crate) struct LossModel {
    ledger: Ledger,
    floor: Floor,
    /// For how many rounds to come the path counts as congested.
    congested_rounds: u32,
    /// The most queue to aim at, in seconds, after losses in a shallow buffer.
    queue_bound: f64,
    /// Whether the last phase that was judged lost more than the floor explains.
    excess: bool,
    /// Of the last rounds, in bytes.
    recent_lost: f64,
    recent_sent: f64,
}

impl LossModel {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            ledger: Ledger::new(),
            floor: Floor::new(now),
            congested_rounds: 0,
            queue_bound: f64::MAX,
            excess: false,
            recent_lost: 0.0,
            recent_sent: 0.0,
        }
    }

    /// Notes what became of packets in a round that has ended.
    pub(crate) fn note_round(&mut self, round: &Ended) {
        self.recent_lost = RECENT * self.recent_lost + round.lost_bytes;
        self.recent_sent = RECENT * self.recent_sent + round.lost_bytes + round.acked_bytes;
    }

    /// The ratio of packets that were lost in the last rounds, whatever the cause.
    pub(crate) fn recent_ratio(&self) -> f64 {
        self.recent_lost / self.recent_sent.max(1.0)
    }

    /// The phase that is being sent in.
    pub(crate) fn phase(&self) -> u64 {
        self.ledger.current()
    }

    pub(crate) fn note_acked(&mut self, phase: u64, bytes: u64) {
        self.ledger.note_acked(phase, bytes);
    }

    pub(crate) fn note_lost(&mut self, phase: u64, bytes: u64) {
        self.ledger.note_lost(phase, bytes);
    }

    /// Marks congestion, as the network does by ECN.
    pub(crate) fn mark_congested(&mut self) {
        self.congested_rounds = CONGESTED_ROUNDS;
    }

    pub(crate) fn is_congested(&self) -> bool {
        self.congested_rounds > 0
    }

    pub(crate) fn is_excessive(&self) -> bool {
        self.excess
    }

    /// The ratio of packets that the path loses whatever we send.
    pub(crate) fn ratio(&self) -> f64 {
        self.floor.ratio()
    }

    pub(crate) fn queue_bound(&self) -> f64 {
        self.queue_bound
    }

    /// Whether it is time to test the floor by sending a quarter less.
    pub(crate) fn wants_test(&self, now: Instant) -> bool {
        self.floor.wants_test(now)
    }

    /// How many bytes of a round count as carried by the path, in this state.
    ///
    /// Cruising without a queue every loss counts as random: leaving it out would starve the flow when loss begins. With a queue only
    /// the known share does: counting more would drive flows against each other. And what is sent to find more has to arrive: in a
    /// buffer of a few packets what is too much is lost without any queue.
    pub(crate) fn carried(&self, round: &Ended, queued: &Queued, state: State, mtu: f64) -> f64 {
        let packets = ((round.acked_bytes + round.lost_bytes) / mtu).max(1.0);
        let lenient = self.floor.is_trusted()
            && queued.is_low()
            && queued.mean < f64::max(3.0 * queued.target, 0.1 * queued.base_rtt)
            && !self.is_congested();
        let cap = match state {
            State::Startup => self.floor.early_bound(mtu),
            State::Drain | State::Cruise | State::Down if lenient => floor::MOST,
            // The queue that start-up has made, and no round since has been accounted for: what start-up lost is all that is known.
            State::Drain if !self.floor.is_known() => self.floor.early_bound(mtu),
            _ => self.floor.upper_bound(packets),
        };
        carried(round.acked_bytes, round.lost_bytes, cap)
    }

    /// The variance of the rate of a round that carried so much, relative to its square. Packets that are lost before the bottleneck
    /// leave it with more or fewer than it carries, by chance.
    pub(crate) fn relative_variance(&self, carried_bytes: f64, mtu: f64) -> f64 {
        let ratio = self.floor.ratio();
        ratio / (1.0 - ratio) * mtu / carried_bytes.max(mtu)
    }

    /// How many bytes of start-up count as carried by the path.
    pub(crate) fn early_carried(&self, acked_bytes: f64, lost_bytes: f64, mtu: f64) -> f64 {
        let cap = self.floor.early_bound(mtu);
        carried(acked_bytes, lost_bytes, cap)
    }

    /// Judges the phase whose packets are all accounted for by now. Tells by what factor the capacity has to fall when a test has shown
    /// that the loss was our own.
    pub(crate) fn judge(&mut self, now: Instant, queued: &Queued, mtu: f64) -> Option<f64> {
        let phase = self.ledger.settled()?;
        let packets = phase.packets(mtu);
        let ratio = phase.ratio();
        // More than that is an outage.
        if packets <= 0.0 || ratio >= 0.6 {
            return None;
        }
        // Later rounds of start-up overflow buffers, so they are no part of the floor.
        if phase.state == State::Startup {
            self.floor.note_early(&phase);
            return None;
        }
        let capacity_factor = match self.floor.note(&phase, now, mtu) {
            Tested::Refuted { factor } => Some(factor),
            Tested::No | Tested::Confirmed => None,
        };
        let over = self.floor.excess(&phase, mtu);
        self.excess = over.weak;
        let seen = phase.mean_queue > queued.target || self.floor.differs();
        let obeyed = over.strong || over.weak && self.floor.ratio() < 0.005;
        if seen && self.floor.has_drained(mtu) && obeyed {
            self.obey(over.strong, queued);
        } else {
            self.congested_rounds = self.congested_rounds.saturating_sub(1);
            if self.queue_bound < 1.0 {
                self.queue_bound *= 1.007;
            }
        }
        capacity_factor
    }

    fn obey(&mut self, strong: bool, queued: &Queued) {
        if strong {
            self.congested_rounds = CONGESTED_ROUNDS;
        }
        // A shallow buffer: stay well below what it holds, so that others find room.
        if queued.most > 2.0 * queued.target {
            self.queue_bound = (0.2 * queued.most).min(self.queue_bound).max(LEAST_QUEUE_BOUND_S);
        }
    }

    /// Opens the next phase after a round that ended with this queue.
    pub(crate) fn open_phase(&mut self, state: State, deep: bool, queued: &Queued) {
        self.ledger.open(state, deep, queued.is_low(), queued.mean.max(0.0));
    }

    /// The running phase, which has just been opened, is in another state after all.
    pub(crate) fn relabel_phase(&mut self, state: State, deep: bool) {
        self.ledger.relabel(state, deep);
    }
}

/// What was acknowledged, and of what was lost no more than this ratio of all.
fn carried(acked_bytes: f64, lost_bytes: f64, most_lost: f64) -> f64 {
    acked_bytes + lost_bytes.min(most_lost / (1.0 - most_lost) * acked_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The round in which start-up ended, with the queue that it has made: at 20 % loss a fifth of what was sent was carried, too.
    #[test]
    fn what_a_drain_lost_counts_as_carried_at_the_ratio_of_start_up() {
        let mut loss = LossModel::new(Instant::now());
        let round = |acked_bytes, lost_bytes| Ended {
            duration: 0.1,
            acked_bytes,
            lost_bytes,
            min_rtt: 0.11,
            max_rtt: 0.13,
            mean_rtt: 0.12,
            app_limited: false,
            slowed: false,
            silent: false,
        };
        let full = Queued { least: 0.01, mean: 0.02, most: 0.03, target: 0.002, base_rtt: 0.1 };
        let phase = loss.phase();
        loss.note_acked(phase, 800_000);
        loss.note_lost(phase, 200_000);
        for _ in 0..3 {
            loss.open_phase(State::Startup, false, &full);
        }
        loss.judge(Instant::now(), &full, 1000.0);
        let carried = |acked, lost, state| loss.carried(&round(acked, lost), &full, state, 1000.0);
        assert_eq!(carried(800e3, 200e3, State::Drain), 1e6);
        assert!(carried(600e3, 400e3, State::Drain) < 830e3, "what overflowed beside it does not");
        assert!(carried(800e3, 200e3, State::Cruise) < 810e3, "with a queue only what is known");
    }
}
