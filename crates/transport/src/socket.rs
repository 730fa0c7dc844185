//! UDP sockets for QUIC: both address families, and buffers for the bursts of a fast path.
//!
//! The kernel queues arriving datagrams while the process is busy elsewhere. With its default of about 200 KB the
//! queue overflows within 2 ms at 1 Gbit/s, and what is dropped there looks like loss on the path.

mod paced;
mod watch;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::net::sockopt;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub(crate) use paced::PacedSocket;
pub use watch::SocketWatch;

/// What is asked of the kernel for each direction, in bytes: 60 ms of a 1 Gbit/s path.
pub const REQUESTED_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// The least that is fine without a warning, in bytes: 8 ms of a 1 Gbit/s path, which is about how long a busy machine
/// may leave a process waiting for a processor. The kernel counts its own overhead too, so about half of it is payload.
pub const SUFFICIENT_BUFFER_BYTES: usize = 1024 * 1024;

/// RFC 8200 section 3, without extensions.
const IPV6_HEADER_BYTES: u32 = 40;

/// RFC 791 section 3.1, without options.
const IPV4_HEADER_BYTES: u32 = 20;

/// RFC 768.
const UDP_HEADER_BYTES: u32 = 8;

/// How much the kernel gave, in bytes, in the terms in which it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketBuffers {
    /// For datagrams that arrived and were not yet read.
    pub receive_bytes: usize,
    /// For datagrams that were written and did not yet leave.
    pub send_bytes: usize,
}

impl SocketBuffers {
    /// Reads back the buffers of a socket.
    ///
    /// # Errors
    /// The system's answer when it does not tell.
    pub fn of(socket: &UdpSocket) -> io::Result<Self> {
        let socket = SockRef::from(socket);
        // Linux reserves, and reports, twice what was asked for, to account for its own overhead (socket(7)).
        let doubled = if cfg!(target_os = "linux") { 2 } else { 1 };
        Ok(Self {
            receive_bytes: socket.recv_buffer_size()? / doubled,
            send_bytes: socket.send_buffer_size()? / doubled,
        })
    }

    /// What to tell the operator when the kernel gave too little, with the setting that mends it.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let too_small = |bytes: usize| bytes < SUFFICIENT_BUFFER_BYTES;
        let (name, bytes) = if too_small(self.receive_bytes) {
            ("receive", self.receive_bytes)
        } else if too_small(self.send_bytes) {
            ("send", self.send_bytes)
        } else {
            return None;
        };
        let mut text = format!(
            "the UDP {name} buffer is only {} KiB, so fast transfers will lose packets on this machine",
            bytes / 1024
        );
        if cfg!(target_os = "linux") {
            let wanted = REQUESTED_BUFFER_BYTES;
            text.push_str(&format!("; run: sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}"));
        }
        Some(text)
    }
}

/// Binds a UDP socket with large buffers.
///
/// The wildcard address `[::]` takes IPv4 as well; where IPv6 is off it becomes `0.0.0.0`. Port 0 is any free port.
///
/// # Errors
/// The system's answer when the address is in use, not this machine's, or of a family that is off.
pub fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let wildcard_v6 = addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if wildcard_v6 && !ipv6_available() {
        return bind_family(SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port())), false);
    }
    bind_family(addr, wildcard_v6)
}

/// Binds a UDP socket for connections to addresses of one family only.
pub(crate) fn bind_client(ipv6: bool) -> io::Result<UdpSocket> {
    let ip: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    bind_family(SocketAddr::new(ip, 0), false)
}

