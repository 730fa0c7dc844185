//! `List`: pages, one frame each, as they are read.

use fulmar_proto::{listing::Cursor, path::DirPath, reply::Reply};

use super::Outcome;
use crate::{command::Context, exchange::Exchange};

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    directory: &DirPath,
    cursor: Option<Cursor>,
    details: bool,
) -> Outcome {
    let mut cursor = cursor;
    let (entries, bytes) = (context.limits.page_entries, context.limits.page_bytes);
    loop {
        // The stream's flow control holds the next page back until the client has read the ones before it.
        let page = context.store.list(directory, cursor.as_ref(), details, entries, bytes).await?;
        cursor = page.next().cloned();
        exchange.reply(&Reply::Page(page)).await?;
        if cursor.is_none() {
            return Ok(());
        }
    }
}
