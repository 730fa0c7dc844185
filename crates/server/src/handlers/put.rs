//! `Put`: a small file in one stream.

use fulmar_proto::{
    digest::Digest,
    error::ErrorCode,
    grants::Grants,
    range::Range,
    reply::Reply,
    upload::{BeginUpload, Stored},
};
use fulmar_store::{CommitUpload, UploadKey, Work};

use super::{
    Outcome,
    target::{Decision, new_upload, resolve},
};
use crate::{
    body::{receive_nothing, receive_range},
    command::Context,
    exchange::{CommandError, Exchange},
};

pub(super) async fn run(
    context: &Context,
    grants: Grants,
    exchange: &mut Exchange,
    upload: &BeginUpload,
) -> Outcome {
    let size = upload.size.ok_or(CommandError::code(ErrorCode::MALFORMED))?;
    let len = u32::try_from(size).ok().filter(|len| *len <= context.limits.max_body_bytes);
    let len = len.ok_or(CommandError::code(ErrorCode::OVER_LIMIT))?;
    let path = match resolve(context, grants, upload).await? {
        Decision::Begin(path) | Decision::BeginRenamed(path) => path,
        Decision::Answer(reply) => return exchange.reply(&reply).await,
    };
    exchange.account.path = Some(path.as_str().to_owned());
    let open = context.uploads.begin(new_upload(context, upload, path, false)).await?;
    let (upload_id, generation) = (open.upload_id, open.generation);
    let key = UploadKey { client: context.client, upload_id, generation };
    match receive_and_commit(context, grants, exchange, key, len).await {
        Ok(stored) => {
            exchange.account.path = Some(stored.path.as_str().to_owned());
            exchange.reply(&Reply::Stored(stored)).await
        }
        Err(error) => {
            // Nobody can come back to it, so nothing of it may stay. The first error is the one to tell.
            let _ = context.uploads.abandon(&key).await;
            Err(error)
        }
    }
}

async fn receive_and_commit(
    context: &Context,
    grants: Grants,
    exchange: &mut Exchange,
    key: UploadKey,
    len: u32,
) -> Result<Stored, CommandError> {
    let root = if len == 0 {
        receive_nothing(exchange).await?;
        Digest::EMPTY
    } else {
        let range = Range::new(0, len).map_err(|_| CommandError::code(ErrorCode::MALFORMED))?;
        let writer = context.uploads.open_range(&key, range).await?;
        let digest = receive_range(exchange, &context.pool, writer, range).await?;
        digest.root.ok_or(CommandError::code(ErrorCode::MALFORMED))?
    };
    let commit = CommitUpload {
        key,
        size: u64::from(len),
        root,
        may_compare: grants.allow(Grants::READ),
        may_replace: grants.allow(Grants::DELETE),
    };
    exchange.working(&Work::default(), context.uploads.commit(commit)).await
}
