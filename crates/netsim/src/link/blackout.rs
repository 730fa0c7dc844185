//! Times at which nothing comes through.

use super::schedule::nanos_from_s;
use crate::profile::{Blackout, During};

#[derive(Clone, Copy, Debug)]
struct Period {
    from_ns: u64,
    for_ns: u64,
    every_ns: Option<u64>,
}

impl Period {
    /// When the latest one began that began at `ns` or before.
    fn latest(&self, ns: u64) -> Option<u64> {
        let since = ns.checked_sub(self.from_ns)?;
        Some(ns - self.every_ns.map_or(since, |every| since % every))
    }

    /// The end of the one that `ns` lies in.
    fn end(&self, ns: u64) -> Option<u64> {
        self.latest(ns).map(|start| start.saturating_add(self.for_ns)).filter(|end| ns < *end)
    }

    fn next_start(&self, ns: u64) -> Option<u64> {
        match (self.latest(ns), self.every_ns) {
            (None, _) => Some(self.from_ns),
            (Some(start), Some(every)) => Some(start.saturating_add(every)),
            (Some(_), None) => None,
        }
    }
}

/// The blackouts of one kind.
#[derive(Clone, Debug)]
pub(super) struct Blackouts(Vec<Period>);

impl Blackouts {
    pub(super) fn of_kind(kind: During, blackouts: &[Blackout]) -> Self {
        let period = |blackout: &Blackout| Period {
            from_ns: nanos_from_s(blackout.from_s),
            for_ns: nanos_from_s(blackout.for_s),
            every_ns: blackout.every_s.map(nanos_from_s),
        };
        Self(blackouts.iter().filter(|blackout| blackout.packets == kind).map(period).collect())
    }

    /// When the blackout that `ns` lies in ends; of overlapping ones the one that ends last.
    pub(super) fn end(&self, ns: u64) -> Option<u64> {
        self.0.iter().filter_map(|period| period.end(ns)).max()
    }

    /// When the next one begins after `ns`.
    pub(super) fn next_start(&self, ns: u64) -> Option<u64> {
        self.0.iter().filter_map(|period| period.next_start(ns)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn blackouts(every_s: Option<f64>) -> Blackouts {
        let packets = During::Hold;
        let one = Blackout { from_s: 10.0, for_s: 3.0, every_s, packets };
        Blackouts::of_kind(During::Hold, &[one])
    }

    #[test]
    fn one_begins_and_ends_once() {
        let once = blackouts(None);
        assert_eq!([0, 10 * S - 1, 10 * S, 13 * S - 1, 13 * S].map(|ns| once.end(ns)), {
            [None, None, Some(13 * S), Some(13 * S), None]
        });
        assert_eq!(once.next_start(0), Some(10 * S));
        assert_eq!(once.next_start(10 * S), None);
    }

    #[test]
    fn one_that_repeats_comes_back() {
        let often = blackouts(Some(20.0));
        assert_eq!(often.end(31 * S), Some(33 * S));
        assert_eq!(often.end(29 * S), None);
        assert_eq!(often.next_start(31 * S), Some(50 * S));
        assert_eq!(often.next_start(30 * S - 1), Some(30 * S));
    }

    #[test]
    fn of_overlapping_ones_the_last_end_counts() {
        let packets = During::Drop;
        let one = |from_s, for_s| Blackout { from_s, for_s, every_s: None, packets };
        let two = Blackouts::of_kind(During::Drop, &[one(1.0, 5.0), one(2.0, 1.0)]);
        assert_eq!(two.end(2 * S), Some(6 * S));
        assert_eq!(Blackouts::of_kind(During::Hold, &[one(1.0, 5.0)]).end(2 * S), None);
    }
}
