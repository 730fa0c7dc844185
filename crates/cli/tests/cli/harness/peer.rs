//! A client that speaks the protocol by hand, and need not play by its rules.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use fulmar_proto::{
    MINOR,
    digest::{Digest, RangeDigest},
    fingerprint::Fingerprint,
    hello::{Congestion, Extensions, Features, Hello, Notice},
    range::Range,
    reply::Reply,
    request::Request,
    text::Text,
    trailer::Trailer,
    upload::{BeginUpload, Begun, OnExists},
    version::SourceToken,
};
use fulmar_transport::{
    Connection, ConnectionLost, Dialer, FrameReceiver, FrameSender, Identity, Role, ServerTrust,
};
use tokio::runtime::Runtime;

use super::process::WATCHDOG;

/// A connection that has been admitted, and the threads that it lives on.
pub(crate) struct Peer {
    runtime: Arc<Runtime>,
    connection: Connection,
    /// The stream of the greeting stays open and carries what the server has to say.
    notices: FrameReceiver,
}

/// One command on one stream.
pub(crate) struct Call {
    runtime: Arc<Runtime>,
    sender: FrameSender,
    receiver: FrameReceiver,
}

/// An upload of unknown size, or of `size` bytes, from nowhere in particular.
pub(crate) fn begin(destination: &str, name: Option<&str>, size: Option<u64>) -> BeginUpload {
    BeginUpload {
        destination: destination.parse().expect("a destination"),
        source_name: name.map(|name| fulmar_proto::path::Name::parse(name).expect("a name")),
        size,
        modified: None,
        mode: None,
        source_token: SourceToken([7; 32]),
        on_exists: OnExists::Fail,
    }
}

/// The range of `bytes` at `offset`, and its digest.
pub(crate) fn range_of(offset: u64, bytes: &[u8]) -> (Range, RangeDigest) {
    let range = Range::new(offset, u32::try_from(bytes.len()).expect("short")).expect("aligned");
    (range, RangeDigest::of(range, bytes).expect("just as long"))
}

impl Peer {
    /// Connects with the client identity of a state folder whose key is enrolled.
    pub(crate) fn connect(state: &Path, addr: &str, server: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("threads");
        let identity = Identity::load_or_create(state, Role::Client).expect("an identity");
        let server: Fingerprint = server.parse().expect("a fingerprint");
        let addr = addr.parse().expect("an address");
        let (connection, notices) = runtime.block_on(within(async {
            let dialer = Dialer::new(&identity);
            let connection =
                dialer.dial(addr, &ServerTrust::from(server), WATCHDOG).await.expect("it answers");
            let (mut sender, mut receiver) = connection.open_stream().await.expect("a stream");
            sender.send(&hello()).await.expect("sent");
            sender.finish().expect("finished");
            let reply: Option<Reply> = receiver.recv_growing().await.expect("a reply");
            assert!(matches!(reply, Some(Reply::Welcome(_))), "{reply:?}");
            (connection, receiver)
        }));
        Self { runtime: Arc::new(runtime), connection, notices }
    }

    /// Waits for what the server has to say next, beyond its answers.
    pub(crate) fn wait_for_notice(&mut self) -> Notice {
        let notice = self.runtime.block_on(within(self.notices.recv_growing()));
        notice.expect("a notice").expect("the stream stays open")
    }

    /// Waits until the connection has ended, and says how.
    pub(crate) fn wait_for_end(&self) -> ConnectionLost {
        self.runtime.block_on(within(self.connection.closed()))
    }

    /// Opens a stream and sends the request.
    pub(crate) fn call(&self, request: &Request) -> Call {
        let (sender, receiver) = self.runtime.block_on(within(async {
            let (mut sender, receiver) = self.connection.open_stream().await.expect("a stream");
            sender.send(request).await.expect("sent");
            (sender, receiver)
        }));
        Call { runtime: Arc::clone(&self.runtime), sender, receiver }
    }

    /// Opens a stream and sends what may be no request at all.
    pub(crate) fn raw_call(&self, bytes: &[u8]) -> Call {
        let (sender, receiver) = self.runtime.block_on(self.connection.open_stream()).expect("a stream");
        let mut call = Call { runtime: Arc::clone(&self.runtime), sender, receiver };
        call.bytes(bytes);
        call
    }

    /// Begins an upload.
    pub(crate) fn begin(&self, upload: BeginUpload) -> Begun {
        match self.call(&Request::Begin { upload, first: None }).reply() {
            Reply::Begun(begun) => begun,
            other => panic!("{other:?}"),
        }
    }

    /// Writes one range of an upload with an honest digest.
    pub(crate) fn write(&self, begun: &Begun, offset: u64, bytes: &[u8]) {
        let (range, digest) = range_of(offset, bytes);
        let mut call = self.call(&write_request(begun, range));
        call.body(bytes, &Trailer::Range(digest));
        assert_eq!(call.reply(), Reply::Written);
    }

    /// Asks for an upload to be published.
    pub(crate) fn commit(&self, begun: &Begun, size: u64, root: Digest) -> Reply {
        let (upload_id, generation) = (begun.upload_id, begun.generation);
        self.call(&Request::Commit { upload_id, generation, size, root }).reply()
    }
}

pub(crate) fn write_request(begun: &Begun, range: Range) -> Request {
    Request::Write { upload_id: begun.upload_id, generation: begun.generation, range }
}

fn hello() -> Hello {
    Hello {
        minor: MINOR,
        features: Features::default(),
        extensions: Extensions::default(),
        name: Text::new("raw peer"),
        max_rate_bytes_per_s: None,
        congestion: Congestion::ANY,
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    let limit: Duration = WATCHDOG;
    tokio::time::timeout(limit, work).await.expect("the server answers in time")
}

impl Call {
    /// Sends raw bytes. A server that has answered already may have stopped the stream: that is no failure here.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.runtime.block_on(within(self.sender.send_bytes(Bytes::copy_from_slice(bytes))));
    }

    /// Sends a body with its trailer.
    pub(crate) fn body(&mut self, bytes: &[u8], trailer: &Trailer) {
        self.bytes(bytes);
        let _ = self.runtime.block_on(within(self.sender.send(trailer)));
    }

    /// The final reply.
    pub(crate) fn reply(&mut self) -> Reply {
        self.runtime.block_on(within(async {
            loop {
                let reply: Option<Reply> = self.receiver.recv_growing().await.expect("a frame");
                match reply.expect("a reply before the end") {
                    Reply::Working { .. } => {}
                    reply => return reply,
                }
            }
        }))
    }

    /// Ends what is sent, cleanly, wherever it is, and reads the reply.
    pub(crate) fn finish_early(self) -> Option<Reply> {
        let Self { runtime, sender, mut receiver } = self;
        sender.finish().expect("finished");
        runtime.block_on(within(async { receiver.recv_growing().await.ok().flatten() }))
    }

    /// The error code of the final reply.
    #[track_caller]
    pub(crate) fn failure(&mut self) -> fulmar_proto::error::ErrorCode {
        match self.reply() {
            Reply::Failed(failure) => failure.code,
            other => panic!("no failure but {other:?}"),
        }
    }
}
