//! The connecting side.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fulmar_proto::code::CloseCode;
use fulmar_proto::fingerprint::Fingerprint;
use fulmar_proto::text::Text;
use quinn::{AsyncUdpSocket, ConnectError, Endpoint, Runtime, Side, TokioRuntime, TransportErrorCode};
use rustls::AlertDescription;

use super::{EndpointSeed, race};
use crate::connection::{Connection, ConnectionLost, ReceiveWindow, Unauthenticated, canonical};
use crate::identity::Identity;
use crate::sending::{LaneRuntime, Sender, Sending};
use crate::socket::{self, SocketBuffers, SocketWatch};
use crate::tls::{self, SERVER_NAME, ServerTrust, TlsConfigError, Verdict, VerdictCell};
use crate::tuning;

/// Why there is no connection to a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Nothing answered in time.
    #[error("no answer")]
    NoAnswer,
    /// The server's key is not known here. Nothing was sent to it but the greeting.
    #[error("the server's key {0} is not known here")]
    UnknownServer(Fingerprint),
    /// The server offered another key than the known ones. Nothing was sent to it but the greeting.
    #[error("the server's key has changed to {offered}")]
    ServerKeyChanged {
        /// The keys that are known.
        known: Vec<Fingerprint>,
        /// The key that was offered.
        offered: Fingerprint,
    },
    /// Something answered that does not speak this protocol, or not this version of it.
    #[error("the server does not speak this protocol: {0}")]
    ProtocolMismatch(ConnectionLost),
    /// The server wants no connection now.
    #[error("the server refuses connections")]
    Refused,
    /// The handshake failed for another reason, such as a certificate without its key.
    #[error("the handshake failed: {0}")]
    Handshake(ConnectionLost),
    /// The handshake left something undone. The connection was closed.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// There is no address to dial.
    #[error("there is no address to connect to")]
    NoAddress,
    /// No connection can be made to such an address, for example to port 0.
    #[error("{0} is not an address to connect to")]
    BadAddress(SocketAddr),
    /// This machine cannot open or use a socket of the address's family.
    #[error("cannot use a socket: {0}")]
    Io(#[from] io::Error),
    /// The identity cannot be used for TLS.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// The dialer was closed.
    #[error("the dialer was closed")]
    Closed,
}

impl DialError {
    /// Whether this is about who the server is: then trying its other addresses would only hide it.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::UnknownServer(_) | Self::ServerKeyChanged { .. })
    }

    /// How much the error says about the server, to choose among the failures of several addresses.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::UnknownServer(_) | Self::ServerKeyChanged { .. } => 6,
            Self::ProtocolMismatch(_) => 5,
            Self::Handshake(_) | Self::Unauthenticated(_) => 4,
            Self::Refused => 3,
            Self::NoAnswer => 2,
            Self::Io(_) | Self::Tls(_) | Self::Closed => 1,
            Self::NoAddress | Self::BadAddress(_) => 0,
        }
    }
}

/// A client's endpoints: one socket for each address family, bound when first needed. Clones share them.
#[derive(Clone, Debug)]
pub struct Dialer {
    shared: Arc<Shared>,
    sending: Sending,
}

#[derive(Debug)]
struct Shared {
    identity: Identity,
    sockets: Sockets,
}

#[derive(Debug)]
enum Sockets {
    System(Box<Mutex<SystemSockets>>),
    /// One socket of a virtual network, for both families.
    Virtual(Endpoint),
}

#[derive(Debug, Default)]
struct SystemSockets {
    v4: Option<(Endpoint, SocketWatch)>,
    v6: Option<(Endpoint, SocketWatch)>,
    last: Option<SocketWatch>,
    closed: bool,
}

