//! Uploads from a reader of unknown length.

use std::io::Read;

use bytes::Bytes;
use fulmar_proto::{
    digest::{Digest, DigestTree, RangeDigest},
    range::Range,
    request::Request,
    upload::{Begun, Destination},
    version::SourceToken,
};
use fulmar_transport::Lease;
use tokio::task::JoinSet;

use super::{
    Done,
    beginning::{Beginning, begin},
    ranges::{Upload, joined, write},
    request,
};
use crate::{
    call::ask,
    error::Error,
    session::Session,
    transfer::{Event, MAX_IN_FLIGHT, Observer, TransferOptions, flight, present, reader},
};

pub(super) async fn upload(
    session: &Session,
    reader: Box<dyn Read + Send>,
    destination: &Destination,
    options: &TransferOptions,
    observer: &dyn Observer,
) -> Result<Done, Error> {
    let mut token = [0; 32];
    getrandom::fill(&mut token).map_err(|error| Error::System(error.into()))?;
    let upload = request(destination, options, None, None, None, None, SourceToken(token));
    observer.on(Event::Started { size: None });
    match begin(session, upload, None).await? {
        Beginning::Begun(begun, ..) => {
            let useless = AbandonOnDrop { session, upload: Upload::of(&begun), armed: true };
            let (size, root) = send(session, reader, &begun, observer).await?;
            let stored = session.commit(&begun, size, root).await?;
            useless.disarm();
            Ok(Done::stored(&stored, size, 0))
        }
        Beginning::Present(there) => {
            let remote = present::remote_digest(session, &there, observer).await?;
            match present::hash_reader(reader, there.size).await? {
                Some((len, root)) if len == there.size && root == remote => {
                    Ok(Done::already_there(&there, root))
                }
                _ => Err(present::exists(&there)),
            }
        }
        Beginning::Skipped(path) => Ok(Done::skipped(&path)),
    }
}

/// Takes an upload back unless it was stored: what a reader gave cannot be read again, so nobody can ever go on with it.
/// Also when the transfer's future is dropped.
struct AbandonOnDrop<'a> {
    session: &'a Session,
    upload: Upload,
    armed: bool,
}

impl AbandonOnDrop<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for AbandonOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            let (line, upload) = (self.session.line().clone(), self.upload);
            let request = Request::Abandon { upload_id: upload.id, generation: upload.generation };
            self.session.farewell(async move {
                // If it cannot be taken back, the server collects it by its age.
                let _ = ask(&line, &request).await;
            });
        }
    }
}

/// Sends everything that the reader gives; returns its length and digest.
async fn send(
    session: &Session,
    reader: Box<dyn Read + Send>,
    begun: &Begun,
    observer: &dyn Observer,
) -> Result<(u64, Digest), Error> {
    let mut pieces = reader::pieces(reader).map_err(Error::System)?;
    let mut tree = DigestTree::new(None);
    let mut in_flight = JoinSet::new();
    let (mut offset, mut ended) = (0u64, false);
    loop {
        // Beyond the first pieces as many as the path takes, within the memory that there is for all transfers.
        let wanted = flight::of_sender(&session.stats()) / reader::PIECE_BYTES as u64;
        let is_wanted = in_flight.len() >= MAX_IN_FLIGHT && (in_flight.len() as u64) < wanted;
        let lease = is_wanted.then(|| session.client().pool.try_lease(reader::PIECE_BYTES as u32)).flatten();
        let has_room = in_flight.len() < MAX_IN_FLIGHT || lease.is_some();
        tokio::select! {
            // In a fixed order, so that a simulation can be repeated.
            biased;
            piece = pieces.recv(), if !ended && has_room => match piece {
                Some(piece) => {
                    let piece = piece.map_err(Error::Stdio)?;
                    let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
                    let range = Range::new(offset, len).map_err(|_| Error::UnexpectedReply("too long a piece"))?;
                    offset = range.end();
                    in_flight.spawn(hash_and_write(session.clone(), Upload::of(begun), range, piece, lease));
                }
                None => ended = true,
            },
            Some(settled) = in_flight.join_next() => {
                let (range, digest) = joined(settled)?;
                tree.insert(range, digest).map_err(|_| Error::UnexpectedReply("overlap"))?;
                observer.on(Event::Acknowledged { bytes: tree.covered_bytes() });
            }
            else => break,
        }
    }
    let root = if offset == 0 {
        Digest::EMPTY
    } else {
        tree.set_size(offset).and_then(|()| tree.root()).map_err(|_| Error::DigestMismatch)?
    };
    Ok((offset, root))
}

async fn hash_and_write(
    session: Session,
    upload: Upload,
    range: Range,
    piece: Vec<u8>,
    _lease: Option<Lease>,
) -> Result<(Range, RangeDigest), Error> {
    let hash = move || RangeDigest::of(range, &piece).map(|digest| (Bytes::from(piece), digest));
    let (body, digest) = session.offload().run(hash).await.map_err(|_| Error::DigestMismatch)?;
    write(&session, upload, range, body, digest).await?;
    Ok((range, digest))
}
