//! Downloads.

mod attempt;
pub(crate) mod file;
mod stream;

use std::{path::Path, sync::Arc};

use fulmar_proto::{
    digest::{Digest, DigestTree},
    hello::Policies,
    path::{RelPath, same_extension},
    range::{MAX_RANGE_BYTES, Range},
    reply::Opened,
    upload::OnExists,
    version::Version,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use attempt::Attempt;

use super::{
    DownloadTarget, Event, Observer, Outcome, TransferOptions, Transferred, fetch,
    flight::{self, Arrivals},
    plan::{Plan, of_second},
};
use crate::{error::Error, local::LocalTarget, session::Session};

/// What a download came to, before it is told in full.
pub(crate) struct Done {
    destination: String,
    bytes: u64,
    sent_bytes: u64,
    root: Digest,
    outcome: Outcome,
}

impl Done {
    /// All of `bytes` came, and are stored.
    pub(crate) fn stored(destination: String, bytes: u64, root: Digest) -> Self {
        Self { destination, bytes, sent_bytes: bytes, root, outcome: Outcome::Stored }
    }

    /// What became of it.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The whole of it: what was fetched, and since when.
    pub(crate) fn of(self, source: String, started: Instant) -> Transferred {
        Transferred {
            source,
            destination: self.destination,
            bytes: self.bytes,
            sent_bytes: self.sent_bytes,
            resumed_bytes: 0,
            root: self.root,
            elapsed: started.elapsed(),
            outcome: self.outcome,
        }
    }
}

impl Session {
    /// Downloads one file. When this returns, it is durable under its final name and every range of it has the digest
    /// that the server claims. Dropping the future cancels the download: unless the file has its final name by then, it never
    /// gets it, and nothing of it is left.
    ///
    /// # Errors
    /// Any [`Error`]. [`Error::LocalExists`] when the target holds other bytes; [`Error::SourceChanged`] when the file
    /// changed, and again after one restart.
    pub async fn download(
        &self,
        path: &RelPath,
        target: DownloadTarget,
        options: &TransferOptions,
        observer: &dyn Observer,
    ) -> Result<Transferred, Error> {
        let started = Instant::now();
        let done = match target {
            DownloadTarget::Path { path: local, must_be_directory } => {
                self.download_file(path, &local, must_be_directory, options, observer).await?
            }
            DownloadTarget::Writer(writer) => stream::download(self, path, writer, observer).await?,
        };
        Ok(done.of(path.as_str().to_owned(), started))
    }

    /// Downloads to a file, beginning anew once when the source changes meanwhile.
    async fn download_file(
        &self,
        path: &RelPath,
        local: &Path,
        must_be_directory: bool,
        options: &TransferOptions,
        observer: &dyn Observer,
    ) -> Result<Done, Error> {
        let target = file::resolve(self, local, must_be_directory, path.name()).await?;
        self.download_to(path, &target, options, observer).await
    }

    /// Downloads under this name.
    pub(crate) async fn download_to(
        &self,
        path: &RelPath,
        target: &Arc<LocalTarget>,
        options: &TransferOptions,
        observer: &dyn Observer,
    ) -> Result<Done, Error> {
        self.check_extension(path.name(), target.leaf()).await?;
        if let Some(done) = file::already_there(self, path, target, options.on_exists, observer).await? {
            return Ok(done);
        }
        let mut restarted = false;
        loop {
            match file::download(self, path, target, options, observer).await {
                Err(error) if error.is_changed() && restarted => return Err(Error::SourceChanged),
                Err(error) if error.is_changed() => {
                    restarted = true;
                    observer.on(Event::Restarted);
                }
                result => return result,
            }
        }
    }

    /// The server's wish that names keep their extension is for this side to honour: it never learns the local name.
    async fn check_extension(&self, from: &str, to: &str) -> Result<(), Error> {
        // Only who gives another extension has to wait for what the server wishes.
        if !same_extension(from, to) && self.welcome().await?.policies.has(Policies::KEEP_EXTENSION) {
            return Err(Error::Policy("the extension must be kept"));
        }
        Ok(())
    }
}

/// The ranges of one file, arriving in any order. `T` is what fetching one of them gives.
struct Ranges<'a, T> {
    session: &'a Session,
    path: &'a RelPath,
    opened: &'a Opened,
    plan: Plan,
    nothing: DigestTree,
    in_flight: JoinSet<Result<(Range, T), Error>>,
    in_flight_bytes: u64,
    arrivals: Arrivals,
    /// What the connection had received when the file was opened, in bytes, and when that was.
    since: (u64, Instant),
}