impl Dialer {
    /// A dialer that presents `identity`. Binds nothing yet.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        Self::with_sockets(identity, Sockets::System(Box::default()))
    }

    /// As [`Dialer::new`], on a socket that is not one of the system's, with the clock and executor to drive it: a
    /// virtual network, which carries both address families. A `seed` makes quinn's random choices repeatable.
    ///
    /// # Errors
    /// [`DialError::Io`] when the socket does not tell its address.
    pub fn with_socket(
        socket: Arc<dyn AsyncUdpSocket>,
        runtime: Arc<dyn Runtime>,
        identity: &Identity,
        seed: Option<EndpointSeed>,
    ) -> Result<Self, DialError> {
        let config = tuning::endpoint_config(seed.map(|seed| seed.0));
        let runtime = LaneRuntime::new(runtime);
        let endpoint = Endpoint::new_with_abstract_socket(config, None, runtime.pace(socket), runtime)?;
        Ok(Self::with_sockets(identity, Sockets::Virtual(endpoint)))
    }

    fn with_sockets(identity: &Identity, sockets: Sockets) -> Self {
        let shared = Shared { identity: identity.clone(), sockets };
        Self { shared: Arc::new(shared), sending: Sending::default() }
    }

    /// The same dialer, whose connections are to send so.
    #[must_use]
    pub fn with_sending(self, sending: Sending) -> Self {
        Self { sending, ..self }
    }

    /// The fingerprint of the key that servers get to see.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.shared.identity.fingerprint()
    }

    /// The buffers of the last socket bound, if any.
    #[must_use]
    pub fn socket_buffers(&self) -> Option<SocketBuffers> {
        match &self.shared.sockets {
            Sockets::System(sockets) => locked(sockets).last?.buffers(),
            Sockets::Virtual(_) => None,
        }
    }

    /// Has the cryptographic library collect the randomness that it waits for before its first number, tens of milliseconds long, so
    /// that the time of a first handshake is that of the path. Blocks.
    pub fn warm_up() {
        // If there is none, the handshake will say so.
        let _ = aws_lc_rs::rand::fill(&mut [0]);
    }

    /// Connects to one address within `timeout`. Must be called within a tokio runtime.
    ///
    /// The connection is authenticated but not admitted: a server that will not have this client's key says so later.
    /// Dropping the future ends the attempt.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial(
        &self,
        addr: SocketAddr,
        trust: &ServerTrust,
        timeout: Duration,
    ) -> Result<Connection, DialError> {
        tokio::time::timeout(timeout, self.attempt(addr, trust)).await.unwrap_or(Err(DialError::NoAnswer))
    }

    /// Connects to whichever of a server's addresses answers first (RFC 8305), all within `timeout`.
    ///
    /// Families alternate, beginning with that of the first address; an attempt starts 250 ms after the one before, or
    /// at once when that one failed. Attempts that lose are closed. A server whose key is not trusted ends the race:
    /// trying its other addresses would hide it.
    ///
    /// # Errors
    /// [`DialError`]: of several failures the one that says most about the server.
    pub async fn dial_any(
        &self,
        addrs: Vec<SocketAddr>,
        trust: &ServerTrust,
        timeout: Duration,
    ) -> Result<Connection, DialError> {
        let attempt = |addr| {
            let (dialer, trust) = (self.clone(), trust.clone());
            async move { dialer.attempt(addr, &trust).await }
        };
        let discard = |late: Connection| late.close(CloseCode::LOST_RACE, "");
        race::run(addrs, timeout, attempt, discard).await
    }

    /// Performs one handshake, with no time limit but the transport's own.
    async fn attempt(&self, addr: SocketAddr, trust: &ServerTrust) -> Result<Connection, DialError> {
        let addr = canonical(addr);
        let verdict = Arc::new(VerdictCell::new());
        let tls = tls::client_config(&self.shared.identity, trust, verdict.clone())?;
        let ((endpoint, socket), sender) = (self.endpoint(addr)?, Sender::new(Side::Client, self.sending));
        let config = tuning::client_config(tls, self.datagram_limit(addr), sender.governor.clone());
        let connecting = sender
            .lane
            .enter(|| endpoint.connect_with(config, addr, SERVER_NAME))
            .map_err(|error| not_started(&error, addr))?;
        let connection = connecting.await.map_err(|error| failed(error.into(), verdict.get()))?;
        let window = ReceiveWindow::new(self.socket_buffers(), tuning::CLIENT_RECEIVE_WINDOW);
        Ok(Connection::authenticated(connection, sender, window, None, socket)?)
    }

    /// Up to which size datagrams to an address may be tried.
    fn datagram_limit(&self, addr: SocketAddr) -> u16 {
        match self.shared.sockets {
            Sockets::System(_) => socket::datagram_limit(addr).unwrap_or(tuning::ETHERNET_DATAGRAM_BYTES),
            Sockets::Virtual(_) => tuning::ETHERNET_DATAGRAM_BYTES,
        }
    }

    /// The endpoint for an address, bound now if it is the first of its family, and its socket.
    fn endpoint(&self, addr: SocketAddr) -> Result<(Endpoint, SocketWatch), DialError> {
        let mut sockets = match &self.shared.sockets {
            Sockets::Virtual(endpoint) => return Ok((endpoint.clone(), SocketWatch::default())),
            Sockets::System(sockets) => locked(sockets),
        };
        if sockets.closed {
            return Err(DialError::Closed);
        }
        let existing = if addr.is_ipv6() { &sockets.v6 } else { &sockets.v4 };
        if let Some(endpoint) = existing {
            return Ok(endpoint.clone());
        }
        let socket = socket::bind_client(addr.is_ipv6())?;
        let watch = SocketWatch::of(&socket);
        sockets.last = Some(watch);
        let endpoint = Endpoint::new(
            tuning::endpoint_config(None),
            None,
            socket,
            LaneRuntime::new(Arc::new(TokioRuntime)),
        )?;
        let slot = if addr.is_ipv6() { &mut sockets.v6 } else { &mut sockets.v4 };
        *slot = Some((endpoint.clone(), watch));
        Ok((endpoint, watch))
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        match &self.shared.sockets {
            Sockets::Virtual(endpoint) => vec![endpoint.clone()],
            Sockets::System(sockets) => {
                let sockets = locked(sockets);
                sockets.v4.iter().chain(&sockets.v6).map(|(endpoint, _)| endpoint.clone()).collect()
            }
        }
    }

    /// Closes every connection of this dialer; it makes no more.
    pub fn close(&self, code: CloseCode, reason: &str) {
        if let Sockets::System(sockets) = &self.shared.sockets {
            locked(sockets).closed = true;
        }
        for endpoint in self.endpoints() {
            endpoint.close(code.0.into(), Text::new(reason).as_str().as_bytes());
        }
    }

    /// Waits until no connection is left and the peers of closed ones had a chance to hear of it, which may take three
    /// probe time-outs (RFC 9000 section 10.2).
    pub async fn wait_idle(&self) {
        for endpoint in self.endpoints() {
            endpoint.wait_idle().await;
        }
    }
}

