//! `Write`: one range of an upload.

use fulmar_proto::{range::Range, reply::Reply, version::UploadId};
use fulmar_store::UploadKey;

use super::Outcome;
use crate::{
    body::receive_range,
    command::Context,
    exchange::{CommandError, Exchange},
};

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    upload_id: UploadId,
    generation: u32,
    range: Range,
) -> Outcome {
    let key = UploadKey { client: context.client, upload_id, generation };
    let writer = context.uploads.open_range(&key, range).await?;
    let received = receive_range(exchange, &context.pool, writer, range).await;
    if let Err(CommandError::Stream(_)) = &received {
        // The client has given the transfer up, so nothing has to be waited for.
        context.under_way.forget((upload_id, generation));
    }
    received?;
    context.under_way.add((upload_id, generation), u64::from(range.len()));
    exchange.reply(&Reply::Written).await
}
