//! How much of its congestion window a connection makes use of.
//!
//! A window that is never full, because the application, the peer's credit or the processors are slower than the path, goes on growing
//! and says nothing about the path (RFC 9002 section 7.8). What was in flight does (RFC 7661 section 4.1 calls it pipeACK).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The shortest time over which the most in flight is taken.
const LEAST_EPOCH: Duration = Duration::from_millis(100);

/// The least time over which it is taken, in round trips.
const EPOCH_ROUND_TRIPS: u32 = 4;

/// What is in flight, and the most that was of late.
#[derive(Debug, Default)]
pub(crate) struct WindowUsage(Mutex<Flight>);

#[derive(Debug, Default)]
struct Flight {
    bytes: u64,
    rtt: Duration,
    /// The most of the running epoch, and of the one before.
    most_bytes: [u64; 2],
    began: Option<Instant>,
    last_sent: Option<Instant>,
}

impl WindowUsage {
    pub(crate) fn note_sent(&self, now: Instant, bytes: u64) {
        let mut flight = self.flight();
        flight.turn(now);
        flight.bytes = flight.bytes.saturating_add(bytes);
        flight.most_bytes[0] = flight.most_bytes[0].max(flight.bytes);
    }

    /// What quinn says is in flight after acknowledgements, and its estimate of the round trip (RFC 9002 section 5.3).
    pub(crate) fn note_acked(&self, in_flight: u64, rtt: Option<Duration>) {
        let mut flight = self.flight();
        flight.bytes = in_flight;
        flight.rtt = rtt.unwrap_or(flight.rtt);
    }

    /// The most that was in flight at once of late, in bytes. Time in which nothing was sent does not count.
    pub(crate) fn most_bytes(&self) -> u64 {
        let [running, before] = self.flight().most_bytes;
        running.max(before)
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        // Consistent at every point where a thread could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Begins another epoch when the running one is over.
    fn turn(&mut self, now: Instant) {
        let epoch = LEAST_EPOCH.max(self.rtt * EPOCH_ROUND_TRIPS);
        let silence = self.last_sent.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last_sent = Some(now);
        let began = *self.began.get_or_insert(now);
        if silence > epoch {
            self.began = Some(now);
        } else if now.saturating_duration_since(began) > epoch {
            self.began = Some(now);
            self.most_bytes = [0, self.most_bytes[0]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_most_in_flight_is_remembered_for_an_epoch_and_no_longer_than_two() {
        let (usage, start) = (WindowUsage::default(), Instant::now());
        usage.note_acked(0, Some(ms(100)));
        usage.note_sent(start, 3000);
        usage.note_sent(start, 2000);
        assert_eq!(usage.most_bytes(), 5000);
        usage.note_acked(1000, None);
        for at in (50..=1200).step_by(50) {
            usage.note_sent(start + ms(at), 500);
            usage.note_acked(1000, None);
            let expected = if at < 900 { 5000 } else { 1500 };
            assert_eq!(usage.most_bytes(), expected, "after {at} ms");
        }
    }

    #[test]
    fn idle_time_makes_nothing_forgotten() {
        let (usage, start) = (WindowUsage::default(), Instant::now());
        usage.note_sent(start, 5000);
        usage.note_acked(0, Some(ms(10)));
        for minute in 1..5 {
            usage.note_sent(start + ms(60_000 * minute), 100);
            usage.note_acked(0, None);
            assert_eq!(usage.most_bytes(), 5000);
        }
    }
}
