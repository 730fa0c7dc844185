//! A server by hand, with the real server's key, that answers what a test wants it to.

use std::sync::Arc;

use bytes::Bytes;
use fulmar_netsim::virtual_net::VirtualRuntime;
use fulmar_proto::{
    codec::encode_frame,
    digest::RangeDigest,
    grants::Grants,
    hello::{Extensions, Features, Hello, Limits, Policies, Welcome},
    listing::{Cursor, Entry, EntryKind, EntryName, Page},
    path::Name,
    range::Range,
    reply::{Opened, Reply},
    request::Request,
    text::Text,
    time::Timestamp,
    trailer::Trailer,
    upload::Mode,
    version::Version,
};
use fulmar_transport::{FrameReceiver, FrameSender, Listener, StreamError};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::{Restart, SERVER, World, identities};

/// What every file of an impostor holds.
pub(crate) const CONTENT: &[u8] = b"x";

/// The frames of one page.
pub(crate) type Frames = Vec<Bytes>;

/// An impostor while it serves.
pub(crate) struct Impostor(JoinHandle<()>);

/// An entry of a listing.
pub(crate) fn entry(name: &str, kind: EntryKind) -> Entry {
    Entry {
        name: EntryName::Servable(Name::parse(name).expect("a name")),
        kind,
        size: if kind == EntryKind::File { CONTENT.len() as u64 } else { 0 },
        modified: Timestamp::new(super::environment::BEGINNING_S, 0).expect("a time"),
        mode: Mode::masked(0o644),
        version: None,
        catalog: None,
    }
}

fn frame(value: &impl Serialize) -> Bytes {
    encode_frame(value).expect("it can be sent").into()
}

/// One page, the last one unless there is `more`.
pub(crate) fn page(entries: Vec<Entry>, more: bool) -> Bytes {
    let next = more.then(|| Cursor::try_from(vec![1]).expect("a short cursor"));
    frame(&Reply::Page(Page::new(entries, next).expect("few entries")))
}

impl World {
    /// Puts an impostor in the place of the server. `list` gives the pages of any directory.
    pub(crate) async fn impostor(&self, list: impl Fn(&str) -> Frames + Send + Sync + 'static) -> Impostor {
        self.stop(Restart::Killed).await;
        let socket = self.network().bind(SERVER).expect("the server's address is free");
        let seed = Some(self.endpoint_seed("impostor"));
        let listener = Listener::bind_with(socket, Arc::new(VirtualRuntime), identities::server(), seed);
        let (listener, list) = (listener.expect("a listener"), Arc::new(list));
        Impostor(tokio::spawn(async move {
            while let Some(incoming) = listener.accept().await {
                let Ok(connection) = incoming.finish().await else { continue };
                let Ok((mut sender, mut receiver)) = connection.accept_stream().await else { continue };
                let _: Hello = receiver.recv_expected().await.expect("hello");
                connection.admit();
                sender.send(&Reply::Welcome(welcome())).await.expect("sent");
                while let Ok((sender, receiver)) = connection.accept_stream().await {
                    tokio::spawn(serve(sender, receiver, list.clone()));
                }
            }
        }))
    }

    /// Takes the impostor away and starts the server again.
    pub(crate) async fn unmask(&self, impostor: Impostor) {
        impostor.0.abort();
        let _ = impostor.0.await;
        self.network().close(SERVER);
        self.start_again().await;
    }
}

fn welcome() -> Welcome {
    Welcome {
        minor: 0,
        features: Features::default(),
        extensions: Extensions::default(),
        server_name: Text::new("impostor"),
        grants: Grants::ALL,
        policies: Policies::default(),
        limits: Limits { max_commands: 256, max_body_bytes: 2 << 20, stall_timeout_ms: 60_000 },
    }
}

async fn serve(
    mut sender: FrameSender,
    mut receiver: FrameReceiver,
    list: Arc<impl Fn(&str) -> Frames>,
) -> Result<(), StreamError> {
    let request: Request = receiver.recv_growing().await?.expect("a request");
    let frames = match request {
        Request::Stat { .. } => vec![frame(&Reply::Entry(entry("any", EntryKind::Directory)))],
        Request::List { directory, .. } => list(directory.as_str()),
        Request::Open { .. } => {
            let range = Range::new(0, CONTENT.len() as u32).expect("short");
            let digest = RangeDigest::of(range, CONTENT).expect("as long as the range");
            let opened = Opened {
                version: Version([0; 32]),
                size: CONTENT.len() as u64,
                modified: Timestamp::new(super::environment::BEGINNING_S, 0).expect("a time"),
                mode: Mode::masked(0o644),
                root: None,
                body_bytes: CONTENT.len() as u32,
            };
            let body = Bytes::from_static(CONTENT);
            vec![frame(&Reply::Opened(opened)), body, frame(&Trailer::Range(digest))]
        }
        other => panic!("not expected: {other:?}"),
    };
    for frame in frames {
        sender.send_bytes(frame).await?;
    }
    sender.finish()
}
