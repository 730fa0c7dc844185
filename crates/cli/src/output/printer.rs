//! Where text goes: data to standard output, everything else to standard error.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use super::{
    Failure,
    failure::{Told, io_message},
    hint::{Caller, Hint},
    objects,
    progress::{Bars, ProgressMode},
    style::{Meaning, Palette},
};
use crate::exit_code::ExitCode;

/// What decides about the form of the output.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrinterOptions {
    /// NDJSON instead of text for people.
    pub(crate) json: bool,
    /// Errors and data only.
    pub(crate) quiet: bool,
    /// More on standard error than usual.
    pub(crate) verbose: bool,
    /// How progress is shown.
    pub(crate) progress: ProgressMode,
    /// Where the commands of hints would be typed.
    pub(crate) caller: Caller,
}

/// Prints, in one of two forms. A reader of standard output that goes away ends the printing, not the process.
#[derive(Debug)]
pub(crate) struct Printer {
    options: PrinterOptions,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    /// The colours of standard output.
    palette: Palette,
    stderr_palette: Palette,
    /// Why nothing more goes to standard output, once a write has failed.
    stdout_error: Mutex<Option<io::Error>>,
    /// Bars that are on the terminal now.
    bars: Mutex<Option<Arc<Bars>>>,
}

impl Printer {
    /// Prints to the process's own standard output and error.
    pub(crate) fn new(options: PrinterOptions) -> Self {
        let (stdout_is_terminal, stderr_is_terminal) =
            (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            options,
            stdout_is_terminal,
            stderr_is_terminal,
            palette: Palette::of_output(stdout_is_terminal),
            stderr_palette: Palette::of_output(stderr_is_terminal),
            stdout_error: Mutex::new(None),
            bars: Mutex::new(None),
        }
    }

    /// Whether the output is NDJSON.
    pub(crate) fn is_json(&self) -> bool {
        self.options.json
    }

