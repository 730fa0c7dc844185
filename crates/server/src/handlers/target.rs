//! What becomes of an upload, given what is under its target's name.

use fulmar_proto::{
    error::{ErrorCode, Failure},
    grants::Grants,
    listing::{Entry, EntryKind},
    path::RelPath,
    reply::Reply,
    upload::{BeginUpload, OnExists, Present},
};
use fulmar_store::{NewUpload, StoreError, Target};

use crate::{command::Context, exchange::CommandError, policy::check_extension};

/// What to do about an upload.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Begin it, under this name.
    Begin(RelPath),
    /// Begin it under the first free name after this one.
    BeginRenamed(RelPath),
    /// Answer with this at once; nothing is uploaded.
    Answer(Reply),
}

/// Decides, without waiting for anything.
///
/// # Errors
/// `EXISTS` and `IS_A_DIRECTORY`.
fn decide(
    target: Target,
    size: Option<u64>,
    on_exists: OnExists,
    grants: Grants,
) -> Result<Decision, Failure> {
    let Target { path, existing } = target;
    let Some(existing) = existing else { return Ok(Decision::Begin(path)) };
    match on_exists {
        OnExists::Rename => Ok(Decision::BeginRenamed(path)),
        OnExists::Skip => Ok(Decision::Answer(Reply::Skipped { path })),
        OnExists::Overwrite if existing.kind == EntryKind::File => Ok(Decision::Begin(path)),
        OnExists::Fail | OnExists::Overwrite if existing.kind == EntryKind::Directory => {
            Err(Failure::new(ErrorCode::IS_A_DIRECTORY).about(path))
        }
        OnExists::Overwrite => Err(Failure::new(ErrorCode::NOT_SERVABLE).about(path)),
        OnExists::Fail => match same_size(&existing, size, &path) {
            // Whether the bytes are the same is told only to those who may read them.
            Some(present) if grants.allow(Grants::READ) => Ok(Decision::Answer(Reply::Present(present))),
            _ => Err(Failure::new(ErrorCode::EXISTS).about(path)),
        },
    }
}

/// The existing file, when it may have the same bytes: the size is the same, or the upload's is not known yet.
fn same_size(existing: &Entry, size: Option<u64>, path: &RelPath) -> Option<Present> {
    let version = existing.version.filter(|_| existing.kind == EntryKind::File)?;
    if size.is_some_and(|size| size != existing.size) {
        return None;
    }
    let root = existing.catalog.as_ref().and_then(|catalog| catalog.root);
    Some(Present { path: path.clone(), size: existing.size, version, root })
}

/// Resolves where an upload goes, checks the policies, and decides.
pub(super) async fn resolve(
    context: &Context,
    grants: Grants,
    upload: &BeginUpload,
) -> Result<Decision, CommandError> {
    let target = context.store.resolve(&upload.destination, upload.source_name.as_ref()).await?;
    if let Some(name) = &upload.source_name {
        check_extension(name.as_str(), &target.path, context.policies)?;
    }
    match decide(target, upload.size, upload.on_exists, grants)? {
        Decision::BeginRenamed(path) => Ok(Decision::Begin(free_name(context, &path).await?)),
        Decision::Answer(Reply::Present(present)) => confirm(context, present).await,
        decision => Ok(decision),
    }
}

/// A client that finds its bytes there is done and relies on them, so they must survive whatever comes.
async fn confirm(context: &Context, present: Present) -> Result<Decision, CommandError> {
    match context.store.make_durable(&present.path).await {
        Ok(()) => Ok(Decision::Answer(Reply::Present(present))),
        // It has gone meanwhile, and the name is free.
        Err(StoreError::NotFound) => Ok(Decision::Begin(present.path)),
        Err(error) => Err(error.into()),
    }
}

/// The most numbers that are tried for a free name. A directory with more copies of one name needs a person.
const MAX_NUMBER: u32 = 10_000;

