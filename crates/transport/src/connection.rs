//! One authenticated connection: who the peer is, its streams, and how it ends.

mod growth;
mod progress;
mod stats;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fulmar_congestion::Remembered;
use fulmar_proto::ALPN;
use fulmar_proto::code::CloseCode;
use fulmar_proto::fingerprint::Fingerprint;
use fulmar_proto::text::Text;
use quinn::crypto::rustls::HandshakeData;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use growth::{Glance, Grown, Growth};
pub use progress::{Progress, Stalled};
pub use stats::Stats;

use crate::paths::PathKey;
use crate::pool::BytePool;
use crate::sending::{Prober, Sender, Sending};
use crate::socket::{SocketBuffers, SocketWatch};
use crate::stream::{FrameReceiver, FrameSender};
use crate::{tls, tuning};

/// Application error codes are variable-length integers (RFC 9000 section 20.2), ours are 32 bits: one that does not
/// fit becomes this value, which no table defines.
pub(crate) fn narrow_code(code: quinn::VarInt) -> u32 {
    u32::try_from(code.into_inner()).unwrap_or(u32::MAX)
}

/// How a connection ended, or why it never came to be.
///
/// Texts from the peer are escaped when shown and at most 256 bytes long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionLost {
    /// The peer's application closed it (RFC 9000 section 19.19, type 0x1d).
    #[error("the peer closed the connection: {} (code {}){}", code.name(), code.0, after_colon(reason))]
    ClosedByPeer {
        /// Why, as a code.
        code: CloseCode,
        /// Why, in the peer's words.
        reason: Text,
    },
    /// This side closed it.
    #[error("the connection was closed here")]
    ClosedLocally,
    /// Nothing was heard for the idle timeout, or no handshake was finished in time.
    #[error("the connection timed out")]
    TimedOut,
    /// The peer knows nothing of this connection, usually because it has restarted (RFC 9000 section 10.3).
    #[error("the peer does not know this connection any more; it may have restarted")]
    Reset,
    /// The peer speaks no QUIC version that we speak.
    #[error("the peer speaks another version of QUIC")]
    VersionMismatch,
    /// The peer's transport gave up (RFC 9000 section 19.19, type 0x1c).
    #[error("the peer's transport closed the connection (error {code:#x}){}", after_colon(reason))]
    RefusedByPeer {
        /// The transport error code (RFC 9000 section 20.1); TLS alerts are 0x100 + alert.
        code: u64,
        /// Why, in the peer's words.
        reason: Text,
    },
    /// This side's transport gave up on what the peer sent.
    #[error("the peer broke the transport protocol (error {code:#x}){}", after_colon(reason))]
    Protocol {
        /// The transport error code (RFC 9000 section 20.1); TLS alerts are 0x100 + alert.
        code: u64,
        /// What was wrong. It may repeat what the peer sent.
        reason: Text,
    },
    /// This machine could not carry the connection on.
    #[error("this machine ran out of connection identifiers")]
    OutOfIdentifiers,
}

fn after_colon(reason: &Text) -> String {
    if reason.is_empty() { String::new() } else { format!(": {}", reason.escaped()) }
}

impl ConnectionLost {
    /// The TLS alert (RFC 8446 section 6) that ended the handshake, whoever raised it.
    #[must_use]
    pub fn tls_alert(&self) -> Option<u8> {
        match self {
            // RFC 9001 section 4.8: alerts are carried as 0x0100-0x01ff.
            Self::RefusedByPeer { code: code @ 0x100..=0x1ff, .. }
            | Self::Protocol { code: code @ 0x100..=0x1ff, .. } => u8::try_from(code & 0xff).ok(),
            _ => None,
        }
    }
}

