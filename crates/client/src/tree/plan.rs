//! What would be done: both sides are looked at, and nothing is changed.

use std::sync::Arc;

use fulmar_disk::Kind;
use fulmar_proto::{
    error::{ErrorCode, Failure},
    grants::Grants,
    hello::{Policies, Welcome},
    listing::{Entry, EntryKind},
    path::{DirPath, RelPath},
    upload::{OnExists, Present},
    version::Version,
};

use super::{
    Action,
    download::{Directory as LocalDirectory, Downloading, RemoteFile},
    upload::{Directory as RemoteDirectory, FoundFile, State, Uploading},
};
use crate::{
    NoObserver,
    error::Error,
    local::LocalTarget,
    transfer::{
        Outcome,
        download::{file, keeps_target},
        present,
    },
};

/// Whether the server would let this client store anything, by what it said at admission.
pub(super) fn check_upload(welcome: &Welcome, on_exists: OnExists) -> Result<(), Error> {
    let refused = |code, detail: &str| Err(Error::Server(Failure::new(code).saying(detail)));
    let overwrites = on_exists == OnExists::Overwrite;
    let needed = if overwrites { Grants::WRITE.with(Grants::DELETE) } else { Grants::WRITE };
    if welcome.policies.has(Policies::READ_ONLY) {
        return refused(ErrorCode::READ_ONLY, "");
    }
    if !welcome.grants.allow(needed) {
        return refused(ErrorCode::NOT_GRANTED, &needed.without(welcome.grants).to_string());
    }
    if overwrites && welcome.policies.has(Policies::NO_OVERWRITE) {
        return refused(ErrorCode::POLICY, "nothing may be overwritten there");
    }
    Ok(())
}

/// Tells whether a remote directory would be made.
pub(super) async fn upload_directory(uploading: &Uploading<'_>, directory: &RemoteDirectory) {
    let state = match (directory.known_now(), directory.above().await) {
        (Some(known), _) => Ok(known),
        (None, State::There) => {
            let _flight = uploading.window.command().await;
            uploading.remote_state(&directory.remote).await
        }
        // What is above is missing or cannot be.
        (None, above) => Ok(above),
    };
    match state {
        Ok(State::Missing) => {
            let destination = directory.remote.as_str();
            uploading.course.planned(&directory.shown, destination, 0, Action::MakeDirectory);
            directory.set(State::Missing);
        }
        Ok(state) => directory.set(state),
        Err(error) => {
            directory.set(State::Failed);
            uploading.course.failed(&directory.shown, &error);
        }
    }
}

/// Tells what would be done with a local file.
pub(super) async fn upload_file(uploading: &Uploading<'_>, file: &FoundFile) {
    let is_missing = match file.directory() {
        Some(directory) => directory.known().await == State::Missing,
        None => false,
    };
    let _flight = uploading.window.command().await;
    let planned = match (is_missing, file.to.path.to_rel()) {
        (true, Some(path)) => Ok((path, Action::Store)),
        _ => plan_upload(uploading, file).await,
    };
    match planned {
        Ok((path, action)) => uploading.course.planned(&file.shown, path.as_str(), file.bytes, action),
        Err(error) => uploading.course.not_planned(&file.shown, &error),
    }
}

async fn plan_upload(uploading: &Uploading<'_>, file: &FoundFile) -> Result<(RelPath, Action), Error> {
    let refused = |code, path: &RelPath| Error::Server(Failure::new(code).about(path.clone()));
    let (path, existing) = find_remote(uploading, file).await?;
    let Some(existing) = existing else { return Ok((path, Action::Store)) };
    let is_directory = existing.kind == EntryKind::Directory;
    let action = match uploading.options.transfer.on_exists {
        // A file of a tree goes nowhere but under its own name: the server looks no further.
        _ if is_directory && file.directory().is_some() => {
            return Err(refused(ErrorCode::IS_A_DIRECTORY, &path));
        }
        OnExists::Rename => Action::Number,
        OnExists::Skip => Action::Skip,
        _ if is_directory => {
            return Err(refused(ErrorCode::IS_A_DIRECTORY, &path));
        }
        OnExists::Overwrite if existing.kind == EntryKind::File => Action::Replace,
        OnExists::Overwrite => return Err(refused(ErrorCode::NOT_SERVABLE, &path)),
        OnExists::Fail => {
            let may_read = uploading.session.welcome().await?.grants.allow(Grants::READ);
            let same_length = existing.kind == EntryKind::File && existing.size == file.bytes;
            if !may_read || !same_length || !holds_same(uploading, file, &path, &existing).await? {
                return Err(refused(ErrorCode::EXISTS, &path));
            }
            Action::AlreadyThere
        }
    };
    Ok((path, action))
}

