//! The stream of one command: its frames, its bodies, and what the log will say of it.

use fulmar_proto::{
    code::ResetCode,
    codec::DecodeError,
    error::{ErrorCode, Failure},
    reply::Reply,
};
use fulmar_store::{StoreError, Work};
use fulmar_transport::{FrameReceiver, FrameSender, Progress, StreamError};

use crate::config::Limits;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It failed, and the client is to be told so.
    #[error("{}", .0.code.word())]
    Failed(Failure),
    /// It failed, and the trailer of its body has said so; this is the result for the log.
    #[error("{}", .0.word())]
    Told(ErrorCode),
    /// It cannot be told as a frame, because the stream is in the middle of a body: the stream is reset with this code.
    #[error("{}", .0.name())]
    Abandoned(ResetCode),
    /// The stream failed: there is nobody to tell.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl CommandError {
    /// A failure with a code alone.
    pub(crate) fn code(code: ErrorCode) -> Self {
        Self::Failed(Failure::new(code))
    }

    /// The stable word for the log.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Failed(failure) => failure.code.word(),
            Self::Told(code) => code.word(),
            Self::Abandoned(code) => code.name(),
            Self::Stream(StreamError::Reset(_) | StreamError::Stopped(_)) => "cancelled",
            Self::Stream(StreamError::Lost(_)) => "connection-lost",
            Self::Stream(_) => "malformed",
        }
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<DecodeError> for CommandError {
    fn from(error: DecodeError) -> Self {
        Self::Failed(Failure::new(ErrorCode::MALFORMED).saying(&error.to_string()))
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Failed(store_failure(&error))
    }
}

/// What the client is told about a store's error.
fn store_failure(error: &StoreError) -> Failure {
    let code = match error {
        StoreError::NotFound => ErrorCode::NOT_FOUND,
        StoreError::NoParent => ErrorCode::NO_PARENT,
        StoreError::Exists { path } => return Failure::new(ErrorCode::EXISTS).about(path.clone()),
        StoreError::NotADirectory => ErrorCode::NOT_A_DIRECTORY,
        StoreError::IsADirectory => ErrorCode::IS_A_DIRECTORY,
        StoreError::NotServable => ErrorCode::NOT_SERVABLE,
        StoreError::NotEmpty => ErrorCode::NOT_EMPTY,
        StoreError::Changed => ErrorCode::CHANGED,
        StoreError::NoSpace => ErrorCode::NO_SPACE,
        StoreError::ReadOnly => ErrorCode::READ_ONLY,
        StoreError::Permission => ErrorCode::PERMISSION,
        StoreError::Busy => ErrorCode::BUSY,
        StoreError::NameTooLong => ErrorCode::NAME_TOO_LONG,
        StoreError::OverLimit => ErrorCode::OVER_LIMIT,
        StoreError::RangeTaken | StoreError::BadCursor => ErrorCode::MALFORMED,
        StoreError::UnknownUpload => ErrorCode::UNKNOWN_UPLOAD,
        StoreError::StaleGeneration => ErrorCode::STALE_GENERATION,
        StoreError::Incomplete => ErrorCode::INCOMPLETE,
        StoreError::DigestMismatch => ErrorCode::DIGEST_MISMATCH,
        StoreError::UnknownOutcome => ErrorCode::UNKNOWN_OUTCOME,
        StoreError::Stopped => ErrorCode::CANCELLED,
        StoreError::Disk(_) => ErrorCode::DISK,
        StoreError::Catalog(_) => ErrorCode::INTERNAL,
    };
    match error {
        StoreError::Disk(text) | StoreError::Catalog(text) => Failure::new(code).saying(text),
        _ => Failure::new(code),
    }
}

/// What the log says about a command beyond its verb and its result.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// What it was about.
    pub(crate) path: Option<String>,
    /// Where something went.
    pub(crate) target: Option<String>,
    /// File bytes moved.
    pub(crate) bytes: u64,
}

/// The stream of one command.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) sender: FrameSender,
    pub(crate) receiver: FrameReceiver,
    pub(crate) account: Account,
    progress: Progress,
    limits: Limits,
}

impl Exchange {
    pub(crate) fn new(
        sender: FrameSender,
        receiver: FrameReceiver,
        progress: Progress,
        limits: Limits,
    ) -> Self {
        Self { sender, receiver, account: Account::default(), progress, limits }
    }

    /// Whether the client is silent, and not only busy with its other commands.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The bounds that hold for this command.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sends one reply frame.
    pub(crate) async fn reply(&mut self, reply: &Reply) -> Result<(), CommandError> {
        Ok(self.sender.send(reply).await?)
    }

    /// Sends the reply of a failed command. The rest of a body that is still arriving is not wanted any more.
    pub(crate) async fn fail(mut self, failure: Failure) -> Account {
        if self.sender.send(&Reply::Failed(failure)).await.is_ok() {
            let _ = self.sender.finish();
        }
        self.receiver.stop(ResetCode::NOT_NEEDED);
        self.account
    }

    /// Gives the stream up, and tells the client why.
    pub(crate) fn abandon(self, code: ResetCode) -> Account {
        self.sender.reset(code);
        self.receiver.stop(code);
        self.account
    }

    /// Ends a command that has sent its final reply.
    pub(crate) fn finish(self) -> Account {
        // The connection may be gone by now; the command is done all the same.
        let _ = self.sender.finish();
        self.receiver.stop(ResetCode::NOT_NEEDED);
        self.account
    }

    /// Waits for something, unless the client gives up before.
    pub(crate) async fn unless_stopped<T>(
        &mut self,
        wait: impl Future<Output = T>,
    ) -> Result<T, CommandError> {
        let stopped = self.sender.stopped();
        tokio::select! {
            biased;
            done = wait => Ok(done),
            code = stopped => Err(StreamError::Stopped(code?.unwrap_or(ResetCode::CANCELLED)).into()),
        }
    }

    /// Runs `operation`, telling the client about its progress now and then. When the client gives up, the operation is
    /// asked to stop and what it returns is lost.
    pub(crate) async fn working<T>(
        &mut self,
        work: &Work,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, CommandError> {
        let stopped = self.sender.stopped();
        tokio::pin!(operation, stopped);
        let mut interval = tokio::time::interval(self.limits.working_interval);
        interval.reset();
        loop {
            tokio::select! {
                biased;
                result = &mut operation => return Ok(result?),
                code = &mut stopped => {
                    work.stop();
                    let code = code?.unwrap_or(ResetCode::CANCELLED);
                    return Err(StreamError::Stopped(code).into());
                }
                _ = interval.tick() => {
                    let (done, total) = work.progress();
                    if let Err(error) = self.sender.send(&Reply::Working { done, total }).await {
                        work.stop();
                        return Err(error.into());
                    }
                }
            }
        }
    }
}