impl From<quinn::ConnectionError> for ConnectionLost {
    fn from(error: quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as Error;
        let text = |bytes: &[u8]| Text::new(&String::from_utf8_lossy(bytes));
        match error {
            Error::VersionMismatch => Self::VersionMismatch,
            Error::TransportError(e) => Self::Protocol { code: e.code.into(), reason: Text::new(&e.reason) },
            Error::ConnectionClosed(close) => {
                Self::RefusedByPeer { code: close.error_code.into(), reason: text(&close.reason) }
            }
            Error::ApplicationClosed(close) => Self::ClosedByPeer {
                code: CloseCode(narrow_code(close.error_code)),
                reason: text(&close.reason),
            },
            Error::Reset => Self::Reset,
            Error::TimedOut => Self::TimedOut,
            Error::LocallyClosed => Self::ClosedLocally,
            Error::CidsExhausted => Self::OutOfIdentifiers,
        }
    }
}

/// What a handshake left undone although TLS succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unauthenticated {
    /// The peer presented no certificate with an Ed25519 key.
    #[error("the peer has shown no key")]
    NoKey,
    /// The peer did not agree to speak `fulmar/1`.
    #[error("the peer does not speak this protocol")]
    NoProtocol,
}

/// The TLS exporter gives no secret of the requested shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the TLS exporter refuses this label or context")]
pub struct ExporterError;

/// An authenticated connection. Clones are handles to the same connection; it closes when the last handle and the last
/// stream are gone, or on [`Connection::close`].
#[derive(Clone, Debug)]
pub struct Connection {
    inner: quinn::Connection,
    peer: Fingerprint,
    sender: Sender,
    window: Arc<ReceiveWindow>,
    growth: Arc<Growth>,
    socket: SocketWatch,
    /// Held for as long as the connection is; ends with the last handle.
    _prober: Arc<Prober>,
}

/// With no more than this in flight everything of a transfer has arrived, in bytes: acknowledgements count too, for a moment.
const SETTLED_BYTES: u64 = 4096;

/// How much a connection may buffer, which depends on its path. It only ever grows: quinn gives each growth out as new
/// credit, so that a peer whose path changed to and fro would be given more with every change than the largest window.
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    /// What the socket holds, in bytes; none on a virtual network, whose sockets overflow only when they are to.
    socket_bytes: Option<usize>,
    /// On a long path; 0 as long as the window is not to be touched.
    most: AtomicU32,
    current: Mutex<u32>,
}

impl ReceiveWindow {
    /// For a socket with these buffers.
    pub(crate) fn new(buffers: Option<SocketBuffers>, most: u32) -> Self {
        let socket_bytes = buffers.map(|buffers| buffers.receive_bytes);
        Self { socket_bytes, most: most.into(), current: Mutex::default() }
    }

    /// Has `set` take over the window when it has grown, with this round trip of the path.
    fn fit(&self, rtt: Duration, set: impl FnOnce(u32)) {
        let most = self.most.load(Ordering::Relaxed);
        // Held over `set`, so that of two growths at once the smaller one is not set last.
        let mut current = self.current();
        if *current >= most {
            return;
        }
        let wanted = self.socket_bytes.map_or(most, |bytes| tuning::receive_window(most, rtt, bytes));
        if wanted > *current {
            *current = wanted;
            set(wanted);
        }
    }

