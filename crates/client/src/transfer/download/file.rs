//! Downloads to a local file.

use std::{path::Path, sync::Arc};

use fulmar_disk::Kind;
use fulmar_proto::{
    digest::{DigestTree, RangeDigest},
    path::RelPath,
    range::Range,
    upload::OnExists,
    version::Version,
};

use super::{
    Attempt, Done, Event, FIRST_BYTES, Observer, Outcome, Ranges, TransferOptions, fetch, keeps_target,
    root_of,
};
use crate::{
    error::Error,
    local::{LocalTarget, hash_open_file},
    session::Session,
    transfer::fetch::{FutureSink, Sink},
};

pub(crate) async fn resolve(
    session: &Session,
    local: &Path,
    must_be_directory: bool,
    name: &str,
) -> Result<Arc<LocalTarget>, Error> {
    let (local, name) = (local.to_owned(), name.to_owned());
    let resolve = move || LocalTarget::resolve(&local, must_be_directory, &name);
    session.offload().run(resolve).await.map(Arc::new)
}

/// Looks at what is under the target's name. Gives the end of the download when nothing has to be fetched.
pub(crate) async fn already_there(
    session: &Session,
    path: &RelPath,
    target: &Arc<LocalTarget>,
    on_exists: OnExists,
    observer: &dyn Observer,
) -> Result<Option<Done>, Error> {
    if !keeps_target(on_exists) {
        return Ok(None);
    }
    let looked_at = target.clone();
    let Some(existing) = session.offload().run(move || looked_at.existing()).await? else { return Ok(None) };
    // Also for a target that is in the way the first thing to know is whether there is anything to fetch.
    let (opened, _) = fetch::open(session, path, 0).await?;
    let destination = target.path().to_string_lossy().into_owned();
    if on_exists == OnExists::Skip {
        let (root, outcome) = (fulmar_proto::digest::Digest::EMPTY, Outcome::Skipped);
        return Ok(Some(Done { destination, bytes: 0, sent_bytes: 0, root, outcome }));
    }
    let exists = || Error::LocalExists { path: target.path() };
    if existing.kind != Kind::File || existing.size != opened.size {
        return Err(exists());
    }
    let opening = target.clone();
    let (file, meta) = session.offload().run(move || opening.open_existing()).await?;
    let (_, local) =
        hash_open_file(session.offload(), Arc::new(file), &target.path(), meta, observer).await?;
    let remote = match opened.root {
        Some(root) => root,
        None => session.hash(path, false, observer).await?.1,
    };
    if local != remote {
        return Err(exists());
    }
    let (bytes, outcome) = (opened.size, Outcome::AlreadyThere);
    Ok(Some(Done { destination, bytes, sent_bytes: 0, root: local, outcome }))
}

/// One attempt: everything into a staging file, which then gets its name.
pub(super) async fn download(
    session: &Session,
    path: &RelPath,
    target: &Arc<LocalTarget>,
    options: &TransferOptions,
    observer: &dyn Observer,
) -> Result<Done, Error> {
    let (opened, first) = fetch::open(session, path, FIRST_BYTES).await?;
    observer.on(Event::Started { size: Some(opened.size) });
    let size = opened.size;
    let sink = FutureSink::default();
    let first = first.map(|first| (first.range, first.fetch_into(session.clone(), sink.clone())));
    let mut ranges = Ranges::new(session, path, &opened, first);
    let fetch =
        |session, path, version, range| fetch::fetch_into(session, path, version, range, sink.clone());
    // Asked for before there is a place for it.
    ranges.start(0, fetch);
    let attempt = Attempt::new(target.clone())?;
    let staging = attempt.stage(session.offload(), size).await?;
    let sunk = Sink { staging, target: target.clone() };
    // Only this sets it.
    let _ = sink.set(sunk.clone());
    let received = receive(&mut ranges, size, fetch, observer).await;
    // Whatever still runs holds the staging file open.
    ranges.stop().await;
    drop(sink);
    let tree = match received {
        Ok(tree) => tree,
        Err(error) => {
            drop(attempt);
            // Before another attempt reserves its own space; giving the blocks of a large file back takes its time.
            session.offload().run(move || drop(sunk)).await;
            return Err(error);
        }
    };
    let root = root_of(&tree, &opened)?;
    if options.keep_modified {
        sunk.staging.set_modified(opened.modified);
    }
    if options.keep_executable {
        sunk.staging.set_executable(opened.mode.executable());
    }
    drop(sunk);
    let path = attempt.publish(session.offload(), options.on_exists).await?;
    let destination = path.to_string_lossy().into_owned();
    Ok(Done { destination, bytes: size, sent_bytes: size, root, outcome: Outcome::Stored })
}

async fn receive<F>(
    ranges: &mut Ranges<'_, RangeDigest>,
    size: u64,
    fetch: impl Fn(Session, RelPath, Version, Range) -> F,
    observer: &dyn Observer,
) -> Result<DigestTree, Error>
where
    F: Future<Output = Result<(Range, RangeDigest), Error>> + Send + 'static,
{
    let mut tree = DigestTree::new(Some(size));
    while let Some((range, digest)) = ranges.next(0, &fetch).await? {
        tree.insert(range, digest).map_err(|_| Error::UnexpectedReply("overlap"))?;
        observer.on(Event::Acknowledged { bytes: tree.covered_bytes() });
    }
    Ok(tree)
}
