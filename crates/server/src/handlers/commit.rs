//! `Commit`: an upload becomes a file.

use fulmar_proto::{digest::Digest, grants::Grants, reply::Reply, version::UploadId};
use fulmar_store::{CommitUpload, UploadKey, Work};

use super::Outcome;
use crate::{
    command::Context,
    exchange::{CommandError, Exchange},
    under_way::Attempt,
};

pub(super) async fn run(
    context: &Context,
    grants: Grants,
    exchange: &mut Exchange,
    upload_id: UploadId,
    generation: u32,
    (size, root): (u64, Digest),
) -> Outcome {
    if context.early_commit
        && let Err(error) = wait_for_ranges(context, exchange, (upload_id, generation), size).await
    {
        // The client has given the transfer up, so nothing has to be waited for.
        context.under_way.forget((upload_id, generation));
        return Err(error);
    }
    let commit = CommitUpload {
        key: UploadKey { client: context.client, upload_id, generation },
        size,
        root,
        may_compare: grants.allow(Grants::READ),
        may_replace: grants.allow(Grants::DELETE),
    };
    // Syncing a large file can take a while; the client is kept informed that it is not forgotten.
    let committed = exchange.working(&Work::default(), context.uploads.commit(commit)).await;
    context.under_way.forget((upload_id, generation));
    let stored = committed?;
    exchange.account.path = Some(stored.path.as_str().to_owned());
    exchange.account.bytes = stored.size;
    exchange.reply(&Reply::Stored(stored)).await
}

/// Waits for the ranges that the client has sent right before, on other streams of the connection. They may also never come:
/// then the client takes the commit back, or nothing moves any more and it is tried without them.
async fn wait_for_ranges(
    context: &Context,
    exchange: &mut Exchange,
    attempt: Attempt,
    size: u64,
) -> Result<(), CommandError> {
    let (progress, stall_timeout) = (exchange.progress(), exchange.limits().stall_timeout);
    let complete = progress.within(stall_timeout, context.under_way.complete(attempt, size));
    exchange.unless_stopped(complete).await.map(drop)
}
