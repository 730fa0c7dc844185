//! One file per command.

mod abandon;
mod begin;
mod commit;
mod hash;
mod list;
mod make_directory;
mod measure;
mod open;
mod put;
mod read;
mod remove;
mod rename;
mod stat;
mod target;
mod write;

use fulmar_proto::{grants::Grants, path::DirPath, request::Request};

use crate::{
    command::Context,
    exchange::{Account, CommandError, Exchange},
    under_way::UploadsUnderWay,
};

/// What a handler comes to. By then it has sent its final reply, or failed without one.
type Outcome = Result<(), CommandError>;

/// Runs a request that has been checked against grants and policies.
pub(crate) async fn run(
    context: &Context,
    grants: Grants,
    exchange: &mut Exchange,
    request: Request,
) -> Outcome {
    exchange.account = account(&request, &context.under_way);
    match request {
        Request::List { directory, cursor, details } => {
            list::run(context, exchange, &directory, cursor, details).await
        }
        Request::Stat { path } => stat::run(context, exchange, &path).await,
        Request::Measure { path } => measure::run(context, exchange, &path).await,
        Request::Hash { path, reread } => hash::run(context, exchange, &path, reread).await,
        Request::MakeDirectory { path, parents } => {
            make_directory::run(context, exchange, &path, parents).await
        }
        Request::Remove { path, recursive } => remove::run(context, exchange, &path, recursive).await,
        Request::Rename { from, to, on_exists } => {
            rename::run(context, exchange, &from, &to, on_exists).await
        }
        Request::Open { path, first_bytes } => open::run(context, exchange, &path, first_bytes).await,
        Request::Read { path, version, range } => read::run(context, exchange, &path, version, range).await,
        Request::Begin { upload, first } => begin::run(context, grants, exchange, &upload, first).await,
        Request::Write { upload_id, generation, range } => {
            write::run(context, exchange, upload_id, generation, range).await
        }
        Request::Commit { upload_id, generation, size, root } => {
            commit::run(context, grants, exchange, upload_id, generation, (size, root)).await
        }
        Request::Abandon { upload_id, generation } => {
            abandon::run(context, exchange, upload_id, generation).await
        }
        Request::Put { upload } => put::run(context, grants, exchange, &upload).await,
    }
}

/// The verb that a person would use for a request.
pub(crate) fn verb(request: &Request) -> &'static str {
    match request {
        Request::List { .. } => "ls",
        Request::Stat { .. } => "stat",
        Request::Measure { .. } => "size",
        Request::Hash { .. } => "hash",
        Request::MakeDirectory { .. } => "mkdir",
        Request::Remove { .. } => "rm",
        Request::Rename { .. } => "mv",
        Request::Open { .. } | Request::Read { .. } => "download",
        Request::Begin { .. }
        | Request::Write { .. }
        | Request::Commit { .. }
        | Request::Abandon { .. }
        | Request::Put { .. } => "upload",
    }
}

/// What the log will say a request is about.
pub(crate) fn account(request: &Request, names: &UploadsUnderWay) -> Account {
    let root_or = |path: &DirPath| if path.is_root() { "/".to_owned() } else { path.as_str().to_owned() };
    let (path, target) = match request {
        Request::List { directory: path, .. } | Request::Stat { path } | Request::Measure { path } => {
            (Some(root_or(path)), None)
        }
        Request::Hash { path, .. }
        | Request::MakeDirectory { path, .. }
        | Request::Remove { path, .. }
        | Request::Open { path, .. }
        | Request::Read { path, .. } => (Some(path.as_str().to_owned()), None),
        Request::Rename { from, to, .. } => (Some(from.as_str().to_owned()), Some(root_or(&to.path))),
        Request::Begin { upload, .. } | Request::Put { upload } => {
            (Some(root_or(&upload.destination.path)), None)
        }
        Request::Write { upload_id, .. }
        | Request::Commit { upload_id, .. }
        | Request::Abandon { upload_id, .. } => (Some(names.name(*upload_id)), None),
    };
    Account { path, target, bytes: 0 }
}