    fn current(&self) -> MutexGuard<'_, u32> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The round trip that a receive window has to bridge. The shortest one tells a path from the queues on it, but it is
/// kept for as long as a path looks like the same one from here, also when a client has moved to another network.
fn path_rtt(shortest: Duration, smoothed: Duration) -> Duration {
    if smoothed > tuning::MOVED_PATH_RTT { smoothed } else { shortest }
}

/// What quinn's figures say of a path, and the most that was in flight on it of late, in bytes.
fn glance(now: Instant, stats: &quinn::ConnectionStats, most_in_flight_bytes: u64) -> Glance {
    Glance {
        now,
        received_bytes: stats.udp_rx.bytes,
        // Not the smoothed one of a short path: data that waits in the receiver's socket would grow the window that lets it wait there.
        rtt: path_rtt(stats.path.min_rtt, stats.path.rtt),
        congestion_window_bytes: used_window(stats.path.cwnd, most_in_flight_bytes),
    }
}

/// As much of a congestion window as counts, given the most that was in flight of late, in bytes: a window grows by at most as much
/// again in a round trip, and one that is never full says nothing about the path.
fn used_window(window_bytes: u64, most_in_flight_bytes: u64) -> u64 {
    window_bytes.min(most_in_flight_bytes.saturating_mul(2))
}

impl Connection {
    /// Takes over a connection whose handshake is complete, closing it when the peer is not who TLS promised.
    pub(crate) fn authenticated(
        inner: quinn::Connection,
        sender: Sender,
        window: ReceiveWindow,
        send_window_bytes: Option<u64>,
        socket: SocketWatch,
    ) -> Result<Self, Unauthenticated> {
        match examine(&inner) {
            Ok(peer) => {
                let growth = Arc::new(Growth::new(send_window_bytes));
                let prober = Arc::new(Prober::start(inner.clone(), sender.lane.clone()));
                Ok(Self { inner, peer, sender, window: Arc::new(window), growth, socket, _prober: prober })
            }
            Err(error) => {
                inner.close(CloseCode::PROTOCOL.0.into(), b"");
                Err(error)
            }
        }
    }

    /// The fingerprint of the peer's key, proven in the handshake.
    #[must_use]
    pub fn peer(&self) -> Fingerprint {
        self.peer
    }

    /// The peer's UDP address now; a client may move. IPv4 addresses are never shown as IPv6 ones.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        canonical(self.inner.remote_address())
    }

