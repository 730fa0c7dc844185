//! `Begin`: where an upload goes, and its first range.

use fulmar_proto::{
    error::ErrorCode,
    grants::Grants,
    range::Range,
    reply::Reply,
    upload::{BeginUpload, Begun, HaveNode, HavePage, MAX_HAVE_NODES},
};
use fulmar_store::{OpenUpload, UploadKey};

use super::{
    Outcome,
    target::{Decision, new_upload, resolve},
};
use crate::{
    body::receive_range,
    command::Context,
    exchange::{CommandError, Exchange},
};

pub(super) async fn run(
    context: &Context,
    grants: Grants,
    exchange: &mut Exchange,
    upload: &BeginUpload,
    first: Option<Range>,
) -> Outcome {
    let path = match resolve(context, grants, upload).await? {
        Decision::Begin(path) | Decision::BeginRenamed(path) => path,
        Decision::Answer(reply) => return exchange.reply(&reply).await,
    };
    exchange.account.path = Some(path.as_str().to_owned());
    let open = context.uploads.begin(new_upload(context, upload, path.clone(), true)).await?;
    let (upload_id, generation) = (open.upload_id, open.generation);
    context.under_way.remember((upload_id, generation), &path, &open.have);
    let begun =
        |have| Begun { upload_id, generation, final_path: path.clone(), unit_bytes: open.unit_bytes, have };
    let mut pages = pages(&open)?.into_iter();
    let have = pages.next().unwrap_or_default();
    exchange.reply(&Reply::Begun(begun(have))).await?;
    for page in pages {
        exchange.sender.send(&page).await?;
    }
    let Some(range) = first else { return Ok(()) };
    if is_there(&open.have, range) {
        // The client has just been told so, and takes the end of the stream for what it is.
        return Ok(());
    }
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

/// Whether any part of a range is there already.
fn is_there(have: &[HaveNode], range: Range) -> bool {
    have.iter().any(|node| node.offset < range.end() && range.offset() < node.offset + node.len)
}

/// What is there already, in pages; at least one.
fn pages(open: &OpenUpload) -> Result<Vec<HavePage>, CommandError> {
    let chunks: Vec<&[HaveNode]> = open.have.chunks(MAX_HAVE_NODES).collect();
    let count = chunks.len();
    let page = |(index, nodes): (usize, &[HaveNode])| {
        HavePage::new(nodes.to_vec(), index + 1 < count).map_err(|_| CommandError::code(ErrorCode::INTERNAL))
    };
    if chunks.is_empty() {
        Ok(vec![HavePage::default()])
    } else {
        chunks.into_iter().enumerate().map(page).collect()
    }
}
