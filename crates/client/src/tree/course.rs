//! How far a transfer of trees is: what has been told, and whether it can go on.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use fulmar_disk::DiskError;
use fulmar_proto::{error::ErrorCode, listing::EntryKind, range::MAX_RANGE_BYTES};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::{Action, TreeDone, TreeEvent, TreeObserver};
use crate::{
    error::{Error, ErrorKind},
    session::Session,
    transfer::{Event, Observer, Outcome, Transferred},
};

/// The most things of a walk that are taken up at once; most of them wait for a place in the window.
const MAX_RUNNING: usize = 1024;

/// Finds one thing after the other.
pub(super) trait Walk {
    /// What it finds.
    type Found;

    /// The next one; none at the end. Nothing is lost when the future is dropped.
    fn next(&mut self) -> impl Future<Output = Option<Self::Found>> + Send;

    /// Carries on what is under way while nobody asks for the next one. Never ends, and may be dropped.
    fn go_on(&mut self) -> impl Future<Output = ()> + Send;
}

/// Begins something with everything that the walk finds, while it finds more, until all that has ended or nothing can be
/// done any more.
pub(super) async fn drive<W: Walk, F: Future<Output = ()>>(
    course: &Course<'_>,
    walk: &mut W,
    begin: impl Fn(W::Found) -> F,
) {
    let mut running = FuturesUnordered::new();
    let mut walking = true;
    while !course.is_broken_off() {
        let has_room = running.len() < MAX_RUNNING;
        tokio::select! {
            // In a fixed order, so that a simulation can be repeated. What ends makes room for what begins.
            biased;
            Some(()) = running.next(), if !running.is_empty() => {}
            found = next(walk, has_room), if walking => match found {
                Some(found) => running.push(begin(found)),
                None => {
                    walking = false;
                    course.tell(TreeEvent::WalkEnded);
                }
            },
            else => return,
        }
    }
}

/// The next thing that the walk finds, once there is room for it.
async fn next<W: Walk>(walk: &mut W, has_room: bool) -> Option<W::Found> {
    if !has_room {
        walk.go_on().await;
    }
    walk.next().await
}

/// What has become of everything so far.
pub(super) struct Course<'a> {
    session: &'a Session,
    observer: &'a dyn TreeObserver,
    started: Instant,
    next_file: AtomicU64,
    done: Mutex<TreeDone>,
}

/// One file that is under way: tells of its progress.
pub(super) struct FileCourse<'a> {
    course: &'a Course<'a>,
    file: u64,
    source: &'a str,
    bytes: u64,
}

impl<'a> Course<'a> {
    pub(super) fn new(session: &'a Session, observer: &'a dyn TreeObserver) -> Self {
        let (started, next_file, done) = (Instant::now(), AtomicU64::new(0), Mutex::default());
        Self { session, observer, started, next_file, done }
    }

    pub(super) fn tell(&self, event: TreeEvent<'_>) {
        self.observer.on(event);
    }

    /// The walk has seen a file.
    pub(super) fn found(&self, bytes: u64) {
        // What has been found and does not end has not been tried.
        self.done().not_tried += 1;
        self.tell(TreeEvent::Found { bytes });
    }

    /// The walk has seen something that is never transferred.
    pub(super) fn passed_over(&self, source: &str, kind: EntryKind) {
        self.done().passed_over += 1;
        self.tell(TreeEvent::PassedOver { source, kind });
    }

    /// A directory is there.
    pub(super) fn directory_there(&self) {
        self.done().directories += 1;
    }

    /// Something has failed that is no file under way.
    pub(super) fn failed(&self, source: &str, error: &Error) {
        self.count_failure(error, 0);
        self.tell(TreeEvent::Failed { file: None, source, error });
    }

    /// A file would be treated so.
    pub(super) fn planned(&self, source: &str, destination: &str, bytes: u64, action: Action) {
        let mut done = self.done();
        match action {
            Action::MakeDirectory => done.directories += 1,
            Action::Store | Action::Replace | Action::Number => {
                done.stored += 1;
                done.stored_bytes = done.stored_bytes.saturating_add(bytes);
            }
            Action::AlreadyThere => done.already_there += 1,
            Action::Skip => done.skipped += 1,
        }
        if action != Action::MakeDirectory {
            done.not_tried = done.not_tried.saturating_sub(1);
        }
        drop(done);
        self.tell(TreeEvent::Planned { source, destination, bytes, action });
    }

