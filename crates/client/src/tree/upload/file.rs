//! One file of a tree on its way to the server.

use std::sync::Arc;

use fulmar_disk::{Buffers, DiskError, Meta, Source, read_hashed};
use fulmar_proto::{
    digest::Digest,
    range::{MAX_RANGE_BYTES, Range},
    trailer::Trailer,
    upload::Destination,
};
use tokio::time::Instant;

use super::{Uploading, directories::Directory};
use crate::{
    error::Error,
    transfer::{
        Observer, Transferred,
        source::{SourcePlace, freeze},
        upload::{Whole, upload_of},
    },
};

/// A file that a walk has found, or the user has named.
#[derive(Debug)]
pub(in crate::tree) struct FoundFile {
    /// None: the user has named it.
    pub(super) directory: Option<Arc<Directory>>,
    pub(in crate::tree) place: SourcePlace,
    pub(in crate::tree) shown: String,
    /// Its length as the walk has seen it.
    pub(in crate::tree) bytes: u64,
    pub(in crate::tree) to: Destination,
}

impl FoundFile {
    /// How it is with the directory that it goes into.
    pub(in crate::tree) fn directory(&self) -> Option<&Directory> {
        self.directory.as_deref()
    }
}

impl Uploading<'_> {
    /// Sends one file.
    pub(super) async fn send(&self, file: &FoundFile) {
        let limit = u64::from(MAX_RANGE_BYTES.min(self.max_body_bytes));
        let is_small = file.bytes <= limit;
        let _flight = if is_small { self.window.small(file.bytes).await } else { self.window.large().await };
        let (started, course) = (Instant::now(), self.course.begin(&file.shown, file.bytes));
        // What the user has named goes where the server says, which needs its name.
        let sent = if is_small && file.directory.is_some() {
            self.send_small(file, started, &course).await
        } else {
            self.send_large(file, started, &course).await
        };
        course.end(&sent);
    }

    async fn send_large(
        &self,
        file: &FoundFile,
        started: Instant,
        observer: &dyn Observer,
    ) -> Result<Transferred, Error> {
        let options = &self.options.transfer;
        let sent = self.session.upload_file(&file.place, &file.to, options, observer).await?;
        Ok(sent.of(path_of(file), started))
    }

    /// Sends a file that one job reads and one stream carries, beginning anew once when it changes meanwhile.
    async fn send_small(
        &self,
        file: &FoundFile,
        started: Instant,
        observer: &dyn Observer,
    ) -> Result<Transferred, Error> {
        for is_last in [false, true] {
            let sent = match self.read_whole(file).await {
                Ok(None) => return self.send_large(file, started, observer).await,
                Ok(Some((meta, whole))) => {
                    let upload = upload_of(&meta, None, &file.to, &self.options.transfer);
                    self.session.send_put(upload, whole, observer).await
                }
                Err(error) => Err(error),
            };
            match sent {
                Err(error) if error.is_changed() && !is_last => {}
                Err(error) if error.is_changed() => break,
                sent => return Ok(sent?.of(path_of(file), started)),
            }
        }
        Err(Error::SourceChanged)
    }

    /// Reads all of a file in one job; none when it has become too long for that.
    async fn read_whole(&self, file: &FoundFile) -> Result<Option<(Meta, Whole)>, Error> {
        let (place, buffers) = (file.place.clone(), self.session.client().buffers.clone());
        let read = move || read_whole(&place.open()?, &buffers);
        let read: Result<_, DiskError> = self.session.offload().run(read).await;
        read.map_err(|error| Error::Local { path: file.place.path().clone(), error })
    }
}

fn path_of(file: &FoundFile) -> String {
    file.place.path().to_string_lossy().into_owned()
}

/// Reads and hashes a file, and looks whether it has stayed as it was. Blocks.
fn read_whole(source: &Source, buffers: &Buffers) -> Result<Option<(Meta, Whole)>, DiskError> {
    let meta = *source.meta();
    let Some(len) = u32::try_from(meta.size).ok().filter(|len| *len <= MAX_RANGE_BYTES) else {
        return Ok(None);
    };
    let whole = match Range::new(0, len) {
        Ok(range) => {
            let (body, digest) = read_hashed(source.file(), range, buffers)?;
            let root = digest.root.unwrap_or(Digest::EMPTY);
            Whole { body: freeze(body), trailer: Trailer::Range(digest), root }
        }
        // A range has at least one byte.
        Err(_) => Whole { body: Vec::new(), trailer: Trailer::Empty, root: Digest::EMPTY },
    };
    // The server publishes as soon as it has the trailer, so this is the last moment to look. Some file systems tell no
    // size until a file is read.
    let more = source.read_at(&mut [0], meta.size).is_ok();
    if more || !source.unchanged(&meta)? {
        return Err(DiskError::Changed);
    }
    Ok(Some((meta, whole)))
}
