//! What the tasks and the socket of one connection have in common.
//!
//! quinn 0.11 gives all connections of an endpoint the same socket, and asks it three things for each packet, none of which
//! says for whom: how many datagrams it takes at once, whether it is writable, and to send. All three are asked by the
//! connection's own task. That task is spawned by the runtime that the endpoint was given, within the call that makes the
//! connection; so a runtime of ours puts the task into the connection's lane, and the socket finds the lane that it is
//! asked from. An address would not do: several connections may share one, and a client's may change.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use fulmar_congestion::{Pacer, Signals};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, Side};

use super::{
    repeats::{self, Copies, Ending, Repeats},
    stranger::Stranger,
    tail::Tail,
    usage::WindowUsage,
};
use crate::socket::PacedSocket;

/// Datagrams up to this length are not held to the pace, in bytes: acknowledgements are not subject to congestion control
/// (RFC 9002 section 7), and a request or a reply is a single packet.
const FREE_BYTES: usize = 256;

/// The length of a datagram before the first long one has left, in bytes (RFC 9000 section 14).
const FIRST_DATAGRAM_BYTES: usize = 1200;

tokio::task_local! {
    /// The lane of the connection whose task this is.
    static LANE: Arc<Lane>;
}

/// The pace of one connection.
#[derive(Debug)]
pub(crate) struct Lane {
    signals: Arc<Signals>,
    pacer: Mutex<Pacer>,
    datagram_bytes: AtomicUsize,
    tail: Tail,
    usage: WindowUsage,
    repeats: Mutex<Repeats>,
    /// Of a server.
    stranger: Option<Stranger>,
}

impl Lane {
    /// The lane of a connection that this side began, or accepted.
    pub(crate) fn new(side: Side) -> Self {
        let signals = Arc::<Signals>::default();
        let pacer = Mutex::new(Pacer::new(signals.clone()));
        let repeats = Mutex::new(Repeats::new(side));
        let (tail, usage) = (Tail::default(), WindowUsage::default());
        let (datagram_bytes, stranger) =
            (FIRST_DATAGRAM_BYTES.into(), side.is_server().then(Stranger::default));
        Self { signals, pacer, datagram_bytes, tail, usage, repeats, stranger }
    }

    /// Runs `make`, which makes a connection: its tasks will be in this lane.
    pub(crate) fn enter<T>(self: &Arc<Self>, make: impl FnOnce() -> T) -> T {
        LANE.sync_scope(self.clone(), make)
    }

    /// The lane of the task that calls this; none in the endpoint's own task, which answers strangers.
    pub(crate) fn current() -> Option<Arc<Self>> {
        LANE.try_with(Arc::clone).ok()
    }

    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Begins anew, for the controller of another path: what has left on the old one is nothing to wait for. quinn has to send at once there,
    /// to prove the path; when its timer for what is lost fires before, it stops at an assertion in debug builds.
    pub(crate) fn begin_path(&self, now: Instant) {
        self.signals.clear();
        self.repeats().begin_path(now);
        *self.pacer() = Pacer::new(self.signals.clone());
    }

    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    pub(crate) fn usage(&self) -> &WindowUsage {
        &self.usage
    }

    /// How many datagrams may leave at once.
    pub(crate) fn max_datagrams(&self) -> usize {
        self.pacer().max_datagrams(self.datagram_bytes.load(Ordering::Relaxed))
    }

    /// When the next datagram may leave; none when that is now.
    pub(crate) fn not_before(&self, now: Instant) -> Option<Instant> {
        self.pacer().not_before(now)
    }

    /// What a server may send as long as nobody vouches for the address of its peer.
    pub(crate) fn stranger(&self) -> Option<&Stranger> {
        self.stranger.as_ref()
    }

    /// Somebody waits for what leaves next: a request or a reply.
    pub(crate) fn expect(&self) {
        self.repeats().expect();
    }

    /// Which copies of these datagrams are to leave, each as long as `segment_bytes` but for the last.
    pub(crate) fn copies(&self, now: Instant, datagrams: &[u8], segment_bytes: Option<usize>) -> Copies {
        let ending = (self.signals.repeats() > 0).then(|| Ending {
            in_flight_bytes: self.tail.in_flight_bytes(),
            loss: self.signals.snapshot().loss,
        });
        self.repeats().copies(datagrams, segment_bytes, ending, now)
    }

    /// Notes that datagrams have left, each as long as `segment_bytes` but for the last.
    pub(crate) fn note_sent(&self, now: Instant, datagrams: &[u8], segment_bytes: Option<usize>) {
        // A handshake is short, and when it fails quinn forgets the connection at once: what would wait then never left.
        if datagrams.len() <= FREE_BYTES || repeats::is_handshake(datagrams) {
            return;
        }
        let datagram_bytes = segment_bytes.unwrap_or(datagrams.len());
        if datagram_bytes >= FIRST_DATAGRAM_BYTES {
            self.datagram_bytes.store(datagram_bytes, Ordering::Relaxed);
        }
        self.pacer().note_sent(now, datagrams.len());
    }

    /// As consistent as a pacer.
    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pacer is consistent at every point where a thread could panic, so a poisoned lock is as good as any.
    fn pacer(&self) -> MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A runtime that keeps tasks in the lane that they were spawned from, and whose sockets keep the lane's pace.
#[derive(Debug)]
pub(crate) struct LaneRuntime {
    inner: Arc<dyn Runtime>,
}

impl LaneRuntime {
    pub(crate) fn new(inner: Arc<dyn Runtime>) -> Arc<Self> {
        Arc::new(Self { inner })
    }

    /// The socket, so that it keeps the pace of each connection.
    pub(crate) fn pace(&self, socket: Arc<dyn AsyncUdpSocket>) -> Arc<dyn AsyncUdpSocket> {
        Arc::new(PacedSocket::new(socket, self.inner.clone()))
    }
}

impl Runtime for LaneRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        self.inner.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        match Lane::current() {
            Some(lane) => self.inner.spawn(Box::pin(LANE.scope(lane, future))),
            None => self.inner.spawn(future),
        }
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(self.pace(self.inner.wrap_udp_socket(socket)?))
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }
}
