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

/// What the server answered to the beginning of an upload.
pub(super) enum Beginning {
    Begun(Begun, Vec<HaveNode>, Option<Box<First>>),
    Present(Present),
    Skipped(String),
}

/// A range that has been read.
pub(super) struct Piece {
    pub(super) range: Range,
    pub(super) body: bytes::Bytes,
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
    let request = Request::Begin { upload, first: first.as_ref().map(|piece| piece.range) };
    let Call { mut sender, mut answers } = Call::open(session.line(), &request).await?;
    let Some(Piece { range, body, digest }) = first else { return answer(&mut answers).await };
    let line = answers.line.clone();
    let mut body = Body::Going(Box::pin(async move {
        send_body(&line, &mut sender, body, &Trailer::Range(digest)).await?;
        Ok(sender)
    }));
    let answered = {
        let answering = answer(&mut answers);
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

/// Reads the answer to `Begin`.
async fn answer(answers: &mut Answers) -> Result<Beginning, Error> {
    match answers.reply(|_, _| {}).await? {
        Reply::Begun(begun) => {
            let mut have = begun.have.nodes().to_vec();
            let mut more = begun.have.more();
            while more {
                let page: HavePage = bounded(&answers.line, answers.receiver.recv_expected()).await?;
                have.extend_from_slice(page.nodes());
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

/// A server that announces another page after an empty one could do so for ever.
fn check_progress(page: &HavePage) -> Result<(), Error> {
    if page.nodes().is_empty() && page.more() { Err(StreamError::Truncated.into()) } else { Ok(()) }
}
