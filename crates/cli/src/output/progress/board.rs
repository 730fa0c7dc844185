//! How far the files of one command are. Nothing here looks at a clock: every moment is told, counted from the start.

use std::{collections::BTreeMap, time::Duration};

use super::meter::Meter;

/// The files of one command.
#[derive(Clone, Debug)]
pub(super) struct Board {
    /// How many files there are in all.
    pub(super) files_total: usize,
    /// How many have ended, one way or the other.
    pub(super) files_done: usize,
    /// How many of these failed.
    pub(super) errors: usize,
    /// Files are still being found: the sums grow.
    pub(super) is_growing: bool,
    /// Files come and go too quickly to be shown one by one.
    pub(super) only_sums: bool,
    /// The bytes of all files, when they are known.
    bytes_total: Option<u64>,
    /// The bytes of the files that have ended.
    settled_bytes: u64,
    /// All bytes that have been acknowledged, whatever has become of their files.
    moved_bytes: u64,
    meter: Meter,
    rows: BTreeMap<u64, Row>,
    next_id: u64,
}

/// One file that is under way.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// As it is: not escaped.
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) total: Option<u64>,
    meter: Meter,
    pub(super) begun: Duration,
    /// When it was told of last, where each file is told of by itself.
    pub(super) last_told: Option<Duration>,
}

/// Numbers to be shown of one file, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) bytes: u64,
    pub(super) total: Option<u64>,
    /// Bytes per second of late.
    pub(super) rate: Option<u64>,
    /// None while nothing moves, or without a total.
    pub(super) left: Option<Duration>,
}

impl Figures {
    /// How much of the total is there, in percent; never more than a hundred.
    pub(super) fn percent(&self) -> Option<u64> {
        let total = self.total?;
        if total == 0 {
            return Some(100);
        }
        Some(u64::try_from(u128::from(self.bytes) * 100 / u128::from(total)).unwrap_or(100).min(100))
    }
}

impl Board {
    pub(super) fn new(files_total: usize, bytes_total: Option<u64>) -> Self {
        Self {
            files_total,
            files_done: 0,
            errors: 0,
            is_growing: false,
            only_sums: false,
            bytes_total,
            settled_bytes: 0,
            moved_bytes: 0,
            meter: Meter::new(Duration::ZERO),
            rows: BTreeMap::new(),
            next_id: 0,
        }
    }

    /// Files that are found while the first are under way.
    pub(super) fn of_trees() -> Self {
        Self { is_growing: true, only_sums: true, ..Self::new(0, Some(0)) }
    }

    /// There is one more file.
    pub(super) fn found(&mut self, bytes: u64) {
        self.files_total += 1;
        self.bytes_total = self.bytes_total.map(|sum| sum.saturating_add(bytes));
    }

    /// A file begins. Gives the number that it is known by from then on.
    pub(super) fn begin(&mut self, name: &str, total: Option<u64>, now: Duration) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let row = Row {
            name: name.to_owned(),
            bytes: 0,
            total,
            meter: Meter::new(now),
            begun: now,
            last_told: None,
        };
        self.rows.insert(id, row);
        id
    }

    /// A file turns out to be this long.
    pub(super) fn sized(&mut self, id: u64, total: u64) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let before = row.total.replace(total);
        // What was counted in the sum of all is replaced there too.
        if let (Some(sum), Some(before)) = (&mut self.bytes_total, before) {
            *sum = sum.saturating_sub(before).saturating_add(total);
        }
    }

    /// A file has this many bytes by now.
    pub(super) fn reached(&mut self, id: u64, bytes: u64, now: Duration) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        self.moved_bytes = self.moved_bytes.saturating_add(bytes.saturating_sub(row.bytes));
        row.bytes = bytes;
        row.meter.note(now, bytes);
        self.meter.note(now, self.moved_bytes);
    }

    /// A file has ended.
    pub(super) fn end(&mut self, id: u64, succeeded: bool) {
        let Some(row) = self.rows.remove(&id) else { return };
        self.files_done += 1;
        self.errors += usize::from(!succeeded);
        // Skipped and failed files are over too: what they had left will not come any more.
        self.settled_bytes = self.settled_bytes.saturating_add(row.total.unwrap_or(row.bytes));
    }

    /// The files that are under way, in the order of their start.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    pub(super) fn row_mut(&mut self, id: u64) -> Option<&mut Row> {
        self.rows.get_mut(&id)
    }

    /// All files together.
    pub(super) fn figures(&self, now: Duration) -> Figures {
        let under_way = self.rows.values().map(|row| row.bytes.min(row.total.unwrap_or(u64::MAX)));
        let bytes = under_way.fold(self.settled_bytes, u64::saturating_add);
        figures(&self.meter, now, bytes, self.bytes_total)
    }
}

impl Row {
    pub(super) fn figures(&self, now: Duration) -> Figures {
        figures(&self.meter, now, self.bytes, self.total)
    }
}

fn figures(meter: &Meter, now: Duration, bytes: u64, total: Option<u64>) -> Figures {
    let left = total.and_then(|total| meter.left(now, total.saturating_sub(bytes)));
    Figures { bytes, total, rate: meter.rate(now), left }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_sum_is_that_of_ended_and_running_files() {
        let mut board = Board::new(3, Some(6_000));
        let (a, b) = (board.begin("a", Some(1_000), at(0)), board.begin("b", Some(2_000), at(0)));
        board.reached(a, 1_000, at(1));
        board.reached(b, 500, at(1));
        let expected = Figures { bytes: 1_500, total: Some(6_000), rate: Some(1_500), left: Some(at(3)) };
        assert_eq!(board.figures(at(1)), expected);
        board.end(a, true);
        board.end(b, false);
        // The failed file is over: what it had left is waited for no longer.
        assert_eq!((board.files_done, board.errors, board.figures(at(1)).bytes), (2, 1, 3_000));
        assert_eq!(board.figures(at(1)).percent(), Some(50));
        assert_eq!(board.rows().count(), 0);
    }

    #[test]
    fn a_file_that_is_longer_than_it_was_counts_as_it_is() {
        let mut board = Board::new(2, Some(30));
        let id = board.begin("a", Some(10), at(0));
        board.sized(id, 50);
        assert_eq!(board.figures(at(0)).total, Some(70));
        let mut unknown = Board::new(2, None);
        let id = unknown.begin("a", None, at(0));
        unknown.sized(id, 50);
        assert_eq!((unknown.figures(at(0)).total, unknown.figures(at(0)).percent()), (None, None));
        assert_eq!(unknown.rows().next().and_then(|row| row.total), Some(50));
    }

    #[test]
    fn percent_is_never_beyond_the_end() {
        let figures = |bytes, total| Figures { bytes, total: Some(total), rate: None, left: None };
        assert_eq!(figures(0, 0).percent(), Some(100));
        assert_eq!(figures(5, 1).percent(), Some(100));
        assert_eq!(figures(u64::MAX - 1, u64::MAX).percent(), Some(99));
    }

    #[test]
    fn figures_that_a_peer_makes_up_do_no_harm() {
        let mut board = Board::new(2, Some(u64::MAX));
        for _ in 0..3 {
            let id = board.begin("a", Some(u64::MAX), at(0));
            for bytes in [u64::MAX, 0, u64::MAX] {
                board.reached(id, bytes, at(1));
                board.sized(id, bytes);
                let _ = (board.figures(at(1)), board.figures(at(1)).percent());
            }
            board.end(id, true);
        }
        assert_eq!(board.figures(at(2)).percent(), Some(100));
    }
}
