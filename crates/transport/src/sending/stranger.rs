//! A server's handshake, repeated within what a stranger has paid for.
//!
//! A server answers the first flight of a client in three datagrams. Losing any of them costs more than a round trip, and it knows of
//! no round trip yet that would tell when to repeat them; so each leaves twice. Until the client has shown that it receives what is
//! sent to its address, a server may send three times what it got (RFC 9000 section 8.1). quinn counts what it sends itself, but not
//! our copies, so here all is counted. How much has come in can only be asked while quinn does not send: copies wait until
//! then, and so does what quinn would send beyond what is known to be paid for.

use std::{
    collections::VecDeque,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use quinn::{
    AsyncUdpSocket,
    udp::{EcnCodepoint, Transmit},
};
use tokio::sync::Notify;

/// A server may send so many times what it got (RFC 9000 section 8.1).
const FACTOR: u64 = 3;

/// What a client's first datagram has at least, in bytes (RFC 9000 section 14.1); quinn drops shorter ones. It does not count
/// it among those of the connection.
pub(crate) const FIRST_BYTES: u64 = 1200;

/// A datagram up to this length, in bytes, is an acknowledgement alone, whose loss costs nothing.
const SHORT_BYTES: usize = 80;

/// So many datagrams wait at most: two flights.
const MOST_WAITING: usize = 8;

/// What one connection may send to an address that nobody has vouched for.
#[derive(Debug)]
pub(crate) struct Stranger {
    is_known: AtomicBool,
    account: Mutex<Account>,
    waits: Notify,
}

#[derive(Debug)]
struct Account {
    received_bytes: u64,
    sent_bytes: u64,
    waiting: VecDeque<Datagrams>,
}

/// What [`Transmit`] borrows.
struct Datagrams {
    socket: Arc<dyn AsyncUdpSocket>,
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    contents: Vec<u8>,
    segment_size: Option<usize>,
    src_ip: Option<IpAddr>,
}

impl Datagrams {
    fn send(&self) {
        let Self { socket, destination, ecn, contents, segment_size, src_ip } = self;
        let (destination, ecn, segment_size, src_ip) = (*destination, *ecn, *segment_size, *src_ip);
        // What the system has no room for is lost, as it would be on the path.
        let _ = socket.try_send(&Transmit { destination, ecn, contents, segment_size, src_ip });
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").field("bytes", &self.contents.len()).finish_non_exhaustive()
    }
}

impl Default for Stranger {
    fn default() -> Self {
        let account = Account { received_bytes: FIRST_BYTES, sent_bytes: 0, waiting: VecDeque::new() };
        Self { is_known: AtomicBool::new(false), account: Mutex::new(account), waits: Notify::new() }
    }
}

impl Account {
    /// Takes so much off what may be sent, if there is as much.
    fn spend(&mut self, bytes: usize) -> bool {
        let sent_bytes = self.sent_bytes + bytes as u64;
        let has = sent_bytes <= FACTOR * self.received_bytes;
        if has {
            self.sent_bytes = sent_bytes;
        }
        has
    }
}

impl Stranger {
    /// Whether a datagram of the handshake may leave through `socket` now. If so, a copy waits, and if not, it does itself.
    pub(crate) fn may_leave(&self, socket: &Arc<dyn AsyncUdpSocket>, transmit: &Transmit<'_>) -> bool {
        if self.is_known.load(Ordering::Relaxed) {
            return true;
        }
        let mut account = self.account();
        let may_leave = account.spend(transmit.contents.len());
        let is_worth_it = !may_leave || transmit.contents.len() > SHORT_BYTES;
        if is_worth_it && account.waiting.len() < MOST_WAITING {
            account.waiting.push_back(Datagrams {
                socket: socket.clone(),
                destination: transmit.destination,
                ecn: transmit.ecn,
                contents: transmit.contents.to_vec(),
                segment_size: transmit.segment_size,
                src_ip: transmit.src_ip,
            });
            self.waits.notify_one();
        }
        may_leave
    }

    /// The peer has shown that it receives what is sent to its address.
    pub(crate) fn vouch(&self) {
        self.is_known.store(true, Ordering::Relaxed);
        self.account().waiting.clear();
    }

    /// Sends what waits, as far as it is paid for by what `received_bytes` says; what is not is lost. Never ends.
    pub(crate) async fn repeat(&self, received_bytes: impl Fn() -> u64) {
        loop {
            self.waits.notified().await;
            let received_bytes = received_bytes();
            for datagrams in self.take(received_bytes) {
                datagrams.send();
            }
        }
    }

    fn take(&self, received_bytes: u64) -> Vec<Datagrams> {
        let mut account = self.account();
        account.received_bytes = account.received_bytes.max(received_bytes);
        let waiting = std::mem::take(&mut account.waiting);
        waiting.into_iter().filter(|datagrams| account.spend(datagrams.contents.len())).collect()
    }

    /// Consistent at every point where a thread could panic.
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, IoSliceMut},
        pin::Pin,
        task::{Context, Poll},
    };

    use quinn::{UdpPoller, udp::RecvMeta};

    use super::*;

    /// Counts what leaves, in bytes.
    #[derive(Debug, Default)]
    struct Wire(Mutex<Vec<usize>>);

    impl AsyncUdpSocket for Wire {
        fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
            unreachable!("nobody waits in these tests")
        }

        fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
            self.0.lock().unwrap().push(transmit.contents.len());
            Ok(())
        }

        fn poll_recv(
            &self,
            _: &mut Context<'_>,
            _: &mut [IoSliceMut<'_>],
            _: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(([127, 0, 0, 1], 1).into())
        }
    }

    struct Server {
        stranger: Stranger,
        wire: Arc<Wire>,
        received_bytes: u64,
    }

    impl Server {
        fn new() -> Self {
            let (stranger, wire) = (Stranger::default(), Arc::default());
            Self { stranger, wire, received_bytes: FIRST_BYTES }
        }

        /// quinn sends so much.
        fn send(&self, bytes: usize) {
            let socket: Arc<dyn AsyncUdpSocket> = self.wire.clone();
            let (destination, contents) = (([127, 0, 0, 1], 2).into(), vec![0; bytes]);
            let transmit =
                Transmit { destination, ecn: None, contents: &contents, segment_size: None, src_ip: None };
            if self.stranger.may_leave(&socket, &transmit) {
                socket.try_send(&transmit).unwrap();
            }
        }

        /// What waits is asked for.
        async fn repeat(&self) {
            tokio::select! {
                biased;
                () = self.stranger.repeat(|| self.received_bytes) => {}
                () = std::future::ready(()) => {}
            }
        }

        fn left(&self) -> Vec<usize> {
            std::mem::take(&mut *self.wire.0.lock().unwrap())
        }
    }

    #[tokio::test]
    async fn a_flight_leaves_twice_when_it_is_paid_for() {
        let mut server = Server::new();
        server.received_bytes = 2400;
        for bytes in [51, 1200, 1200, 138] {
            server.send(bytes);
        }
        assert_eq!(server.left(), [51, 1200, 1200, 138]);
        server.repeat().await;
        assert_eq!(server.left(), [1200, 1200, 138], "an acknowledgement alone is not worth it");
        server.repeat().await;
        assert_eq!(server.left(), [0; 0], "twice, and not more often");
    }

    #[tokio::test]
    async fn no_more_than_three_times_what_came_in_ever_leaves() {
        let mut server = Server::new();
        let mut sent = 0;
        for round in 0..20 {
            server.send(1200);
            server.send(700);
            sent += server.left().iter().sum::<usize>();
            assert!(sent as u64 <= 3 * server.received_bytes, "before it is known that more is paid for");
            server.received_bytes += 300 * (round % 3);
            server.repeat().await;
            sent += server.left().iter().sum::<usize>();
            assert!(sent as u64 <= 3 * server.received_bytes, "{sent} for {}", server.received_bytes);
        }
        assert!(sent as u64 > 3 * server.received_bytes - 1200, "what is paid for is used: {sent}");
    }

    #[tokio::test]
    async fn what_quinn_sends_beyond_what_is_known_waits_and_leaves_once_it_is_paid_for() {
        let mut server = Server::new();
        (0..4).for_each(|_| server.send(1200));
        assert_eq!(server.left(), [1200; 3]);
        server.received_bytes = 2 * FIRST_BYTES;
        server.repeat().await;
        assert_eq!(server.left(), [1200; 3], "two copies before the last");
    }

    #[tokio::test]
    async fn who_is_known_gets_everything_at_once() {
        let server = Server::new();
        server.send(1200);
        server.stranger.vouch();
        (0..9).for_each(|_| server.send(1200));
        server.repeat().await;
        assert_eq!(server.left(), [1200; 10]);
    }
}
