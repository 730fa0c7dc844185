//! A UDP socket of a simulated host.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};

use super::{
    hosts::{Packet, Port},
    network::Network,
};

/// How many datagrams quinn may hand over in one call: each meets the link by itself. What the kernel takes with
/// segmentation offload; quinn uses ten.
const MAX_SEGMENTS: usize = 64;

/// A socket that is bound on a [`Network`]. It takes whatever is sent, and closes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    network: Network,
    addr: SocketAddr,
    id: u64,
}

impl Socket {
    pub(super) fn new(network: Network, addr: SocketAddr, id: u64) -> Self {
        Self { network, addr, id }
    }

    /// The address that it is bound to, which need not be the one that others see.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Moves what has arrived into quinn's buffers; how many datagrams that were.
    fn take(&self, port: &mut Port, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let room = buffers.len().min(metas.len()).min(port.arrived.len());
        for ((packet, buffer), meta) in port.arrived.drain(..room).zip(buffers).zip(metas) {
            // A datagram that is too long for its buffer is cut, as the kernel does.
            let len = packet.payload.len().min(buffer.len());
            buffer[..len].copy_from_slice(&packet.payload[..len]);
            *meta = self.meta(&packet, len);
        }
        room
    }

    fn meta(&self, packet: &Packet, len: usize) -> RecvMeta {
        let mut meta = RecvMeta::default();
        (meta.addr, meta.len, meta.stride) = (self.as_seen(packet.source), len, len);
        (meta.ecn, meta.dst_ip) = (packet.ecn, Some(self.addr.ip()));
        meta
    }

    /// An IPv6 socket shows IPv4 addresses inside IPv6 ones (RFC 4291 section 2.5.5.2).
    fn as_seen(&self, source: SocketAddr) -> SocketAddr {
        match source.ip() {
            IpAddr::V4(ip) if self.addr.is_ipv6() => (ip.to_ipv6_mapped(), source.port()).into(),
            _ => source,
        }
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let destination =
            SocketAddr::new(transmit.destination.ip().to_canonical(), transmit.destination.port());
        let segment_bytes = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let segments = transmit.contents.chunks(segment_bytes);
        self.network.send(self.addr, self.id, destination, transmit.ecn, segments);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.network.with_port(self.addr, self.id, |port| match port {
            None => Poll::Ready(Err(io::Error::new(io::ErrorKind::NotConnected, "the socket was closed"))),
            Some(port) if port.arrived.is_empty() => {
                port.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(port) => Poll::Ready(Ok(self.take(port, buffers, metas))),
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    fn max_transmit_segments(&self) -> usize {
        MAX_SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.network.close_socket(self.addr, self.id);
    }
}

/// A simulated socket never makes anyone wait: what is too much is lost in the link's queue.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
