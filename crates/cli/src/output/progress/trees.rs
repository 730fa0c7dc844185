//! Trees: files that are found while the first are under way, and shown all together.

use std::{collections::HashMap, sync::Arc, sync::Mutex, sync::PoisonError, time::Duration};

use super::{JSON_INTERVAL, Progress, Sink, State, board::Board};
use crate::output::{Printer, objects};

/// Shows how one command gets on with its trees.
pub(crate) struct TreeProgress {
    progress: Progress,
    /// What the command was told to transfer.
    what: String,
    /// The board's number of each file that is under way.
    files: Mutex<HashMap<u64, u64>>,
}

impl TreeProgress {
    /// Shows the progress of `verb` on `what`.
    pub(crate) fn new(printer: &Arc<Printer>, verb: &'static str, what: String) -> Self {
        Self { progress: Progress::showing(printer, verb, Board::of_trees()), what, files: Mutex::default() }
    }

    /// As [`Progress::watch`].
    pub(crate) async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        self.progress.watch(work).await
    }

    /// There is one more file.
    pub(crate) fn found(&self, bytes: u64) {
        self.progress.with_state(|state, _| state.board.found(bytes));
    }

    /// All files have been found.
    pub(crate) fn walked(&self) {
        self.progress.with_state(|state, _| state.board.is_growing = false);
    }

    /// A file begins.
    pub(crate) fn begin(&self, file: u64, bytes: u64) {
        let id = self.progress.with_state(|state, now| state.board.begin("", Some(bytes), now));
        self.files(|files| files.insert(file, id));
    }

    /// A file has this many bytes by now.
    pub(crate) fn moved(&self, file: u64, bytes: u64) {
        let Some(id) = self.files(|files| files.get(&file).copied()) else { return };
        let object = self.progress.with_state(|state, now| {
            state.board.reached(id, bytes, now);
            match self.progress.sink {
                Sink::Objects => state.sum_if_due(self.progress.verb, &self.what, now),
                Sink::Nothing | Sink::Bars(_) | Sink::Lines | Sink::ObjectsAside => None,
            }
        });
        if let Some(object) = object {
            self.progress.printer.object_now(&object);
        }
    }

    /// A file has ended.
    pub(crate) fn end(&self, file: u64, succeeded: bool) {
        if let Some(id) = self.files(|files| files.remove(&file)) {
            self.progress.with_state(|state, _| state.board.end(id, succeeded));
        }
    }

    fn files<T>(&self, change: impl FnOnce(&mut HashMap<u64, u64>) -> T) -> T {
        change(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// A script is told of all files together at once, and then at intervals.
    fn sum_if_due(&mut self, verb: &'static str, what: &str, now: Duration) -> Option<objects::Progress> {
        if self.last_object.is_some_and(|last| now.saturating_sub(last) < JSON_INTERVAL) {
            return None;
        }
        self.last_object = Some(now);
        let figures = self.board.figures(now);
        let total = figures.total.filter(|_| !self.board.is_growing);
        let files = (self.board.files_done, self.board.files_total);
        Some(objects::Progress::new(verb, what, figures.bytes, total, now).among(files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_tells_of_all_files() {
        let board = Board::of_trees();
        let mut state = State { board, last_line: Duration::ZERO, last_object: None };
        for _ in 0..3 {
            state.board.found(1_000);
        }
        let id = state.board.begin("", Some(1_000), Duration::ZERO);
        state.board.reached(id, 500, Duration::from_millis(10));
        let told = |state: &mut State, millis| {
            let object = state.sum_if_due("upload", "photos", Duration::from_millis(millis));
            object.map(|object| serde_json::to_value(object).expect("encodes"))
        };
        let first = told(&mut state, 10).expect("at once");
        assert_eq!((&first["bytes"], &first["files_total"]), (&500.into(), &3.into()));
        assert!(first["total"].is_null(), "nobody knows yet");
        assert_eq!(told(&mut state, 109), None);
        state.board.is_growing = false;
        assert_eq!(told(&mut state, 110).expect("due")["total"], 3_000);
    }
}
