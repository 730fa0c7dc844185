//! Bars on a terminal: lines that are drawn over one another, and gone in the end.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use console::Term;
use rustix::termios::tcgetwinsize;

use super::{
    board::Board,
    layout::{self, Screen},
    mode::Charset,
};

/// What is over sooner shows no bar: it would only flicker.
const DELAY: Duration = Duration::from_millis(300);
/// How large a terminal is taken to be that does not say.
const DEFAULT_SIZE: (usize, usize) = (80, 24);

/// The lines of one command on the terminal of standard error. The cursor waits in the line below them: there whatever
/// the terminal itself shows, `^C` say, is in nobody's way.
#[derive(Debug)]
pub(in crate::output) struct Bars {
    /// Buffered: a redraw is one write.
    term: Term,
    charset: Charset,
    /// What is on the terminal now.
    lines: Mutex<Vec<String>>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self { term: Term::buffered_stderr(), charset: Charset::of_locale(), lines: Mutex::default() }
    }

    /// Draws the lines as they are now. Says whether there are any on the terminal.
    pub(super) fn draw(&self, board: &Board, now: Duration) -> bool {
        if now < DELAY {
            return false;
        }
        let lines = layout::lines(board, now, self.screen());
        let mut shown = self.lines();
        // A terminal that takes nothing shows nothing: no reason to break a transfer off.
        let _ = self.replace(&shown, &lines);
        *shown = lines;
        !shown.is_empty()
    }

    /// Writes something else while no line is on the terminal.
    pub(in crate::output) fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        let shown = self.lines();
        let _ = self.replace(&shown, &[]);
        let written = write();
        let _ = self.replace(&[], &shown);
        written
    }

    /// Takes all lines away. Where there are none, not a byte is written.
    pub(super) fn clear(&self) {
        let mut shown = self.lines();
        let _ = self.replace(&shown, &[]);
        shown.clear();
    }

    fn replace(&self, before: &[String], after: &[String]) -> io::Result<()> {
        if before.is_empty() && after.is_empty() {
            return Ok(());
        }
        self.term.move_cursor_up(before.len())?;
        for line in after {
            self.term.clear_line()?;
            self.term.write_line(line)?;
        }
        if after.len() < before.len() {
            self.term.clear_to_end_of_screen()?;
        }
        self.term.flush()
    }

    /// Asked for each time: people change the size of their windows. The last column stays free, because terminals
    /// differ about what happens in it.
    fn screen(&self) -> Screen {
        let size = tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let (columns, rows) =
            size.map_or(DEFAULT_SIZE, |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        Screen { columns: columns - 1, rows, charset: self.charset }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
