//! `Read`: one range of a file in the state that `Opened` told.

use fulmar_proto::{error::ErrorCode, path::RelPath, range::Range, reply::Reply, version::Version};

use super::Outcome;
use crate::{
    body::send_range,
    command::Context,
    exchange::{CommandError, Exchange},
};

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    path: &RelPath,
    version: Version,
    range: Range,
) -> Outcome {
    let (turns, stall_timeout) = (context.turns.clone(), exchange.limits().stall_timeout);
    let turn = context.progress.within(stall_timeout, turns.acquire_owned());
    let Ok(_turn) = exchange.unless_stopped(turn).await? else {
        return Err(CommandError::code(ErrorCode::STALLED));
    };
    let object = context.store.open(path).await?;
    if object.info().version != version {
        return Err(CommandError::code(ErrorCode::CHANGED));
    }
    if range.check_in_file(object.info().size).is_err() {
        return Err(CommandError::code(ErrorCode::MALFORMED));
    }
    exchange.sender.set_priority(range.priority());
    exchange.reply(&Reply::Body { len: range.len() }).await?;
    send_range(exchange, &context.pool, object.as_ref(), range).await
}
