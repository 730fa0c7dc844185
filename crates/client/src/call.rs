//! One command on one stream.

use std::time::Duration;

use bytes::Bytes;
use fulmar_proto::{reply::Reply, request::Request, trailer::Trailer};
use fulmar_transport::{FrameReceiver, FrameSender, StreamError};

use crate::{admission::Line, error::Error};

/// How long a stream may stay silent while nothing moves on the others either. The server reports long work every second, and
/// the transport notices a dead path much earlier, so this bounds only a server that keeps the connection and says nothing.
const SILENCE: Duration = Duration::from_secs(300);

/// The stream of one command.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) sender: FrameSender,
    pub(crate) answers: Answers,
}

/// What the server says on the stream of one command.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) receiver: FrameReceiver,
    pub(crate) line: Line,
}

/// Waits for something from the server, but not for ever.
pub(crate) async fn bounded<T>(
    line: &Line,
    wait: impl Future<Output = Result<T, StreamError>>,
) -> Result<T, Error> {
    line.within(SILENCE, wait).await
}

impl Call {
    /// Opens a stream and sends the request.
    pub(crate) async fn open(line: &Line, request: &Request) -> Result<Self, Error> {
        Self::open_with_priority(line, request, 0).await
    }

    /// As [`Call::open`], on a stream that goes before those of lower priority.
    pub(crate) async fn open_with_priority(
        line: &Line,
        request: &Request,
        priority: i32,
    ) -> Result<Self, Error> {
        let (sender, receiver) = line.open_stream().await?;
        let mut call = Self { sender, answers: Answers { receiver, line: line.clone() } };
        call.sender.set_priority(priority);
        match call.sender.send(request).await {
            Ok(()) => Ok(call),
            Err(error) => Err(line.explain(error).await),
        }
    }

    /// As [`Answers::reply`].
    pub(crate) async fn reply(&mut self, working: impl FnMut(u64, u64)) -> Result<Reply, Error> {
        self.answers.reply(working).await
    }

    /// The trailer of a body that has been read.
    pub(crate) async fn trailer(&mut self) -> Result<Trailer, Error> {
        let Answers { receiver, line } = &mut self.answers;
        let trailer: Option<Trailer> = bounded(line, receiver.recv_growing()).await?;
        match trailer.ok_or(StreamError::Truncated)? {
            Trailer::Failed(failure) => Err(Error::Server(failure)),
            trailer => Ok(trailer),
        }
    }

    /// Sends the pieces of `body` and its trailer.
    pub(crate) async fn send_body(
        &mut self,
        body: impl IntoIterator<Item = Bytes>,
        trailer: &Trailer,
    ) -> Result<(), Error> {
        send_body(&self.answers.line, &mut self.sender, body, trailer).await
    }
}

impl Answers {
    /// The next reply that is not a report of progress; those go to `working`.
    ///
    /// A failure of the command is [`Error::Server`].
    pub(crate) async fn reply(&mut self, mut working: impl FnMut(u64, u64)) -> Result<Reply, Error> {
        loop {
            let reply = bounded(&self.line, self.receiver.recv_growing()).await?;
            match reply.ok_or(StreamError::Truncated)? {
                Reply::Working { done, total } => working(done, total),
                Reply::Failed(failure) => return Err(Error::Server(failure)),
                reply => return Ok(reply),
            }
        }
    }
}

/// Sends the pieces of `body` and its trailer. A server that has answered already wants no more of it; its answer is then the next
/// thing to read, so being stopped is no error here.
pub(crate) async fn send_body(
    line: &Line,
    sender: &mut FrameSender,
    body: impl IntoIterator<Item = Bytes>,
    trailer: &Trailer,
) -> Result<(), Error> {
    let sent = async {
        for piece in body {
            sender.send_bytes(piece).await?;
        }
        sender.send(trailer).await
    };
    match sent.await {
        Ok(()) | Err(StreamError::Stopped(_)) => Ok(()),
        Err(error) => Err(line.explain(error).await),
    }
}

/// Sends one request and reads its one reply.
pub(crate) async fn ask(line: &Line, request: &Request) -> Result<Reply, Error> {
    ask_watching(line, request, |_, _| {}).await
}

/// As [`ask`], with the server's reports of progress.
pub(crate) async fn ask_watching(
    line: &Line,
    request: &Request,
    working: impl FnMut(u64, u64),
) -> Result<Reply, Error> {
    let mut call = Call::open(line, request).await?;
    call.reply(working).await
}
