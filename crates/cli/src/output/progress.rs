//! Progress of transfers and hashes, in one of several forms.

mod bars;
mod board;
mod layout;
mod meter;
mod mode;
mod trees;

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fulmar_client::{Event, Observer};
use fulmar_proto::text::Escaped;
use tokio::time::{MissedTickBehavior, interval};

use self::board::Board;
pub(super) use bars::Bars;
pub(crate) use mode::ProgressMode;
pub(crate) use trees::TreeProgress;

use super::{Printer, objects};

/// Bars are drawn this often. What happens in between is only taken note of.
const TICK: Duration = Duration::from_millis(100);
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
const JSON_INTERVAL: Duration = Duration::from_millis(100);

/// Shows how the files of one command get on. Bars are gone once this is dropped.
pub(crate) struct Progress {
    printer: Arc<Printer>,
    verb: &'static str,
    started: Instant,
    sink: Sink,
    state: Mutex<State>,
}

enum Sink {
    Nothing,
    Bars(Arc<Bars>),
    Lines,
    Objects,
    /// On standard error, because standard output carries a file.
    ObjectsAside,
}

struct State {
    board: Board,
    /// When the last line of [`Sink::Lines`] was printed.
    last_line: Duration,
    /// When all files together were told of last.
    last_object: Option<Duration>,
}

/// One file of a command: takes note of its events. Dropped before [`FileProgress::end`], it has failed.
pub(crate) struct FileProgress<'a> {
    progress: &'a Progress,
    id: u64,
    ended: bool,
}

impl Progress {
    /// Shows the progress of `verb` on so many files, and on so many bytes in all when that is known.
    pub(crate) fn new(
        printer: &Arc<Printer>,
        verb: &'static str,
        files: usize,
        bytes_total: Option<u64>,
    ) -> Self {
        Self::showing(printer, verb, Board::new(files, bytes_total))
    }

    fn showing(printer: &Arc<Printer>, verb: &'static str, board: Board) -> Self {
        let sink = match mode::effective(printer) {
            ProgressMode::Bar => Sink::Bars(Arc::new(Bars::new())),
            ProgressMode::Plain => Sink::Lines,
            ProgressMode::Json => Sink::Objects,
            ProgressMode::Auto | ProgressMode::None => Sink::Nothing,
        };
        let state = State { board, last_line: Duration::ZERO, last_object: None };
        Self { printer: Arc::clone(printer), verb, started: Instant::now(), sink, state: Mutex::new(state) }
    }

    /// Leaves standard output to the file that goes there.
    pub(crate) fn aside(mut self) -> Self {
        if matches!(self.sink, Sink::Objects) {
            self.sink = Sink::ObjectsAside;
        }
        self
    }

    /// One of the files begins.
    pub(crate) fn file(&self, name: &str, bytes: Option<u64>) -> FileProgress<'_> {
        let id = self.with_state(|state, now| state.board.begin(name, bytes, now));
        FileProgress { progress: self, id, ended: false }
    }

    /// Does `work`, and shows every now and then how far it is, also when nothing moves.
    pub(crate) async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        if matches!(self.sink, Sink::Nothing | Sink::Objects | Sink::ObjectsAside) {
            return work.await;
        }
        let mut work = pin!(work);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    fn tick(&self) {
        match &self.sink {
            Sink::Nothing | Sink::Objects | Sink::ObjectsAside => {}
            Sink::Bars(bars) => {
                let (board, now) = self.with_state(|state, now| (state.board.clone(), now));
                if bars.draw(&board, now) {
                    self.printer.go_around(Some(Arc::clone(bars)));
                }
            }
            Sink::Lines => {
                let line = self.with_state(State::line_if_due);
                line.into_iter().for_each(|line| self.printer.note(line));
            }
        }
    }

    /// A file has this many bytes, and is this long when that is news.
    fn reached(&self, id: u64, bytes: u64, total: Option<u64>) {
        let object = self.with_state(|state, now| {
            total.into_iter().for_each(|total| state.board.sized(id, total));
            state.board.reached(id, bytes, now);
            match self.sink {
                Sink::Objects | Sink::ObjectsAside => state.object_if_due(self.verb, id, now),
                Sink::Nothing | Sink::Bars(_) | Sink::Lines => None,
            }
        });
        let Some(object) = object else { return };
        match self.sink {
            Sink::ObjectsAside => self.printer.object_aside(&object),
            _ => self.printer.object_now(&object),
        }
    }

    fn restarted(&self, id: u64) {
        let name = self.with_state(|state, _| state.board.row_mut(id).map(|row| row.name.clone()));
        if let Some(name) = name {
            self.printer.note(format_args!("{}: it changed meanwhile; starting once more", Escaped(&name)));
        }
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), self.started.elapsed())
    }
}

