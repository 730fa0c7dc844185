//! `Hash`: a file's digest, from the catalog or read anew.

use fulmar_proto::{path::RelPath, reply::Reply};
use fulmar_store::Work;

use super::Outcome;
use crate::{command::Context, exchange::Exchange};

pub(super) async fn run(context: &Context, exchange: &mut Exchange, path: &RelPath, reread: bool) -> Outcome {
    let work = Work::default();
    let (size, root) = exchange.working(&work, context.store.hash(path, reread, &work)).await?;
    exchange.reply(&Reply::Hashed { size, root }).await
}
