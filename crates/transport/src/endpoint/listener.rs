//! The accepting side.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use fulmar_proto::code::CloseCode;
use fulmar_proto::fingerprint::Fingerprint;
use fulmar_proto::text::Text;
use quinn::{AsyncUdpSocket, Endpoint, Runtime, ServerConfig, Side, TokioRuntime};

use super::EndpointSeed;
use crate::connection::{Connection, ConnectionLost, ReceiveWindow, Unauthenticated, canonical};
use crate::identity::Identity;
use crate::sending::{FIRST_BYTES, LaneRuntime, Sender, Sending};
use crate::socket::{self, SocketBuffers, SocketWatch};
use crate::tls::{self, TlsConfigError};
use crate::tuning;

/// Why a server has no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The system refused the address.
    #[error("cannot listen on {addr}: {source}")]
    Socket {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The endpoint could not be started on the socket.
    #[error("cannot start on the socket: {0}")]
    Start(#[from] io::Error),
    /// The identity cannot be used for TLS.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
}

/// Why a connection attempt of a client came to nothing. The client's fault, or the network's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The handshake failed.
    #[error("the handshake failed: {0}")]
    Handshake(#[from] ConnectionLost),
    /// The handshake left something undone. The connection was closed.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
}

/// A server's endpoint. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Listener {
    endpoint: Endpoint,
    socket: SocketWatch,
    config: Arc<ServerConfig>,
    /// Whether the system knows the routes to clients; on a virtual network it knows none.
    has_routes: bool,
    fingerprint: Fingerprint,
}

impl Listener {
    /// Binds `addr` and starts to collect connection attempts. Must be called within a tokio runtime.
    ///
    /// The wildcard `[::]` takes IPv4 as well, and alone where IPv6 is off. Port 0 is any free port.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(addr: SocketAddr, identity: &Identity) -> Result<Self, BindError> {
        let config = tuning::server_config(tls::server_config(identity)?);
        let socket = socket::bind(addr).map_err(|source| BindError::Socket { addr, source })?;
        let watch = SocketWatch::of(&socket);
        let runtime = LaneRuntime::new(Arc::new(TokioRuntime));
        let endpoint = Endpoint::new(tuning::endpoint_config(None), Some(config.clone()), socket, runtime)?;
        Ok(Self {
            endpoint,
            socket: watch,
            config: Arc::new(config),
            has_routes: true,
            fingerprint: identity.fingerprint(),
        })
    }

    /// As [`Listener::bind`], on a socket that is not one of the system's, with the clock and executor to drive it: a
    /// virtual network. A `seed` makes quinn's random choices repeatable.
    ///
    /// # Errors
    /// [`BindError::Start`] when the socket does not tell its address; [`BindError::Tls`].
    pub fn bind_with(
        socket: Arc<dyn AsyncUdpSocket>,
        runtime: Arc<dyn Runtime>,
        identity: &Identity,
        seed: Option<EndpointSeed>,
    ) -> Result<Self, BindError> {
        let config = tuning::server_config(tls::server_config(identity)?);
        let endpoint_config = tuning::endpoint_config(seed.map(|seed| seed.0));
        let (runtime, server) = (LaneRuntime::new(runtime), Some(config.clone()));
        let socket = runtime.pace(socket);
        let endpoint = Endpoint::new_with_abstract_socket(endpoint_config, server, socket, runtime)?;
        let (config, fingerprint) = (Arc::new(config), identity.fingerprint());
        Ok(Self { endpoint, socket: SocketWatch::default(), config, has_routes: false, fingerprint })
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// The system's answer when it does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The fingerprint of the key that clients get to see.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The socket's buffers, where it is one of the system's.
    #[must_use]
    pub fn socket_buffers(&self) -> Option<SocketBuffers> {
        self.socket.buffers()
    }

    /// What can be asked about the socket.
    #[must_use]
    pub fn socket(&self) -> SocketWatch {
        self.socket
    }

    /// Waits for the next connection attempt; `None` when the listener is closed. Cancel-safe.
    ///
    /// Do not await a handshake in the loop that calls this: one silent client would hold up all others.
    pub async fn accept(&self) -> Option<Incoming> {
        let attempt = self.endpoint.accept().await?;
        let (config, has_routes) = (self.config.clone(), self.has_routes);
        Some(Incoming { attempt, config, has_routes, socket: self.socket })
    }

    /// How many connections are open, handshakes included.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// Takes no new connection attempts from now on; open connections live on.
    ///
    /// New clients get no answer at all and time out. To tell them, keep accepting and call [`Incoming::refuse`].
    pub fn stop_accepting(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Closes every connection and accepts no more.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.endpoint.close(code.0.into(), Text::new(reason).as_str().as_bytes());
    }

    /// Waits until no connection is left and the peers of closed ones had a chance to hear of it, which may take three
    /// probe time-outs (RFC 9000 section 10.2).
    pub async fn wait_idle(&self) {
        self.endpoint.wait_idle().await;
    }
}

