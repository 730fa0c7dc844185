//! Datagrams that are worth sending twice.
//!
//! Where losing one costs a round trip or more and there is nothing else to send, a copy is cheaper than a repair: in the
//! handshake, of which one loss in its half a dozen datagrams costs more than a round trip, and in the tail of a transfer on a
//! path that loses packets. The peer drops the second copy by its packet number (RFC 9000 section 12.3).

use quinn::Side;

/// Copies that may leave before anything else was sent, in bytes: those of a client's handshake.
const FIRST_CREDIT_BYTES: usize = 16 * 1024;

/// Copies are one byte in so many of all that is sent, beyond the first.
const SHARE: usize = 20;

/// More credit is not saved up, in bytes: the tail of a transfer is a round trip of a path, and mostly less.
const MOST_CREDIT_BYTES: usize = 256 * 1024;

/// Decides which datagrams of a connection leave more than once. What that costs is bounded, whatever the controller thinks of
/// the path.
#[derive(Debug)]
pub(crate) struct Repeats {
    side: Side,
    credit_bytes: usize,
}

impl Repeats {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, credit_bytes: FIRST_CREDIT_BYTES }
    }

    /// How many more copies of `datagrams`, which leave now, are to leave; `wanted` is what the controller would have in a tail.
    pub(crate) fn copies(&mut self, datagrams: &[u8], wanted: u64) -> u64 {
        let bytes = datagrams.len();
        let copies = match is_handshake(datagrams) {
            false => wanted,
            // A server may send three times what it got as long as it does not know who asks (RFC 9000 section 8.1). quinn counts what
            // it sends, but not our copies.
            true => u64::from(self.side.is_client()),
        };
        self.credit_bytes = (self.credit_bytes + bytes / SHARE).min(MOST_CREDIT_BYTES);
        let mut allowed = 0;
        while allowed < copies && self.credit_bytes >= bytes {
            self.credit_bytes -= bytes;
            allowed += 1;
        }
        allowed
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

    #[test]
    fn a_client_repeats_its_handshake() {
        let mut repeats = Repeats::new(Side::Client);
        assert_eq!(repeats.copies(&datagram(true, 2400), 0), 1);
        assert_eq!(repeats.copies(&datagram(true, 1200), 0), 1);
        assert_eq!(repeats.copies(&datagram(false, 1200), 0), 0);
    }

    #[test]
    fn a_server_does_not_since_strangers_must_not_have_it_send_more_than_they_pay_for() {
        assert_eq!(Repeats::new(Side::Server).copies(&datagram(true, 1200), 2), 0);
    }

    #[test]
    fn copies_in_a_tail_are_a_twentieth_of_everything_at_most() {
        let mut repeats = Repeats::new(Side::Client);
        let tail = datagram(false, 1452);
        let copies: u64 = (0..10_000).map(|_| repeats.copies(&tail, 2)).sum();
        let bytes = copies as usize * 1452;
        let most = FIRST_CREDIT_BYTES + 10_000 * (1452 / SHARE);
        assert!(bytes <= most && bytes > most - 2 * 1452, "{bytes} of {most}");
        assert_eq!(Repeats::new(Side::Client).copies(&tail, 2), 2);
    }

    #[test]
    fn credit_for_a_tail_is_saved_while_there_is_much_to_send_but_not_for_ever() {
        let mut repeats = Repeats::new(Side::Server);
        let batch = datagram(false, 14_520);
        for _ in 0..1000 {
            assert_eq!(repeats.copies(&batch, 0), 0);
        }
        assert_eq!(repeats.credit_bytes, MOST_CREDIT_BYTES);
    }
}
