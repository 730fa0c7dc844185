//! One connection, admitted or about to be.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fulmar_disk::Offload;
use fulmar_proto::{
    address::HostPort,
    code::CloseCode,
    fingerprint::Fingerprint,
    hello::{Notice, Welcome},
};
use fulmar_transport::{Connection, FrameReceiver, Stats, StreamError};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    admission::{Admission, Line},
    client::Client,
    error::Error,
};

/// How long the packets that say goodbye are given to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection that the server has admitted, or is about to: see [`Client::connect_early`]. Cheap to clone; clones are the
/// same connection. It is closed when the last clone is gone, or by [`Session::close`].
#[derive(Clone, Debug)]
pub struct Session {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    address: HostPort,
    line: Line,
    since: Instant,
    going_away: Arc<AtomicBool>,
    farewells: Mutex<JoinSet<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.line.connection().close(CloseCode::DONE, "");
    }
}

impl Session {
    /// A session on a connection on which Hello was sent; its answer, until `deadline`, and then notices come on `hello`.
    pub(crate) fn start(
        client: Client,
        address: HostPort,
        connection: Connection,
        hello: FrameReceiver,
        deadline: Instant,
    ) -> Self {
        let (going_away, admission) = (Arc::new(AtomicBool::new(false)), Admission::default());
        let line = Line::new(connection.clone(), admission.clone());
        let told = going_away.clone();
        // Ends with the connection, when the stream does.
        tokio::spawn(async move {
            if let Some(notices) = admission.receive(&connection, hello, deadline).await {
                watch_notices(notices, told).await;
            }
        });
        let (since, farewells) = (Instant::now(), Mutex::default());
        let inner = Inner { client, address, line, since, going_away, farewells };
        Self { inner: Arc::new(inner) }
    }

    /// The server, as it was named.
    #[must_use]
    pub fn address(&self) -> &HostPort {
        &self.inner.address
    }

    /// The address that answered.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        self.connection().remote_addr()
    }

    /// The fingerprint of the server's key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.connection().peer()
    }

    /// What the server says at admission: its name, this client's grants, policies, limits. Waits for it, which takes a
    /// round trip after [`Client::connect_early`] and nothing otherwise.
    ///
    /// # Errors
    /// [`Error::Server`] when the server refuses this client, [`Error::NoWelcome`] when it says nothing in time, or how
    /// the connection ended before.
    pub async fn welcome(&self) -> Result<&Welcome, Error> {
        self.inner.line.admission().answer().await
    }

    /// What [`Session::welcome`] would give, if it is known already.
    #[must_use]
    pub fn admission(&self) -> Option<Result<&Welcome, Error>> {
        self.inner.line.admission().known()
    }

    /// The estimate of the round-trip time (RFC 9002 section 5.3).
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.connection().rtt()
    }

    /// What the transport has counted and measured so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.connection().stats()
    }

    /// How long ago the connection was made.
    #[must_use]
    pub fn connected_for(&self) -> Duration {
        self.inner.since.elapsed()
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.connection().close_reason().is_some()
    }

    /// How the connection ended, if it has.
    #[must_use]
    pub fn lost(&self) -> Option<Error> {
        self.connection().close_reason().map(Error::from)
    }

    /// Whether the server has announced that it is shutting down: nothing new will be started there.
    #[must_use]
    pub fn is_going_away(&self) -> bool {
        self.inner.going_away.load(Ordering::Relaxed)
    }

    /// Says goodbye, and waits a moment for that to be sent. What cancelled transfers have left to say comes before.
    pub async fn close(&self) {
        let mut farewells = std::mem::take(&mut *self.farewells());
        let _ = timeout(FAREWELL, async { while farewells.join_next().await.is_some() {} }).await;
        self.connection().close(CloseCode::DONE, "");
        let client = &self.inner.client;
        let remembered = client.remember_path(self.connection());
        let _ = timeout(FAREWELL, async { tokio::join!(client.goodbye(), remembered) }).await;
    }

    /// Does something that a cancelled transfer cannot wait for. [`Session::close`] waits for it.
    pub(crate) fn farewell(&self, farewell: impl Future<Output = ()> + Send + 'static) {
        let mut farewells = self.farewells();
        while farewells.try_join_next().is_some() {}
        farewells.spawn(farewell);
    }

    fn farewells(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.inner.farewells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.inner.line.connection()
    }

    pub(crate) fn line(&self) -> &Line {
        &self.inner.line
    }

    pub(crate) fn client(&self) -> &Client {
        &self.inner.client
    }

    pub(crate) fn offload(&self) -> &Offload {
        &self.inner.client.offload
    }
}

/// Reads the server's notices until the stream ends. Notices of later versions are passed over.
async fn watch_notices(mut notices: FrameReceiver, going_away: Arc<AtomicBool>) {
    loop {
        match notices.recv_growing::<Notice>().await {
            Ok(Some(Notice::GoingAway { .. })) => going_away.store(true, Ordering::Relaxed),
            Ok(Some(Notice::Revoked | Notice::KeysToCome(_) | Notice::LimitsChanged(_))) => {}
            Err(StreamError::Malformed(fulmar_proto::codec::DecodeError::UnknownKind(_))) => {}
            Ok(None) | Err(_) => return,
        }
    }
}
