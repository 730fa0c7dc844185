//! Datagrams that are worth sending twice.
//!
//! Where losing one costs a round trip or more and there is nothing else to send, a copy is cheaper than a repair: in the
//! handshake, of which one loss in its half a dozen datagrams costs more than a round trip, and in the tail of a transfer on a
//! path that loses packets. A single request or reply has nothing behind it either. The peer drops the second copy by its packet number (RFC 9000 section 12.3).

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use quinn::Side;

/// Copies that may leave before anything else was sent, in bytes: those of a client's handshake.
const FIRST_CREDIT_BYTES: usize = 16 * 1024;

/// Copies are one byte in so many of all that is sent, beyond the first.
const SHARE: usize = 20;

/// More credit is not saved up, in bytes: four times what two copies of all that a path of 100 Mbit/s and 100 ms loses of a round trip's worth
/// take, at 20 %.
const MOST_CREDIT_BYTES: usize = 2 * 1024 * 1024;

/// So many datagrams after the handshake leave twice: Hello and the first request, Welcome and the first reply. Everything behind
/// them waits for each of them, a window of bulk data among it. More copies would stretch the trains of start-up: with four, 10 MB over 100 Mbit/s
/// and 100 ms took 8 ms longer where nothing is lost.
const GREETING_DATAGRAMS: u32 = 2;

/// Acknowledgements alone are shorter, in bytes, and probes for a larger datagram longer.
const GREETING_BYTES: RangeInclusive<usize> = 51..=1200;

/// A request or a reply, in bytes: shorter ones are probes, and most longer ones bulk data.
const AWAITED_BYTES: RangeInclusive<usize> = 33..=256;

/// So many copies of one datagram at most. They take their place in the pace, and what leaves next waits for it.
const MOST_COPIES: u64 = 2;

/// So many packets may be lost for another time, on average, when there are copies enough.
const BEARABLE_PACKETS: f64 = 0.05;

/// For so long another path counts as unproven. To prove it takes a round trip, or a few where packets get lost.
const UNPROVEN: Duration = Duration::from_secs(3);

/// A packet of bulk data, in bytes, more or less.
const PACKET_BYTES: f64 = 1400.0;

/// So few packets in flight may all be repairs.
const LAST_PACKETS: f64 = 4.0;

/// The share of the credit that the repairs of one round trip may take. Of the next round trip's there are fewer, so that as much goes much
/// further.
const SPENT: f64 = 0.5;

/// The tail of a transfer, in which nothing but repairs is left to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) in_flight_bytes: u64,
    /// The ratio of packets that the path loses.
    pub(crate) loss: f64,
}

impl Ending {
    /// What is going to be repaired yet, in packets.
    fn repairs(self) -> f64 {
        let in_flight = self.in_flight_bytes as f64 / PACKET_BYTES;
        (self.loss() * in_flight).max(in_flight.min(LAST_PACKETS)).max(1.0)
    }

    fn loss(self) -> f64 {
        self.loss.clamp(0.01, 0.5)
    }

    /// How many copies of each repair are worth sending, given what all copies to come may take. Each loss of a repair costs more than a
    /// round trip, so at best no repair is lost with all its copies. What would not do for all that is missing is kept: the later it is the
    /// fewer they are, and the last ones decide when the transfer ends.
    fn copies(self, credit_bytes: usize) -> u64 {
        let repairs = self.repairs();
        let needed = (repairs / BEARABLE_PACKETS).ln() / -self.loss().ln() - 1.0;
        let affordable = SPENT * credit_bytes as f64 / (repairs * PACKET_BYTES);
        needed.ceil().min(affordable.floor()).max(0.0) as u64
    }
}

/// Decides which datagrams of a connection leave more than once. What that costs is bounded, whatever the controller thinks of
/// the path.
#[derive(Debug)]
pub(crate) struct Repeats {
    side: Side,
    credit_bytes: usize,
    /// How many more leave twice because they are among the first.
    greeting_datagrams: u32,
    /// Whether somebody waits for what leaves next.
    is_awaited: bool,
    /// On how many paths the connection has been, and until when there are no copies on the last.
    paths: u32,
    none_before: Option<Instant>,
}

