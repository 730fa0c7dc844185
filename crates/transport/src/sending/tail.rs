//! The end of a transfer on a path that loses packets.
//!
//! A lost packet is noticed when later ones are acknowledged. Behind the last ones of a transfer there are none, so quinn
//! waits for a probe timeout (RFC 9002 section 6.2), about one and a half round trips, and then sends two packets. Here a
//! sender that has fallen silent with packets in flight sends probes of one byte, in datagrams (RFC 9221) that the peer drops.
//! Behind a gap the peer acknowledges each at once, so that the loss is noticed after one and a quarter round trips, as it would be in the
//! middle. RFC 8985 calls this a tail loss probe.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
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
        if flight.bytes == 0 || bytes > SHORT_BYTES {
            flight.probes = 0;
        }
        let is_new = flight.bytes == 0;
        flight.bytes = flight.bytes.saturating_add(bytes);
        flight.last_sent = Some(now);
        drop(flight);
        if is_new {
            self.begun.notify_one();
        }
    }

    /// What quinn says is in flight after acknowledgements, and its estimate of the round trip (RFC 9002 section 5.3).
    pub(crate) fn note_acked(&self, in_flight: u64, rtt: Option<Duration>) {
        let mut flight = self.flight();
        flight.bytes = in_flight;
        flight.rtt = rtt.or(flight.rtt);
    }

    /// Whether a probe is to be sent now, which is then taken for sent.
    fn take(&self, now: Instant) -> bool {
        let mut flight = self.flight();
        let is_due = flight.due().is_some_and(|at| at <= now);
        flight.probes += u32::from(is_due);
        is_due
    }

    fn due(&self) -> Option<Instant> {
        self.flight().due()
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
    while connection.close_reason().is_none() {
        match tail.due() {
            None => tail.begun.notified().await,
            Some(at) => {
                tokio::time::sleep_until(at.into()).await;
                let is_due = tail.take(tokio::time::Instant::now().into_std());
                // A peer that takes no datagrams will not take the next one either.
                if is_due && connection.send_datagram(Bytes::from_static(&[0])).is_err() {
                    return;
                }
            }
        }
    }
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
        assert!(!tail.take(start + RTT / 8), "it was not silent");
        assert!(tail.take(next + RTT / 8));
        tail.note_acked(0, None);
        assert_eq!(tail.due(), None, "everything has arrived");
    }

    #[test]
    fn probes_behind_the_same_packets_come_at_growing_distances_and_end() {
        let (tail, start) = tail();
        tail.note_sent(start, 1200);
        let (mut now, mut distances) = (start, Vec::new());
        while let Some(at) = tail.due() {
            assert!(tail.take(at));
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
            assert!(tail.take(sent + RTT / 8));
            tail.note_acked(0, None);
        }
    }
}
