//! What is told of trees while they are transferred, and in the end.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use fulmar_client::{Action, TreeDone, TreeEvent, TreeObserver};
use fulmar_proto::{listing::EntryKind, text::Escaped};

use super::failure;
use crate::{
    exit_code::{ExitCode, Tally},
    output::{Failure, Printer, objects, progress::TreeProgress, units},
    session::Context,
    verb::TransferArgs,
    verbs::{several::detail_line, transfer::done_line},
};

/// How many failures are listed once more in the end, and how many links are told of one by one.
const MAX_LISTED: usize = 20;

/// Tells what becomes of the files of one command.
pub(super) struct Report<'a> {
    context: &'a Context,
    verb: &'static str,
    dry_run: bool,
    /// A line for each file: not where many of them would push everything else off a terminal.
    each: bool,
    progress: TreeProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    /// The first failures, without hints.
    failures: Vec<Failure>,
    /// The kinds of failures whose hint has been given.
    hinted: HashSet<&'static str>,
    passed_over: usize,
}

impl<'a> Report<'a> {
    /// `what` is what the command was told to transfer; `tally` has counted what has failed before.
    pub(super) fn new(
        context: &'a Context,
        verb: &'static str,
        args: &TransferArgs,
        what: String,
        tally: Tally,
    ) -> Self {
        let printer = &context.printer;
        Self {
            context,
            verb,
            dry_run: args.dry_run,
            each: printer.is_verbose() || !printer.stdout_is_terminal(),
            progress: TreeProgress::new(printer, verb, what),
            state: Mutex::new(State { tally, ..State::default() }),
        }
    }