    /// Whether only errors and data are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.options.quiet
    }

    /// Whether more is wanted than usual.
    pub(crate) fn is_verbose(&self) -> bool {
        self.options.verbose
    }

    /// How progress is to be shown.
    pub(crate) fn progress_mode(&self) -> ProgressMode {
        self.options.progress
    }

    /// Whether standard output is a terminal.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }

    /// Whether standard error is a terminal.
    pub(crate) fn stderr_is_terminal(&self) -> bool {
        self.stderr_is_terminal
    }

    /// The colours of what goes to standard output.
    pub(crate) fn palette(&self) -> Palette {
        self.palette
    }

    /// A line of data for people; nothing with `--json`.
    pub(crate) fn data(&self, line: impl fmt::Display) {
        if !self.options.json {
            self.write_stdout(&format!("{line}\n"));
        }
    }

    /// The answer of a command that changed something; nothing with `--json` or `-q`.
    pub(crate) fn answer(&self, line: impl fmt::Display) {
        if !self.options.quiet {
            self.data(line);
        }
    }

    /// An object on a line of its own; nothing without `--json`.
    pub(crate) fn object(&self, object: &impl Serialize) {
        if self.options.json {
            self.write_object(object);
        }
    }

    /// An object that was asked for whatever the form of the rest, handed over at once.
    pub(crate) fn object_now(&self, object: &impl Serialize) {
        self.write_object(object);
        self.flush();
    }

    /// An object on standard error, where standard output carries something else.
    pub(crate) fn object_aside(&self, object: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(object) {
            self.write_stderr(text);
        }
    }

    /// Text on standard output as it is, a prompt say.
    pub(crate) fn raw(&self, text: &str) {
        self.write_stdout(text);
        self.flush();
    }

    /// A remark on standard error; nothing with `-q`.
    pub(crate) fn note(&self, line: impl fmt::Display) {
        if !self.options.quiet {
            self.write_stderr(line);
        }
    }

    /// A remark on standard error that only `-v` shows.
    pub(crate) fn detail(&self, line: impl fmt::Display) {
        if self.options.verbose {
            self.write_stderr(line);
        }
    }

    /// A question, or anything else that must be seen, on standard error.
    pub(crate) fn write_stderr(&self, line: impl fmt::Display) {
        self.raw_stderr(&format!("{line}\n"));
    }

    /// Text on standard error as it is: what an answer is typed behind.
    pub(crate) fn raw_stderr(&self, text: &str) {
        // In one piece, and when even standard error is gone there is nobody left to tell.
        self.around_bars(|| drop(io::stderr().write_all(text.as_bytes())));
    }

    /// A failure: its lines on standard error, and with `--json` its object on standard output.
    pub(crate) fn failure(&self, verb: &str, line: Option<u64>, failure: &Failure) {
        self.told(&failure.told(verb, line, &self.options.caller));
    }

    /// The same, for somebody who types commands elsewhere.
    pub(crate) fn failure_for(&self, caller: &Caller, verb: &str, failure: &Failure) {
        self.told(&failure.told(verb, None, caller));
    }

    /// A failure where standard output carries something else: also its object goes to standard error.
    pub(crate) fn failure_aside(&self, verb: &str, line: Option<u64>, failure: &Failure) {
        let told = failure.told(verb, line, &self.options.caller);
        self.told_to_people(&told);
        if self.options.json {
            self.object_aside(&objects::Error::new(&told));
        }
    }

    fn told(&self, told: &Told) {
        self.object(&objects::Error::new(told));
        self.told_to_people(told);
    }

    fn told_to_people(&self, told: &Told) {
        let text = told.lines();
        let palette = self.stderr_palette;
        match text.split_once('\n') {
            None => self.write_stderr(palette.paint_label(Meaning::Failure, &text)),
            Some((what, hint)) => self.write_stderr(format_args!(
                "{}\n{}",
                palette.paint_label(Meaning::Failure, what),
                palette.paint_label(Meaning::Hint, hint)
            )),
        }
    }

    /// A hint as it can be run here.
    pub(crate) fn shown(&self, hint: &Hint) -> String {
        hint.shown(&self.options.caller)
    }

    /// Something on standard error that must not be overlooked: its first line is painted.
    pub(crate) fn alarm(&self, text: &str) {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        self.write_stderr(format_args!("{}\n{rest}", self.stderr_palette.paint(Meaning::Alarm, first)));
    }

    /// Whether standard output still takes what is written.
    pub(crate) fn is_open(&self) -> bool {
        self.stdout_error().is_none()
    }

    /// What kept standard output from being written, unless its reader just went away.
    pub(crate) fn stdout_failure(&self) -> Option<Failure> {
        self.flush();
        let error = self.stdout_error();
        let error = error.as_ref().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)?;
        Some(Failure::new(ExitCode::LocalDisk, "local-disk", io_message(error)).about("standard output"))
    }

    /// Hands everything printed so far to whoever reads it.
    pub(crate) fn flush(&self) {
        if self.is_open()
            && let Err(error) = io::stdout().flush()
        {
            self.fail_stdout(error);
        }
    }

    fn write_object(&self, object: &impl Serialize) {
        match serde_json::to_string(object) {
            Ok(text) => self.write_stdout(&format!("{text}\n")),
            Err(error) => self.fail_stdout(io::Error::other(error)),
        }
    }

    /// From now on everything that is printed goes around these bars, or around none.
    pub(in crate::output) fn go_around(&self, bars: Option<Arc<Bars>>) {
        *self.bars.lock().unwrap_or_else(PoisonError::into_inner) = bars;
    }

    /// Writes while no bar is on the terminal.
    fn around_bars<T>(&self, write: impl FnOnce() -> T) -> T {
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bars {
            Some(bars) => bars.around(write),
            None => write(),
        }
    }

    fn write_stdout(&self, text: &str) {
        if !self.is_open() {
            return;
        }
        let write = || io::stdout().write_all(text.as_bytes());
        // Where standard output is something else, bars are not in its way.
        let written = if self.stdout_is_terminal { self.around_bars(write) } else { write() };
        written.unwrap_or_else(|error| self.fail_stdout(error));
    }

    fn fail_stdout(&self, error: io::Error) {
        self.stdout_error().get_or_insert(error);
    }

    fn stdout_error(&self) -> MutexGuard<'_, Option<io::Error>> {
        // A panic elsewhere leaves the remembered error as it was.
        self.stdout_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
