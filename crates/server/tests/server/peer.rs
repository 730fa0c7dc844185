//! A client that is spoken by hand.

use std::time::Duration;

use bytes::Bytes;
use fulmar_proto::{
    code::ResetCode,
    codec::{PREFIX_BYTES, encode_frame},
    digest::{Digest, RangeDigest},
    error::ErrorCode,
    grants::Grants,
    hello::{Congestion, Extension, Extensions, Features, Hello, Notice, Welcome},
    path::RelPath,
    range::Range,
    reply::Reply,
    request::Request,
    text::Text,
    trailer::Trailer,
    upload::{BeginUpload, Destination, OnExists, Stored},
    version::SourceToken,
};
use fulmar_transport::{
    Connection, ConnectionLost, Dialer, FrameReceiver, FrameSender, Identity, ServerTrust, StreamError,
};
use serde::Serialize;

use crate::rig::Rig;

const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn identity() -> Identity {
    Identity::generate().expect("randomness")
}

pub(crate) fn path(text: &str) -> RelPath {
    text.parse().expect("a path")
}

pub(crate) fn range(offset: u64, len: u32) -> Range {
    Range::new(offset, len).expect("a range")
}

/// A Hello with these extensions.
pub(crate) fn hello_with(extensions: Vec<Extension>) -> Hello {
    Hello {
        minor: 0,
        features: Features::default(),
        extensions: Extensions::try_from(extensions).expect("few"),
        name: Text::new("peer"),
        max_rate_bytes_per_s: None,
        congestion: Congestion::ANY,
    }
}

pub(crate) fn plain_hello() -> Hello {
    hello_with(Vec::new())
}

/// The payload of a frame, without its length.
pub(crate) fn payload<T: Serialize>(value: &T) -> Vec<u8> {
    encode_frame(value).expect("short")[PREFIX_BYTES..].to_vec()
}

/// An upload of `size` bytes to exactly `to`.
pub(crate) fn upload(to: &str, size: u64) -> BeginUpload {
    BeginUpload {
        destination: Destination { path: to.parse().expect("a path"), must_be_directory: false },
        source_name: None,
        size: Some(size),
        modified: None,
        mode: None,
        source_token: SourceToken([1; 32]),
        on_exists: OnExists::Fail,
    }
}

/// The trailer that belongs to `bytes` at `offset`.
pub(crate) fn trailer(offset: u64, bytes: &[u8]) -> Trailer {
    if bytes.is_empty() {
        return Trailer::Empty;
    }
    let range = range(offset, u32::try_from(bytes.len()).expect("at most a range"));
    Trailer::Range(RangeDigest::of(range, bytes).expect("as many bytes as the range has"))
}

/// Bytes that are different everywhere, so that mixed-up ones are noticed.
pub(crate) fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251) % 256).expect("below 256")).collect()
}

/// A connection that has not said Hello.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) connection: Connection,
    /// Keeps the socket.
    dialer: Dialer,
}

impl Stranger {
    pub(crate) async fn dial(rig: &Rig, identity: &Identity) -> Self {
        let dialer = Dialer::new(identity);
        let trust = ServerTrust::from(rig.fingerprint());
        let connection = dialer.dial(rig.server.local_addr(), &trust, DIAL_TIMEOUT).await;
        Self { connection: connection.expect("the handshake succeeds"), dialer }
    }

    pub(crate) async fn stream(&self) -> Stream {
        Stream::open(&self.connection).await
    }

    /// Says Hello and reads the answer.
    pub(crate) async fn greet(&self, hello: &Hello) -> (Reply, Stream) {
        let mut stream = self.stream().await;
        stream.send(hello).await;
        let reply = stream.reply().await;
        (reply, stream)
    }

    /// Says Hello, expecting a refusal.
    pub(crate) async fn refused(&self, hello: &Hello) -> ErrorCode {
        match self.greet(hello).await.0 {
            Reply::Failed(failure) => failure.code,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Says Hello, expecting to be admitted.
    pub(crate) async fn admitted(self, hello: &Hello) -> Peer {
        match self.greet(hello).await {
            (Reply::Welcome(welcome), notices) => {
                Peer { connection: self.connection, welcome, notices, _dialer: self.dialer }
            }
            (other, _) => panic!("not admitted: {other:?}"),
        }
    }
}

/// A client that has been admitted.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) welcome: Welcome,
    notices: Stream,
    _dialer: Dialer,
}

impl Peer {
    pub(crate) async fn connect(rig: &Rig, identity: &Identity) -> Self {
        Stranger::dial(rig, identity).await.admitted(&plain_hello()).await
    }

    /// The one client of a server of its own, with all grants.
    pub(crate) async fn alone() -> (Rig, Self) {
        let identity = identity();
        let rig = crate::rig::Setup::default().with(&identity, Grants::ALL).start();
        let peer = Self::connect(&rig, &identity).await;
        (rig, peer)
    }

    pub(crate) async fn stream(&self) -> Stream {
        Stream::open(&self.connection).await
    }

