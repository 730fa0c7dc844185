//! `Begin`, and the first range right behind it: what there is to send need not wait for the server's answer.

use std::{fmt, pin::Pin};

use fulmar_proto::{
    digest::RangeDigest,
    range::Range,
    reply::Reply,
    request::Request,
    trailer::Trailer,
    upload::{BeginUpload, Begun, HaveNode, HavePage, Present},
};
use fulmar_transport::{FrameSender, StreamError};

use crate::{
    call::{Answers, Call, bounded, send_body},
    error::Error,
    session::Session,
};

/// The chunks of BLAKE3, in bytes: nothing shorter has a chaining value, but at the end of a file.
const CHUNK_BYTES: u64 = 1024;

/// What the server answered to the beginning of an upload.
pub(super) enum Beginning {
    Begun(Begun, Vec<HaveNode>, Option<Box<First>>),
    Present(Present),
    Skipped(String),
}

/// A range that has been read.
pub(super) struct Piece {
    pub(super) range: Range,
    pub(super) body: Vec<bytes::Bytes>,
    pub(super) digest: RangeDigest,
}

/// The range that goes right behind `Begin`.
#[derive(Debug)]
pub(super) struct First {
    pub(super) range: Range,
    pub(super) digest: RangeDigest,
    body: Body,
    answers: Answers,
}

impl First {
    /// Waits until all of it was handed over.
    pub(super) async fn sent(&mut self) -> Result<(), Error> {
        self.body.sent().await
    }

    /// Waits until the server has it.
    pub(super) async fn written(mut self) -> Result<(), Error> {
        self.body.sent().await?;
        match self.answers.reply(|_, _| {}).await? {
            Reply::Written => Ok(()),
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }

    /// Whether the server has any of it from an earlier attempt. It takes no such range again.
    fn is_there(&self, have: &[HaveNode]) -> bool {
        have.iter().any(|node| node.offset < self.range.end() && self.range.offset() < node.offset + node.len)
    }
}

/// A body on its way. Once all of it is sent the sender is kept, because dropping it would take the body back.
enum Body {
    Going(Pin<Box<dyn Future<Output = Result<FrameSender, Error>> + Send>>),
    Sent { _sender: FrameSender },
}

impl Body {
    /// Cancel-safe: the next call goes on.
    async fn sent(&mut self) -> Result<(), Error> {
        if let Self::Going(going) = self {
            let _sender = going.await?;
            *self = Self::Sent { _sender };
        }
        Ok(())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Going(_) => "Going",
            Self::Sent { .. } => "Sent",
        })
    }
}

/// Begins an upload, with its first range if there is one.
pub(super) async fn begin(
    session: &Session,
    upload: BeginUpload,
    first: Option<Piece>,
) -> Result<Beginning, Error> {
    // Of what has no length yet the server can have nothing.
    let size = upload.size.unwrap_or_default();
    let request = Request::Begin { upload, first: first.as_ref().map(|piece| piece.range) };
    let Call { mut sender, mut answers } = Call::open(session.line(), &request).await?;
    let Some(Piece { range, body, digest }) = first else { return answer(&mut answers, size).await };
    let line = answers.line.clone();
    let mut body = Body::Going(Box::pin(async move {
        send_body(&line, &mut sender, body, &Trailer::Range(digest)).await?;
        Ok(sender)
    }));
    let answered = {
        let answering = answer(&mut answers, size);
        tokio::pin!(answering);
        tokio::select! {
            biased;
            answered = &mut answering => answered,
            sent = body.sent() => match sent {
                Ok(()) => answering.await,
                Err(error) => Err(error),
            },
        }
    };
    match answered? {
        Beginning::Begun(begun, have, _) => {
            let first = First { range, digest, body, answers };
            let first = (!first.is_there(&have)).then(|| Box::new(first));
            Ok(Beginning::Begun(begun, have, first))
        }
        other => Ok(other),
    }
}

/// Reads the answer to `Begin` for a file of `size` bytes.
async fn answer(answers: &mut Answers, size: u64) -> Result<Beginning, Error> {
    match answers.reply(|_, _| {}).await? {
        Reply::Begun(begun) => {
            let mut have = Vec::new();
            take_over(&mut have, begun.have.nodes(), size)?;
            let mut more = begun.have.more();
            while more {
                let page: HavePage = bounded(&answers.line, answers.receiver.recv_expected()).await?;
                take_over(&mut have, page.nodes(), size)?;
                more = page.more();
                check_progress(&page)?;
            }
            Ok(Beginning::Begun(begun, have, None))
        }
        Reply::Present(there) => Ok(Beginning::Present(there)),
        Reply::Skipped { path } => Ok(Beginning::Skipped(path.as_str().to_owned())),
        other => Err(Error::UnexpectedReply(other.name())),
    }
}

/// Adds what the server says it has of a file of `size` bytes: in the order of the file, and in whole chunks, which bounds how much
/// it can say.
fn take_over(have: &mut Vec<HaveNode>, nodes: &[HaveNode], size: u64) -> Result<(), Error> {
    for node in nodes {
        let from = have.last().map_or(0, |last| last.offset + last.len);
        let end = node.offset.checked_add(node.len).filter(|end| node.offset >= from && *end <= size);
        let is_whole = node.len >= CHUNK_BYTES || node.len > 0 && end == Some(size);
        if end.is_none() || !is_whole {
            return Err(Error::UnexpectedReply("a range that is none"));
        }
        have.push(*node);
    }
    Ok(())
}

/// A server that announces another page after an empty one could do so for ever.
fn check_progress(page: &HavePage) -> Result<(), Error> {
    if page.nodes().is_empty() && page.more() { Err(StreamError::Truncated.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use fulmar_proto::digest::ChainingValue;

    use super::*;

    fn node(offset: u64, len: u64) -> HaveNode {
        HaveNode { offset, len, chaining_value: ChainingValue([0; 32]) }
    }

    #[test]
    fn what_a_server_has_is_within_the_file_and_in_its_order() {
        let size = 10_000;
        let mut have = Vec::new();
        take_over(&mut have, &[node(0, 1024), node(2048, 4096)], size).expect("pieces of the file");
        take_over(&mut have, &[node(8192, size - 8192)], size).expect("its end");
        assert_eq!(have.len(), 3);
        for impossible in [
            node(1, u64::MAX),
            node(u64::MAX, 1024),
            node(0, 1024),
            node(8192, 2048),
            node(2048, 100),
            node(2048, 0),
            node(size, 0),
        ] {
            let mut have = vec![node(0, 2048)];
            let refused = take_over(&mut have, &[impossible], size);
            assert!(matches!(refused, Err(Error::UnexpectedReply(_))), "{impossible:?}");
        }
        assert!(take_over(&mut Vec::new(), &[node(0, 1024)], 0).is_err(), "nothing is known of a length");
    }
}
