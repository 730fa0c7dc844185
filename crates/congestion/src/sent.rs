//! What was sent when, and what became of it.
//!
//! quinn tells neither packet numbers nor lengths of single packets, but it stamps all packets of one drive with the same instant and
//! names that instant with every acknowledgement and loss. So the unit of account is the *departure*: all that left at one instant.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::state::State;

/// So many packets have to be acknowledged after the first acknowledgement to tell a rate, and with so many a train need not be over.
const LEAST_REST_PACKETS: f64 = 2.5;
const RIPE_REST_PACKETS: f64 = 12.0;

/// So many packet numbers of a train may be missing although nothing was lost: quinn skips some, and uses some for probes of the MTU.
const UNSEEN_PACKETS: f64 = 2.5;

/// At most so many packets of a train left for each that arrived: what is lost beyond that is no random loss.
const MOST_LOST: f64 = 1.5;

/// A receiver acknowledges every second packet: the first acknowledgement tells of so many. An acknowledgement of more than so many tells of arrivals in bunches.
const FIRST_PACKETS: f64 = 2.0;
const BUNCH_PACKETS: f64 = 4.5;

/// The circumstances of a departure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Bytes that had been acknowledged in all.
    pub(crate) delivered_bytes: u64,
    /// The loss ledger's phase.
    pub(crate) phase: u64,
    pub(crate) state: State,
    /// How far ahead of the capacity we were ([`Cycle::lead`](crate::cycle::Cycle::lead)), in seconds.
    pub(crate) lead: f64,
    /// Whether the application had less to send than the window allowed.
    pub(crate) app_limited: bool,
}

/// What left at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    pub(crate) at: Instant,
    pub(crate) stamp: Stamp,
    bytes: u64,
    /// The number of its last packet.
    last_packet: u64,
    acked: Acked,
}

/// When how much of a departure was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Acked {
    bytes: u64,
    /// At first, at last, and before that.
    first: Option<Seen>,
    last: Option<Seen>,
    before: Option<Seen>,
    /// The most that was acknowledged at one instant.
    most_bytes: u64,
    /// Whether what comes now left later than the rest.
    closed: bool,
    /// Whether the train has been told of.
    told: bool,
}

/// So much had been acknowledged by then.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    bytes: u64,
    /// The same with what had been lost before it; 0 if that is not known.
    passed_bytes: f64,
}

/// How packets arrived that had left back to back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Train {
    /// In bytes per second.
    pub(crate) rate: f64,
    /// Whether it tells enough without another beside it.
    pub(crate) tells: bool,
}

/// The most departures that are kept: some seconds' worth on the fastest paths. A peer that acknowledges nothing must not fill the memory.
const MAX_DEPARTURES: usize = 65_536;

/// The departures that may still be acknowledged, in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Departures(VecDeque<Departure>);

impl Departures {
    pub(crate) fn note_sent(&mut self, now: Instant, bytes: u64, last_packet: u64, stamp: Stamp) {
        match self.0.back_mut().filter(|last| last.at == now) {
            Some(last) => (last.bytes, last.last_packet) = (last.bytes + bytes, last_packet),
            None => {
                self.0.push_back(Departure { at: now, stamp, bytes, last_packet, acked: Acked::default() });
            }
        }
        if self.0.len() > MAX_DEPARTURES {
            self.0.pop_front();
        }
    }

    /// Notes that of what left at `sent`, the packet of this number is the last one acknowledged so far.
    pub(crate) fn note_largest(&mut self, now: Instant, sent: Instant, packet: u64) {
        let Some(index) = self.find(sent) else { return };
        let Some(before) = index.checked_sub(1).map(|before| self.0[before].last_packet) else { return };
        let departure = &mut self.0[index];
        // Packets of the handshake have numbers of their own.
        if (before + 1..=departure.last_packet).contains(&packet) {
            let share = (packet - before) as f64 / (departure.last_packet - before) as f64;
            departure.acked.note_passed(now, share * departure.bytes as f64);
        }
    }

    /// Notes that `bytes` of what left at `sent` were acknowledged. What is acknowledged a longest gap after the last waited for the pace.
    pub(crate) fn note_acked(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        longest_gap: Duration,
    ) -> Option<Departure> {
        let index = self.find(sent)?;
        let departure = &mut self.0[index];
        departure.acked.note(now, bytes, longest_gap);
        Some(*departure)
    }

    /// How the departure at `sent` has arrived so far, if that tells enough, or the one before it, which has arrived by now. Told once.
    pub(crate) fn take_train(&mut self, now: Instant, sent: Instant, mtu: f64) -> Option<Train> {
        let index = self.find(sent)?;
        let running = self.0[index].acked.take_train(now, mtu, true);
        running.or_else(|| self.0[index.checked_sub(1)?].acked.take_train(now, mtu, false))
    }

