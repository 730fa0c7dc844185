//! `Write`: one range of an upload.

use fulmar_proto::{range::Range, reply::Reply, version::UploadId};
use fulmar_store::UploadKey;

use super::Outcome;
use crate::{body::receive_range, command::Context, exchange::Exchange};

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    upload_id: UploadId,
    generation: u32,
    range: Range,
) -> Outcome {
    let key = UploadKey { client: context.client, upload_id, generation };
    let writer = context.uploads.open_range(&key, range).await?;
    receive_range(exchange, &context.pool, writer, range).await?;
    exchange.reply(&Reply::Written).await
}