/// Where a file would go by the rules of the server, and what is there.
async fn find_remote(uploading: &Uploading<'_>, file: &FoundFile) -> Result<(RelPath, Option<Entry>), Error> {
    let refused = |code| Error::Server(Failure::new(code));
    let there = stat_if_there(uploading, &file.to.path).await?;
    let Some(entry) = there else {
        let path = file.to.path.to_rel().ok_or(refused(ErrorCode::NOT_FOUND))?;
        let has_parent = stat_if_there(uploading, &path.parent()).await?.is_some();
        if file.to.must_be_directory || !has_parent {
            return Err(refused(ErrorCode::NO_PARENT));
        }
        return Ok((path, None));
    };
    match (entry.kind, file.directory()) {
        // A file of a tree goes under its own name and no other.
        (EntryKind::Directory, None) => {
            let name = file.place.path().file_name().and_then(|name| name.to_str());
            let name = name.ok_or(Error::LocalName(fulmar_proto::path::PathError::NotUtf8))?;
            let path = file.to.path.join(name).map_err(Error::LocalName)?;
            let existing = stat_if_there(uploading, &path.clone().into()).await?;
            Ok((path, existing))
        }
        (kind, _) if kind != EntryKind::Directory && file.to.must_be_directory => {
            Err(refused(ErrorCode::NOT_A_DIRECTORY))
        }
        _ => Ok((file.to.path.to_rel().ok_or(refused(ErrorCode::IS_A_DIRECTORY))?, Some(entry))),
    }
}

async fn stat_if_there(uploading: &Uploading<'_>, path: &DirPath) -> Result<Option<Entry>, Error> {
    match uploading.session.stat(path).await {
        Ok(entry) => Ok(Some(entry)),
        Err(Error::Server(failure)) if failure.code == ErrorCode::NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a remote file of the same length holds the same bytes.
async fn holds_same(
    uploading: &Uploading<'_>,
    file: &FoundFile,
    path: &RelPath,
    existing: &Entry,
) -> Result<bool, Error> {
    let root = existing.catalog.as_ref().and_then(|catalog| catalog.root);
    let version = existing.version.unwrap_or(Version([0; 32]));
    let present = Present { path: path.clone(), size: existing.size, version, root };
    let remote = present::remote_digest(uploading.session, &present, &NoObserver).await?;
    let (_, local) = uploading.session.client().hash_file(file.place.path(), &NoObserver).await?;
    Ok(local == remote)
}

/// Tells that a local directory would be made.
pub(super) fn download_directory(downloading: &Downloading<'_>, directory: &LocalDirectory) {
    let path = directory.path();
    let destination = path.to_string_lossy();
    downloading.course.planned(&directory.shown, &destination, 0, Action::MakeDirectory);
}

/// Tells what would be done with a remote file.
pub(super) async fn download_file(downloading: &Downloading<'_>, file: &RemoteFile) {
    let _flight = downloading.window.command().await;
    match plan_download(downloading, file).await {
        Ok((path, action)) => downloading.course.planned(&file.shown, &path, file.bytes, action),
        Err(error) => downloading.course.not_planned(&file.shown, &error),
    }
}

async fn plan_download(downloading: &Downloading<'_>, file: &RemoteFile) -> Result<(String, Action), Error> {
    let target = match &file.directory {
        Some(directory) if directory.is_fresh() => {
            let path = directory.path().join(file.path.name());
            return Ok((path.to_string_lossy().into_owned(), Action::Store));
        }
        Some(directory) => Arc::new(downloading.target_of(file, directory).await?),
        None => {
            let (path, must) = (downloading.target, downloading.must_be_directory);
            file::resolve(downloading.session, path, must, file.path.name()).await?
        }
    };
    let action = plan_target(downloading, file, &target).await?;
    Ok((target.path().to_string_lossy().into_owned(), action))
}

async fn plan_target(
    downloading: &Downloading<'_>,
    file: &RemoteFile,
    target: &Arc<LocalTarget>,
) -> Result<Action, Error> {
    let (session, on_exists) = (downloading.session, downloading.options.transfer.on_exists);
    let looked_at = Arc::clone(target);
    let Some(existing) = session.offload().run(move || looked_at.existing()).await? else {
        return Ok(Action::Store);
    };
    if keeps_target(on_exists) {
        let done = file::already_there(session, &file.path, target, on_exists, &NoObserver).await?;
        return Ok(match done.map(|done| done.outcome()) {
            Some(Outcome::AlreadyThere) => Action::AlreadyThere,
            Some(Outcome::Skipped) => Action::Skip,
            // It has gone meanwhile.
            Some(Outcome::Stored) | None => Action::Store,
        });
    }
    match on_exists {
        OnExists::Rename => Ok(Action::Number),
        _ if existing.kind == Kind::File => Ok(Action::Replace),
        _ => Err(Error::LocalExists { path: target.path() }),
    }
}
