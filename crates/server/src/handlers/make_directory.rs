//! `MakeDirectory`.

use fulmar_proto::{path::RelPath, reply::Reply};

use super::Outcome;
use crate::{command::Context, exchange::Exchange};

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    path: &RelPath,
    parents: bool,
) -> Outcome {
    let created = context.store.make_directory(path, parents).await?;
    exchange.reply(&Reply::DirectoryMade { created }).await
}
