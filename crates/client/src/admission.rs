//! What the server says to Hello, while commands may be on their way already.

use std::{sync::Arc, time::Duration};

use fulmar_proto::{
    code::CloseCode,
    error::Failure,
    hello::{Hello, Welcome},
    reply::Reply,
};
use fulmar_transport::{Connection, FrameReceiver, FrameSender, Progress, StreamError};
use tokio::{
    sync::SetOnce,
    time::{Instant, timeout_at},
};

use crate::error::Error;

/// Why a server has not admitted this client.
#[derive(Clone, Debug)]
enum NotAdmitted {
    /// It says so.
    Refused(Failure),
    /// It has said nothing in time.
    Silent,
    /// It was not heard to say anything.
    Broken(StreamError),
    /// It says something that is no answer to Hello.
    Unexpected(&'static str),
}

impl From<NotAdmitted> for Error {
    fn from(reason: NotAdmitted) -> Self {
        match reason {
            NotAdmitted::Refused(failure) => Self::Server(failure),
            NotAdmitted::Silent => Self::NoWelcome,
            NotAdmitted::Broken(error) => error.into(),
            NotAdmitted::Unexpected(name) => Self::UnexpectedReply(name),
        }
    }
}

/// The answer to Hello, once it is there. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    answer: Arc<SetOnce<Result<Welcome, NotAdmitted>>>,
}

impl Admission {
    /// The answer, if it is there.
    pub(crate) fn known(&self) -> Option<Result<&Welcome, Error>> {
        self.answer.get().map(|answer| answer.as_ref().map_err(|reason| reason.clone().into()))
    }

    /// Waits for the answer. It comes by the client's time limit at the latest.
    pub(crate) async fn answer(&self) -> Result<&Welcome, Error> {
        self.answer.wait().await.as_ref().map_err(|reason| reason.clone().into())
    }

    /// Waits for the answer to a Hello that was sent, until `deadline`. A connection that came to nothing is closed. Returns
    /// the stream when it goes on carrying notices.
    pub(crate) async fn receive(
        &self,
        connection: &Connection,
        mut receiver: FrameReceiver,
        deadline: Instant,
    ) -> Option<FrameReceiver> {
        let reply = timeout_at(deadline, receiver.recv_growing()).await;
        let answer = match reply {
            Ok(Ok(Some(Reply::Welcome(welcome)))) => Ok(welcome),
            Ok(Ok(Some(Reply::Failed(failure)))) => Err(NotAdmitted::Refused(failure)),
            Ok(Ok(Some(other))) => Err(NotAdmitted::Unexpected(other.name())),
            Ok(Ok(None)) => Err(NotAdmitted::Broken(StreamError::Truncated)),
            Ok(Err(error)) => Err(NotAdmitted::Broken(error)),
            Err(_) => Err(NotAdmitted::Silent),
        };
        let admitted = answer.is_ok();
        // Only this sets it.
        let _ = self.answer.set(answer);
        if admitted {
            return Some(receiver);
        }
        // After the answer is known, for whoever notices the end and asks why. The server waits for this, so that its
        // reason could not be overtaken by its own close.
        connection.close(CloseCode::DONE, "");
        None
    }
}

/// Says Hello. The answer is what comes next on the returned stream.
pub(crate) async fn greet(connection: &Connection, hello: &Hello) -> Result<FrameReceiver, StreamError> {
    let (mut sender, receiver) = connection.open_stream().await?;
    sender.send(hello).await?;
    sender.finish()?;
    Ok(receiver)
}

/// A connection for commands, which may be on their way before the server has admitted this client.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    connection: Connection,
    admission: Admission,
    progress: Progress,
}

impl Line {
    pub(crate) fn new(connection: Connection, admission: Admission) -> Self {
        let progress = connection.progress();
        Self { connection, admission, progress }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Opens a stream for one command.
    pub(crate) async fn open_stream(&self) -> Result<(FrameSender, FrameReceiver), Error> {
        match self.connection.open_stream().await {
            Ok(stream) => Ok(stream),
            Err(lost) => Err(self.explain(lost.into()).await),
        }
    }

    /// Waits for something on one stream, for as long as something moves on any of them; `silence` is how long nothing may.
    pub(crate) async fn within<T>(
        &self,
        silence: Duration,
        wait: impl Future<Output = Result<T, StreamError>>,
    ) -> Result<T, Error> {
        match self.progress.within(silence, wait).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.explain(error).await),
            Err(_) => Err(Error::Stalled),
        }
    }

    /// What an error of a stream means. A server that does not admit a client closes the connection, and with it all
    /// commands that were sent ahead: then the reason is what it said to Hello.
    pub(crate) async fn explain(&self, error: StreamError) -> Error {
        if !matches!(error, StreamError::Lost(_)) || matches!(self.admission.known(), Some(Ok(_))) {
            return error.into();
        }
        // The stream of Hello has ended with the connection, so this does not wait for the network.
        match self.admission.answer().await {
            Ok(_) => error.into(),
            Err(reason) => reason,
        }
    }
}
