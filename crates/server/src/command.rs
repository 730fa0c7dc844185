//! One command: decode, check, run, answer, log.

use std::{sync::Arc, time::Duration};

use fulmar_proto::{
    code::ResetCode,
    codec::{self, DecodeError},
    error::{ErrorCode, Failure},
    fingerprint::Fingerprint,
    grants::Grants,
    hello::Policies,
    request::Request,
};
use fulmar_store::{Store, Uploads};
use fulmar_transport::{BytePool, FrameReceiver, FrameSender, Progress, StreamError};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    config::Limits,
    exchange::{Account, CommandError, Exchange},
    handlers,
    policy::check_request,
    under_way::UploadsUnderWay,
};

/// What every command of one client needs.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) uploads: Arc<dyn Uploads>,
    pub(crate) policies: Policies,
    pub(crate) limits: Limits,
    pub(crate) pool: BytePool,
    pub(crate) client: Fingerprint,
    pub(crate) under_way: UploadsUnderWay,
    /// The client may send a `Commit` before the ranges have arrived.
    pub(crate) early_commit: bool,
    /// Of the client's connection: the turns of those that send ranges.
    pub(crate) turns: Arc<Semaphore>,
    /// Of the client's connection.
    pub(crate) progress: Progress,
}

/// What the log is told of a command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) verb: &'static str,
    pub(crate) step: &'static str,
    pub(crate) account: Account,
    pub(crate) result: &'static str,
    pub(crate) duration: Duration,
}

/// Whether a command carries on a transfer that is running; only such commands are still served while draining.
fn carries_on(request: &Request) -> bool {
    matches!(
        request,
        Request::Read { .. } | Request::Write { .. } | Request::Commit { .. } | Request::Abandon { .. }
    )
}

/// Serves one command to its end. `grants` is asked at the moment of checking, so that a client that was revoked a
/// moment ago is refused.
pub(crate) async fn serve(
    context: Context,
    sender: FrameSender,
    receiver: FrameReceiver,
    grants: impl Fn() -> Option<Grants>,
    draining: bool,
) -> Ended {
    let started = Instant::now();
    let mut exchange = Exchange::new(sender, receiver, context.progress.clone(), context.limits);
    let (mut verb, mut step) = ("unknown", "unknown");
    let result = match receive_request(&mut exchange).await {
        Ok(request) => {
            (verb, step) = (handlers::verb(&request), request.verb());
            match check(&request, &context, grants(), draining) {
                Ok(()) => {
                    let grants = grants().unwrap_or(Grants::NONE);
                    handlers::run(&context, grants, &mut exchange, request).await
                }
                Err(failure) => {
                    exchange.account = handlers::account(&request, &context.under_way);
                    Err(failure.into())
                }
            }
        }
        Err(error) => Err(error),
    };
    let (account, result) = match result {
        Ok(()) => (exchange.finish(), "ok"),
        Err(error) => {
            let word = error.word();
            let account = match error {
                CommandError::Failed(failure) => exchange.fail(failure).await,
                CommandError::Told(_) => exchange.finish(),
                CommandError::Abandoned(code) => exchange.abandon(code),
                CommandError::Stream(StreamError::Malformed(_) | StreamError::Truncated) => {
                    exchange.abandon(ResetCode::MALFORMED)
                }
                // Dropping both halves resets them.
                CommandError::Stream(_) => std::mem::take(&mut exchange.account),
            };
            (account, word)
        }
    };
    Ended { verb, step, account, result, duration: started.elapsed() }
}

fn check(
    request: &Request,
    context: &Context,
    grants: Option<Grants>,
    draining: bool,
) -> Result<(), Failure> {
    if draining && !carries_on(request) {
        return Err(Failure::new(ErrorCode::GOING_AWAY));
    }
    let grants = grants.ok_or(Failure::new(ErrorCode::REVOKED))?;
    check_request(request, grants, context.policies)
}

async fn receive_request(exchange: &mut Exchange) -> Result<Request, CommandError> {
    let (request_timeout, progress) = (exchange.limits().request_timeout, exchange.progress());
    let payload = match progress.within(request_timeout, exchange.receiver.recv_payload()).await {
        Ok(payload) => payload?.ok_or(CommandError::code(ErrorCode::MALFORMED))?,
        Err(_) => return Err(CommandError::code(ErrorCode::STALLED)),
    };
    match codec::decode_growing(&payload) {
        Ok(request) => Ok(request),
        Err(DecodeError::UnknownKind(_)) => Err(CommandError::code(ErrorCode::UNSUPPORTED)),
        Err(error) => Err(error.into()),
    }
}
