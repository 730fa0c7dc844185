//! A local file that is being uploaded.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use fulmar_disk::{Buffer, Buffers, Dir, DiskError, Meta, Offload, Source, read_hashed};
use fulmar_proto::{
    digest::{Digest, RangeDigest},
    path::{Name, PathError},
    range::Range,
};

use super::Observer;
use crate::{client::Client, error::Error, local::hash_open_file};

/// Where the file of an upload is.
#[derive(Clone, Debug)]
pub(crate) enum SourcePlace {
    /// Where the user says. Links are followed: the path is the user's own.
    Path(PathBuf),
    /// Where a walk has found it. No link is followed, and it has the name that its destination says and no other.
    Found {
        /// Where the walk began.
        base: Dir,
        /// The directory, from there.
        directory: String,
        /// The name in it.
        name: String,
        /// The whole path, to be told.
        path: PathBuf,
    },
}

impl SourcePlace {
    pub(crate) fn path(&self) -> &PathBuf {
        match self {
            Self::Path(path) | Self::Found { path, .. } => path,
        }
    }

    /// What the file is called when it goes into a directory.
    fn name(&self) -> Result<Option<Name>, PathError> {
        match self {
            Self::Found { .. } => Ok(None),
            Self::Path(path) => {
                let name = path.file_name().map(|name| name.to_str().ok_or(PathError::NotUtf8));
                name.unwrap_or(Ok("")).and_then(Name::parse).map(Some)
            }
        }
    }

    pub(crate) fn open(&self) -> Result<Source, DiskError> {
        match self {
            Self::Path(path) => Source::open_local(path),
            Self::Found { base, directory, name, .. } => {
                Source::open_leaf(&base.open_beneath(directory)?, name)
            }
        }
    }
}

/// An open local file, and what it was when it was opened.
#[derive(Clone, Debug)]
pub(super) struct FileSource {
    offload: Offload,
    buffers: Buffers,
    source: Arc<Source>,
    path: PathBuf,
    name: Option<Name>,
}

impl FileSource {
    pub(super) async fn open(client: &Client, place: &SourcePlace) -> Result<Self, Error> {
        let (path, name, opened) = (place.path().clone(), place.name(), place.clone());
        let source = client.offload.run(move || opened.open()).await;
        let source = source.map_err(|error| Error::Local { path: path.clone(), error })?;
        let name = name.map_err(Error::LocalName)?;
        let (offload, buffers) = (client.offload.clone(), client.buffers.clone());
        Ok(Self { offload, buffers, source: Arc::new(source), path, name })
    }

    pub(super) fn meta(&self) -> &Meta {
        self.source.meta()
    }

    /// What the file is called when it goes into a directory; none when it has to go under the name of its destination.
    pub(super) fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    fn local(&self, error: DiskError) -> Error {
        Error::Local { path: self.path.clone(), error }
    }

    /// Reads and hashes one range. Gives it in pieces.
    pub(super) async fn read(&self, range: Range) -> Result<(Vec<Bytes>, RangeDigest), Error> {
        let (source, buffers) = (self.source.clone(), self.buffers.clone());
        let read = self.offload.run(move || read_hashed(source.file(), range, &buffers)).await;
        read.map(|(pieces, digest)| (freeze(pieces), digest)).map_err(|error| self.local(error))
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

/// The pieces of a body, to be sent without copying.
pub(crate) fn freeze(pieces: Vec<Buffer>) -> Vec<Bytes> {
    pieces.into_iter().map(Buffer::freeze).collect()
}
