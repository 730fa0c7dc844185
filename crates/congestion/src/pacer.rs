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
}

impl Pacer {
    /// A pacer that follows these signals.
    #[must_use]
    pub fn new(signals: Arc<Signals>) -> Self {
        Self { signals, next: None }
    }

    /// How many datagrams of this length, in bytes, may leave back to back: at least 1, and as many as make up about a
    /// millisecond.
    #[must_use]
    pub fn max_datagrams(&self, datagram_bytes: usize) -> usize {
        usize::try_from(self.signals.quantum_bytes()).unwrap_or(usize::MAX) / datagram_bytes.max(1)
    }

    /// Asks whether `bytes` of UDP payload may leave now.
    ///
    /// # Errors
    /// When they may.
    pub fn offer(&mut self, now: Instant, bytes: usize) -> Result<(), Instant> {
        let pace_bytes_per_s = self.signals.pace_bytes_per_s();
        if pace_bytes_per_s == 0 {
            return Ok(());
        }
        if let Some(next) = self.next.filter(|next| *next > now) {
            return Err(next);
        }
        let gap = Duration::from_secs_f64(bytes as f64 / pace_bytes_per_s as f64);
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        self.next = Some(self.next.map_or(now, |next| next.max(earliest)) + gap);
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
    fn without_a_pace_everything_leaves() {
        let (mut pacer, start) = pacer(0.0);
        assert!((0..1000).all(|_| pacer.offer(start, 65_000).is_ok()));
        assert_eq!(pacer.max_datagrams(1000), 3);
    }
}