fn bind_family(addr: SocketAddr, dual_stack: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    // Linux cuts the request down silently, other systems refuse it: either way what was given is read back later.
    let _ = socket.set_recv_buffer_size(REQUESTED_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(REQUESTED_BUFFER_BYTES);
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// The largest datagram that the first link of the route to `remote` takes, in bytes of UDP payload; none when the system
/// does not say. Connecting a UDP socket looks the route up and sends nothing.
///
/// A route whose first link takes more than a later one is common, so this is only where path discovery (RFC 8899) may
/// stop. Without it every connection over Ethernet would lose a dozen probes that were too large.
pub(crate) fn datagram_limit(remote: SocketAddr) -> Option<u16> {
    let any: IpAddr =
        if remote.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    let (link_bytes, header_bytes) = if remote.is_ipv6() {
        (sockopt::ipv6_mtu(&socket).ok()?, IPV6_HEADER_BYTES)
    } else {
        (sockopt::ip_mtu(&socket).ok()?, IPV4_HEADER_BYTES)
    };
    let payload_bytes = link_bytes.saturating_sub(header_bytes + UDP_HEADER_BYTES);
    Some(u16::try_from(payload_bytes).unwrap_or(u16::MAX))
}

/// Whether this machine can use IPv6 at all: whether a socket can be bound to it.
#[must_use]
pub fn ipv6_available() -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_names_the_smaller_buffer_and_both_sides_of_the_bound() {
        let enough = SUFFICIENT_BUFFER_BYTES;
        assert_eq!(SocketBuffers { receive_bytes: enough, send_bytes: enough }.warning(), None);
        let receive = SocketBuffers { receive_bytes: enough - 1, send_bytes: enough }.warning().unwrap();
        assert!(receive.contains("receive buffer is only 1023 KiB"), "{receive}");
        let send = SocketBuffers { receive_bytes: enough, send_bytes: 212_992 }.warning().unwrap();
        assert!(send.contains("send buffer is only 208 KiB"), "{send}");
        if cfg!(target_os = "linux") {
            assert!(receive.contains("net.core.rmem_max=8388608"), "{receive}");
        }
    }

    #[test]
    fn buffers_are_read_back_in_the_terms_of_the_request() {
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let small = 64 * 1024;
        SockRef::from(&socket).set_recv_buffer_size(small).unwrap();
        assert_eq!(SocketBuffers::of(&socket).unwrap().receive_bytes, small);
    }

    #[test]
    fn a_bound_socket_has_more_than_the_default() {
        let default = UdpSocket::bind("127.0.0.1:0").unwrap();
        let ours = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (default, ours) = (SocketBuffers::of(&default).unwrap(), SocketBuffers::of(&ours).unwrap());
        assert!(ours.receive_bytes >= default.receive_bytes, "{ours:?} against {default:?}");
        assert!(ours.send_bytes >= default.send_bytes, "{ours:?} against {default:?}");
    }

    #[test]
    fn the_wildcard_takes_ipv4_with_and_without_ipv6() {
        let server = bind("[::]:0".parse().unwrap()).unwrap();
        let port = server.local_addr().unwrap().port();
        assert_eq!(server.local_addr().unwrap().is_ipv6(), ipv6_available());
        let client = bind_client(false).unwrap();
        client.send_to(b"hello", (Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut buffer = [0; 16];
        let (len, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"hello");
        assert_eq!(from.ip().to_canonical(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn the_route_over_loopback_takes_what_the_interface_takes() {
        let Ok(mtu) = std::fs::read_to_string("/sys/class/net/lo/mtu") else {
            println!("skipped: this system does not tell the loopback interface's MTU");
            return;
        };
        let mtu: u32 = mtu.trim().parse().unwrap();
        // No IPv4 packet is longer than its length field can say.
        let payload = |mtu: u32, headers| Some(u16::try_from(mtu - headers).unwrap_or(u16::MAX));
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(datagram_limit((Ipv4Addr::LOCALHOST, port).into()), payload(mtu.min(65_535), 28));
        if ipv6_available() {
            assert_eq!(datagram_limit((Ipv6Addr::LOCALHOST, port).into()), payload(mtu, 48));
        }
    }

    #[test]
    fn an_address_in_use_is_an_error() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
