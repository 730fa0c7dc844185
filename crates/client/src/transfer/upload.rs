//! Uploads.

mod beginning;
mod ranges;
mod stream;

pub(super) use ranges::joined;

use fulmar_disk::Meta;
use fulmar_proto::{
    digest::Digest,
    hello::Features,
    path::Name,
    range::{MAX_RANGE_BYTES, Range},
    reply::Reply,
    request::Request,
    time::Timestamp,
    trailer::Trailer,
    upload::{BeginUpload, Begun, Destination, HaveNode, Mode, Present, Stored},
    version::SourceToken,
};
use tokio::time::Instant;

use beginning::{Beginning, First, Piece, begin};
use ranges::Course;

use super::{
    Event, Observer, Outcome, TransferOptions, Transferred, UploadSource,
    plan::first_bytes,
    present,
    source::{FileSource, SourcePlace},
};
use crate::{
    call::{Call, ask},
    error::Error,
    session::Session,
};

/// What an upload came to, before it is told in full.
pub(crate) struct Done {
    destination: String,
    bytes: u64,
    sent_bytes: u64,
    resumed_bytes: u64,
    root: Digest,
    outcome: Outcome,
}

impl Done {
    fn already_there(present: &Present, root: Digest) -> Self {
        let destination = present.path.as_str().to_owned();
        let (bytes, outcome) = (present.size, Outcome::AlreadyThere);
        Self { destination, bytes, sent_bytes: 0, resumed_bytes: 0, root, outcome }
    }

    fn skipped(path: &str) -> Self {
        let (destination, outcome) = (path.to_owned(), Outcome::Skipped);
        Self { destination, bytes: 0, sent_bytes: 0, resumed_bytes: 0, root: Digest::EMPTY, outcome }
    }

    fn stored(stored: &Stored, sent_bytes: u64, resumed_bytes: u64) -> Self {
        let outcome = if stored.already_there { Outcome::AlreadyThere } else { Outcome::Stored };
        let destination = stored.path.as_str().to_owned();
        Self { destination, bytes: stored.size, sent_bytes, resumed_bytes, root: stored.root, outcome }
    }

    /// The whole of it: what was sent, and since when.
    pub(crate) fn of(self, source: String, started: Instant) -> Transferred {
        Transferred {
            source,
            destination: self.destination,
            bytes: self.bytes,
            sent_bytes: self.sent_bytes,
            resumed_bytes: self.resumed_bytes,
            root: self.root,
            elapsed: started.elapsed(),
            outcome: self.outcome,
        }
    }
}

/// All of a small file, as it is sent.
pub(crate) struct Whole {
    pub(crate) body: Vec<bytes::Bytes>,
    pub(crate) trailer: Trailer,
    pub(crate) root: Digest,
}

impl Session {
    /// Uploads one file. When this returns, the server has it durably under its final name and both sides agree on its
    /// digest. Dropping the future cancels the upload; nothing appears under the final name then.
    ///
    /// # Errors
    /// Any [`Error`]. [`Error::Server`] with `EXISTS` when the target holds other bytes; [`Error::SourceChanged`] when
    /// the source changed, and again after one restart.
    pub async fn upload(
        &self,
        source: UploadSource,
        destination: &Destination,
        options: &TransferOptions,
        observer: &dyn Observer,
    ) -> Result<Transferred, Error> {
        let started = Instant::now();
        let (source, done) = match source {
            UploadSource::File(path) => {
                let shown = path.to_string_lossy().into_owned();
                let place = SourcePlace::Path(path);
                (shown, self.upload_file(&place, destination, options, observer).await?)
            }
            UploadSource::Reader(reader) => {
                ("-".to_owned(), stream::upload(self, reader, destination, options, observer).await?)
            }
        };
        Ok(done.of(source, started))
    }

    /// Uploads a file, beginning anew once when it changes meanwhile.
    pub(crate) async fn upload_file(
        &self,
        place: &SourcePlace,
        destination: &Destination,
        options: &TransferOptions,
        observer: &dyn Observer,
    ) -> Result<Done, Error> {
        let mut restarted = false;
        loop {
            let source = FileSource::open(self.client(), place).await?;
            let upload = begin_upload(&source, destination, options);
            observer.on(Event::Started { size: Some(source.meta().size) });
            let attempt = if source.meta().size <= u64::from(MAX_RANGE_BYTES) {
                self.put(&source, upload, observer).await
            } else {
                self.upload_in_ranges(&source, upload, observer).await
            };
            match attempt {
                Err(error) if error.is_changed() && restarted => return Err(Error::SourceChanged),
                Err(error) if error.is_changed() => {
                    restarted = true;
                    observer.on(Event::Restarted);
                }
                result => return result,
            }
        }
    }

    /// A small file in one stream.
    async fn put(
        &self,
        source: &FileSource,
        upload: BeginUpload,
        observer: &dyn Observer,
    ) -> Result<Done, Error> {
        let size = source.meta().size;
        let (body, trailer, root) = match Range::new(0, u32::try_from(size).unwrap_or(u32::MAX)) {
            Ok(range) => {
                let (body, digest) = source.read(range).await?;
                (body, Trailer::Range(digest), digest.root.unwrap_or(Digest::EMPTY))
            }
            Err(_) => (Vec::new(), Trailer::Empty, Digest::EMPTY),
        };
        // The server publishes as soon as it has the trailer, so this is the last moment to look.
        source.check().await?;
        self.send_put(upload, Whole { body, trailer, root }, observer).await
    }

