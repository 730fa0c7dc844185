//! The network as a test sees it.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quinn::udp::EcnCodepoint;
use tokio::time::Instant;

use super::{hosts::Port, pump::Pump, socket::Socket, state::State, trace::Trace};
use crate::{
    link::Counters,
    profile::{Profile, ProfileError},
};

/// What the handles, the sockets and the pump share.
pub(super) struct Shared {
    since: Instant,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

/// A network of hosts. Clones are handles to the same one. Everything may be changed while things run; what is on its
/// way already arrives as it would have.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("elapsed", &self.shared.elapsed()).finish_non_exhaustive()
    }
}

impl Network {
    /// A network without links. Everything random on it follows from `seed`. Must be called within a tokio runtime,
    /// which has to be that of [`super::run`] for time to be virtual.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let shared = Arc::new(Shared { since: Instant::now(), state: Mutex::new(State::new(seed)) });
        tokio::spawn(Pump::new(Arc::downgrade(&shared)));
        Self { shared }
    }

    /// How long the network has existed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.shared.elapsed()
    }

    /// Joins two hosts, replacing the link that joins them now. The new one's own time begins now: blackouts and
    /// changes of its profile count from here. It has a seed of its own.
    ///
    /// # Errors
    /// [`ProfileError`] when the profile is out of range.
    pub fn join(&self, below: IpAddr, above: IpAddr, profile: &Profile) -> Result<(), ProfileError> {
        let now = self.elapsed();
        self.shared.state().paths.join(below, above, profile, now)
    }

    /// Joins every pair of hosts that is not joined yet when the first packet passes between them, each by a link of
    /// its own; the host that sends first is below. Without this, packets between them vanish.
    ///
    /// # Errors
    /// [`ProfileError`] when the profile is out of range.
    pub fn join_others(&self, profile: &Profile) -> Result<(), ProfileError> {
        self.shared.state().paths.set_default(profile)
    }

    /// Binds a socket to the address of a host. Port 0 takes a free one.
    ///
    /// # Errors
    /// `AddrInUse`, and `AddrNotAvailable` for a wildcard: a host has one address.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<Arc<Socket>> {
        let (addr, id) = self.shared.state().hosts.bind(addr)?;
        Ok(Arc::new(Socket::new(self.clone(), addr, id)))
    }

    /// Closes the socket at `addr` as the death of its process would: what it has not taken yet and what it still
    /// sends vanishes, its endpoint ends in an error, and another one can be bound at once. Says whether there was one.
    pub fn close(&self, addr: SocketAddr) -> bool {
        let closed = self.shared.state().hosts.close(addr, None);
        let was_open = closed.is_some();
        wake_reader(closed);
        was_open
    }

    pub(super) fn close_socket(&self, addr: SocketAddr, id: u64) {
        let closed = self.shared.state().hosts.close(addr, Some(id));
        wake_reader(closed);
    }

    /// Has a translator (NAT) show the socket at `addr` as `public` from now on. Its former address dies, also for
    /// packets that are on their way; they, and what others go on sending there, take the same link in vain. With
    /// `addr` itself the translator is gone.
    ///
    /// # Errors
    /// `NotFound` when nothing is bound to `addr`; `AddrInUse`.
    pub fn rebind(&self, addr: SocketAddr, public: SocketAddr) -> io::Result<()> {
        self.shared.state().hosts.translate(addr, public)
    }

    /// The address under which others see the socket at `addr`.
    #[must_use]
    pub fn public_addr(&self, addr: SocketAddr) -> SocketAddr {
        self.shared.state().hosts.public(addr)
    }

    /// Stops everything that one host sends to another; not the other way round.
    pub fn block(&self, from: IpAddr, to: IpAddr) {
        self.shared.state().paths.block(from, to);
    }

    /// Ends what [`Network::block`] began.
    pub fn unblock(&self, from: IpAddr, to: IpAddr) {
        self.shared.state().paths.unblock(from, to);
    }

    /// Stops everything between two hosts.
    pub fn partition(&self, one: IpAddr, other: IpAddr) {
        self.block(one, other);
        self.block(other, one);
    }

    /// Ends every partition between two hosts.
    pub fn heal(&self, one: IpAddr, other: IpAddr) {
        self.unblock(one, other);
        self.unblock(other, one);
    }

    /// From now on flips one to three bits in this share (0 to 1) of the packets from one host to another, as if
    /// checksums did not exist. Which packets and which bits follows from the seed, not from what is in them.
    pub fn corrupt(&self, from: IpAddr, to: IpAddr, ratio: f64) {
        self.shared.state().paths.corrupt(from, to, ratio);
    }

    /// Puts a datagram before a socket, from whatever address: garbage, or one of [`Network::overheard`] again. It
    /// meets no link.
    pub fn inject(&self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let now = self.elapsed();
        let pump = {
            let mut state = self.shared.state();
            state.inject(now, source, destination, payload);
            state.pump_if_late()
        };
        if let Some(pump) = pump {
            pump.wake();
        }
    }

    /// From now on keeps copies of the last `most` datagrams that one host sends to another, as they were sent.
    pub fn overhear(&self, from: IpAddr, to: IpAddr, most: usize) {
        self.shared.state().paths.tap(from, to, most);
    }

    /// The copies that [`Network::overhear`] asked for, oldest first.
    #[must_use]
    pub fn overheard(&self, from: IpAddr, to: IpAddr) -> Vec<Vec<u8>> {
        self.shared.state().paths.overheard(from, to)
    }

    /// What the link between two hosts has counted since it joined them: upward and downward. None without a link, or
    /// when it was joined the other way round.
    #[must_use]
    pub fn counters(&self, below: IpAddr, above: IpAddr) -> Option<(Counters, Counters)> {
        let now = self.elapsed();
        self.shared.state().paths.counters(below, above, now)
    }

    /// From now on the trace keeps a record of every packet, for a person to read.
    pub fn keep_records(&self) {
        self.shared.state().recorder.keep_records();
    }

    /// What has happened so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.shared.state().recorder.trace()
    }

    /// A socket sends datagrams. One that was closed sends nothing.
    pub(super) fn send<'a>(
        &self,
        addr: SocketAddr,
        id: u64,
        destination: SocketAddr,
        ecn: Option<EcnCodepoint>,
        payloads: impl Iterator<Item = &'a [u8]>,
    ) {
        let now = self.elapsed();
        let pump = {
            let mut state = self.shared.state();
            if state.hosts.port(addr, id).is_none() {
                return;
            }
            for payload in payloads {
                state.send(now, addr, destination, ecn, payload);
            }
            state.pump_if_late()
        };
        if let Some(pump) = pump {
            pump.wake();
        }
    }

    pub(super) fn with_port<T>(
        &self,
        addr: SocketAddr,
        id: u64,
        visit: impl FnOnce(Option<&mut Port>) -> T,
    ) -> T {
        visit(self.shared.state().hosts.port(addr, id))
    }
}

/// Tells whoever waits on a closed socket, outside of the lock.
fn wake_reader(closed: Option<Port>) {
    if let Some(reader) = closed.and_then(|port| port.reader) {
        reader.wake();
    }
}