    /// The smoothed estimate of the round-trip time (RFC 9002 section 5.3).
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.inner.rtt()
    }

    /// Has this side send so from now on.
    pub fn set_sending(&self, sending: Sending) {
        self.sender.set(sending);
    }

    /// What the transport has counted and measured so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::new(self.inner.stats(), &self.sender)
    }

    /// Which path this is, for what is remembered of it.
    #[must_use]
    pub fn path_key(&self) -> PathKey {
        PathKey { peer: self.peer, addr: self.remote_addr().ip() }
    }

    /// Begins with what the last connection over this path has found. Of use before the first transfer; taken as a start that the first
    /// round trips verify.
    pub fn recall(&self, memory: Option<Remembered>) {
        self.sender.lane.signals().recall(memory);
    }

    /// What this connection has found out about its path for the next one, if it has. Under a cap it has found the cap.
    #[must_use]
    pub fn remembered(&self) -> Option<Remembered> {
        let stats = self.stats();
        stats.path.as_ref().filter(|_| stats.max_rate_bytes_per_s.is_none()).and_then(Remembered::of)
    }

    /// What can be asked about the socket that carries the connection, and perhaps others beside it.
    #[must_use]
    pub fn socket(&self) -> SocketWatch {
        self.socket
    }

    /// What tells whether anything moves on the streams of this connection.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::new(self.inner.clone())
    }

    /// Opens a stream for one command, waiting while the peer allows no more of them.
    ///
    /// The peer learns of the stream from the first frame sent on it. Cancel-safe.
    ///
    /// # Errors
    /// [`ConnectionLost`] when the connection is gone.
    pub async fn open_stream(&self) -> Result<(FrameSender, FrameReceiver), ConnectionLost> {
        self.fit_window();
        let (send, receive) = self.inner.open_bi().await?;
        Ok((FrameSender::new(send, self.sender.lane.clone()), FrameReceiver::new(receive)))
    }

    /// Waits for the next stream that the peer opens. Cancel-safe.
    ///
    /// # Errors
    /// [`ConnectionLost`] when the connection is gone.
    pub async fn accept_stream(&self) -> Result<(FrameSender, FrameReceiver), ConnectionLost> {
        let (send, receive) = self.inner.accept_bi().await?;
        self.fit_window();
        Ok((FrameSender::new(send, self.sender.lane.clone()), FrameReceiver::new(receive)))
    }

    /// How much this side buffers at most on the path as it is now, in bytes over all streams, without what it has borrowed; 0
    /// while a server holds to its limits for strangers.
    #[must_use]
    pub fn receive_window(&self) -> u32 {
        *self.window.current()
    }

    /// Has windows grow beyond what they begin with, by loans from `pool`, where the path holds more.
    pub fn lend(&self, pool: BytePool) {
        self.growth.lend(pool);
    }

    /// Gives back what is kept for sending, when nothing is under way. Until the peer has acknowledged everything it is in use; false
    /// then: to be tried again later.
    #[must_use]
    pub fn rest(&self) -> bool {
        let is_settled = self.sender.lane.tail().in_flight_bytes() <= SETTLED_BYTES;
        if is_settled {
            self.growth.rest(|grown| self.set_windows(grown));
        }
        is_settled
    }

    /// Brings the windows into line with the path, which may be another one since the last stream.
    fn fit_window(&self) {
        let most_in_flight = self.sender.lane.usage().most_bytes();
        let glance = glance(Instant::now(), &self.inner.stats(), most_in_flight);
        self.window.fit(glance.rtt, |bytes| self.growth.rebase(bytes, |grown| self.set_windows(grown)));
        self.growth.look(glance, |grown| self.set_windows(grown));
    }

    fn set_windows(&self, grown: Grown) {
        if let Some(bytes) = grown.receive {
            self.inner.set_receive_window(bytes.into());
        }
        if let Some(bytes) = grown.send {
            self.inner.set_send_window(bytes);
        }
    }

    /// A secret of this very connection, the same on both ends (RFC 8446 section 7.5).
    ///
    /// # Errors
    /// [`ExporterError`] when the label or context is too long for TLS.
    pub fn exporter(&self, label: &[u8], context: &[u8]) -> Result<[u8; 32], ExporterError> {
        let mut secret = [0; 32];
        self.inner.export_keying_material(&mut secret, label, context).map_err(|_| ExporterError)?;
        Ok(secret)
    }

    /// Closes the connection at once: what is not acknowledged yet may never arrive. The reason is cut to fit one
    /// packet. Later calls change nothing.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.inner.close(code.0.into(), Text::new(reason).as_str().as_bytes());
    }

    /// Waits until the connection has ended, for whatever reason.
    pub async fn closed(&self) -> ConnectionLost {
        self.inner.closed().await.into()
    }

    /// How the connection ended, if it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<ConnectionLost> {
        self.inner.close_reason().map(Into::into)
    }

    /// Raises a server's limits from those for strangers to those for an admitted client (see [`tuning`]). A client,
    /// which accepts no streams, has no use for it.
    pub fn admit(&self) {
        tuning::admit(&self.inner);
        self.window.most.store(tuning::RECEIVE_WINDOW_AFTER_ADMISSION, Ordering::Relaxed);
        self.fit_window();
    }

    /// A number that tells this connection from all others that are open in this process.
    #[must_use]
    pub fn id(&self) -> usize {
        self.inner.stable_id()
    }
}

/// An address with IPv4 written as IPv4, also where a dual-stack socket shows it inside IPv6 (RFC 4291 2.5.5.2).
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(addr.ip().to_canonical(), addr.port())
        }
        _ => addr,
    }
}

/// Who the peer is, after a completed handshake.
fn examine(connection: &quinn::Connection) -> Result<Fingerprint, Unauthenticated> {
    let handshake = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    if handshake.and_then(|data| data.protocol).as_deref() != Some(ALPN) {
        return Err(Unauthenticated::NoProtocol);
    }
    let chain = connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
        .ok_or(Unauthenticated::NoKey)?;
    let certificate = chain.first().ok_or(Unauthenticated::NoKey)?;
    tls::fingerprint_of(certificate).map_err(|_| Unauthenticated::NoKey)
}

#[cfg(test)]
mod tests;
