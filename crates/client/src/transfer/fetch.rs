//! One range of a file on its way from the server.

use fulmar_proto::{
    digest::{Digest, RangeDigest},
    path::RelPath,
    range::Range,
    reply::{Opened, Reply},
    request::Request,
    trailer::Trailer,
    version::Version,
};

use crate::{
    call::{Call, bounded},
    error::Error,
    session::Session,
};

/// Silence is judged by steps of this many bytes, so that a slow link is not taken for a server that has stopped.
const STEP_BYTES: usize = 64 * 1024;

/// A range as it arrived, with the digest that the server claims for it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) range: Range,
    pub(super) bytes: Vec<u8>,
    claimed: RangeDigest,
}

impl Fetched {
    /// Whether the bytes have the digest that was claimed. Hashes, so it belongs on a thread for blocking work.
    pub(super) fn verify(&self) -> Result<RangeDigest, Error> {
        match RangeDigest::of(self.range, &self.bytes) {
            Ok(digest) if digest == self.claimed => Ok(digest),
            _ => Err(Error::DigestMismatch),
        }
    }
}

/// Opens a file, and fetches its first bytes, at most `first_bytes`.
pub(super) async fn open(
    session: &Session,
    path: &RelPath,
    first_bytes: u32,
) -> Result<(Opened, Option<Fetched>), Error> {
    let request = Request::Open { path: path.clone(), first_bytes };
    let mut call = Call::open(session.connection(), &request).await?;
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
    let range = Range::in_file(0, opened.body_bytes, opened.size);
    match range {
        Ok(range) if range.len() <= first_bytes => {
            let fetched = receive(&mut call, range).await?;
            Ok((opened, Some(fetched)))
        }
        _ => Err(Error::UnexpectedReply("more than was asked for")),
    }
}

/// Fetches one range of a file in the state that `version` names.
pub(super) async fn fetch(
    session: Session,
    path: RelPath,
    version: Version,
    range: Range,
) -> Result<Fetched, Error> {
    let mut call = Call::open(session.connection(), &Request::Read { path, version, range }).await?;
    match call.reply(|_, _| {}).await? {
        Reply::Body { len } if len == range.len() => receive(&mut call, range).await,
        other => Err(Error::UnexpectedReply(other.name())),
    }
}

async fn receive(call: &mut Call, range: Range) -> Result<Fetched, Error> {
    let mut bytes = vec![0; range.len() as usize];
    for step in bytes.chunks_mut(STEP_BYTES) {
        bounded(call.receiver.read_body(step)).await?;
    }
    match call.trailer().await? {
        Trailer::Range(claimed) => Ok(Fetched { range, bytes, claimed }),
        _ => Err(Error::UnexpectedReply("trailer")),
    }
}