/// The sockets are consistent at every point where a thread could panic, so a poisoned lock is as good as any.
fn locked(sockets: &Mutex<SystemSockets>) -> std::sync::MutexGuard<'_, SystemSockets> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why quinn did not even begin.
fn not_started(error: &ConnectError, addr: SocketAddr) -> DialError {
    match error {
        ConnectError::EndpointStopping => DialError::Closed,
        ConnectError::CidsExhausted => DialError::Handshake(ConnectionLost::OutOfIdentifiers),
        ConnectError::UnsupportedVersion => DialError::ProtocolMismatch(ConnectionLost::VersionMismatch),
        ConnectError::InvalidRemoteAddress(_)
        | ConnectError::InvalidServerName(_)
        | ConnectError::NoDefaultClientConfig => DialError::BadAddress(addr),
    }
}

/// Why a handshake failed, from how the connection ended and what the verifier left.
fn failed(lost: ConnectionLost, verdict: Option<&Verdict>) -> DialError {
    match verdict {
        Some(Verdict::Unknown(offered)) => return DialError::UnknownServer(*offered),
        Some(Verdict::Changed { known, offered }) => {
            return DialError::ServerKeyChanged { known: known.clone(), offered: *offered };
        }
        Some(Verdict::Match) | None => {}
    }
    let no_alpn = u8::from(AlertDescription::NoApplicationProtocol);
    match lost {
        ConnectionLost::TimedOut => DialError::NoAnswer,
        ConnectionLost::ClosedLocally => DialError::Closed,
        ConnectionLost::VersionMismatch => DialError::ProtocolMismatch(lost),
        ConnectionLost::RefusedByPeer { code, .. }
            if code == u64::from(TransportErrorCode::CONNECTION_REFUSED) =>
        {
            DialError::Refused
        }
        lost if lost.tls_alert() == Some(no_alpn) => DialError::ProtocolMismatch(lost),
        lost => DialError::Handshake(lost),
    }
}

#[cfg(test)]
mod tests;
