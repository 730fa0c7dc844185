//! Values that change at known times.

use std::time::Duration;

/// Seconds as nanoseconds, for times that were checked to be neither negative nor huge.
pub(super) fn nanos_from_s(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// A time as nanoseconds since the start; enough for 584 years.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A value from the start on, and what it becomes when.
#[derive(Clone, Debug)]
pub(super) struct Schedule<T> {
    first: T,
    /// (nanoseconds, value), ascending.
    later: Vec<(u64, T)>,
}

impl<T: Copy> Schedule<T> {
    pub(super) fn new(first: T, later: impl IntoIterator<Item = (f64, T)>) -> Self {
        let later = later.into_iter().map(|(at_s, value)| (nanos_from_s(at_s), value)).collect();
        Self { first, later }
    }

    /// The value at a time.
    pub(super) fn at(&self, ns: u64) -> T {
        self.later[..self.changes_until(ns)].last().map_or(self.first, |(_, value)| *value)
    }

    /// When it changes next after a time.
    pub(super) fn next_change(&self, ns: u64) -> Option<u64> {
        self.later.get(self.changes_until(ns)).map(|(at, _)| *at)
    }

    fn changes_until(&self, ns: u64) -> usize {
        if self.later.is_empty() { 0 } else { self.later.partition_point(|(at, _)| *at <= ns) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_from_its_time_on() {
        let schedule = Schedule::new('a', [(1.0, 'b'), (1.0, 'c'), (2.5, 'd')]);
        let at = [0, 999_999_999, 1_000_000_000, 2_499_999_999, 2_500_000_000, u64::MAX];
        assert_eq!(at.map(|ns| schedule.at(ns)), ['a', 'a', 'c', 'c', 'd', 'd']);
        assert_eq!(schedule.next_change(0), Some(1_000_000_000));
        assert_eq!(schedule.next_change(1_000_000_000), Some(2_500_000_000));
        assert_eq!(schedule.next_change(2_500_000_000), None);
    }
}
