//! `Commit`: an upload becomes a file.

use fulmar_proto::{digest::Digest, grants::Grants, reply::Reply, version::UploadId};
use fulmar_store::{CommitUpload, UploadKey, Work};

use super::Outcome;
use crate::{command::Context, exchange::Exchange};

pub(super) async fn run(
    context: &Context,
    grants: Grants,
    exchange: &mut Exchange,
    upload_id: UploadId,
    generation: u32,
    (size, root): (u64, Digest),
) -> Outcome {
    let commit = CommitUpload {
        key: UploadKey { client: context.client, upload_id, generation },
        size,
        root,
        may_compare: grants.allow(Grants::READ),
        may_replace: grants.allow(Grants::DELETE),
    };
    // Syncing a large file can take a while; the client is kept informed that it is not forgotten.
    let committed = exchange.working(&Work::default(), context.uploads.commit(commit)).await;
    context.under_way.forget(upload_id);
    let stored = committed?;
    exchange.account.path = Some(stored.path.as_str().to_owned());
    exchange.account.bytes = stored.size;
    exchange.reply(&Reply::Stored(stored)).await
}