/// Copies that are to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copies {
    pub(crate) count: u64,
    /// Of what left, so many bytes from the beginning.
    pub(crate) bytes: usize,
}

impl Repeats {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            credit_bytes: FIRST_CREDIT_BYTES,
            greeting_datagrams: GREETING_DATAGRAMS,
            is_awaited: false,
            paths: 0,
            none_before: None,
        }
    }

    /// The connection is on another path. Nobody has shown yet that a server's datagrams are wanted there, and until then it may send three
    /// times what it gets (RFC 9000 section 9.3), for which quinn does not count copies.
    pub(crate) fn begin_path(&mut self, now: Instant) {
        self.paths += 1;
        if self.side.is_server() && self.paths > 1 {
            self.none_before = Some(now + UNPROVEN);
        }
    }

    /// Which copies of `datagrams` are to leave right behind them, each as long as `segment_bytes` but for the last; in the tail of a
    /// transfer or before.
    pub(crate) fn copies(
        &mut self,
        datagrams: &[u8],
        segment_bytes: Option<usize>,
        ending: Option<Ending>,
        now: Instant,
    ) -> Copies {
        if self.none_before.is_some_and(|before| now < before) {
            return Copies { count: 0, bytes: 0 };
        }
        self.credit_bytes = (self.credit_bytes + datagrams.len() / SHARE).min(MOST_CREDIT_BYTES);
        let first_bytes = segment_bytes.unwrap_or(datagrams.len());
        let wanted = if is_handshake(datagrams) {
            // A server's wait until it is known that they are paid for (see `stranger`).
            Copies { count: u64::from(self.side.is_client()), bytes: datagrams.len() }
        } else if self.is_greeting(first_bytes) {
            self.is_awaited = false;
            Copies { count: 1, bytes: first_bytes }
        } else if self.is_awaited && AWAITED_BYTES.contains(&datagrams.len()) {
            self.is_awaited = false;
            Copies { count: 2, bytes: datagrams.len() }
        } else {
            let count = ending.map_or(0, |ending| ending.copies(self.credit_bytes).min(MOST_COPIES));
            Copies { count, bytes: datagrams.len() }
        };
        self.allow(wanted)
    }

    /// Somebody waits for what leaves next: a request or a reply.
    pub(crate) fn expect(&mut self) {
        self.is_awaited = true;
    }

    fn is_greeting(&mut self, bytes: usize) -> bool {
        let is_greeting = self.greeting_datagrams > 0 && GREETING_BYTES.contains(&bytes);
        self.greeting_datagrams -= u32::from(is_greeting);
        is_greeting
    }

    fn allow(&mut self, wanted: Copies) -> Copies {
        let affordable = (self.credit_bytes / wanted.bytes.max(1)) as u64;
        let count = wanted.count.min(affordable);
        self.credit_bytes -= count as usize * wanted.bytes;
        Copies { count, ..wanted }
    }
}

