//! The end of a transfer on a path that loses packets.
//!
//! A lost packet is noticed when later ones are acknowledged. Behind the last ones of a transfer there are none, so quinn
//! waits for a probe timeout (RFC 9002 section 6.2), about one and a half round trips, and then sends two packets. Here a
//! sender that has fallen silent with packets in flight sends probes of one byte, in datagrams (RFC 9221) that the peer drops.
//! Behind a gap the peer acknowledges each at once, so that the loss is noticed after one and a quarter round trips, as it would be in the
//! middle. RFC 8985 calls this a tail loss probe.
//!
//! Acknowledgements alone are not acknowledged, and so no tail. The controller, which is told of every packet, cannot tell them from
//! others; what quinn counts of frames can.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use quinn::FrameStats;
use tokio::{sync::Notify, task::JoinHandle};

use super::Lane;
use crate::tuning;

/// The most probes behind the same packets. Their distances grow, and the last comes six round trips later.
const MAX_PROBES: u32 = 8;

/// The part of a round trip after which a sender counts as silent: less than that is only the pace.
const SILENT_SHARE: u32 = 8;

/// So soon after the last packet no probe is sent, however short the round trip: there a probe timeout is short too.
const LEAST_SILENCE: Duration = Duration::from_millis(1);

/// What probes and most acknowledgements stay below, in bytes: something longer begins a new tail.
const SHORT_BYTES: u64 = 256;

/// What is known of the packets in flight, to tell when a probe is due.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    flight: Mutex<Flight>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Flight {
    bytes: u64,
    last_sent: Option<Instant>,
    rtt: Option<Duration>,
    probes: u32,
    /// How often a packet left while nothing was in flight.
    beginnings: u64,
    /// How many packets have left.
    packets: u64,
}

/// A probe that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    /// Of which tail.
    beginning: u64,
    /// Behind how many packets.
    packets: u64,
}

impl Flight {
    /// When the next probe is due; none while nothing is in flight, or when enough were sent.
    fn due(&self) -> Option<Instant> {
        let last_sent = self.last_sent.filter(|_| self.bytes > 0 && self.probes < MAX_PROBES)?;
        let silence = self.rtt.unwrap_or(tuning::INITIAL_RTT) / SILENT_SHARE;
        // Half as much again after each.
        let grown = silence.saturating_mul(3u32.pow(self.probes)) / 2u32.pow(self.probes);
        Some(last_sent + grown.max(LEAST_SILENCE))
    }
}

impl Tail {
    pub(crate) fn note_sent(&self, now: Instant, bytes: u64) {
        let mut flight = self.flight();
        let was_due = flight.due().is_some();
        flight.beginnings += u64::from(flight.bytes == 0);
        if flight.bytes == 0 || bytes > SHORT_BYTES {
            flight.probes = 0;
        }
        flight.bytes = flight.bytes.saturating_add(bytes);
        flight.last_sent = Some(now);
        flight.packets += 1;
        let begins = !was_due && flight.due().is_some();
        drop(flight);
        if begins {
            self.begun.notify_one();
        }
    }

    /// What quinn says is in flight after acknowledgements, and its estimate of the round trip (RFC 9002 section 5.3).
    pub(crate) fn note_acked(&self, in_flight: u64, rtt: Option<Duration>) {
        let mut flight = self.flight();
        flight.bytes = in_flight;
        flight.rtt = rtt.or(flight.rtt);
    }

    /// The probe that is to be sent now, if there is one, which is then taken for sent.
    fn take(&self, now: Instant) -> Option<Due> {
        let mut flight = self.flight();
        flight.due().filter(|at| *at <= now)?;
        flight.probes += 1;
        Some(Due { beginning: flight.beginnings, packets: flight.packets })
    }

    /// What has left is not in flight: nobody will acknowledge it. Unless more has left meanwhile.
    fn forget(&self, due: Due) {
        let mut flight = self.flight();
        if flight.packets == due.packets {
            flight.bytes = 0;
        }
    }

    fn due(&self) -> Option<Instant> {
        self.flight().due()
    }

    pub(crate) fn in_flight_bytes(&self) -> u64 {
        self.flight().bytes
    }

