//! Packets on their way, ordered by when they are due.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    time::Duration,
};

use crate::Way;

/// Buffers that are kept for later packets.
const SPARE_BUFFERS: usize = 4096;

/// A packet on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    /// When it is due.
    pub(super) at: Duration,
    /// Packets that are due at once arrive in the order in which they were sent.
    order: u64,
    /// Which way.
    pub(super) way: Way,
    /// The IP packet.
    pub(super) packet: Vec<u8>,
}

impl PartialEq for Delivery {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Delivery {}

impl PartialOrd for Delivery {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delivery {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Packets on their way, up to a bound in bytes.
#[derive(Debug)]
pub(super) struct Pending {
    heap: BinaryHeap<Reverse<Delivery>>,
    taken: u64,
    held_bytes: usize,
    peak_bytes: usize,
    limit_bytes: usize,
    spare: Vec<Vec<u8>>,
}

impl Pending {
    /// Nothing yet, and room for `limit_bytes`.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            taken: 0,
            held_bytes: 0,
            peak_bytes: 0,
            limit_bytes,
            spare: Vec::new(),
        }
    }

    /// Takes a packet, if there is room.
    #[must_use]
    pub(super) fn push(&mut self, at: Duration, way: Way, bytes: &[u8]) -> bool {
        if self.held_bytes + bytes.len() > self.limit_bytes {
            return false;
        }
        let mut packet = self.spare.pop().unwrap_or_default();
        packet.clear();
        packet.extend_from_slice(bytes);
        self.taken += 1;
        self.held_bytes += packet.len();
        self.peak_bytes = self.peak_bytes.max(self.held_bytes);
        self.heap.push(Reverse(Delivery { at, order: self.taken, way, packet }));
        true
    }

    /// When the next packet is due.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(delivery)| delivery.at)
    }

    /// The next packet that is due by `now`. Give its buffer back with [`Self::recycle`].
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Delivery> {
        if self.next_at()? > now {
            return None;
        }
        let Reverse(delivery) = self.heap.pop()?;
        self.held_bytes -= delivery.packet.len();
        Some(delivery)
    }

    /// Keeps a buffer for a later packet.
    pub(super) fn recycle(&mut self, packet: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS {
            self.spare.push(packet);
        }
    }

    /// The most bytes that were on their way at once.
    pub(super) fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nothing_is_delivered_before_its_time() {
        let mut pending = Pending::new(1000);
        assert!(pending.push(5 * MS, Way::Up, b"later") && pending.push(2 * MS, Way::Down, b"sooner"));
        assert_eq!(pending.next_at(), Some(2 * MS));
        assert!(pending.pop_due(2 * MS - Duration::from_nanos(1)).is_none());
        let first = pending.pop_due(2 * MS).expect("due");
        assert_eq!((first.way, first.packet.as_slice()), (Way::Down, &b"sooner"[..]));
        assert!(pending.pop_due(4 * MS).is_none());
    }

    #[test]
    fn there_is_room_for_so_much_and_again_after_a_delivery() {
        let mut pending = Pending::new(10);
        assert!(pending.push(MS, Way::Up, &[1; 6]) && pending.push(MS, Way::Up, &[2; 4]));
        assert!(!pending.push(MS, Way::Up, &[3; 1]));
        let delivery = pending.pop_due(MS).expect("due");
        pending.recycle(delivery.packet);
        assert!(pending.push(MS, Way::Up, &[4; 5]) && !pending.push(MS, Way::Up, &[5; 2]));
        assert_eq!(pending.peak_bytes(), 10);
        assert_eq!(pending.pop_due(MS).expect("due").packet, [2; 4]);
        assert_eq!(
            pending.pop_due(MS).expect("due").packet,
            [4; 5],
            "a used buffer holds nothing of its last packet"
        );
    }

    proptest! {
        #[test]
        fn packets_come_out_by_time_and_those_of_one_time_as_they_were_sent(times in prop::collection::vec(0u64..20, 1..200)) {
            let mut pending = Pending::new(1 << 20);
            for (number, at) in times.iter().enumerate() {
                prop_assert!(pending.push(Duration::from_nanos(*at), Way::Up, &number.to_be_bytes()));
            }
            let mut expected: Vec<(u64, usize)> = times.iter().copied().zip(0..).collect();
            expected.sort_unstable();
            for (at, number) in expected {
                let delivery = pending.pop_due(Duration::from_secs(1)).expect("there");
                prop_assert_eq!((delivery.at.as_nanos(), delivery.packet.as_slice()), (u128::from(at), &number.to_be_bytes()[..]));
                pending.recycle(delivery.packet);
            }
            prop_assert!(pending.next_at().is_none());
        }
    }
}
