//! How much of a transfer is in flight.
//!
//! Too little and the path idles; but what is cut and asked for cannot be cut anew when the path turns out to be a slow one.
//! So a transfer begins with a little and goes along with what the path carries. Whoever sends knows that from its congestion
//! controller; whoever receives, from what arrives.

use std::time::Duration;

use fulmar_transport::Stats;

/// What is in flight before anything is known of the path, in bytes.
pub(super) const FIRST_BYTES: u64 = 4 << 20;

/// The most that is in flight of one transfer, in bytes: six times 1 Gbit/s and 200 ms.
const MOST_BYTES: u64 = 160 << 20;

/// The most ranges in flight: a half of the commands that a server takes at once.
pub(super) const MOST_RANGES: usize = 128;

/// How often to see whether more should be in flight, while no range ends. Short beside the round trip of any path that
/// takes so much.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// So many congestion windows a sender has in flight. What is lost waits for its repair while the path goes on: at 20 % loss
/// some packet of a window is lost six times in a row. The window of the default controller is half as much again as the path
/// holds.
const WINDOWS: u64 = 6;

/// So many where nothing waits for repairs: one on its way, one that the receiver writes and answers, and one that is read meanwhile.
const WINDOWS_WITHOUT_LOSS: u64 = 3;

/// A path that has lost fewer than one in so many packets counts as one that loses none. Where packets do get lost, the first of them
/// tells within a round trip or two.
const PACKETS_WITHOUT_LOSS: u64 = 1000;

/// What a receiver has in flight: so many seconds of what arrives. The first round trip brings only the first window, over
/// which the sender knows its path and fills it in the next.
const SECONDS: f64 = 8.0;

/// Less than this that has arrived says nothing yet, in bytes.
const TELLING_BYTES: u64 = 32 << 10;

/// Shorter than this it says nothing yet either.
const TELLING_TIME: Duration = Duration::from_millis(5);

/// What a sender has in flight.
pub(super) fn of_sender(stats: &Stats) -> u64 {
    let lossless = stats.lost_packets.saturating_mul(PACKETS_WITHOUT_LOSS) <= stats.sent_packets;
    let windows = if lossless { WINDOWS_WITHOUT_LOSS } else { WINDOWS };
    stats.used_window_bytes.saturating_mul(windows).clamp(FIRST_BYTES, MOST_BYTES)
}

/// What a receiver knows of its path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrivals {
    /// The highest rate so far, in bytes per second.
    peak_bytes_per_s: f64,
    /// The rate so far, in bytes per second; none as long as nothing can be said.
    rate_bytes_per_s: Option<f64>,
}

impl Arrivals {
    /// Takes note of what has arrived since the first packet of the transfer.
    pub(super) fn note(&mut self, received_bytes: u64, elapsed: Duration) {
        if received_bytes < TELLING_BYTES || elapsed < TELLING_TIME {
            return;
        }
        let rate = received_bytes as f64 / elapsed.as_secs_f64();
        self.rate_bytes_per_s = Some(rate);
        self.peak_bytes_per_s = self.peak_bytes_per_s.max(rate);
    }

    /// What is in flight on this path.
    pub(super) fn in_flight_bytes(&self) -> u64 {
        ((self.peak_bytes_per_s * SECONDS) as u64).clamp(FIRST_BYTES, MOST_BYTES)
    }

    /// What the path carries in a second, in bytes; none as long as nothing can be said.
    pub(super) fn second_bytes(&self) -> Option<u64> {
        self.rate_bytes_per_s.map(|rate| rate as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sender(used_window_bytes: u64, sent_packets: u64, lost_packets: u64) -> u64 {
        of_sender(&Stats { used_window_bytes, sent_packets, lost_packets, ..Stats::default() })
    }

    #[test]
    fn a_sender_goes_along_with_what_it_uses_of_its_window() {
        assert_eq!(sender(0, 0, 0), FIRST_BYTES);
        assert_eq!(sender(10 << 20, 100, 1), 60 << 20);
        assert_eq!(sender(u64::MAX, 0, 0), MOST_BYTES);
    }

    #[test]
    fn where_nothing_gets_lost_less_is_in_flight() {
        let in_flight = |sent, lost| sender(10 << 20, sent, lost) >> 20;
        assert_eq!((in_flight(0, 0), in_flight(10, 1)), (30, 60));
        assert_eq!((in_flight(5000, 5), in_flight(5000, 6)), (30, 60));
        assert_eq!(in_flight(1000, 1000), 60);
    }

    #[test]
    fn a_receiver_goes_along_with_what_arrives() {
        let mut arrivals = Arrivals::default();
        let ms = Duration::from_millis;
        arrivals.note(TELLING_BYTES - 1, ms(1000));
        arrivals.note(1 << 20, ms(4));
        assert_eq!((arrivals.in_flight_bytes(), arrivals.second_bytes()), (FIRST_BYTES, None));
        // The first window of a path, over 25 ms: enough for what 1 Gbit/s and 200 ms hold.
        arrivals.note(92_000, ms(25));
        assert!(arrivals.in_flight_bytes() > 25_000_000);
        // Then there is nothing until the next round trip; what was seen was not wrong.
        arrivals.note(92_000, ms(200));
        assert!(arrivals.in_flight_bytes() > 25_000_000);
        assert_eq!(arrivals.second_bytes(), Some(460_000));
    }

    #[test]
    fn on_a_slow_path_little_is_in_flight() {
        let mut arrivals = Arrivals::default();
        for packets in 1..200u32 {
            arrivals.note(u64::from(packets) * 1452, packets * Duration::from_micros(11_600));
        }
        assert_eq!(arrivals.in_flight_bytes(), FIRST_BYTES);
        assert!(arrivals.second_bytes().is_some_and(|second| second < 128 << 10));
    }

    proptest! {
        #[test]
        fn whatever_arrives_the_bounds_hold(notes in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20)) {
            let mut arrivals = Arrivals::default();
            for (bytes, nanos) in notes {
                arrivals.note(bytes, Duration::from_nanos(nanos));
                prop_assert!((FIRST_BYTES..=MOST_BYTES).contains(&arrivals.in_flight_bytes()));
            }
        }
    }
}
