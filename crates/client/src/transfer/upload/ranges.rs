//! The ranges of a file on their way to the server.

use fulmar_proto::{
    digest::{ChainingValue, Digest, DigestTree, Node, RangeDigest},
    range::Range,
    reply::Reply,
    request::Request,
    trailer::Trailer,
    upload::{Begun, HaveNode},
    version::UploadId,
};
use fulmar_transport::Lease;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::beginning::First;
use crate::{
    call::Call,
    error::Error,
    session::Session,
    transfer::{
        Event, Observer, flight,
        plan::{Plan, desired_bytes},
        source::FileSource,
        turn::{Turn, Turns},
    },
};

/// Which upload a range belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upload {
    pub(super) id: UploadId,
    pub(super) generation: u32,
}

impl Upload {
    pub(super) fn of(begun: &Begun) -> Self {
        Self { id: begun.upload_id, generation: begun.generation }
    }
}

/// One range whose digest is known; unless it was there before, all of it is on its way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    range: Range,
    digest: RangeDigest,
    /// It was there before.
    resumed: bool,
}

/// The ranges of one upload: which are to be sent, which are on their way, and which the server has.
pub(super) struct Course<'a> {
    session: &'a Session,
    source: &'a FileSource,
    upload: Upload,
    have: &'a [HaveNode],
    /// What the server claims to have.
    there: DigestTree,
    plan: Plan,
    turns: Turns,
    /// Each comes back when the server has it.
    in_flight: JoinSet<Result<Range, Error>>,
    in_flight_bytes: u64,
    sent: (mpsc::UnboundedSender<Sent>, mpsc::UnboundedReceiver<Sent>),
    /// What has been read.
    tree: DigestTree,
    resumed: Vec<(Range, RangeDigest)>,
    /// What was there before and has been read.
    resumed_bytes: u64,
    written_bytes: u64,
    started: Instant,
}

impl<'a> Course<'a> {
    /// Nothing is sent yet but `first`, behind `Begin`.
    pub(super) fn new(
        session: &'a Session,
        source: &'a FileSource,
        begun: &Begun,
        have: &'a [HaveNode],
        first: Option<Box<First>>,
    ) -> Result<Self, Error> {
        let size = source.meta().size;
        let offset = first.as_ref().map_or(0, |first| first.range.end());
        let mut course = Self {
            session,
            source,
            upload: Upload::of(begun),
            have,
            there: tree_of(size, have)?,
            plan: Plan::new(size, offset),
            turns: Turns::new(),
            in_flight: JoinSet::new(),
            in_flight_bytes: 0,
            sent: mpsc::unbounded_channel(),
            tree: DigestTree::new(Some(size)),
            resumed: Vec::new(),
            resumed_bytes: 0,
            written_bytes: 0,
            started: Instant::now(),
        };
        if let Some(first) = first {
            let (turn, sent) = (course.turns.take(), course.sent.0.clone());
            course.in_flight_bytes += u64::from(first.range.len());
            course.in_flight.spawn(follow(first, turn, sent));
        }
        Ok(course)
    }

    /// Sends what the server does not have yet, and goes on until all of it is on its way: then nothing is left to be read. What
    /// the server has already has been compared with the source by then. Returns the digest of the file.
    pub(super) async fn send(&mut self, observer: &dyn Observer) -> Result<Digest, Error> {
        let size = self.source.meta().size;
        while self.tree.covered_bytes() < size {
            self.fill();
            tokio::select! {
                // In a fixed order, so that a simulation can be repeated.
                biased;
                Some(sent) = self.sent.1.recv() => self.note_sent(sent, observer)?,
                Some(written) = self.in_flight.join_next() => self.note_written(joined(written)?, observer),
                () = sleep(flight::LOOK_AGAIN), if !self.plan.is_done() => {}
            }
        }
        self.source.check().await?;
        if !proven(size, self.have, &self.resumed) {
            return Err(Error::SourceChanged);
        }
        self.tree.root().map_err(|_| Error::SourceChanged)
    }

    /// Waits until the server has everything that is on its way.
    pub(super) async fn finish(&mut self, observer: &dyn Observer) -> Result<(), Error> {
        while let Some(written) = self.in_flight.join_next().await {
            self.note_written(joined(written)?, observer);
        }
        Ok(())
    }

    /// File bytes that had to be sent, once all have been.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.tree.covered_bytes() - self.resumed_bytes
    }

    /// Has as much in flight as the path takes.
    fn fill(&mut self) {
        let most_bytes = flight::of_sender(&self.session.stats());
        while self.in_flight.len() < flight::MOST_RANGES && self.in_flight_bytes < most_bytes {
            let desired = desired_bytes(self.written_bytes, self.started.elapsed());
            let lease = self.session.client().pool.try_lease(desired);
            // One range may wait for memory; what else is in flight will give some back.
            if lease.is_none() && !self.in_flight.is_empty() {
                return;
            }
            let Some(range) = self.plan.next(desired, &self.there) else { return };
            let is_there = self.there.covers(range.offset(), u64::from(range.len()));
            let job = Job {
                session: self.session.clone(),
                source: self.source.clone(),
                upload: self.upload,
                range,
                is_there,
                turn: self.turns.take(),
                sent: self.sent.0.clone(),
            };
            self.in_flight_bytes += u64::from(range.len());
            self.in_flight.spawn(job.run(lease));
        }
    }

    fn note_sent(&mut self, sent: Sent, observer: &dyn Observer) -> Result<(), Error> {
        let Sent { range, digest, resumed } = sent;
        self.tree.insert(range, digest).map_err(|_| Error::UnexpectedReply("overlap"))?;
        if resumed {
            self.resumed.push((range, digest));
            self.resumed_bytes += u64::from(range.len());
            self.tell(observer);
        }
        Ok(())
    }

    fn note_written(&mut self, range: Range, observer: &dyn Observer) {
        let len = u64::from(range.len());
        self.in_flight_bytes -= len;
        if !self.there.covers(range.offset(), len) {
            self.written_bytes += len;
            self.tell(observer);
        }
    }

    fn tell(&self, observer: &dyn Observer) {
        observer.on(Event::Acknowledged { bytes: self.written_bytes + self.resumed_bytes });
    }
}