impl<'a, T: Send + 'static> Ranges<'a, T> {
    /// All ranges behind the first one, which `first` fetches.
    fn new<F>(session: &'a Session, path: &'a RelPath, opened: &'a Opened, first: Option<(Range, F)>) -> Self
    where
        F: Future<Output = Result<(Range, T), Error>> + Send + 'static,
    {
        let mut ranges = Self {
            session,
            path,
            opened,
            plan: Plan::new(opened.size, first.as_ref().map_or(0, |(range, _)| range.end())),
            nothing: DigestTree::new(Some(opened.size)),
            in_flight: JoinSet::new(),
            in_flight_bytes: 0,
            arrivals: Arrivals::default(),
            since: (session.stats().received_bytes, Instant::now()),
        };
        if let Some((range, first)) = first {
            ranges.in_flight_bytes += u64::from(range.len());
            ranges.in_flight.spawn(first);
        }
        ranges
    }

    /// Has `fetch` ask for as much as the path takes, beside `waiting_bytes` that have arrived and are not used yet.
    fn start<F>(&mut self, waiting_bytes: u64, fetch: impl Fn(Session, RelPath, Version, Range) -> F)
    where
        F: Future<Output = Result<(Range, T), Error>> + Send + 'static,
    {
        let (before_bytes, since) = self.since;
        let received = self.session.stats().received_bytes - before_bytes;
        self.arrivals.note(received, since.elapsed());
        let most_bytes = self.arrivals.in_flight_bytes();
        while self.in_flight.len() < flight::MOST_RANGES && self.in_flight_bytes + waiting_bytes < most_bytes
        {
            let desired = of_second(self.arrivals.second_bytes());
            let Some(range) = self.plan.next(desired, &self.nothing) else { return };
            let (session, path) = (self.session.clone(), self.path.clone());
            self.in_flight_bytes += u64::from(range.len());
            self.in_flight.spawn(fetch(session, path, self.opened.version, range));
        }
    }

    /// Ends what still runs.
    async fn stop(mut self) {
        self.in_flight.shutdown().await;
    }

    /// The next range that arrives, none when all have. Meanwhile as [`Ranges::start`].
    async fn next<F>(
        &mut self,
        waiting_bytes: u64,
        fetch: impl Fn(Session, RelPath, Version, Range) -> F,
    ) -> Result<Option<(Range, T)>, Error>
    where
        F: Future<Output = Result<(Range, T), Error>> + Send + 'static,
    {
        loop {
            self.start(waiting_bytes, &fetch);
            tokio::select! {
                // In a fixed order, so that a simulation can be repeated.
                biased;
                fetched = self.in_flight.join_next() => {
                    let Some(fetched) = fetched else { return Ok(None) };
                    let (range, fetched) = super::upload::joined(fetched)?;
                    self.in_flight_bytes -= u64::from(range.len());
                    return Ok(Some((range, fetched)));
                }
                () = sleep(flight::LOOK_AGAIN), if !self.plan.is_done() => {}
            }
        }
    }
}

/// The digest of the file whose ranges are all in `tree`. It must be the one that the server's catalog knows, if any.
pub(crate) fn root_of(tree: &DigestTree, opened: &Opened) -> Result<Digest, Error> {
    let root = tree.root().map_err(|_| Error::DigestMismatch)?;
    if opened.root.is_some_and(|known| known != root) { Err(Error::DigestMismatch) } else { Ok(root) }
}

/// How much of a file comes with the answer to opening it.
pub(crate) const FIRST_BYTES: u32 = MAX_RANGE_BYTES / 2;

/// Whether an existing target ends the download before it begins.
pub(crate) fn keeps_target(on_exists: OnExists) -> bool {
    matches!(on_exists, OnExists::Fail | OnExists::Skip)
}