    /// Sends a request without a body and reads its final reply.
    pub(crate) async fn ask(&self, request: &Request) -> Reply {
        let mut stream = self.stream().await;
        stream.send(request).await;
        stream.final_reply().await
    }

    /// Sends a request, expecting it to fail.
    pub(crate) async fn refused(&self, request: &Request) -> ErrorCode {
        code(&self.ask(request).await)
    }

    /// Sends a request with a body, all at once, and reads its final reply.
    pub(crate) async fn ask_with(&self, request: &Request, body: &[u8], trailer: &Trailer) -> Reply {
        let mut stream = self.stream().await;
        stream.send(request).await;
        stream.offer(body, trailer).await;
        stream.final_reply().await
    }

    pub(crate) async fn put_upload(&self, upload: BeginUpload, bytes: &[u8]) -> Reply {
        self.ask_with(&Request::Put { upload }, bytes, &trailer(0, bytes)).await
    }

    /// Stores a file that must not be there yet.
    pub(crate) async fn put(&self, to: &str, bytes: &[u8]) -> Stored {
        match self.put_upload(upload(to, bytes.len() as u64), bytes).await {
            Reply::Stored(stored) => stored,
            other => panic!("not stored: {other:?}"),
        }
    }

    /// Shows that the connection lives: stores a file and fetches it again.
    pub(crate) async fn check_alive(&self) {
        let bytes = content(100);
        let stored = self.put("alive", &bytes).await;
        assert_eq!(stored.root, Digest::of(&bytes));
        assert_eq!(self.fetch("alive").await, bytes);
        let request = Request::Remove { path: path("alive"), recursive: false };
        assert_eq!(self.ask(&request).await, Reply::Removed { files: 1, directories: 0 });
    }

    /// The content of a file of at most one range.
    pub(crate) async fn fetch(&self, from: &str) -> Vec<u8> {
        let mut stream = self.stream().await;
        stream.send(&Request::Open { path: path(from), first_bytes: 2 << 20 }).await;
        let opened = match stream.final_reply().await {
            Reply::Opened(opened) => opened,
            other => panic!("not opened: {other:?}"),
        };
        assert_eq!(u64::from(opened.body_bytes), opened.size);
        let mut body = vec![0; opened.body_bytes as usize];
        stream.receiver.read_body(&mut body).await.expect("the body arrives");
        let arrived = stream.receiver.recv_growing().await.expect("a trailer");
        assert_eq!(arrived, Some(trailer(0, &body)));
        body
    }

    pub(crate) async fn notice(&mut self) -> Result<Option<Notice>, StreamError> {
        self.notices.receiver.recv_growing().await
    }

    pub(crate) async fn closed(&self) -> ConnectionLost {
        self.connection.closed().await
    }
}

/// The code of a failure.
pub(crate) fn code(reply: &Reply) -> ErrorCode {
    match reply {
        Reply::Failed(failure) => failure.code,
        other => panic!("not failed: {other:?}"),
    }
}

/// One stream, both halves of which stay open until the test says otherwise.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) sender: FrameSender,
    pub(crate) receiver: FrameReceiver,
}

impl Stream {
    async fn open(connection: &Connection) -> Self {
        let (sender, receiver) = connection.open_stream().await.expect("the connection lives");
        Self { sender, receiver }
    }

    pub(crate) async fn send<T: Serialize>(&mut self, value: &T) {
        self.sender.send(value).await.expect("the frame is sent");
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.sender.send_bytes(Bytes::copy_from_slice(bytes)).await.expect("the bytes are sent");
    }

    /// Sends a frame around any payload.
    pub(crate) async fn frame_of(&mut self, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).expect("short").to_le_bytes().to_vec();
        frame.extend_from_slice(payload);
        self.raw(&frame).await;
    }

    /// Sends a body and its trailer, unless the server has answered already and wants no more.
    pub(crate) async fn offer(&mut self, body: &[u8], trailer: &Trailer) {
        let sent = async {
            if !body.is_empty() {
                self.sender.send_bytes(Bytes::copy_from_slice(body)).await?;
            }
            self.sender.send(trailer).await
        };
        match sent.await {
            Ok(()) | Err(StreamError::Stopped(ResetCode::NOT_NEEDED)) => {}
            Err(error) => panic!("the body is not sent: {error}"),
        }
    }

    /// The next reply, whatever it is.
    pub(crate) async fn try_reply(&mut self) -> Result<Option<Reply>, StreamError> {
        self.receiver.recv_growing().await
    }

    /// The next reply, which has to come.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("a reply arrives").expect("a reply comes before the end")
    }

    /// The final reply.
    pub(crate) async fn final_reply(&mut self) -> Reply {
        loop {
            match self.reply().await {
                Reply::Working { .. } => {}
                reply => return reply,
            }
        }
    }

    /// Ends the client's half and gives the other one.
    pub(crate) fn finish(self) -> FrameReceiver {
        self.sender.finish().expect("nothing was cut");
        self.receiver
    }
}
