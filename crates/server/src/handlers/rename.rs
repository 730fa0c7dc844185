//! `Rename`: to a new name, or into a directory.

use fulmar_proto::{
    error::ErrorCode,
    listing::EntryKind,
    path::{Name, RelPath},
    reply::Reply,
    upload::{Destination, OnExists},
};
use fulmar_store::Renamed;

use super::Outcome;
use crate::{
    command::Context,
    exchange::{CommandError, Exchange},
    policy::check_extension,
};

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    from: &RelPath,
    to: &Destination,
    on_exists: OnExists,
) -> Outcome {
    let source = context.store.stat(&from.clone().into()).await?;
    let name = Name::parse(from.name()).map_err(|_| CommandError::code(ErrorCode::INTERNAL))?;
    let target = context.store.resolve(to, Some(&name)).await?;
    if source.kind != EntryKind::Directory {
        check_extension(from.name(), &target.path, context.policies)?;
    }
    let (path, skipped) = match context.store.rename(from, &target.path, on_exists).await? {
        Renamed::To(path) => (path, false),
        Renamed::Skipped(path) => (path, true),
    };
    exchange.account.target = Some(path.as_str().to_owned());
    exchange.reply(&Reply::Renamed { path, skipped }).await
}
