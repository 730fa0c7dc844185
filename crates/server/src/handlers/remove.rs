//! `Remove`: a file, an empty directory or a tree.

use fulmar_proto::{path::RelPath, reply::Reply};
use fulmar_store::Work;

use super::Outcome;
use crate::{command::Context, exchange::Exchange};

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    path: &RelPath,
    recursive: bool,
) -> Outcome {
    let work = Work::default();
    let removed = exchange.working(&work, context.store.remove(path, recursive, &work)).await?;
    exchange.reply(&Reply::Removed { files: removed.files, directories: removed.directories }).await
}