    /// What left at this instant.
    pub(crate) fn at(&self, sent: Instant) -> Option<&Departure> {
        self.find(sent).map(|index| &self.0[index])
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
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

impl Acked {
    fn note(&mut self, now: Instant, bytes: u64, longest_gap: Duration) {
        self.bytes += bytes;
        let seen = Seen { at: now, bytes: self.bytes, passed_bytes: 0.0 };
        match (&mut self.first, &mut self.last) {
            (Some(first), Some(last)) if last.at == now => {
                *last = seen;
                if first.at == now {
                    *first = seen;
                }
            }
            (Some(_), Some(last)) if now.saturating_duration_since(last.at) > longest_gap => {
                self.closed = true;
            }
            (Some(_), _) => self.before = self.last.replace(seen),
            (None, _) => (self.first, self.last) = (Some(seen), Some(seen)),
        }
        if !self.closed {
            let earlier_bytes = self.before.map_or(0, |before| before.bytes);
            self.most_bytes = self.most_bytes.max(self.bytes - earlier_bytes);
        }
    }

    fn note_passed(&mut self, now: Instant, passed_bytes: f64) {
        for seen in [&mut self.first, &mut self.last, &mut self.before].into_iter().flatten() {
            if seen.at == now {
                seen.passed_bytes = passed_bytes;
            }
        }
    }

    /// How fast what followed the first acknowledgement came. Told once; while the train is `running`, only if it is long already.
    fn take_train(&mut self, now: Instant, mtu: f64, running: bool) -> Option<Train> {
        let train = self.train(now, mtu, running).filter(|train| !self.told && (!running || train.tells))?;
        self.told = true;
        Some(train)
    }

    fn train(&self, now: Instant, mtu: f64, running: bool) -> Option<Train> {
        let (first, last) = (self.first?, self.last?);
        let before = self.before.filter(|before| before.at > first.at);
        let bunched = self.most_bytes as f64 > BUNCH_PACKETS * mtu;
        // The last bunch may be only begun, and a single last packet is acknowledged only with the next train.
        let end = match before {
            Some(before) if bunched || !running && last.at == now => before,
            _ => last,
        };
        let rest = (end.bytes - first.bytes) as f64;
        let span = end.at.saturating_duration_since(first.at).as_secs_f64();
        // Two bunches tell only bounds: all but the first packets came in that time, or only those of the second bunch.
        let part = bunched && before.is_none();
        if rest <= LEAST_REST_PACKETS * mtu || span <= 0.0 || part && running {
            return None;
        }
        let most = end.bytes as f64 - FIRST_PACKETS * mtu;
        // What was lost on the way took its time too, or made room for others; either way the path takes as much more as is sent.
        let passed = end.passed_bytes - first.passed_bytes;
        let is_known = !part && first.passed_bytes > 0.0 && passed > rest + UNSEEN_PACKETS * mtu;
        let lost = if is_known { (passed / rest).clamp(1.0, MOST_LOST) } else { 1.0 };
        let rate = lost * if part { (rest * most).sqrt() } else { rest } / span;
        Some(Train { rate, tells: bunched || rest > RIPE_REST_PACKETS * mtu })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const STAMP: Stamp =
        Stamp { delivered_bytes: 0, phase: 0, state: State::Startup, lead: 0.0, app_limited: false };
    const MTU: f64 = 1000.0;
    const GAP: Duration = Duration::from_millis(5);

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn what_leaves_at_one_instant_is_one_departure() {
        let (start, mut departures) = (Instant::now(), Departures::default());
        departures.note_sent(start, 500, 0, STAMP);
        departures.note_sent(start, 700, 1, Stamp { phase: 9, ..STAMP });
        departures.note_sent(ms(start, 1), 100, 2, STAMP);
        let first = departures.at(start).expect("known");
        assert_eq!((first.bytes, first.stamp.phase), (1200, 0));
        assert!(departures.at(ms(start, 2)).is_none());
    }

    /// One departure of so many bytes and another, of which nothing is acknowledged yet.
    fn sent(bytes: u64) -> (Instant, Departures) {
        let (start, mut departures) = (Instant::now(), Departures::default());
        departures.note_sent(start, bytes, bytes / 1000, STAMP);
        departures.note_sent(ms(start, 10), 10_000, bytes / 1000 + 10, STAMP);
        (start, departures)
    }

    /// What the next departure's first acknowledgement reveals of the one before it.
    fn told(departures: &mut Departures, start: Instant, at_ms: u64) -> Option<Train> {
        let (now, next) = (ms(start, at_ms), ms(start, 10));
        departures.note_acked(now, next, 2000, GAP);
        departures.take_train(now, next, MTU)
    }

    #[test]
    fn a_train_tells_the_rate_at_which_its_rest_came() {
        let (start, mut departures) = sent(10_000);
        // Two packets with the first acknowledgement, then two each millisecond: 2 MB/s.
        for step in 0..5 {
            departures.note_acked(ms(start, 100 + step), start, 2000, GAP);
            assert_eq!(departures.take_train(ms(start, 100 + step), start, MTU), None, "it is not over");
        }
        assert_eq!(told(&mut departures, start, 110), Some(Train { rate: 2e6, tells: false }));
        assert_eq!(told(&mut departures, start, 110), None, "it is told once");
    }

    #[test]
    fn a_long_train_need_not_be_over() {
        let (start, mut departures) = sent(30_000);
        let ripe = (0..15).find_map(|step| {
            departures.note_acked(ms(start, 100 + step), start, 2000, GAP);
            departures.take_train(ms(start, 100 + step), start, MTU).map(|train| (step, train))
        });
        assert_eq!(ripe, Some((7, Train { rate: 2e6, tells: true })));
        assert_eq!(told(&mut departures, start, 115), None, "it is told once");
    }

    /// Every fifth packet is lost: what arrives takes as long as if it had not been.
    #[test]
    fn what_was_lost_in_a_train_took_its_time_too() {
        let (start, mut departures) = (Instant::now(), Departures::default());
        departures.note_sent(start, 1000, 99, STAMP);
        let sent = ms(start, 1);
        departures.note_sent(sent, 30_000, 129, STAMP);
        let train = (0..6).find_map(|step| {
            let now = ms(start, 100 + 2 * step);
            departures.note_acked(now, sent, 4000, GAP);
            // The first packet of five.
            departures.note_largest(now, sent, 104 + 5 * step);
            departures.take_train(now, sent, MTU)
        });
        assert_eq!(train, Some(Train { rate: 2.5e6, tells: true }));
    }

    #[test]
    fn numbers_of_another_space_tell_nothing() {
        let (start, mut departures) = sent(30_000);
        let sent = ms(start, 10);
        departures.note_sent(sent, 10_000, 41, STAMP);
        for step in 0..8 {
            let now = ms(start, 100 + step);
            departures.note_acked(now, start, 2000, GAP);
            departures.note_largest(now, start, 500 + step);
            if let Some(train) = departures.take_train(now, start, MTU) {
                assert_eq!(train, Train { rate: 2e6, tells: true });
                return;
            }
        }
        panic!("a long train tells");
    }

    /// The last packet of an odd number is acknowledged only when the next train begins to arrive.
    #[test]
    fn a_straggler_takes_no_time() {
        let (start, mut departures) = sent(7000);
        for step in 0..3 {
            departures.note_acked(ms(start, 100 + step), start, 2000, GAP);
        }
        departures.note_acked(ms(start, 104), start, 1000, GAP);
        assert_eq!(told(&mut departures, start, 104), Some(Train { rate: 2e6, tells: false }));
    }

    /// quinn stamps the next packets before they wait for the pace.
    #[test]
    fn what_had_to_wait_is_no_part_of_the_train() {
        let (start, mut departures) = sent(20_000);
        for step in [0, 1, 2, 3, 4, 15, 16, 17] {
            departures.note_acked(ms(start, 100 + step), start, 2000, GAP);
        }
        assert_eq!(told(&mut departures, start, 118), Some(Train { rate: 2e6, tells: false }));
    }

    /// Of bunches only whole ones tell a rate: not the first one, which may have begun late, nor the last, which may have ended early.
    #[test]
    fn bunches_tell_the_rate_of_whole_ones() {
        let (start, mut departures) = sent(30_000);
        for (step, packets) in [(0, 5), (1, 8), (2, 8), (3, 3)] {
            departures.note_acked(ms(start, 100 + step), start, packets * 1000, GAP);
        }
        let train = departures.take_train(ms(start, 103), start, MTU);
        assert_eq!(train, Some(Train { rate: 8e6, tells: true }));
    }

    #[test]
    fn short_trains_tell_nothing() {
        let (start, mut departures) = sent(4000);
        for step in 0..2 {
            departures.note_acked(ms(start, 100 + step), start, 2000, GAP);
        }
        assert_eq!(told(&mut departures, start, 105), None);
    }

    #[test]
    fn old_departures_are_forgotten_and_the_last_two_kept() {
        let (start, mut departures) = (Instant::now(), Departures::default());
        for step in 0..10 {
            departures.note_sent(ms(start, step), 1000, step, STAMP);
        }
        departures.forget_before(ms(start, 4));
        assert!(departures.at(ms(start, 3)).is_none() && departures.at(ms(start, 4)).is_some());
        departures.forget_before(ms(start, 1000));
        assert!(departures.at(ms(start, 7)).is_none() && departures.at(ms(start, 8)).is_some());
    }
}
