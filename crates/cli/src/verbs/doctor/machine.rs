//! How busy this machine is.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use super::run::Machine;

/// Where Linux counts what its processors do (proc_stat(5)).
const PROCESSORS_FILE: &str = "/proc/stat";

/// The columns of idle time, behind the word `cpu`, counted from 0: doing nothing, and waiting for a disk.
const IDLE_COLUMNS: [usize; 2] = [3, 4];

/// The columns that count: those behind them are parts of the first two.
const COLUMNS: usize = 8;

/// The time of all processors so far, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    all: u64,
}

/// The state of the machine at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    began: Instant,
    own: Duration,
    ticks: Option<Ticks>,
    dropped: Option<u64>,
}

impl Watch {
    /// Begins to watch, when the socket has dropped so many datagrams.
    pub(super) fn begin(dropped: Option<u64>) -> Self {
        Self { began: Instant::now(), own: own_time(), ticks: ticks_now(), dropped }
    }

    /// What has happened until now.
    pub(super) fn end(&self, dropped: Option<u64>) -> Machine {
        let elapsed = self.began.elapsed().as_secs_f64();
        let own = own_time().saturating_sub(self.own).as_secs_f64();
        Machine {
            own_processors: if elapsed > 0.0 { own / elapsed } else { 0.0 },
            busy: self.ticks.zip(ticks_now()).and_then(|(from, to)| busy(from, to)),
            dropped_datagrams: self.dropped.zip(dropped).map_or(0, |(from, to)| to.saturating_sub(from)),
        }
    }
}

/// The processor time of this process, of all its threads.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn ticks_now() -> Option<Ticks> {
    ticks(&std::fs::read_to_string(PROCESSORS_FILE).ok()?)
}

fn ticks(text: &str) -> Option<Ticks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let columns: Vec<u64> =
        line.split_ascii_whitespace().take(COLUMNS).map_while(|word| word.parse().ok()).collect();
    let idle = IDLE_COLUMNS
        .iter()
        .filter_map(|column| columns.get(*column))
        .fold(0, |a: u64, b| a.saturating_add(*b));
    let all = columns.iter().fold(0, |a: u64, b| a.saturating_add(*b));
    (columns.len() > IDLE_COLUMNS[0]).then_some(Ticks { idle, all })
}

/// The share of the time between that was not idle; none when none has passed.
fn busy(from: Ticks, to: Ticks) -> Option<f64> {
    let all = to.all.checked_sub(from.all).filter(|all| *all > 0)?;
    let idle = to.idle.saturating_sub(from.idle);
    Some(1.0 - (idle as f64 / all as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn idle_time_is_counted_and_guests_are_not_counted_twice() {
        let text = "cpu  100 5 50 800 40 1 2 2 70 3\ncpu0 1 2 3 4\n";
        assert_eq!(ticks(text), Some(Ticks { idle: 840, all: 1000 }));
        assert_eq!(ticks("cpu 1 2 3 4"), Some(Ticks { idle: 4, all: 10 }));
        for nothing in ["", "cpu", "cpu 1 2 3", "cpu0 1 2 3 4", "cpu a b c d"] {
            assert_eq!(ticks(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn the_share_is_that_of_the_time_between() {
        let (from, to) = (Ticks { idle: 100, all: 1000 }, Ticks { idle: 125, all: 1100 });
        assert_eq!(busy(from, to), Some(0.75));
        assert_eq!(busy(from, from), None);
        assert_eq!(busy(to, from), None);
    }

    #[test]
    fn drops_count_from_the_beginning_and_only_where_the_system_tells() {
        let watch = Watch::begin(Some(5));
        assert_eq!(watch.end(Some(7)).dropped_datagrams, 2);
        assert_eq!(watch.end(None).dropped_datagrams, 0);
        assert_eq!(Watch::begin(None).end(Some(7)).dropped_datagrams, 0);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(cpu )?[ -~\n]{0,120}") {
            let _ = ticks(&text);
        }

        #[test]
        fn a_share_is_a_share(idle: [u64; 2], all: [u64; 2]) {
            let [from, to] = [0, 1].map(|end| Ticks { idle: idle[end], all: all[end] });
            prop_assert!(busy(from, to).is_none_or(|share| (0.0..=1.0).contains(&share)));
        }
    }
}