impl State {
    fn line_if_due(&mut self, now: Duration) -> Option<String> {
        if now.saturating_sub(self.last_line) < PLAIN_INTERVAL {
            return None;
        }
        self.last_line = now;
        Some(layout::plain_line(&self.board, now)).filter(|line| !line.is_empty())
    }

    /// A script is told of each file at once, and then at intervals.
    fn object_if_due(&mut self, verb: &'static str, id: u64, now: Duration) -> Option<objects::Progress> {
        let files = (self.board.files_done, self.board.files_total);
        let row = self.board.row_mut(id)?;
        if row.last_told.is_some_and(|last| now.saturating_sub(last) < JSON_INTERVAL) {
            return None;
        }
        row.last_told = Some(now);
        let elapsed = now.saturating_sub(row.begun);
        Some(objects::Progress::new(verb, &row.name, row.bytes, row.total, elapsed).among(files))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Sink::Bars(bars) = &self.sink {
            self.printer.go_around(None);
            bars.clear();
        }
    }
}

impl FileProgress<'_> {
    /// The file has ended.
    pub(crate) fn end(mut self, succeeded: bool) {
        self.ended = true;
        self.progress.with_state(|state, _| state.board.end(self.id, succeeded));
    }
}

impl Drop for FileProgress<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.progress.with_state(|state, _| state.board.end(self.id, false));
        }
    }
}

impl Observer for FileProgress<'_> {
    fn on(&self, event: Event) {
        match event {
            Event::Started { size } => {
                let id = self.id;
                self.progress.with_state(|state, _| {
                    size.into_iter().for_each(|size| state.board.sized(id, size));
                });
            }
            Event::Acknowledged { bytes } => self.progress.reached(self.id, bytes, None),
            // The other side tells a total of 0 while it does not know it.
            Event::Hashing { done, total } => {
                self.progress.reached(self.id, done, Some(total).filter(|total| *total > 0));
            }
            Event::Restarted => self.progress.restarted(self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn state(files: usize, total: Option<u64>) -> State {
        State { board: Board::new(files, total), last_line: Duration::ZERO, last_object: None }
    }

    #[test]
    fn a_plain_line_comes_every_ten_seconds_whatever_the_number_of_files() {
        let mut state = state(3, Some(4_000_000));
        let (a, b) = (state.board.begin("a", None, at(0)), state.board.begin("b", None, at(0)));
        state.board.reached(a, 500_000, at(9_000));
        state.board.reached(b, 500_000, at(9_000));
        assert_eq!(state.line_if_due(at(9_999)), None);
        let line = state.line_if_due(at(10_000)).expect("due");
        assert_eq!(line, "0 of 3 files  25 %  1.00 / 4.00 MB  0.454 MB/s  0:30 left");
        assert_eq!(state.line_if_due(at(19_999)), None);
        assert!(state.line_if_due(at(20_000)).is_some());
    }

    #[test]
    fn a_plain_line_of_one_file_names_it() {
        let mut state = state(1, None);
        let id = state.board.begin("a\tb", Some(4_000_000), at(0));
        state.board.reached(id, 1_000_000, at(10_000));
        let line = state.line_if_due(at(10_000)).expect("due");
        assert_eq!(line, "a\\tb  25 %  1000 / 4000 kB  0.454 MB/s  0:30 left");
        state.board.end(id, true);
        assert_eq!(state.line_if_due(at(20_000)), None, "nothing is under way");
    }

    #[test]
    fn objects_come_at_once_and_then_at_intervals_for_each_file() {
        let mut state = state(2, None);
        let (a, b) = (state.board.begin("a", None, at(0)), state.board.begin("b", None, at(50)));
        let mut told = |id, millis| state.object_if_due("upload", id, at(millis)).is_some();
        assert!(told(a, 0));
        assert!(!told(a, 99));
        assert!(told(b, 99));
        assert!(told(a, 100));
        assert!(!told(b, 198));
        assert!(told(b, 199));
    }
}
