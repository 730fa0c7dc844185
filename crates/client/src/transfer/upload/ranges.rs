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
use tokio::{task::JoinSet, time::Instant};

use crate::{
    call::Call,
    error::Error,
    session::Session,
    transfer::{
        Event, MAX_IN_FLIGHT, Observer,
        plan::{Plan, desired_bytes},
        source::FileSource,
    },
};

/// Everything has arrived.
pub(super) struct Sent {
    pub(super) root: Digest,
    pub(super) sent_bytes: u64,
    pub(super) resumed_bytes: u64,
}

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

/// One range that the server has.
struct Settled {
    range: Range,
    digest: RangeDigest,
    /// It was there before.
    resumed: bool,
}

/// Sends all that the server does not have yet, and proves the rest against the source.
pub(super) async fn send(
    session: &Session,
    source: &FileSource,
    begun: &Begun,
    have: &[HaveNode],
    observer: &dyn Observer,
) -> Result<Sent, Error> {
    let size = source.meta().size;
    let there = tree_of(size, have)?;
    let mut plan = Plan::new(size, 0);
    let mut tree = DigestTree::new(Some(size));
    let mut resumed = Vec::new();
    let (mut sent_bytes, started) = (0, Instant::now());
    let mut in_flight = JoinSet::new();
    loop {
        while in_flight.len() < MAX_IN_FLIGHT {
            let Some(range) = plan.next(desired_bytes(sent_bytes, started.elapsed()), &there) else { break };
            let (session, source, upload) = (session.clone(), source.clone(), Upload::of(begun));
            let is_there = there.covers(range.offset(), u64::from(range.len()));
            in_flight.spawn(settle(session, source, upload, range, is_there));
        }
        let Some(settled) = in_flight.join_next().await else { break };
        let settled: Settled = joined(settled)?;
        tree.insert(settled.range, settled.digest).map_err(|_| Error::UnexpectedReply("overlap"))?;
        if settled.resumed {
            resumed.push((settled.range, settled.digest));
        } else {
            sent_bytes += u64::from(settled.range.len());
        }
        observer.on(Event::Acknowledged { bytes: tree.covered_bytes() });
    }
    source.check().await?;
    if !proven(size, have, &resumed) {
        return Err(Error::SourceChanged);
    }
    let root = tree.root().map_err(|_| Error::SourceChanged)?;
    Ok(Sent { root, sent_bytes, resumed_bytes: size - sent_bytes })
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

/// Sends one range, or only hashes it when it is there already.
async fn settle(
    session: Session,
    source: FileSource,
    upload: Upload,
    range: Range,
    is_there: bool,
) -> Result<Settled, Error> {
    let (body, digest) = source.read(range).await?;
    if !is_there {
        write(&session, upload, range, body, digest).await?;
    }
    Ok(Settled { range, digest, resumed: is_there })
}

/// Writes one range and waits until the server has it.
pub(super) async fn write(
    session: &Session,
    upload: Upload,
    range: Range,
    body: bytes::Bytes,
    digest: RangeDigest,
) -> Result<(), Error> {
    let request = Request::Write { upload_id: upload.id, generation: upload.generation, range };
    let mut call = Call::open_with_priority(session.line(), &request, range.priority()).await?;
    call.send_body(body, &Trailer::Range(digest)).await?;
    match call.reply(|_, _| {}).await? {
        Reply::Written => Ok(()),
        other => Err(Error::UnexpectedReply(other.name())),
    }
}