/// A connection attempt that nothing has been spent on yet. Dropping it refuses it.
#[derive(Debug)]
pub struct Incoming {
    attempt: quinn::Incoming,
    config: Arc<ServerConfig>,
    has_routes: bool,
    socket: SocketWatch,
}

impl Incoming {
    /// Where the first packet claims to come from.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        canonical(self.attempt.remote_address())
    }

    /// Whether the client has shown that it receives what is sent to that address (RFC 9000 section 8.1). Nothing may
    /// be held against an address before.
    #[must_use]
    pub fn remote_validated(&self) -> bool {
        self.attempt.remote_address_validated()
    }

    /// Drops the attempt without an answer.
    pub fn ignore(self) {
        self.attempt.ignore();
    }

    /// Asks the client to prove its address first (RFC 9000 section 8.1.2). An attempt that has done so already is
    /// refused.
    pub fn retry(self) {
        // The error carries the attempt, and dropping that refuses it.
        let _ = self.attempt.retry();
    }

    /// Answers that no connection is wanted.
    pub fn refuse(self) {
        self.attempt.refuse();
    }

    /// Performs the handshake. The caller sets a time limit; dropping the future ends the attempt.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub async fn finish(self) -> Result<Connection, AcceptError> {
        let known = self.has_routes.then(|| socket::datagram_limit(self.remote_addr())).flatten();
        let datagram_bytes = known.unwrap_or(tuning::ETHERNET_DATAGRAM_BYTES);
        let sender = Sender::new(Side::Server, Sending::default());
        if self.remote_validated()
            && let Some(stranger) = sender.lane.stranger()
        {
            stranger.vouch();
        }
        let mut config = (*self.config).clone();
        config.transport_config(Arc::new(tuning::server_transport(datagram_bytes, sender.governor.clone())));
        let connecting = sender.lane.enter(|| self.attempt.accept_with(Arc::new(config)));
        let connection = complete(connecting.map_err(ConnectionLost::from)?, &sender).await?;
        // Nothing until the client is admitted.
        let window = ReceiveWindow::new(self.socket.buffers(), 0);
        let send_window_bytes = Some(tuning::SEND_WINDOW_AFTER_ADMISSION);
        Ok(Connection::authenticated(connection, sender, window, send_window_bytes, self.socket)?)
    }
}

/// Waits for the end of a handshake, of which packets leave more than once meanwhile.
async fn complete(
    connecting: quinn::Connecting,
    sender: &Sender,
) -> Result<quinn::Connection, ConnectionLost> {
    // Always so on this side. Nothing is sent early, but the connection can be asked what it has received.
    let (connection, handshake) = match connecting.into_0rtt() {
        Ok(begun) => begun,
        Err(connecting) => return Ok(connecting.await?),
    };
    if let Some(stranger) = sender.lane.stranger() {
        let received_bytes = || FIRST_BYTES + connection.stats().udp_rx.bytes;
        tokio::select! {
            biased;
            _ = handshake => {}
            () = stranger.repeat(received_bytes) => {}
        }
        stranger.vouch();
    } else {
        handshake.await;
    }
    match connection.close_reason() {
        // A peer's application can only say so once the handshake is complete.
        None | Some(quinn::ConnectionError::ApplicationClosed(_)) => Ok(connection),
        Some(error) => Err(error.into()),
    }
}
