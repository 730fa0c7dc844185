//! `Stat`: one entry with details.

use fulmar_proto::{path::DirPath, reply::Reply};

use super::Outcome;
use crate::{command::Context, exchange::Exchange};

pub(super) async fn run(context: &Context, exchange: &mut Exchange, path: &DirPath) -> Outcome {
    let entry = context.store.stat(path).await?;
    exchange.reply(&Reply::Entry(entry)).await
}
