//! A local file that is being uploaded.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use fulmar_disk::{Buffers, DiskError, Meta, Offload, Source, read_hashed};
use fulmar_proto::{
    digest::{Digest, RangeDigest},
    path::Name,
    range::Range,
    version::SourceToken,
};

use super::Observer;
use crate::{client::Client, error::Error, local::hash_open_file};

/// An open local file, and what it was when it was opened.
#[derive(Clone, Debug)]
pub(super) struct FileSource {
    offload: Offload,
    buffers: Buffers,
    source: Arc<Source>,
    path: PathBuf,
    name: Name,
}

impl FileSource {
    pub(super) async fn open(client: &Client, path: PathBuf) -> Result<Self, Error> {
        let name = path.file_name().map(|name| name.to_str().ok_or(fulmar_proto::path::PathError::NotUtf8));
        let name = name.unwrap_or(Ok("")).and_then(Name::parse);
        let opened = path.clone();
        let source = client.offload.run(move || Source::open_local(&opened)).await;
        let source = source.map_err(|error| Error::Local { path: path.clone(), error })?;
        let name = name.map_err(Error::LocalName)?;
        let (offload, buffers) = (client.offload.clone(), client.buffers.clone());
        Ok(Self { offload, buffers, source: Arc::new(source), path, name })
    }

    pub(super) fn meta(&self) -> &Meta {
        self.source.meta()
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Names this file in this state, so that a later upload of it is recognised.
    pub(super) fn token(&self) -> SourceToken {
        SourceToken(self.meta().version().0)
    }

    fn local(&self, error: DiskError) -> Error {
        Error::Local { path: self.path.clone(), error }
    }

    /// Reads and hashes one range.
    pub(super) async fn read(&self, range: Range) -> Result<(Bytes, RangeDigest), Error> {
        let (source, buffers) = (self.source.clone(), self.buffers.clone());
        let read = self.offload.run(move || read_hashed(source.file(), range, &buffers)).await;
        read.map(|(bytes, digest)| (bytes.freeze(), digest)).map_err(|error| self.local(error))
    }

    /// Says whether the file is still what it was, also under its name, and ends where it said it would: some file
    /// systems tell no size until a file is read.
    pub(super) async fn check(&self) -> Result<(), Error> {
        let source = self.source.clone();
        let check = move || {
            let more = source.read_at(&mut [0], source.meta().size).is_ok();
            Ok(!more && source.unchanged(source.meta())?)
        };
        let unchanged: Result<bool, DiskError> = self.offload.run(check).await;
        if unchanged.map_err(|error| self.local(error))? { Ok(()) } else { Err(Error::SourceChanged) }
    }

    /// The digest of the whole file.
    pub(super) async fn hash(&self, observer: &dyn Observer) -> Result<Digest, Error> {
        let file = self.source.file().try_clone();
        let file = file.map_err(|error| self.local(DiskError::from_io("dup", error)))?;
        let (_, root) =
            hash_open_file(&self.offload, Arc::new(file), &self.path, *self.meta(), observer).await?;
        Ok(root)
    }
}
