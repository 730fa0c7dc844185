//! What is to happen, in the order of time.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use bytes::BytesMut;
use quinn_proto::EcnCodepoint;

/// One end of one flow, by its place among all ends.
pub(super) type EndId = usize;

/// What crosses the network.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) payload: BytesMut,
    pub(super) ecn: Option<EcnCodepoint>,
}

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// An end looks at its timers.
    Wake(EndId),
    /// A datagram of this end reaches the shared link.
    Enter(EndId, Datagram),
    /// A datagram reaches this end.
    Arrive(EndId, Datagram),
}

/// All events to come. Those of one instant happen in the order in which they were added.
#[derive(Default)]
pub(super) struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
    added: u64,
}

struct Entry {
    at: Duration,
    number: u64,
    event: Event,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Duration, event: Event) {
        self.entries.push(Reverse(Entry { at, number: self.added, event }));
        self.added += 1;
    }

    /// When the next event happens.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.entries.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next event, if it happens by `now`.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<Event> {
        if self.next_at()? > now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry.event)
    }

    /// How many events were ever added.
    pub(super) fn added(&self) -> u64 {
        self.added
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn events_come_in_the_order_of_time_and_then_of_their_adding(times in prop::collection::vec(0u64..20, 0..60)) {
            let mut agenda = Agenda::default();
            for (index, at) in times.iter().enumerate() {
                agenda.add(Duration::from_nanos(*at), Event::Wake(index));
            }
            let mut expected: Vec<(u64, usize)> = times.iter().copied().zip(0..).collect();
            expected.sort_unstable();
            for (at, index) in expected {
                let at = Duration::from_nanos(at);
                prop_assert_eq!(agenda.next_at(), Some(at));
                if let Some(before) = at.checked_sub(Duration::from_nanos(1)) {
                    prop_assert!(agenda.take_due(before).is_none());
                }
                prop_assert!(matches!(agenda.take_due(at), Some(Event::Wake(end)) if end == index));
            }
            prop_assert!(agenda.take_due(Duration::MAX).is_none());
            prop_assert_eq!(agenda.added(), times.len() as u64);
        }
    }
}