    /// It cannot be planned what would be done with a file that was found.
    pub(super) fn not_planned(&self, source: &str, error: &Error) {
        let mut done = self.done();
        done.not_tried = done.not_tried.saturating_sub(1);
        drop(done);
        self.failed(source, error);
    }

    /// The transfer of a file begins.
    pub(super) fn begin(&'a self, source: &'a str, bytes: u64) -> FileCourse<'a> {
        let file = self.next_file.fetch_add(1, Ordering::Relaxed);
        self.tell(TreeEvent::Started { file, source, bytes });
        FileCourse { course: self, file, source, bytes }
    }

    /// Whether nothing more can be done.
    pub(super) fn is_broken_off(&self) -> bool {
        self.done().broken_off
    }

    pub(super) fn finish(&self) -> TreeDone {
        TreeDone { elapsed: self.started.elapsed(), ..*self.done() }
    }

    /// Counts the failure of a file of so many bytes, or of what is no file.
    fn count_failure(&self, error: &Error, bytes: u64) {
        let mut done = self.done();
        done.failed += 1;
        done.broken_off |= self.session.is_closed() || is_for_all(error, bytes);
    }

    fn done(&self) -> MutexGuard<'_, TreeDone> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileCourse<'_> {
    /// The transfer has ended.
    pub(super) fn end(self, result: &Result<Transferred, Error>) {
        let (course, file, source, bytes) = (self.course, self.file, self.source, self.bytes);
        let mut done = course.done();
        done.not_tried = done.not_tried.saturating_sub(1);
        match result {
            Ok(transferred) => {
                count(&mut done, transferred);
                drop(done);
                course.tell(TreeEvent::Done { file, source, transferred });
            }
            Err(error) => {
                drop(done);
                course.count_failure(error, bytes);
                course.tell(TreeEvent::Failed { file: Some(file), source, error });
            }
        }
    }
}

impl Observer for FileCourse<'_> {
    fn on(&self, event: Event) {
        match event {
            Event::Acknowledged { bytes } => self.course.tell(TreeEvent::Moved { file: self.file, bytes }),
            Event::Started { .. } | Event::Hashing { .. } | Event::Restarted => {}
        }
    }
}

fn count(done: &mut TreeDone, transferred: &Transferred) {
    match transferred.outcome {
        Outcome::Stored => {
            done.stored += 1;
            done.stored_bytes = done.stored_bytes.saturating_add(transferred.bytes);
        }
        Outcome::AlreadyThere => done.already_there += 1,
        Outcome::Skipped => done.skipped += 1,
    }
}

/// Whether the error of a file of so many bytes would be that of every other file too. Where a long file finds no room, short ones may.
fn is_for_all(error: &Error, bytes: u64) -> bool {
    let is_short = bytes <= u64::from(MAX_RANGE_BYTES);
    match error {
        Error::Server(failure) if failure.code == ErrorCode::NO_SPACE => is_short,
        Error::Local { error: DiskError::NoSpace, .. } => is_short,
        Error::Server(failure) => matches!(
            failure.code,
            ErrorCode::READ_ONLY
                | ErrorCode::NOT_GRANTED
                | ErrorCode::UNKNOWN_CLIENT
                | ErrorCode::REVOKED
                | ErrorCode::GOING_AWAY
        ),
        Error::Local { error: DiskError::ReadOnly, .. } => true,
        error => error.kind() == ErrorKind::ConnectionLost,
    }
}

#[cfg(test)]
mod tests {
    use fulmar_proto::error::Failure;

    use super::*;

    #[test]
    fn only_what_hits_every_file_ends_the_others() {
        let server = |code| Error::Server(Failure::new(code));
        let local = |error| Error::Local { path: "x".into(), error };
        for error in [
            server(ErrorCode::NO_SPACE),
            server(ErrorCode::READ_ONLY),
            server(ErrorCode::GOING_AWAY),
            local(DiskError::NoSpace),
            Error::Stalled,
        ] {
            assert!(is_for_all(&error, 1 << 20), "{error}");
        }
        for error in [
            server(ErrorCode::EXISTS),
            server(ErrorCode::PERMISSION),
            server(ErrorCode::NO_PARENT),
            server(ErrorCode::POLICY),
            local(DiskError::NotFound),
            local(DiskError::PermissionDenied),
            Error::SourceChanged,
            Error::DigestMismatch,
        ] {
            assert!(!is_for_all(&error, 1 << 20), "{error}");
        }
        for error in [server(ErrorCode::NO_SPACE), local(DiskError::NoSpace)] {
            assert!(!is_for_all(&error, 60 << 30), "a shorter one may fit: {error}");
        }
    }
}
