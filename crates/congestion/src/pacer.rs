//! Keeping the pace that a controller decides, for a socket or a simulation.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::signals::Signals;

/// How far a pacer may catch up, in seconds of the pace: a timer that rings late, or a processor that was busy elsewhere, must
/// not lower the rate.
const CREDIT: Duration = Duration::from_millis(2);

/// The pacer of one connection. Decides when datagrams may leave; whoever sends them waits.
#[derive(Clone, Debug)]
pub struct Pacer {
    signals: Arc<Signals>,
    /// When the next datagram may leave.
    next: Option<Instant>,
    /// What of the running train may leave before that, in bytes.
    train_bytes: u64,
}

impl Pacer {
    /// A pacer that follows these signals.
    #[must_use]
    pub fn new(signals: Arc<Signals>) -> Self {
        Self { signals, next: None, train_bytes: 0 }
    }

    /// How many datagrams of this length, in bytes, may leave back to back: as many as make up about a millisecond, and at least
    /// 1. Any number where nobody limits the rate.
    #[must_use]
    pub fn max_datagrams(&self, datagram_bytes: usize) -> usize {
        let quantum_bytes = match (self.signals.quantum_bytes(), self.signals.max_rate()) {
            (0, None) => u64::MAX,
            // A millisecond of the cap, where no controller says how much may leave at once.
            (0, Some(rate)) => rate / 1000,
            (quantum_bytes, _) => quantum_bytes,
        };
        (usize::try_from(quantum_bytes).unwrap_or(usize::MAX) / datagram_bytes.max(1)).max(1)
    }

    /// When the next datagram may leave; none when that is now.
    #[must_use]
    pub fn not_before(&self, now: Instant) -> Option<Instant> {
        let waits = self.train_bytes == 0 && self.signals.limit_bytes_per_s().is_some();
        self.next.filter(|next| *next > now && waits)
    }

    /// Notes that `bytes` of UDP payload have left, whether or not it was their time.
    pub fn note_sent(&mut self, now: Instant, bytes: usize) {
        let Some(pace_bytes_per_s) = self.signals.limit_bytes_per_s() else { return };
        let gap = Duration::from_secs_f64(bytes as f64 / pace_bytes_per_s as f64);
        // A train begins when something is due.
        let train_bytes = match self.next {
            Some(next) if next > now => self.train_bytes,
            _ => self.signals.train_bytes(),
        };
        self.train_bytes = train_bytes.saturating_sub(bytes as u64);
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        self.next = Some(self.next.map_or(now, |next| next.max(earliest)) + gap);
    }

    /// Asks whether `bytes` of UDP payload may leave now, and takes note that they do.
    ///
    /// # Errors
    /// When they may.
    pub fn offer(&mut self, now: Instant, bytes: usize) -> Result<(), Instant> {
        if let Some(next) = self.not_before(now) {
            return Err(next);
        }
        self.note_sent(now, bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(pace_bytes_per_s: f64) -> (Pacer, Instant) {
        let signals = Arc::new(Signals::default());
        signals.set_pace(pace_bytes_per_s, 3000.0);
        (Pacer::new(signals), Instant::now())
    }

    #[test]
    fn datagrams_leave_at_the_pace() {
        let (mut pacer, start) = pacer(1e6);
        assert_eq!(pacer.offer(start, 1000), Ok(()));
        let next = start + Duration::from_millis(1);
        assert_eq!(pacer.offer(start, 1000), Err(next));
        assert_eq!(pacer.offer(next, 1000), Ok(()));
        assert_eq!(pacer.offer(next, 1000), Err(next + Duration::from_millis(1)));
    }

    #[test]
    fn a_late_sender_catches_up_but_not_for_ever() {
        let (mut pacer, start) = pacer(1e6);
        assert_eq!(pacer.offer(start, 1000), Ok(()));
        let late = start + Duration::from_secs(1);
        let at_once = (0..10).take_while(|_| pacer.offer(late, 1000).is_ok()).count();
        assert_eq!(at_once, 3, "two milliseconds' worth, and the one that is due");
    }

    #[test]
    fn a_train_leaves_at_once_and_is_paid_for() {
        let (mut pacer, start) = pacer(1e6);
        pacer.signals.set_train(4000.0);
        let leave_at =
            |pacer: &mut Pacer, now| (0..10).take_while(|_| pacer.offer(now, 1000).is_ok()).count();
        assert_eq!(leave_at(&mut pacer, start), 4);
        let due = start + Duration::from_millis(4);
        assert_eq!(pacer.offer(start, 1000), Err(due));
        assert_eq!(leave_at(&mut pacer, due), 4);
        pacer.signals.set_train(0.0);
        assert_eq!(leave_at(&mut pacer, start + Duration::from_millis(8)), 1);
    }

    #[test]
    fn a_cap_holds_with_and_without_a_pace() {
        for pace_bytes_per_s in [0.0, 1e7] {
            let (mut pacer, start) = pacer(pace_bytes_per_s);
            pacer.signals.set_max_rate(Some(1_000_000));
            assert_eq!(pacer.offer(start, 1000), Ok(()));
            assert_eq!(pacer.offer(start, 1000), Err(start + Duration::from_millis(1)));
            pacer.signals.set_max_rate(None);
            assert_eq!(pacer.offer(start, 1000).is_ok(), pace_bytes_per_s == 0.0);
        }
    }

    #[test]
    fn without_a_pace_everything_leaves() {
        let (mut pacer, start) = pacer(0.0);
        assert!((0..1000).all(|_| pacer.offer(start, 65_000).is_ok()));
        assert_eq!(pacer.max_datagrams(1000), 3);
        pacer.signals.clear();
        assert!(pacer.max_datagrams(1000) > 1000);
        pacer.signals.set_max_rate(Some(4_000_000));
        assert_eq!((pacer.max_datagrams(1000), pacer.max_datagrams(9000)), (4, 1));
    }
}
