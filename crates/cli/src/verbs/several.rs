//! The files of one transfer command: several at a time, each told of as it ends, and all of them in the end.

use std::time::{Duration, Instant};

use fulmar_client::{Outcome, Session, Transferred};
use fulmar_proto::text::Escaped;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::transfer::{self, Source};
use crate::{
    exit_code::{ExitCode, Tally},
    output::{Failure, objects::TransferDone, progress::FileProgress, units},
    session::Context,
};

/// How many files are transferred at the same time. They share the memory of the client;
/// and four hide the round trips that each file costs at its beginning and end.
const MAX_FILES_AT_ONCE: usize = 4;

/// What a command does with its files.
pub(super) struct Work<'a> {
    pub(super) verb: &'static str,
    pub(super) sources: &'a [Source],
}

/// Why a file was not transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// It is the target directory that is no good: no other file can go there either.
    pub(super) is_for_all: bool,
}

impl From<Failure> for Broken {
    /// A failure of one file alone.
    fn from(failure: Failure) -> Self {
        Self { failure, is_for_all: false }
    }
}

/// Transfers all files with `transfer`, and tells what becomes of each. Dropping the future drops all of them. `tally` has
/// counted what has failed before.
pub(super) async fn run<F>(
    context: &Context,
    session: &Session,
    work: Work<'_>,
    tally: Tally,
    transfer: F,
) -> ExitCode
where
    F: AsyncFn(&Source, &FileProgress<'_>) -> Result<Transferred, Broken>,
{
    let sources = work.sources;
    // A server that lets nobody in says so once, before any of several files is tried.
    if sources.len() > 1
        && let Err(error) = session.welcome().await
    {
        let failure = context.failure(&error, &session.address().to_string());
        context.report(work.verb, &failure);
        return failure.code;
    }
    let progress = context.progress(work.verb, sources.len(), total_bytes(sources));
    let mut course = Course::new(work, tally);
    let mut waiting = sources.iter();
    let mut running = FuturesUnordered::new();
    let transfers = async {
        loop {
            while running.len() < MAX_FILES_AT_ONCE
                && let Some(source) = waiting.next()
            {
                course.started += 1;
                let file = progress.file(&source.typed.to_string_lossy(), source.bytes);
                running.push(one(&transfer, source, file));
            }
            let Some((source, result)) = running.next().await else { return };
            let stop = course.ends(&result, session.is_closed());
            tell(context, course.work.verb, source, &result);
            if stop {
                return;
            }
        }
    };
    progress.watch(transfers).await;
    // What still runs is dropped before the last words, and so are the bars.
    drop(running);
    drop(progress);
    course.tell_sum(context);
    course.tally.code()
}

/// The bytes of all files, when all are known. Lengths come from peers: their sum may be more than there can be.
fn total_bytes(sources: &[Source]) -> Option<u64> {
    sources.iter().try_fold(0, |sum: u64, source| Some(sum.saturating_add(source.bytes?)))
}

async fn one<'a, F>(
    transfer: &F,
    source: &'a Source,
    progress: FileProgress<'_>,
) -> (&'a Source, Result<Transferred, Broken>)
where
    F: AsyncFn(&Source, &FileProgress<'_>) -> Result<Transferred, Broken>,
{
    let result = transfer(source, &progress).await;
    progress.end(result.is_ok());
    (source, result)
}

/// One line for a file that has ended.
fn tell(context: &Context, verb: &'static str, source: &Source, result: &Result<Transferred, Broken>) {
    let printer = &context.printer;
    match result {
        Ok(done) => {
            let name = source.typed.to_string_lossy();
            printer.object(&TransferDone::new(verb, done));
            let destination = context.shown_local(&done.destination);
            printer.answer(transfer::done_line(&name, destination, done));
            printer.detail(detail_line(&name, done));
        }
        Err(broken) => context.report(verb, &broken.failure),
    }
    printer.flush();
}

/// What crossed the network, and why it was not the whole file.
pub(super) fn detail_line(name: &str, done: &Transferred) -> String {
    let (name, sent) = (Escaped(name), units::size(done.sent_bytes));
    match done.outcome {
        Outcome::Stored if done.resumed_bytes > 0 => {
            let resumed = units::size(done.resumed_bytes);
            format!("{name}: {sent} crossed the network, {resumed} had been there already")
        }
        Outcome::Stored => format!("{name}: {sent} crossed the network"),
        Outcome::AlreadyThere => {
            format!("{name}: {sent} crossed the network, the target has the same size and BLAKE3")
        }
        Outcome::Skipped => format!("{name}: nothing crossed the network, the target exists"),
    }
}

/// What has become of the files so far.
struct Course<'a> {
    work: Work<'a>,
    tally: Tally,
    begun: Instant,
    started: usize,
    failed: usize,
    stored: usize,
    /// Of the files that were stored.
    bytes: u64,
    already_there: usize,
    skipped: usize,
}

impl<'a> Course<'a> {
    fn new(work: Work<'a>, tally: Tally) -> Self {
        let (started, failed, stored, bytes, already_there, skipped) = (0, 0, 0, 0, 0, 0);
        Self { work, tally, begun: Instant::now(), started, failed, stored, bytes, already_there, skipped }
    }

    /// Counts a file that has ended. Says whether that ends the others too.
    fn ends(&mut self, result: &Result<Transferred, Broken>, connection_lost: bool) -> bool {
        match result {
            Ok(done) => {
                match done.outcome {
                    Outcome::Stored => {
                        self.stored += 1;
                        self.bytes = self.bytes.saturating_add(done.bytes);
                    }
                    Outcome::AlreadyThere => self.already_there += 1,
                    Outcome::Skipped => self.skipped += 1,
                }
                false
            }
            Err(broken) => {
                self.failed += 1;
                self.tally.failed(broken.failure.code);
                connection_lost || broken.is_for_all
            }
        }
    }

    fn succeeded(&self) -> usize {
        self.stored + self.already_there + self.skipped
    }

    fn tell_sum(&self, context: &Context) {
        let printer = &context.printer;
        if self.work.sources.len() < 2 {
            return;
        }
        let elapsed = self.begun.elapsed();
        if self.succeeded() == self.work.sources.len() {
            // A script has an object for each file.
            if !printer.is_json() {
                printer.note(self.done(elapsed));
            }
        } else {
            printer.write_stderr(format_args!("fulmar: {}: {}", self.work.verb, self.failures(elapsed)));
        }
    }

    /// `12 files, 3.40 GB in 31.2 s (109.0 MB/s), 3 already there, 1 skipped`. What was not stored took no time that
    /// is worth a rate; the first part alone says what is counted.
    fn done(&self, elapsed: Duration) -> String {
        let mut parts = Vec::new();
        if self.stored > 0 {
            let (size, time) = (units::size(self.bytes), units::duration(elapsed));
            let rate = units::rate(self.bytes, elapsed);
            parts.push(format!("{}, {size} in {time} ({rate})", counted_files(self.stored)));
        }
        for (count, what) in [(self.already_there, "already there"), (self.skipped, "skipped")] {
            match count {
                0 => {}
                count if parts.is_empty() => parts.push(format!("{} {what}", counted_files(count))),
                count => parts.push(format!("{count} {what}")),
            }
        }
        parts.join(", ")
    }

    /// `3 of 412 files failed (listed above); 409 files, 1.93 GB in 4.1 s (470.7 MB/s)`.
    fn failures(&self, elapsed: Duration) -> String {
        let total = self.work.sources.len();
        let mut text = format!("{} of {total} files failed (listed above)", self.failed);
        let broken_off = self.started - self.succeeded() - self.failed;
        if broken_off > 0 {
            text.push_str(&format!(", {broken_off} broken off"));
        }
        if self.started < total {
            text.push_str(&format!(", {} not tried", total - self.started));
        }
        if self.succeeded() > 0 {
            text.push_str(&format!("; {}", self.done(elapsed)));
        }
        text
    }
}

fn counted_files(count: usize) -> String {
    units::counted(count as u64, "file", "files")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_proto::digest::Digest;
    use std::path::PathBuf;

    fn sources(count: usize) -> Vec<Source> {
        let source = |number: usize| Source::remote(PathBuf::from(number.to_string()), None);
        (0..count).map(source).collect()
    }

    fn course(sources: &[Source]) -> Course<'_> {
        Course::new(Work { verb: "upload", sources }, Tally::default())
    }

    fn done(outcome: Outcome, sent_bytes: u64, resumed_bytes: u64) -> Transferred {
        let (source, destination) = ("a".to_owned(), "b".to_owned());
        let (bytes, root, elapsed) = (1_000_000, Digest::EMPTY, Duration::from_secs(1));
        Transferred { source, destination, bytes, sent_bytes, resumed_bytes, root, elapsed, outcome }
    }

    fn failure(is_for_all: bool) -> Result<Transferred, Broken> {
        let failure = Failure::new(ExitCode::NotFound, "not-found", "no such file").about("in");
        Err(Broken { failure, is_for_all })
    }

    #[test]
    fn a_failure_of_one_file_stops_no_other() {
        let sources = sources(412);
        let mut course = course(&sources);
        course.started = 412;
        for _ in 0..409 {
            assert!(!course.ends(&Ok(done(Outcome::Stored, 1_000_000, 0)), false));
        }
        for _ in 0..3 {
            assert!(!course.ends(&failure(false), false));
        }
        assert_eq!(course.tally.code(), ExitCode::NotFound);
        assert_eq!(
            course.failures(Duration::from_secs(1)),
            "3 of 412 files failed (listed above); 409 files, 409.00 MB in 1.0 s (409.0 MB/s)"
        );
    }

    #[test]
    fn the_directory_and_the_connection_stop_them_all() {
        let sources = sources(10);
        let mut stopped = course(&sources);
        stopped.started = 4;
        assert!(!stopped.ends(&Ok(done(Outcome::Stored, 1, 0)), false));
        assert!(stopped.ends(&failure(true), false));
        assert_eq!(
            stopped.failures(Duration::from_millis(500)),
            "1 of 10 files failed (listed above), 2 broken off, 6 not tried; 1 file, 1.00 MB in 500 ms (2.0 MB/s)"
        );
        assert!(course(&sources).ends(&failure(false), true));
        assert!(!course(&sources).ends(&failure(false), false));
    }

    #[test]
    fn only_what_was_stored_counts_into_the_rate() {
        let sources = sources(6);
        let sum = |outcomes: &[Outcome]| {
            let mut course = course(&sources);
            for outcome in outcomes {
                course.ends(&Ok(done(*outcome, 0, 0)), false);
            }
            course.done(Duration::from_secs(1))
        };
        use Outcome::{AlreadyThere, Skipped, Stored};
        assert_eq!(sum(&[Stored, Stored]), "2 files, 2.00 MB in 1.0 s (2.0 MB/s)");
        assert_eq!(
            sum(&[Skipped, Stored, AlreadyThere, Skipped]),
            "1 file, 1.00 MB in 1.0 s (1.0 MB/s), 1 already there, 2 skipped"
        );
        assert_eq!(sum(&[AlreadyThere; 3]), "3 files already there");
        assert_eq!(sum(&[Skipped]), "1 file skipped");
        assert_eq!(sum(&[AlreadyThere, Skipped, Skipped]), "1 file already there, 2 skipped");
    }

    #[test]
    fn no_lengths_are_too_many() {
        let mut sources = sources(3);
        assert_eq!(total_bytes(&sources), None);
        sources.iter_mut().for_each(|source| source.bytes = Some(5));
        assert_eq!(total_bytes(&sources), Some(15));
        sources.iter_mut().for_each(|source| source.bytes = Some(u64::MAX));
        assert_eq!(total_bytes(&sources), Some(u64::MAX));
        sources[2].bytes = None;
        assert_eq!(total_bytes(&sources), None);
    }

    #[test]
    fn details_say_what_crossed_the_network() {
        let cases = [
            (done(Outcome::Stored, 1_000_000, 0), "a: 1.00 MB crossed the network"),
            (
                done(Outcome::Stored, 1, 999_999),
                "a: 1 B crossed the network, 1000.00 kB had been there already",
            ),
            (
                done(Outcome::AlreadyThere, 0, 0),
                "a: 0 B crossed the network, the target has the same size and BLAKE3",
            ),
            (done(Outcome::Skipped, 0, 0), "a: nothing crossed the network, the target exists"),
        ];
        for (done, line) in cases {
            assert_eq!(detail_line("a", &done), line);
        }
    }
}
