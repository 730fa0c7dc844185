//! A client that is spoken by hand, for what no honest one says.

use std::time::Duration;

use bytes::Bytes;
use fulmar_proto::{
    digest::{Digest, RangeDigest},
    error::ErrorCode,
    hello::{Congestion, Extensions, Features, Hello},
    listing::EntryName,
    path::{DirPath, RelPath},
    range::Range,
    reply::Reply,
    request::Request,
    text::Text,
    trailer::Trailer,
    upload::{BeginUpload, Begun, Destination, OnExists},
    version::SourceToken,
};
use fulmar_transport::{Connection, Dialer, FrameReceiver, FrameSender, ServerTrust, StreamError};

use super::{SERVER, World, identities};

/// What came back: the final reply, the end of the stream, or nothing for this reason.
pub(crate) type Answer = Result<Option<Reply>, StreamError>;

/// A connection that has been admitted.
pub(crate) struct Raw {
    connection: Connection,
    _notices: (FrameSender, FrameReceiver),
    _dialer: Dialer,
}

pub(crate) fn path(text: &str) -> RelPath {
    text.parse().expect("a path")
}

fn range(offset: usize, len: usize) -> Range {
    Range::new(offset as u64, u32::try_from(len).expect("at most a range")).expect("a range")
}

/// The digest of bytes at an offset.
pub(crate) fn digest(offset: usize, bytes: &[u8]) -> RangeDigest {
    RangeDigest::of(range(offset, bytes.len()), bytes).expect("as many bytes as the range has")
}

/// Why a command failed, if it did.
pub(crate) fn code(reply: &Reply) -> Option<ErrorCode> {
    match reply {
        Reply::Failed(failure) => Some(failure.code),
        _ => None,
    }
}

fn upload(to: &str, size: usize) -> BeginUpload {
    BeginUpload {
        destination: Destination { path: to.parse().expect("a path"), must_be_directory: false },
        source_name: None,
        size: Some(size as u64),
        modified: None,
        mode: None,
        source_token: SourceToken([1; 32]),
        on_exists: OnExists::Fail,
    }
}

impl World {
    /// The n-th client, connected and admitted by hand.
    pub(crate) async fn raw(&self, number: u8) -> Raw {
        let (dialer, _) = self.dialer(number);
        let trust = ServerTrust::from(identities::server().fingerprint());
        let connection = dialer.dial(SERVER, &trust, Duration::from_secs(10)).await.expect("a handshake");
        let hello = Hello {
            minor: 0,
            features: Features::default(),
            extensions: Extensions::default(),
            name: Text::new("raw"),
            max_rate_bytes_per_s: None,
            congestion: Congestion::ANY,
        };
        let (mut sender, mut receiver) = connection.open_stream().await.expect("a stream");
        sender.send(&hello).await.expect("sent");
        let welcome = receiver.recv_growing::<Reply>().await.expect("an answer");
        assert!(matches!(welcome, Some(Reply::Welcome(_))), "{welcome:?}");
        Raw { connection, _notices: (sender, receiver), _dialer: dialer }
    }
}

impl Raw {
    /// Sends a request, these bytes and, if there is one, a trailer; then ends the stream and reads the final reply.
    async fn say(&self, request: &Request, body: &[u8], trailer: Option<&Trailer>) -> Answer {
        let (mut sender, mut receiver) = self.connection.open_stream().await.expect("a stream");
        let sent = async {
            sender.send(request).await?;
            if !body.is_empty() {
                sender.send_bytes(Bytes::copy_from_slice(body)).await?;
            }
            if let Some(trailer) = trailer {
                sender.send(trailer).await?;
            }
            sender.finish()
        };
        // A server that has answered already wants no more.
        match sent.await {
            Ok(()) | Err(StreamError::Stopped(_)) => {}
            Err(error) => return Err(error),
        }
        loop {
            match receiver.recv_growing::<Reply>().await? {
                Some(Reply::Working { .. }) => {}
                reply => return Ok(reply),
            }
        }
    }

    /// A request without a body.
    pub(crate) async fn ask(&self, request: &Request) -> Reply {
        self.say(request, b"", None).await.expect("an answer").expect("an answer")
    }

    pub(crate) async fn put(&self, to: &str, bytes: &[u8], trailer: Option<&Trailer>) -> Answer {
        self.say(&Request::Put { upload: upload(to, bytes.len()) }, bytes, trailer).await
    }

    /// Announces all of `bytes`, sends the first `len` of them, and ends the stream.
    pub(crate) async fn put_part(&self, to: &str, bytes: &[u8], len: usize) -> Answer {
        self.say(&Request::Put { upload: upload(to, bytes.len()) }, &bytes[..len], None).await
    }

    pub(crate) async fn begin(&self, to: &str, size: usize) -> Begun {
        match self.ask(&Request::Begin { upload: upload(to, size), first: None }).await {
            Reply::Begun(begun) => begun,
            other => panic!("not begun: {other:?}"),
        }
    }

    pub(crate) async fn write(
        &self,
        begun: &Begun,
        offset: usize,
        bytes: &[u8],
        trailer: Option<&Trailer>,
    ) -> Answer {
        self.say(&write(begun, offset, bytes.len()), bytes, trailer).await
    }

    /// Announces all of `bytes`, sends the first `len` of them, and ends the stream.
    pub(crate) async fn write_part(&self, begun: &Begun, offset: usize, bytes: &[u8], len: usize) -> Answer {
        self.say(&write(begun, offset, bytes.len()), &bytes[..len], None).await
    }

    pub(crate) async fn commit(&self, begun: &Begun, size: usize, root: Digest) -> Reply {
        let Begun { upload_id, generation, .. } = *begun;
        self.ask(&Request::Commit { upload_id, generation, size: size as u64, root }).await
    }

    pub(crate) async fn abandon(&self, begun: &Begun) {
        let Begun { upload_id, generation, .. } = *begun;
        self.ask(&Request::Abandon { upload_id, generation }).await;
    }

    /// What is stored, as the server lists it.
    pub(crate) async fn names(&self) -> Vec<String> {
        let request = Request::List { directory: DirPath::root(), cursor: None, details: false };
        let Reply::Page(page) = self.ask(&request).await else { panic!("no page") };
        let name = |name: EntryName| match name {
            EntryName::Servable(name) => name.as_str().to_owned(),
            EntryName::Unservable(text) => text.as_str().to_owned(),
        };
        page.into_parts().0.into_iter().map(|entry| name(entry.name)).collect()
    }
}

fn write(begun: &Begun, offset: usize, len: usize) -> Request {
    let (upload_id, generation) = (begun.upload_id, begun.generation);
    Request::Write { upload_id, generation, range: range(offset, len) }
}
