//! `Abandon`: an upload is given up.

use fulmar_proto::{reply::Reply, version::UploadId};
use fulmar_store::UploadKey;

use super::Outcome;
use crate::{command::Context, exchange::Exchange};

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    upload_id: UploadId,
    generation: u32,
) -> Outcome {
    let key = UploadKey { client: context.client, upload_id, generation };
    context.uploads.abandon(&key).await?;
    context.under_way.forget((upload_id, generation));
    exchange.reply(&Reply::Abandoned).await
}