    /// Does the work, and shows how far it is.
    pub(super) async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        self.progress.watch(work).await
    }

    /// The last words, once the bars are gone, and the exit code.
    pub(super) fn finish(self, done: &TreeDone) -> ExitCode {
        let Self { context, verb, dry_run, progress, state, .. } = self;
        drop(progress);
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let printer = &context.printer;
        if done.failed == 0 {
            // A script has an object for each file.
            if !printer.is_json() {
                printer.note(sum(done, dry_run));
            }
            return state.tally.code();
        }
        // What was told a moment ago and alone need not be told again.
        if done.failed > 1 || done.stored > 0 {
            list_failures(printer, verb, done.failed, &state.failures);
        }
        printer.write_stderr(format_args!("fulmar: {verb}: {}", sum(done, dry_run)));
        state.tally.code()
    }

    fn failed(&self, source: &str, error: &fulmar_client::Error) {
        let failure = failure(self.context, error, source);
        let bare = Failure { hint: None, ..failure.clone() };
        let is_first = {
            let mut state = self.state();
            state.tally.failed(failure.code);
            if state.failures.len() < MAX_LISTED {
                state.failures.push(bare.clone());
            }
            state.hinted.insert(failure.kind)
        };
        // What helps against a thousand failures of one kind has to be said once.
        self.context.report(self.verb, if is_first { &failure } else { &bare });
    }

    fn passed_over(&self, source: &str, kind: EntryKind) {
        let told = {
            let mut state = self.state();
            state.passed_over += 1;
            state.passed_over
        };
        let printer = &self.context.printer;
        let what = if kind == EntryKind::Link { "a symbolic link" } else { "neither a file nor a directory" };
        let line = format_args!("left out {}: {what}", Escaped(source));
        if told <= MAX_LISTED {
            printer.note(line);
        } else {
            printer.detail(line);
        }
    }

    fn planned(&self, source: &str, destination: &str, bytes: u64, action: Action) {
        let printer = &self.context.printer;
        printer.object(&objects::Plan::new(self.verb, source, destination, bytes, action));
        printer.data(planned_line(source, self.context.shown_local(destination), bytes, action));
    }

    fn done(&self, source: &str, transferred: &fulmar_client::Transferred) {
        let printer = &self.context.printer;
        printer.object(&objects::TransferDone::new(self.verb, transferred));
        if self.each {
            let destination = self.context.shown_local(&transferred.destination);
            printer.answer(done_line(source, destination, transferred));
            printer.detail(detail_line(source, transferred));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TreeObserver for Report<'_> {
    fn on(&self, event: TreeEvent<'_>) {
        match event {
            TreeEvent::Found { bytes } => self.progress.found(bytes),
            TreeEvent::WalkEnded => self.progress.walked(),
            TreeEvent::PassedOver { source, kind } => self.passed_over(source, kind),
            TreeEvent::Started { file, bytes, .. } => self.progress.begin(file, bytes),
            TreeEvent::Moved { file, bytes } => self.progress.moved(file, bytes),
            TreeEvent::Done { file, source, transferred } => {
                self.progress.end(file, true);
                self.done(source, transferred);
            }
            TreeEvent::Failed { file, source, error } => {
                if let Some(file) = file {
                    self.progress.end(file, false);
                }
                self.failed(source, error);
            }
            TreeEvent::Planned { source, destination, bytes, action } => {
                self.planned(source, destination, bytes, action);
            }
        }
    }
}

/// Lists failures once more: what was told when they happened may be far above by now.
fn list_failures(printer: &Printer, verb: &str, failed: u64, listed: &[Failure]) {
    printer.write_stderr(format_args!("fulmar: {verb}: {failed} failed:"));
    for failure in listed {
        let object = failure.object.as_deref().unwrap_or_default();
        printer.write_stderr(format_args!("  {}: {}", Escaped(object), failure.message));
    }
    let more = usize::try_from(failed).unwrap_or(usize::MAX).saturating_sub(listed.len());
    if more > 0 {
        printer.write_stderr(format_args!("  and {more} more"));
    }
}

/// `a.txt -> in/a.txt  4.00 kB  would be stored`.
fn planned_line(source: &str, destination: &str, bytes: u64, action: Action) -> String {
    let slash = if action == Action::MakeDirectory { "/" } else { "" };
    let head = format!("{}{slash} -> {}{slash}", Escaped(source), Escaped(destination));
    let size = units::size(bytes);
    match action {
        Action::Store => format!("{head}  {size}  would be stored"),
        Action::Replace => format!("{head}  {size}  would replace what is there"),
        Action::Number => format!("{head}  {size}  would be stored under a number"),
        Action::AlreadyThere => format!("{head}  {size}  already there"),
        Action::Skip => format!("{head}  would be skipped: it exists"),
        Action::MakeDirectory => format!("{head}  would be made"),
    }
}

/// `409 files, 1.93 GB in 4.1 s (470.7 MB/s), 3 already there, 1 skipped, 2 links or special files left out, 3 failed`. What
/// was not stored took no time that is worth a rate.
fn sum(done: &TreeDone, dry_run: bool) -> String {
    let files = units::counted(done.stored, "file", "files");
    let size = units::size(done.stored_bytes);
    let mut parts = vec![match (dry_run, done.stored) {
        (true, _) => format!("nothing was done: {files}, {size} would be stored"),
        (false, 0) => files,
        (false, _) => {
            let (time, rate) = (units::duration(done.elapsed), units::rate(done.stored_bytes, done.elapsed));
            format!("{files}, {size} in {time} ({rate})")
        }
    }];
    for (count, what) in [
        (done.already_there, "already there"),
        (done.skipped, "skipped"),
        (done.passed_over, "links or special files left out"),
        (done.failed, "failed"),
        (done.not_tried, "not tried"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_line_sums_everything_up() {
        let done = TreeDone {
            stored: 409,
            stored_bytes: 409_000_000,
            already_there: 3,
            skipped: 1,
            passed_over: 2,
            failed: 4,
            directories: 9,
            not_tried: 5,
            broken_off: false,
            elapsed: Duration::from_secs(1),
        };
        assert_eq!(
            sum(&done, false),
            "409 files, 409.00 MB in 1.0 s (409.0 MB/s), 3 already there, 1 skipped, 2 links or special files left out, 4 failed, 5 not tried"
        );
        let only = TreeDone { already_there: 3, ..TreeDone::default() };
        assert_eq!(sum(&only, false), "0 files, 3 already there");
        let planned = TreeDone { stored: 1, stored_bytes: 5, ..TreeDone::default() };
        assert_eq!(sum(&planned, true), "nothing was done: 1 file, 5 B would be stored");
    }

    #[test]
    fn plans_say_where_everything_would_go() {
        let line = |action| planned_line("a\n", "in/a", 4_000, action);
        assert_eq!(line(Action::Store), "a\\n -> in/a  4.00 kB  would be stored");
        assert_eq!(line(Action::MakeDirectory), "a\\n/ -> in/a/  would be made");
        assert_eq!(line(Action::Skip), "a\\n -> in/a  would be skipped: it exists");
    }
}
