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

/// Whether `path` is `directory` or lies in it.
fn is_inside(path: &RelPath, directory: &RelPath) -> bool {
    let mut components = path.components();
    directory.components().all(|component| components.next() == Some(component))
}

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
    if source.kind == EntryKind::Directory && is_inside(&target.path, from) {
        return Err(CommandError::code(ErrorCode::INTO_ITSELF));
    }
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

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn inside_is_by_components() {
        let inside = |path: &str, directory: &str| {
            is_inside(&path.parse().expect("a path"), &directory.parse().expect("a path"))
        };
        assert!(inside("a", "a") && inside("a/b/c", "a") && inside("a/b", "a/b"));
        assert!(!inside("ab", "a") && !inside("a", "a/b") && !inside("b/a", "a"));
    }
}