    /// Consistent at every point where a thread could panic.
    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Probes a connection's tails for as long as this lives.
#[derive(Debug)]
pub(crate) struct Prober(JoinHandle<()>);

impl Prober {
    /// Must be called within a tokio runtime.
    pub(crate) fn start(connection: quinn::Connection, lane: Arc<Lane>) -> Self {
        Self(tokio::spawn(probe(connection, lane)))
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn probe(connection: quinn::Connection, lane: Arc<Lane>) {
    let tail = lane.tail();
    let mut probed = Probed::default();
    while connection.close_reason().is_none() {
        match tail.due() {
            None => tail.begun.notified().await,
            Some(at) => {
                tokio::time::sleep_until(at.into()).await;
                let Some(due) = tail.take(tokio::time::Instant::now().into_std()) else { continue };
                if !probed.is_tail(due, lasting_frames(&connection.stats().frame_tx)) {
                    tail.forget(due);
                } else if connection.send_datagram(Bytes::from_static(&[0])).is_err() {
                    // A peer that takes no datagrams will not take the next one either.
                    return;
                }
            }
        }
    }
}

/// What was last probed.
#[derive(Debug, Default)]
struct Probed {
    beginning: u64,
    frames: u64,
}

impl Probed {
    /// Whether what is to be probed is a tail: the one that is being probed already, or one with frames that were not there before. Two
    /// sides would otherwise answer each other's probes, and the acknowledgements of these, for ever.
    fn is_tail(&mut self, due: Due, frames: u64) -> bool {
        let is_tail = due.beginning == self.beginning || frames != self.frames;
        if is_tail {
            *self = Self { beginning: due.beginning, frames };
        }
        is_tail
    }
}

/// How many frames have left whose loss a peer would notice.
fn lasting_frames(sent: &FrameStats) -> u64 {
    let FrameStats { crypto, stream, reset_stream, stop_sending, max_data, max_stream_data, .. } = *sent;
    let streams = sent.max_streams_bidi + sent.max_streams_uni;
    crypto + stream + reset_stream + stop_sending + max_data + max_stream_data + streams
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(80);

    fn tail() -> (Tail, Instant) {
        let tail = Tail::default();
        tail.note_acked(0, Some(RTT));
        (tail, Instant::now())
    }

    #[test]
    fn a_probe_is_due_once_a_sender_with_packets_in_flight_falls_silent() {
        let (tail, start) = tail();
        assert_eq!(tail.due(), None);
        tail.note_sent(start, 1200);
        assert_eq!(tail.due(), Some(start + RTT / 8));
        let next = start + Duration::from_millis(9);
        tail.note_sent(next, 1200);
        assert_eq!(tail.take(start + RTT / 8), None, "it was not silent");
        assert!(tail.take(next + RTT / 8).is_some());
        tail.note_acked(0, None);
        assert_eq!(tail.due(), None, "everything has arrived");
    }

    #[test]
    fn probes_behind_the_same_packets_come_at_growing_distances_and_end() {
        let (tail, start) = tail();
        tail.note_sent(start, 1200);
        let (mut now, mut distances) = (start, Vec::new());
        while let Some(at) = tail.due() {
            assert!(tail.take(at).is_some());
            tail.note_sent(at, 30);
            distances.push(at - now);
            now = at;
        }
        assert_eq!(distances.len(), MAX_PROBES as usize);
        assert!(distances.is_sorted() && distances[1] > distances[0], "{distances:?}");
        tail.note_sent(now, 1200);
        assert_eq!(tail.due(), Some(now + RTT / 8), "new packets, new probes");
    }

    #[test]
    fn a_request_behind_nothing_begins_a_tail_however_short_it_is() {
        let (tail, start) = tail();
        for round in 0..3 {
            let sent = start + round * RTT;
            tail.note_sent(sent, 60);
            assert!(tail.take(sent + RTT / 8).is_some());
            tail.note_acked(0, None);
        }
    }

    #[test]
    fn acknowledgements_alone_are_no_tail() {
        let (tail, start) = tail();
        let mut probed = Probed::default();
        tail.note_sent(start, 60);
        let at = start + RTT / 8;
        let due = tail.take(at).expect("a request is a tail");
        assert!(probed.is_tail(due, 1));
        tail.note_acked(0, None);
        tail.note_sent(at, 35);
        let at = at + RTT / 8;
        let due = tail.take(at).expect("not told from a request here");
        assert!(!probed.is_tail(due, 1), "no frame but acknowledgements");
        tail.forget(due);
        assert_eq!(tail.due(), None);
        tail.note_sent(at, 60);
        let due = tail.take(at + RTT / 8).expect("a request");
        assert!(probed.is_tail(due, 2));
        tail.note_sent(at + RTT / 8, 60);
        tail.forget(due);
        assert!(tail.due().is_some(), "more has left meanwhile");
    }

    #[tokio::test]
    async fn long_packets_behind_the_last_probe_are_probed_anew() {
        let (tail, start) = tail();
        tail.note_sent(start, 1200);
        while let Some(at) = tail.due() {
            assert!(tail.take(at).is_some());
        }
        // What has woken the prober so far.
        tail.begun.notified().await;
        tail.note_sent(start + 7 * RTT, 1200);
        tail.begun.notified().await;
    }
}
