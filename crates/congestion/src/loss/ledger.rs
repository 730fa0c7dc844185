//! What was acknowledged and what was lost of each phase, a phase being a round of sending.

use std::collections::VecDeque;

use crate::state::State;

/// After so many rounds all packets of a phase are acknowledged or declared lost.
const SETTLED_AFTER: usize = 3;

/// So many phases are kept: the youngest ones, and those of which something may still be heard.
const KEPT: usize = 32;

/// A round of sending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub(super) acked_bytes: u64,
    pub(super) lost_bytes: u64,
    pub(super) state: State,
    /// Whether it was sent to test the floor.
    pub(super) deep: bool,
    /// Whether there was next to no queue when it began.
    pub(super) low_queue: bool,
    /// The mean queue of the round before it, in seconds.
    pub(super) mean_queue: f64,
}

/// What a phase says of the floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tested {
    /// Nothing: it was no test.
    No,
    /// The loss is the same when we send a quarter less.
    Confirmed,
    /// It is lower: it was our own, and the capacity is this share of what was thought.
    Refuted { factor: f64 },
}

impl Phase {
    fn opened(state: State, deep: bool, low_queue: bool, mean_queue: f64) -> Self {
        Self { acked_bytes: 0, lost_bytes: 0, state, deep, low_queue, mean_queue }
    }

    pub(super) fn packets(&self, mtu: f64) -> f64 {
        (self.acked_bytes + self.lost_bytes) as f64 / mtu
    }

    pub(super) fn ratio(&self) -> f64 {
        self.lost_bytes as f64 / ((self.acked_bytes + self.lost_bytes) as f64).max(1.0)
    }
}

/// The last phases.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    phases: VecDeque<Phase>,
    /// The number of the oldest one that is kept.
    first: u64,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { phases: VecDeque::from([Phase::opened(State::Startup, false, false, 0.0)]), first: 0 }
    }

    pub(super) fn current(&self) -> u64 {
        self.first + self.phases.len() as u64 - 1
    }

    fn get_mut(&mut self, phase: u64) -> Option<&mut Phase> {
        let index = usize::try_from(phase.checked_sub(self.first)?).ok()?;
        self.phases.get_mut(index)
    }

    pub(super) fn note_acked(&mut self, phase: u64, bytes: u64) {
        if let Some(phase) = self.get_mut(phase) {
            phase.acked_bytes += bytes;
        }
    }

    pub(super) fn note_lost(&mut self, phase: u64, bytes: u64) {
        if let Some(phase) = self.get_mut(phase) {
            phase.lost_bytes += bytes;
        }
    }

    /// The youngest phase of which nothing more will be heard.
    pub(super) fn settled(&self) -> Option<Phase> {
        let index = self.phases.len().checked_sub(SETTLED_AFTER + 1)?;
        self.phases.get(index).copied()
    }

    pub(super) fn open(&mut self, state: State, deep: bool, low_queue: bool, mean_queue: f64) {
        self.phases.push_back(Phase::opened(state, deep, low_queue, mean_queue));
        while self.phases.len() > KEPT {
            self.phases.pop_front();
            self.first += 1;
        }
    }

    pub(super) fn relabel(&mut self, state: State, deep: bool) {
        if let Some(last) = self.phases.back_mut() {
            last.state = state;
            last.deep = deep;
        }
    }

    #[cfg(test)]
    pub(super) fn phase_of(state: State, deep: bool, acked_bytes: u64, lost_bytes: u64) -> Phase {
        Phase { acked_bytes, lost_bytes, ..Phase::opened(state, deep, true, 0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_settles_after_three_more() {
        let mut ledger = Ledger::new();
        let first = ledger.current();
        ledger.note_acked(first, 900);
        assert!(ledger.settled().is_none());
        for _ in 0..3 {
            ledger.open(State::Cruise, false, true, 0.0);
        }
        ledger.note_lost(first, 100);
        let settled = ledger.settled().expect("three more");
        assert_eq!(settled.state, State::Startup);
        assert!((settled.ratio() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn what_is_heard_of_a_forgotten_phase_goes_nowhere() {
        let mut ledger = Ledger::new();
        for _ in 0..40 {
            ledger.open(State::Cruise, false, true, 0.0);
        }
        ledger.note_acked(0, 1000);
        ledger.note_lost(9999, 1000);
        assert_eq!(ledger.current(), 40);
        assert!(ledger.phases.iter().all(|phase| phase.packets(1.0) == 0.0));
        assert_eq!(ledger.phases.len(), KEPT);
    }
}