/// Whether the first packet has a long header (RFC 9000 section 17.2).
pub(crate) fn is_handshake(datagrams: &[u8]) -> bool {
    datagrams.first().is_some_and(|first| first & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(is_handshake: bool, bytes: usize) -> Vec<u8> {
        let mut datagram = vec![0x40; bytes];
        datagram[0] |= u8::from(is_handshake) << 7;
        datagram
    }

    fn count(repeats: &mut Repeats, datagrams: &[u8], ending: Option<Ending>) -> u64 {
        repeats.copies(datagrams, None, ending, Instant::now()).count
    }

    /// Of a connection whose first datagrams have left.
    fn greeted(side: Side) -> Repeats {
        Repeats { greeting_datagrams: 0, ..Repeats::new(side) }
    }

    fn ending(packets: u64, loss: f64) -> Option<Ending> {
        Some(Ending { in_flight_bytes: packets * 1400, loss })
    }

    #[test]
    fn a_client_repeats_its_handshake() {
        let mut repeats = Repeats::new(Side::Client);
        assert_eq!(count(&mut repeats, &datagram(true, 2400), None), 1);
        assert_eq!(count(&mut repeats, &datagram(true, 1200), None), 1);
        assert_eq!(count(&mut greeted(Side::Client), &datagram(false, 1200), None), 0);
    }

    #[test]
    fn a_server_does_not_since_strangers_must_not_have_it_send_more_than_they_pay_for() {
        assert_eq!(count(&mut Repeats::new(Side::Server), &datagram(true, 1200), ending(1, 0.5)), 0);
    }

    #[test]
    fn the_first_datagrams_leave_twice_and_of_a_batch_its_first() {
        let mut repeats = Repeats::new(Side::Client);
        for (bytes, segment_bytes, first_bytes) in
            [(36, None, 0), (138, None, 138), (1326, None, 0), (12_000, Some(1200), 1200)]
        {
            let copies = repeats.copies(&datagram(false, bytes), segment_bytes, None, Instant::now());
            assert_eq!(copies.count as usize * copies.bytes, first_bytes, "of {bytes}");
        }
        assert_eq!(count(&mut repeats, &datagram(false, 1200), None), 0, "there were two");
    }

    #[test]
    fn a_request_or_a_reply_leaves_three_times_and_nothing_else_with_it() {
        let mut repeats = greeted(Side::Server);
        assert_eq!(count(&mut repeats, &datagram(false, 86), None), 0);
        repeats.expect();
        for (bytes, copies) in [(30, 0), (1452, 0), (86, 2), (86, 0)] {
            assert_eq!(count(&mut repeats, &datagram(false, bytes), None), copies, "of {bytes}");
        }
        let mut left = 0;
        for _ in 0..10_000 {
            repeats.expect();
            left += 86 * count(&mut repeats, &datagram(false, 86), None);
        }
        assert!(left <= (FIRST_CREDIT_BYTES + 10_000 * 86 / SHARE) as u64, "{left}");
    }

    #[test]
    fn copies_in_a_tail_are_a_twentieth_of_everything_at_most() {
        let mut repeats = greeted(Side::Client);
        let tail = datagram(false, 1452);
        let copies: u64 = (0..10_000).map(|_| count(&mut repeats, &tail, ending(3, 0.3))).sum();
        let bytes = copies as usize * 1452;
        let most = FIRST_CREDIT_BYTES + 10_000 * (1452 / SHARE);
        assert!(bytes <= most && bytes > most - 10 * 1452, "{bytes} of {most}");
    }

    #[test]
    fn there_are_as_many_copies_as_it_takes_for_all_that_is_missing() {
        let copies = |packets, loss, credit_packets: usize| {
            let credit_bytes = credit_packets * 1400;
            let mut repeats = Repeats { credit_bytes, ..greeted(Side::Client) };
            count(&mut repeats, &datagram(false, 1400), ending(packets, loss))
        };
        // Of 1,000 packets 200 will be lost, and with two copies each 1.6 of them for another time.
        assert_eq!((copies(1000, 0.2, 1400), copies(1000, 0.2, 790)), (2, 1), "a half of what there is");
        assert_eq!(copies(1000, 0.2, 390), 0, "kept for later");
        assert_eq!(copies(190, 0.2, 390), 2);
        assert_eq!((copies(3, 0.2, 190), copies(3, 0.01, 190), copies(1, 0.2, 190)), (2, 0, 1));
    }

    #[test]
    fn credit_for_a_tail_is_saved_while_there_is_much_to_send_but_not_for_ever() {
        let mut repeats = greeted(Side::Server);
        let batch = datagram(false, 14_520);
        for _ in 0..4000 {
            assert_eq!(count(&mut repeats, &batch, None), 0);
        }
        assert_eq!(repeats.credit_bytes, MOST_CREDIT_BYTES);
    }

    #[test]
    fn a_server_makes_no_copies_on_a_path_that_nobody_has_proven() {
        let start = Instant::now();
        for (side, copies) in [(Side::Server, 0), (Side::Client, 1)] {
            let mut repeats = Repeats::new(side);
            repeats.begin_path(start);
            assert_eq!(repeats.copies(&datagram(false, 100), None, None, start).count, 1, "the first path");
            repeats.begin_path(start);
            assert_eq!(repeats.copies(&datagram(false, 100), None, None, start).count, copies, "{side:?}");
        }
    }
}
