//! One file of a tree on its way here.

use std::sync::Arc;

use fulmar_disk::SyncedStaging;
use fulmar_proto::{
    digest::{Digest, DigestTree},
    path::RelPath,
    reply::Opened,
};
use tokio::time::Instant;

use super::{Directory, Downloading};
use crate::{
    error::Error,
    local::LocalTarget,
    transfer::{
        DownloadTarget, Observer, TransferOptions, Transferred,
        download::{Done, FIRST_BYTES, file, root_of},
        fetch::{self, Fetched},
    },
    tree::RemoteSource,
};

/// A file that a walk has found, or the user has named.
#[derive(Debug)]
pub(in crate::tree) struct RemoteFile {
    /// None: the user has named it.
    pub(in crate::tree) directory: Option<Arc<Directory>>,
    pub(in crate::tree) path: RelPath,
    pub(in crate::tree) shown: String,
    /// Its length as the walk has seen it.
    pub(in crate::tree) bytes: u64,
}

impl RemoteFile {
    pub(super) fn named(path: RelPath, source: &RemoteSource, bytes: u64) -> Self {
        Self { directory: None, path, shown: source.shown.clone(), bytes }
    }

    pub(super) fn found(directory: &Arc<Directory>, path: RelPath, shown: String, bytes: u64) -> Self {
        Self { directory: Some(Arc::clone(directory)), path, shown, bytes }
    }
}

impl Downloading<'_> {
    /// Fetches one file.
    pub(super) async fn fetch(&self, file: &RemoteFile) {
        let is_small = file.bytes <= u64::from(FIRST_BYTES);
        let _flight = if is_small { self.window.small(file.bytes).await } else { self.window.large().await };
        let (started, course) = (Instant::now(), self.course.begin(&file.shown, file.bytes));
        let fetched = match &file.directory {
            None => self.fetch_named(file, &course).await,
            Some(directory) if is_small => self.fetch_small(file, directory, started, &course).await,
            Some(directory) => self.fetch_large(file, directory, started, &course).await,
        };
        course.end(&fetched);
    }

    async fn fetch_named(&self, file: &RemoteFile, observer: &dyn Observer) -> Result<Transferred, Error> {
        let (path, must_be_directory) = (self.target.to_owned(), self.must_be_directory);
        let target = DownloadTarget::Path { path, must_be_directory };
        self.session.download(&file.path, target, &self.options.transfer, observer).await
    }

    async fn fetch_large(
        &self,
        file: &RemoteFile,
        directory: &Arc<Directory>,
        started: Instant,
        observer: &dyn Observer,
    ) -> Result<Transferred, Error> {
        let target = Arc::new(self.target_of(file, directory).await?);
        let options = &self.options.transfer;
        let done = self.session.download_to(&file.path, &target, options, observer).await?;
        Ok(done.of(file.path.as_str().to_owned(), started))
    }

    pub(in crate::tree) async fn target_of(
        &self,
        file: &RemoteFile,
        directory: &Arc<Directory>,
    ) -> Result<LocalTarget, Error> {
        let (directory, name) = (Arc::clone(directory), file.path.name().to_owned());
        self.session.offload().run(move || directory.target(&name)).await
    }

    /// Fetches a file that comes whole with the answer to opening it, beginning anew once when it changes meanwhile.
    async fn fetch_small(
        &self,
        file: &RemoteFile,
        directory: &Arc<Directory>,
        started: Instant,
        observer: &dyn Observer,
    ) -> Result<Transferred, Error> {
        // Where nobody else has put anything, there is nothing to look for.
        if !directory.is_fresh()
            && let Some(done) = self.already_there(file, directory, observer).await?
        {
            return Ok(done.of(file.path.as_str().to_owned(), started));
        }
        for is_last in [false, true] {
            match self.fetch_whole(file).await {
                Err(error) if error.is_changed() && !is_last => {}
                Err(error) if error.is_changed() => break,
                Err(error) => return Err(error),
                Ok(None) => return self.fetch_large(file, directory, started, observer).await,
                Ok(Some((opened, first))) => {
                    let bytes = opened.size;
                    let done = self.store(file, directory, opened, first).await?;
                    observer.on(crate::Event::Acknowledged { bytes });
                    return Ok(done.of(file.path.as_str().to_owned(), started));
                }
            }
        }
        Err(Error::SourceChanged)
    }

    /// A file that comes whole with the answer to opening it; none when it is longer.
    async fn fetch_whole(&self, file: &RemoteFile) -> Result<Option<(Opened, Option<Fetched>)>, Error> {
        let (opened, first) = fetch::open(self.session, &file.path, FIRST_BYTES).await?;
        match first {
            Some(first) if first.range.end() == opened.size => {
                let (_, fetched) = first.fetch(self.session.clone()).await?;
                Ok(Some((opened, Some(fetched))))
            }
            None if opened.size == 0 => Ok(Some((opened, None))),
            _ => Ok(None),
        }
    }

    async fn already_there(
        &self,
        file: &RemoteFile,
        directory: &Arc<Directory>,
        observer: &dyn Observer,
    ) -> Result<Option<Done>, Error> {
        let target = Arc::new(self.target_of(file, directory).await?);
        let on_exists = self.options.transfer.on_exists;
        file::already_there(self.session, &file.path, &target, on_exists, observer).await
    }

    /// Stores a file that has come whole.
    async fn store(
        &self,
        file: &RemoteFile,
        directory: &Arc<Directory>,
        opened: Opened,
        first: Option<Fetched>,
    ) -> Result<Done, Error> {
        let options = self.options.transfer;
        let (directory, name) = (Arc::clone(directory), file.path.name().to_owned());
        let bytes = opened.size;
        let write = move || write(directory.target(&name)?, &opened, first.as_ref(), &options);
        let written = self.passes.run(self.session.offload(), write).await;
        let (target, staging, root) = written.ok_or(Error::UnexpectedReply("ended"))??;
        let lead = |job| self.passes.run(self.session.offload(), job);
        let path = self.publisher.publish(target, staging, options.on_exists, lead).await?;
        Ok(Done::stored(path.to_string_lossy().into_owned(), bytes, root))
    }
}

/// Verifies what has come, and writes it beside its target, durably. Blocks.
fn write(
    target: LocalTarget,
    opened: &Opened,
    first: Option<&Fetched>,
    options: &TransferOptions,
) -> Result<(LocalTarget, SyncedStaging, Digest), Error> {
    let mut tree = DigestTree::new(Some(opened.size));
    if let Some(first) = first {
        let digest = first.verify()?;
        tree.insert(first.range, digest).map_err(|_| Error::UnexpectedReply("overlap"))?;
    }
    let root = root_of(&tree, opened)?;
    let staging = target.stage(opened.size)?;
    let local = |error| Error::Local { path: target.path(), error };
    if let Some(first) = first {
        staging.write_at(&first.bytes, first.range.offset()).map_err(local)?;
    }
    if options.keep_modified {
        staging.set_modified(opened.modified);
    }
    if options.keep_executable {
        staging.set_executable(opened.mode.executable());
    }
    let synced = staging.sync().map_err(local)?;
    Ok((target, synced, root))
}