/// What a task of a set came to. A panic goes on in the caller, as if it had not been a task.
pub(in crate::transfer) fn joined<T>(
    result: Result<Result<T, Error>, tokio::task::JoinError>,
) -> Result<T, Error> {
    match result {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::UnexpectedReply("cancelled")),
    }
}

/// The server's claim of what it has. One that is no set of subtrees of this file is the server's fault.
fn tree_of(size: u64, have: &[HaveNode]) -> Result<DigestTree, Error> {
    // Only the positions count here; the values are compared once the source has been read. The digest of a piece at
    // offset 0 is asked for by the tree and used by nobody.
    let node = |have: &HaveNode| Node {
        offset: have.offset,
        len: have.len,
        chaining_value: have.chaining_value,
        root: (have.offset == 0 && have.len == size).then_some(Digest::EMPTY),
    };
    let mut tree = DigestTree::new(Some(size));
    for have in have {
        tree.insert_node(node(have)).map_err(|_| Error::UnexpectedReply("a range that is none"))?;
    }
    Ok(tree)
}

/// Whether the pieces that the server has are those of the source. A piece that is the whole file needs no proof here:
/// the server compares the digests of whole files at commit.
fn proven(size: u64, have: &[HaveNode], resumed: &[(Range, RangeDigest)]) -> bool {
    have.iter().filter(|have| have.len != size).all(|have| {
        let mut tree = DigestTree::new(Some(size));
        let inside = |range: &Range| range.offset() >= have.offset && range.end() <= have.offset + have.len;
        let inserted = resumed
            .iter()
            .filter(|(range, _)| inside(range))
            .all(|(range, digest)| tree.insert(*range, *digest).is_ok());
        let mut nodes = tree.nodes();
        let first: Option<ChainingValue> = nodes.next().map(|node| node.chaining_value);
        inserted && nodes.next().is_none() && first == Some(have.chaining_value)
    })
}

/// Sees the range through that went behind `Begin`.
async fn follow(
    mut first: Box<First>,
    turn: Turn,
    sent: mpsc::UnboundedSender<Sent>,
) -> Result<Range, Error> {
    let (range, digest) = (first.range, first.digest);
    first.sent().await?;
    // Whoever listens no more has given up, and this with it.
    let _ = sent.send(Sent { range, digest, resumed: false });
    drop(turn);
    first.written().await?;
    Ok(range)
}

/// One range, from the file to the server.
struct Job {
    session: Session,
    source: FileSource,
    upload: Upload,
    range: Range,
    is_there: bool,
    turn: Turn,
    sent: mpsc::UnboundedSender<Sent>,
}

impl Job {
    /// Sends the range, or only hashes it when it is there already. `lease` is the memory for it, which is waited for if
    /// there was none.
    async fn run(mut self, lease: Option<Lease>) -> Result<Range, Error> {
        let range = self.range;
        let _lease = match lease {
            Some(lease) => lease,
            None => self.session.client().pool.lease(range.len()).await,
        };
        let (body, digest) = self.source.read(range).await?;
        self.turn.wait().await;
        let sent = Sent { range, digest, resumed: self.is_there };
        if self.is_there {
            let _ = self.sent.send(sent);
            return Ok(range);
        }
        let mut call = open_write(&self.session, self.upload, range).await?;
        call.send_body(body, &Trailer::Range(digest)).await?;
        // Whoever listens no more has given up, and this with it.
        let _ = self.sent.send(sent);
        drop(self.turn);
        written(call).await?;
        Ok(range)
    }
}

/// Opens the stream of one range; its body is next.
async fn open_write(session: &Session, upload: Upload, range: Range) -> Result<Call, Error> {
    let request = Request::Write { upload_id: upload.id, generation: upload.generation, range };
    Call::open_with_priority(session.line(), &request, range.priority()).await
}

/// Waits until the server has a range.
async fn written(mut call: Call) -> Result<(), Error> {
    match call.reply(|_, _| {}).await? {
        Reply::Written => Ok(()),
        other => Err(Error::UnexpectedReply(other.name())),
    }
}

/// Writes one range and waits until the server has it.
pub(super) async fn write(
    session: &Session,
    upload: Upload,
    range: Range,
    body: bytes::Bytes,
    digest: RangeDigest,
) -> Result<(), Error> {
    let mut call = open_write(session, upload, range).await?;
    call.send_body([body], &Trailer::Range(digest)).await?;
    written(call).await
}
