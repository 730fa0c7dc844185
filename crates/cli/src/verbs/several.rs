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

/// How many files are transferred at the same time. A transfer takes up to 32 MiB, so that four of them stay below 128 MiB;
/// and four hide the round trips that each file costs at its beginning and end.
const MAX_FILES_AT_ONCE: usize = 4;

/// What a command does with its files.
pub(super) struct Work<'a> {
    pub(super) verb: &'static str,
    pub(super) sources: &'a [Source],
    /// The target directory, as failures that are about it name it: what is wrong with it is wrong for every file.
    pub(super) directory: Option<&'a str>,
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
    F: AsyncFn(&Source, &FileProgress<'_>) -> Result<Transferred, Failure>,
{
    let sources = work.sources;
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
) -> (&'a Source, Result<Transferred, Failure>)
where
    F: AsyncFn(&Source, &FileProgress<'_>) -> Result<Transferred, Failure>,
{
    let result = transfer(source, &progress).await;
    progress.end(result.is_ok());
    (source, result)
}

/// One line for a file that has ended.
fn tell(context: &Context, verb: &'static str, source: &Source, result: &Result<Transferred, Failure>) {
    let printer = &context.printer;
    match result {
        Ok(done) => {
            let name = source.typed.to_string_lossy();
            printer.object(&TransferDone::new(verb, done));
            let destination = context.shown_local(&done.destination);
            printer.answer(transfer::done_line(&name, destination, done));
            printer.detail(detail_line(&name, done));
        }
        Err(failure) => context.report(verb, failure),
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
    succeeded: usize,
    failed: usize,
    bytes: u64,
}

impl<'a> Course<'a> {
    fn new(work: Work<'a>, tally: Tally) -> Self {
        Self { work, tally, begun: Instant::now(), started: 0, succeeded: 0, failed: 0, bytes: 0 }
    }

    /// Counts a file that has ended. Says whether that ends the others too.
    fn ends(&mut self, result: &Result<Transferred, Failure>, connection_lost: bool) -> bool {
        match result {
            Ok(done) => {
                self.succeeded += 1;
                self.bytes = self.bytes.saturating_add(done.bytes);
                false
            }
            Err(failure) => {
                self.failed += 1;
                self.tally.failed(failure.code);
                connection_lost
                    || (self.work.directory.is_some() && failure.object.as_deref() == self.work.directory)
            }
        }
    }

    fn tell_sum(&self, context: &Context) {
        let printer = &context.printer;
        if self.work.sources.len() < 2 {
            return;
        }
        let elapsed = self.begun.elapsed();
        if self.succeeded == self.work.sources.len() {
            // A script has an object for each file.
            if !printer.is_json() {
                printer.note(self.copied(elapsed));
            }
        } else {
            printer.write_stderr(format_args!("fulmar: {}: {}", self.work.verb, self.failures(elapsed)));
        }
    }

    /// `12 files, 3.40 GB in 31.2 s (109.0 MB/s)`.
    fn copied(&self, elapsed: Duration) -> String {
        let files = units::counted(self.succeeded as u64, "file", "files");
        let (size, time) = (units::size(self.bytes), units::duration(elapsed));
        format!("{files}, {size} in {time} ({})", units::rate(self.bytes, elapsed))
    }

    /// `3 of 412 files failed (listed above); 409 files, 1.93 GB in 4.1 s (470.7 MB/s)`.
    fn failures(&self, elapsed: Duration) -> String {
        let total = self.work.sources.len();
        let mut text = format!("{} of {total} files failed (listed above)", self.failed);
        let broken_off = self.started - self.succeeded - self.failed;
        if broken_off > 0 {
            text.push_str(&format!(", {broken_off} broken off"));
        }
        if self.started < total {
            text.push_str(&format!(", {} not tried", total - self.started));
        }
        if self.succeeded > 0 {
            text.push_str(&format!("; {}", self.copied(elapsed)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_proto::digest::Digest;
    use std::path::PathBuf;

    fn sources(count: usize) -> Vec<Source> {
        (0..count).map(|number| Source { typed: PathBuf::from(number.to_string()), bytes: None }).collect()
    }

    fn course<'a>(sources: &'a [Source], directory: Option<&'a str>) -> Course<'a> {
        Course::new(Work { verb: "upload", sources, directory }, Tally::default())
    }

    fn done(outcome: Outcome, sent_bytes: u64, resumed_bytes: u64) -> Transferred {
        let (source, destination) = ("a".to_owned(), "b".to_owned());
        let (bytes, root, elapsed) = (1_000_000, Digest::EMPTY, Duration::from_secs(1));
        Transferred { source, destination, bytes, sent_bytes, resumed_bytes, root, elapsed, outcome }
    }

    fn failure(object: &str) -> Result<Transferred, Failure> {
        Err(Failure::new(ExitCode::NotFound, "not-found", "no such file").about(object))
    }

    #[test]
    fn a_failure_of_one_file_stops_no_other() {
        let sources = sources(412);
        let mut course = course(&sources, Some("in"));
        course.started = 412;
        for _ in 0..409 {
            assert!(!course.ends(&Ok(done(Outcome::Stored, 1_000_000, 0)), false));
        }
        for _ in 0..3 {
            assert!(!course.ends(&failure("7"), false));
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
        let mut stopped = course(&sources, Some("in"));
        stopped.started = 4;
        assert!(!stopped.ends(&Ok(done(Outcome::Stored, 1, 0)), false));
        assert!(stopped.ends(&failure("in"), false));
        assert_eq!(
            stopped.failures(Duration::from_millis(500)),
            "1 of 10 files failed (listed above), 2 broken off, 6 not tried; 1 file, 1.00 MB in 500 ms (2.0 MB/s)"
        );
        assert!(course(&sources, None).ends(&failure("in"), true));
        assert!(!course(&sources, None).ends(&failure("in"), false));
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
