//! What was sent when, and what became of it.
//!
//! quinn tells neither packet numbers nor lengths of single packets, but it stamps all packets of one drive with the same instant and
//! names that instant with every acknowledgement and loss. So the unit of account is the *departure*: all that left at one instant.

use std::{collections::VecDeque, time::Instant};

use crate::state::State;

/// A train is only of use if it is longer than this, in packets.
const TRAIN_PACKETS: f64 = 5.0;

/// So many packets have to be acknowledged after the first acknowledgement to tell a rate.
const TRAIN_REST_PACKETS: f64 = 2.5;

/// The circumstances of a departure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Bytes that had been acknowledged in all.
    pub(crate) delivered_bytes: u64,
    /// The loss ledger's phase.
    pub(crate) phase: u64,
    pub(crate) state: State,
    /// Whether the application had less to send than the window allowed.
    pub(crate) app_limited: bool,
}

/// What left at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    pub(crate) at: Instant,
    pub(crate) stamp: Stamp,
    bytes: u64,
    acked_bytes: u64,
    /// When the first of it was acknowledged, and how many bytes by then.
    first_ack: Option<(Instant, u64)>,
    /// The highest rate at which the rest of it was acknowledged, in bytes per second.
    dispersion: f64,
}

/// The departures that may still be acknowledged, in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Departures(VecDeque<Departure>);

impl Departures {
    pub(crate) fn note_sent(&mut self, now: Instant, bytes: u64, stamp: Stamp) {
        match self.0.back_mut().filter(|last| last.at == now) {
            Some(last) => last.bytes += bytes,
            None => self.0.push_back(Departure {
                at: now,
                stamp,
                bytes,
                acked_bytes: 0,
                first_ack: None,
                dispersion: 0.0,
            }),
        }
    }

    /// Notes that `bytes` of what left at `sent` were acknowledged.
    pub(crate) fn note_acked(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        mtu: f64,
    ) -> Option<Departure> {
        let index = self.find(sent)?;
        let departure = &mut self.0[index];
        departure.acked_bytes += bytes;
        if departure.bytes as f64 > TRAIN_PACKETS * mtu {
            departure.disperse(now, bytes, mtu);
        }
        Some(*departure)
    }

    /// The dispersion of the departure before the one at `sent`, which is complete once this one is acknowledged. Told once.
    pub(crate) fn take_train(&mut self, sent: Instant) -> Option<f64> {
        let before = self.find(sent)?.checked_sub(1)?;
        let dispersion = std::mem::take(&mut self.0[before].dispersion);
        (dispersion > 0.0).then_some(dispersion)
    }

    /// What left at this instant.
    pub(crate) fn at(&self, sent: Instant) -> Option<&Departure> {
        self.find(sent).map(|index| &self.0[index])
    }

    /// Forgets departures from before an instant, but for the last two.
    pub(crate) fn forget_before(&mut self, instant: Instant) {
        while self.0.len() > 2 && self.0.front().is_some_and(|first| first.at < instant) {
            self.0.pop_front();
        }
    }

    fn find(&self, sent: Instant) -> Option<usize> {
        self.0.binary_search_by(|departure| departure.at.cmp(&sent)).ok()
    }
}

impl Departure {
    fn disperse(&mut self, now: Instant, bytes: u64, mtu: f64) {
        match &mut self.first_ack {
            None => self.first_ack = Some((now, bytes)),
            Some((at, first_bytes)) if *at == now => *first_bytes += bytes,
            Some((at, first_bytes)) => {
                let rest_bytes = self.acked_bytes.saturating_sub(*first_bytes) as f64;
                if rest_bytes > TRAIN_REST_PACKETS * mtu {
                    let rate = rest_bytes / now.saturating_duration_since(*at).as_secs_f64();
                    self.dispersion = self.dispersion.max(rate);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const STAMP: Stamp = Stamp { delivered_bytes: 0, phase: 0, state: State::Startup, app_limited: false };
    const MTU: f64 = 1000.0;

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn what_leaves_at_one_instant_is_one_departure() {
        let (start, mut departures) = (Instant::now(), Departures::default());
        departures.note_sent(start, 500, STAMP);
        departures.note_sent(start, 700, Stamp { phase: 9, ..STAMP });
        departures.note_sent(ms(start, 1), 100, STAMP);
        let first = departures.at(start).expect("known");
        assert_eq!((first.bytes, first.stamp.phase), (1200, 0));
        assert!(departures.at(ms(start, 2)).is_none());
    }

    #[test]
    fn a_train_tells_the_rate_at_which_its_rest_came() {
        let (start, mut departures) = (Instant::now(), Departures::default());
        departures.note_sent(start, 10_000, STAMP);
        departures.note_sent(ms(start, 1), 10_000, STAMP);
        // Two packets with the first acknowledgement, then two each millisecond: 2 MB/s.
        for step in 0..5 {
            departures.note_acked(ms(start, 100 + step), start, 2000, MTU);
        }
        assert_eq!(departures.take_train(start), None, "nothing came before it");
        assert_eq!(departures.take_train(ms(start, 1)), Some(2e6));
        assert_eq!(departures.take_train(ms(start, 1)), None, "it is told once");
    }

    #[test]
    fn short_trains_tell_nothing() {
        let (start, mut departures) = (Instant::now(), Departures::default());
        departures.note_sent(start, 5000, STAMP);
        departures.note_sent(ms(start, 1), 1000, STAMP);
        for step in 0..5 {
            departures.note_acked(ms(start, 100 + step), start, 1000, MTU);
        }
        assert_eq!(departures.take_train(ms(start, 1)), None);
    }

    #[test]
    fn old_departures_are_forgotten_and_the_last_two_kept() {
        let (start, mut departures) = (Instant::now(), Departures::default());
        for step in 0..10 {
            departures.note_sent(ms(start, step), 1000, STAMP);
        }
        departures.forget_before(ms(start, 4));
        assert!(departures.at(ms(start, 3)).is_none() && departures.at(ms(start, 4)).is_some());
        departures.forget_before(ms(start, 1000));
        assert!(departures.at(ms(start, 7)).is_none() && departures.at(ms(start, 8)).is_some());
    }
}
