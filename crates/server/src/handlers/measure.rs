//! `Measure`: the sum over a file or a tree.

use fulmar_proto::{path::DirPath, reply::Reply};
use fulmar_store::Work;

use super::Outcome;
use crate::{command::Context, exchange::Exchange};

pub(super) async fn run(context: &Context, exchange: &mut Exchange, path: &DirPath) -> Outcome {
    let work = Work::default();
    let sum = exchange.working(&work, context.store.measure(path, &work)).await?;
    let (kind, bytes, files, directories) = (sum.kind, sum.bytes, sum.files, sum.directories);
    exchange.reply(&Reply::Measured { kind, bytes, files, directories }).await
}
