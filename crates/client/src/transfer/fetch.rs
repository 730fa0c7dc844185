//! One range of a file on its way from the server.

use std::sync::Arc;

use fulmar_disk::{Buffer, Buffers, Staging};
use fulmar_proto::{
    digest::{Digest, RangeDigest, RangeHasher},
    path::RelPath,
    range::Range,
    reply::{Opened, Reply},
    request::Request,
    trailer::Trailer,
    version::Version,
};

use tokio::sync::SetOnce;

use crate::{
    call::{Answers, Call, bounded},
    error::Error,
    local::LocalTarget,
    session::Session,
};

/// Silence is judged by steps of this many bytes, so that a slow link is not taken for a server that has stopped.
const STEP_BYTES: usize = 64 * 1024;

/// How much of a range is hashed and written in one job: enough that handing it over costs little, and little enough to
/// stay in the processor's cache in between.
const PIECE_BYTES: usize = 512 * 1024;

/// A range as it arrived, with the digest that the server claims for it.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) range: Range,
    pub(crate) bytes: Buffer,
    claimed: RangeDigest,
}

impl Fetched {
    /// Whether the bytes have the digest that was claimed. Hashes, so it belongs on a thread for blocking work.
    pub(crate) fn verify(&self) -> Result<RangeDigest, Error> {
        self.check(RangeDigest::of(self.range, &self.bytes).map_err(|_| Error::DigestMismatch)?)
    }

    /// Whether `digest`, computed from the bytes, is the one that was claimed.
    pub(super) fn check(&self, digest: RangeDigest) -> Result<RangeDigest, Error> {
        if digest == self.claimed { Ok(digest) } else { Err(Error::DigestMismatch) }
    }
}

/// The first range of a file, on its way behind the answer to opening it.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) range: Range,
    call: Call,
}

/// Opens a file, and asks for its first bytes, at most `first_bytes`.
pub(crate) async fn open(
    session: &Session,
    path: &RelPath,
    first_bytes: u32,
) -> Result<(Opened, Option<First>), Error> {
    let request = Request::Open { path: path.clone(), first_bytes };
    let mut call = Call::open(session.line(), &request).await?;
    let opened = match call.reply(|_, _| {}).await? {
        Reply::Opened(opened) => opened,
        other => return Err(Error::UnexpectedReply(other.name())),
    };
    if opened.body_bytes == 0 {
        return match call.trailer().await? {
            Trailer::Empty if opened.size > 0 || first_bytes == 0 => Ok((opened, None)),
            Trailer::Empty if opened.root.is_none_or(|root| root == Digest::EMPTY) => Ok((opened, None)),
            _ => Err(Error::UnexpectedReply("trailer")),
        };
    }
    match Range::in_file(0, opened.body_bytes, opened.size) {
        Ok(range) if range.len() <= first_bytes => Ok((opened, Some(First { range, call }))),
        _ => Err(Error::UnexpectedReply("more than was asked for")),
    }
}

impl First {
    /// Takes it as [`fetch`] does.
    pub(crate) async fn fetch(mut self, session: Session) -> Result<(Range, Fetched), Error> {
        Ok((self.range, receive(&mut self.call, self.range, &session.client().buffers).await?))
    }

    /// Takes it as [`fetch_into`] does.
    pub(super) async fn fetch_into(
        self,
        session: Session,
        sink: FutureSink,
    ) -> Result<(Range, RangeDigest), Error> {
        receive_into(&session, self.call, self.range, &sink).await
    }
}

/// Fetches one range of a file in the state that `version` names.
pub(super) async fn fetch(
    session: Session,
    path: RelPath,
    version: Version,
    range: Range,
) -> Result<(Range, Fetched), Error> {
    let mut call = ask(&session, path, version, range).await?;
    Ok((range, receive(&mut call, range, &session.client().buffers).await?))
}

/// Fetches one range into a staging file, whose bytes are only good once this has returned their digest.
pub(super) async fn fetch_into(
    session: Session,
    path: RelPath,
    version: Version,
    range: Range,
    sink: FutureSink,
) -> Result<(Range, RangeDigest), Error> {
    let call = ask(&session, path, version, range).await?;
    receive_into(&session, call, range, &sink).await
}

async fn receive_into(
    session: &Session,
    mut call: Call,
    range: Range,
    sink: &FutureSink,
) -> Result<(Range, RangeDigest), Error> {
    let mut hasher = RangeHasher::new(range);
    let mut offset = range.offset();
    while offset < range.end() {
        let len = usize::try_from(range.end() - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let piece = receive_bytes(&mut call, &session.client().buffers, len).await?;
        let sink = sink.wait().await.clone();
        hasher = session.offload().run(move || sink.take(&piece, offset, hasher)).await?;
        offset += len as u64;
    }
    let digest = hasher.finish().map_err(|_| Error::DigestMismatch)?;
    match call.trailer().await? {
        Trailer::Range(claimed) if claimed == digest => Ok((range, digest)),
        Trailer::Range(_) => Err(Error::DigestMismatch),
        _ => Err(Error::UnexpectedReply("trailer")),
    }
}

/// A sink that is there once the file for it is: reserving a large one takes its time, in which ranges are asked for already.
pub(super) type FutureSink = Arc<SetOnce<Sink>>;

/// Where the pieces of a download go.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    pub(super) staging: Arc<Staging>,
    pub(super) target: Arc<LocalTarget>,
}

impl Sink {
    /// Hashes and writes one piece, in one go while it is in the processor's cache. Blocks.
    pub(super) fn take(
        &self,
        piece: &[u8],
        offset: u64,
        mut hasher: RangeHasher,
    ) -> Result<RangeHasher, Error> {
        hasher.update(piece).map_err(|_| Error::DigestMismatch)?;
        let written = self.staging.write_at(piece, offset);
        written.map_err(|error| Error::Local { path: self.target.path(), error })?;
        Ok(hasher)
    }
}

/// Asks for one range; its bytes are next.
async fn ask(session: &Session, path: RelPath, version: Version, range: Range) -> Result<Call, Error> {
    let mut call = Call::open(session.line(), &Request::Read { path, version, range }).await?;
    match call.reply(|_, _| {}).await? {
        Reply::Body { len } if len == range.len() => Ok(call),
        other => Err(Error::UnexpectedReply(other.name())),
    }
}

async fn receive(call: &mut Call, range: Range, buffers: &Buffers) -> Result<Fetched, Error> {
    let bytes = receive_bytes(call, buffers, range.len() as usize).await?;
    match call.trailer().await? {
        Trailer::Range(claimed) => Ok(Fetched { range, bytes, claimed }),
        _ => Err(Error::UnexpectedReply("trailer")),
    }
}

/// The next `len` bytes of a body. They are collected in one place, because hashing wants long pieces. Memory for them is taken
/// when the first of them are there: most ranges that were asked for wait for their turn.
async fn receive_bytes(call: &mut Call, buffers: &Buffers, len: usize) -> Result<Buffer, Error> {
    let Answers { receiver, line } = &mut call.answers;
    let first = bounded(line, receiver.read_body_chunk(len.min(STEP_BYTES))).await?;
    let mut bytes = buffers.take(len);
    bytes.extend(&first);
    while bytes.len() < len {
        let step = bytes.len() + (len - bytes.len()).min(STEP_BYTES);
        let fill = async {
            while bytes.len() < step {
                let chunk = receiver.read_body_chunk(step - bytes.len()).await?;
                bytes.extend(&chunk);
            }
            Ok(())
        };
        bounded(line, fill).await?;
    }
    Ok(bytes)
}
