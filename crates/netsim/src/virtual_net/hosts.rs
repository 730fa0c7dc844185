//! Which sockets there are, and under which addresses others see them.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    task::Waker,
};

use quinn::udp::EcnCodepoint;

/// The first port that is given out to who asks for any (RFC 6335 section 6).
const FIRST_EPHEMERAL_PORT: u16 = 49_152;

/// A datagram on its way or in a socket.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    /// Where the receiver sees it come from.
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) payload: Box<[u8]>,
}

/// A bound socket, as long as it is open.
#[derive(Debug)]
pub(super) struct Port {
    /// Tells this socket from an earlier or a later one at the same address.
    id: u64,
    /// What has arrived and was not taken yet.
    pub(super) arrived: VecDeque<Packet>,
    /// Who waits for more.
    pub(super) reader: Option<Waker>,
}

/// All sockets, and the translators (NAT) in front of some.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// By the address that each is bound to.
    ports: BTreeMap<SocketAddr, Port>,
    /// The address under which others see a socket, where that is another one.
    public: BTreeMap<SocketAddr, SocketAddr>,
    /// The other way round.
    private: BTreeMap<SocketAddr, SocketAddr>,
    /// The host behind a public address, also a former one: packets there take the same way, in vain.
    homes: BTreeMap<SocketAddr, IpAddr>,
    last_id: u64,
}

impl Hosts {
    /// Opens a socket. Port 0 takes a free one.
    pub(super) fn bind(&mut self, addr: SocketAddr) -> io::Result<(SocketAddr, u64)> {
        if addr.ip().is_unspecified() {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "a host has one address: bind that"));
        }
        let addr = match addr.port() {
            0 => self.free_port(addr.ip())?,
            _ => addr,
        };
        if !self.is_free(addr) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.last_id += 1;
        let port = Port { id: self.last_id, arrived: VecDeque::new(), reader: None };
        self.ports.insert(addr, port);
        self.homes.remove(&addr);
        Ok((addr, self.last_id))
    }

    fn free_port(&self, ip: IpAddr) -> io::Result<SocketAddr> {
        let mut candidates = (FIRST_EPHEMERAL_PORT..=u16::MAX).map(|port| SocketAddr::new(ip, port));
        candidates.find(|addr| self.is_free(*addr)).ok_or_else(|| io::ErrorKind::AddrInUse.into())
    }

    fn is_free(&self, addr: SocketAddr) -> bool {
        !self.ports.contains_key(&addr) && !self.private.contains_key(&addr)
    }

    /// The socket that was bound to `addr` with this number, if it is still open.
    pub(super) fn port(&mut self, addr: SocketAddr, id: u64) -> Option<&mut Port> {
        self.ports.get_mut(&addr).filter(|port| port.id == id)
    }

    /// Closes the socket at `addr`, or only the one with this number. Returns who waited on it.
    pub(super) fn close(&mut self, addr: SocketAddr, id: Option<u64>) -> Option<Port> {
        if id.is_some_and(|id| self.port(addr, id).is_none()) {
            return None;
        }
        if let Some(public) = self.public.remove(&addr) {
            self.private.remove(&public);
        }
        self.ports.remove(&addr)
    }

    /// From now on others see the socket at `addr` as `public`, and under no other address.
    pub(super) fn translate(&mut self, addr: SocketAddr, public: SocketAddr) -> io::Result<()> {
        if !self.ports.contains_key(&addr) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no socket is bound to this address"));
        }
        if public != addr && !self.is_free(public) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        if let Some(old) = self.public.remove(&addr) {
            self.private.remove(&old);
        }
        if public != addr {
            self.public.insert(addr, public);
            self.private.insert(public, addr);
            self.homes.insert(public, addr.ip());
        }
        Ok(())
    }

    /// The address under which others see the socket at `addr`.
    pub(super) fn public(&self, addr: SocketAddr) -> SocketAddr {
        self.public.get(&addr).copied().unwrap_or(addr)
    }

    /// The host that packets to an address go to.
    pub(super) fn home(&self, addr: SocketAddr) -> IpAddr {
        self.homes.get(&addr).copied().unwrap_or(addr.ip())
    }

    /// The socket that packets to `destination` reach.
    pub(super) fn receiver(&mut self, destination: SocketAddr) -> Option<&mut Port> {
        let addr = match self.private.get(&destination) {
            Some(private) => *private,
            // Behind a translator the socket's own address is nobody's.
            None if self.public.contains_key(&destination) => return None,
            None => destination,
        };
        self.ports.get_mut(&addr)
    }
}