    /// Sends all of a small file.
    pub(crate) async fn send_put(
        &self,
        upload: BeginUpload,
        whole: Whole,
        observer: &dyn Observer,
    ) -> Result<Done, Error> {
        let Whole { body, trailer, root } = whole;
        let size = body.iter().map(|piece| piece.len() as u64).sum();
        let mut call = Call::open(self.line(), &Request::Put { upload }).await?;
        call.send_body(body, &trailer).await?;
        match call.reply(|_, _| {}).await? {
            Reply::Stored(stored) if stored.root == root => {
                observer.on(Event::Acknowledged { bytes: size });
                Ok(Done::stored(&stored, size, 0))
            }
            Reply::Stored(_) => Err(Error::DigestMismatch),
            Reply::Present(there) if present::remote_digest(self, &there, observer).await? == root => {
                Ok(Done::already_there(&there, root))
            }
            Reply::Present(there) => Err(present::exists(&there)),
            Reply::Skipped { path } => Ok(Done::skipped(path.as_str())),
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }

    async fn upload_in_ranges(
        &self,
        source: &FileSource,
        upload: BeginUpload,
        observer: &dyn Observer,
    ) -> Result<Done, Error> {
        let first = self.first_piece(source).await?;
        match begin(self, upload, first).await? {
            Beginning::Begun(begun, have, first) => {
                let carried = self.carry_through(source, &begun, &have, first, observer).await;
                if let Err(error) = &carried {
                    self.abandon_if_useless(&begun, error).await;
                }
                carried
            }
            Beginning::Present(there) => {
                let local = source.hash(observer).await?;
                if present::remote_digest(self, &there, observer).await? == local {
                    Ok(Done::already_there(&there, local))
                } else {
                    Err(present::exists(&there))
                }
            }
            Beginning::Skipped(path) => Ok(Done::skipped(&path)),
        }
    }

    /// What goes right behind `Begin`.
    async fn first_piece(&self, source: &FileSource) -> Result<Option<Piece>, Error> {
        let len = first_bytes(self.stats().congestion_window_bytes);
        let Ok(range) = Range::in_file(0, len, source.meta().size) else { return Ok(None) };
        let (body, digest) = source.read(range).await?;
        Ok(Some(Piece { range, body, digest }))
    }

    /// Sends all ranges and has the server publish them.
    async fn carry_through(
        &self,
        source: &FileSource,
        begun: &Begun,
        have: &[HaveNode],
        first: Option<Box<First>>,
        observer: &dyn Observer,
    ) -> Result<Done, Error> {
        let size = source.meta().size;
        let mut course = Course::new(self, source, begun, have, first)?;
        let root = course.send(observer).await?;
        let stored = if self.welcome().await?.features.has(Features::EARLY_COMMIT) {
            let committing = self.commit(begun, size, root);
            tokio::pin!(committing);
            tokio::select! {
                // What went wrong with a range is the better reason.
                biased;
                finished = course.finish(observer) => {
                    finished?;
                    committing.await?
                }
                stored = &mut committing => stored?,
            }
        } else {
            course.finish(observer).await?;
            self.commit(begun, size, root).await?
        };
        observer.on(Event::Acknowledged { bytes: size });
        let sent_bytes = course.sent_bytes();
        Ok(Done::stored(&stored, sent_bytes, size - sent_bytes))
    }

    /// Has the server publish an upload all of which it has.
    async fn commit(&self, begun: &Begun, size: u64, root: Digest) -> Result<Stored, Error> {
        let (upload_id, generation) = (begun.upload_id, begun.generation);
        let request = Request::Commit { upload_id, generation, size, root };
        match ask(self.line(), &request).await? {
            Reply::Stored(stored) if stored.root == root && stored.size == size => Ok(stored),
            Reply::Stored(_) => Err(Error::DigestMismatch),
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }

    /// Takes back an upload whose bytes can be of no use to a later attempt. That it cannot be taken back is no news:
    /// the server collects what nobody comes back for.
    async fn abandon_if_useless(&self, begun: &Begun, error: &Error) {
        if error.is_changed() || matches!(error, Error::DigestMismatch) {
            let (upload_id, generation) = (begun.upload_id, begun.generation);
            let _ = ask(self.line(), &Request::Abandon { upload_id, generation }).await;
        }
    }
}

fn begin_upload(source: &FileSource, destination: &Destination, options: &TransferOptions) -> BeginUpload {
    upload_of(source.meta(), source.name(), destination, options)
}

/// What is told of a file that is to be uploaded.
pub(crate) fn upload_of(
    meta: &Meta,
    name: Option<&Name>,
    destination: &Destination,
    options: &TransferOptions,
) -> BeginUpload {
    request(
        destination,
        options,
        name.cloned(),
        Some(meta.size),
        options.keep_modified.then_some(meta.modified),
        options.keep_executable.then_some(Mode::masked(meta.mode)),
        // Names this file in this state, so that a later upload of it is recognised.
        SourceToken(meta.version().0),
    )
}

fn request(
    destination: &Destination,
    options: &TransferOptions,
    source_name: Option<Name>,
    size: Option<u64>,
    modified: Option<Timestamp>,
    mode: Option<Mode>,
    source_token: SourceToken,
) -> BeginUpload {
    let (destination, on_exists) = (destination.clone(), options.on_exists);
    BeginUpload { destination, source_name, size, modified, mode, source_token, on_exists }
}