async fn free_name(context: &Context, path: &RelPath) -> Result<RelPath, CommandError> {
    for number in 1..=MAX_NUMBER {
        let candidate =
            path.with_suffix_number(number).map_err(|_| CommandError::code(ErrorCode::NAME_TOO_LONG))?;
        match context.store.stat(&candidate.clone().into()).await {
            Err(StoreError::NotFound) => return Ok(candidate),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(ErrorCode::EXISTS).about(path.clone()).into())
}

/// The store's view of an upload that goes to `path`.
pub(super) fn new_upload(context: &Context, upload: &BeginUpload, path: RelPath, lasting: bool) -> NewUpload {
    NewUpload {
        client: context.client,
        path,
        size: upload.size,
        modified: upload.modified,
        mode: upload.mode,
        source_token: upload.source_token,
        on_exists: upload.on_exists,
        lasting,
    }
}

#[cfg(test)]
mod tests {
    use fulmar_proto::{listing::EntryName, text::Text, time::Timestamp, upload::Mode, version::Version};

    use super::*;

    fn target(kind: Option<EntryKind>) -> Target {
        let existing = kind.map(|kind| Entry {
            name: EntryName::Unservable(Text::new("x")),
            kind,
            size: 7,
            modified: Timestamp::EPOCH,
            mode: Mode::masked(0o644),
            version: (kind == EntryKind::File).then_some(Version([1; 32])),
            catalog: None,
        });
        Target { path: "d/x".parse().expect("a path"), existing }
    }

    #[test]
    fn every_way_for_a_target_to_exist_and_every_wish() {
        use EntryKind::{Directory, File, Link, Other};
        for on_exists in [OnExists::Fail, OnExists::Overwrite, OnExists::Skip, OnExists::Rename] {
            let free = decide(target(None), Some(7), on_exists, Grants::ALL);
            assert!(matches!(free, Ok(Decision::Begin(_))), "{on_exists:?}");
            for kind in [File, Directory, Link, Other] {
                let decision = decide(target(Some(kind)), Some(7), on_exists, Grants::ALL);
                let as_expected = match (on_exists, kind) {
                    (OnExists::Rename, _) => matches!(decision, Ok(Decision::BeginRenamed(_))),
                    (OnExists::Skip, _) => matches!(decision, Ok(Decision::Answer(Reply::Skipped { .. }))),
                    (OnExists::Overwrite, File) => matches!(decision, Ok(Decision::Begin(_))),
                    (OnExists::Fail, File) => matches!(decision, Ok(Decision::Answer(Reply::Present(_)))),
                    (_, Directory) => matches!(decision, Err(f) if f.code == ErrorCode::IS_A_DIRECTORY),
                    (OnExists::Overwrite, _) => {
                        matches!(decision, Err(f) if f.code == ErrorCode::NOT_SERVABLE)
                    }
                    (OnExists::Fail, _) => matches!(decision, Err(f) if f.code == ErrorCode::EXISTS),
                };
                assert!(as_expected, "{on_exists:?} {kind:?}");
            }
        }
    }

    #[test]
    fn another_size_exists_and_an_unknown_one_has_to_be_compared() {
        let fail = |size, grants| decide(target(Some(EntryKind::File)), size, OnExists::Fail, grants);
        assert!(matches!(fail(Some(8), Grants::ALL), Err(f) if f.code == ErrorCode::EXISTS));
        assert!(matches!(fail(None, Grants::ALL), Ok(Decision::Answer(Reply::Present(_)))));
    }

    #[test]
    fn who_may_not_read_learns_nothing_but_that_it_exists() {
        let writer = Grants::LIST.with(Grants::WRITE);
        for size in [None, Some(7), Some(8)] {
            let decision = decide(target(Some(EntryKind::File)), size, OnExists::Fail, writer);
            assert!(matches!(decision, Err(f) if f.code == ErrorCode::EXISTS));
        }
    }
}
