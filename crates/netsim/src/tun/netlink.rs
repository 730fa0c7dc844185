//! Devices, addresses and routes of the calling thread's namespace, over rtnetlink(7).

use std::{io, net::Ipv4Addr, num::NonZeroI32, os::fd::OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage},
    link::{LinkAttribute, LinkFlags, LinkMessage},
    route::{
        RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope,
        RouteType,
    },
};
use rustix::net::{
    AddressFamily as SocketFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect,
    netdevice::name_to_index, netlink, recv, send, socket_with,
};

/// A socket to the kernel's routing tables.
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// In the calling thread's namespace.
    pub(super) fn open() -> io::Result<Self> {
        // NETLINK_ROUTE is protocol 0, the default.
        let socket = socket_with(SocketFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
        Ok(Self(socket))
    }

    /// The number of a device.
    pub(super) fn index(&self, device: &str) -> io::Result<u32> {
        Ok(name_to_index(&self.0, device)?)
    }

    /// Makes the device that is described.
    pub(super) fn add(&self, attributes: Vec<LinkAttribute>) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.attributes = attributes;
        self.request(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Brings a device up, with what is said of it.
    pub(super) fn up(&self, index: u32, attributes: Vec<LinkAttribute>) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes = attributes;
        self.request(RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Gives a device an address in a network, without the route that usually comes with it.
    pub(super) fn address(&self, index: u32, address: Ipv4Addr, prefix_bits: u8) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = prefix_bits;
        message.header.index = index;
        message.attributes = vec![
            AddressAttribute::Local(address.into()),
            AddressAttribute::Address(address.into()),
            AddressAttribute::Flags(AddressFlags::Noprefixroute),
        ];
        self.request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// The route to a network. With a congestion control, TCP connections over it have that one whatever the system's
    /// default is (`congctl` of ip-route(8)).
    pub(super) fn route(
        &self,
        index: u32,
        network: (Ipv4Addr, u8),
        from: Ipv4Addr,
        congestion: Option<&str>,
    ) -> io::Result<()> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.destination_prefix_length = network.1;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = RouteScope::Link;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::Inet(network.0)),
            RouteAttribute::PrefSource(RouteAddress::Inet(from)),
            RouteAttribute::Oif(index),
        ];
        if let Some(name) = congestion {
            message.attributes.push(RouteAttribute::Metrics(vec![RouteMetric::CcAlgo(name.to_owned())]));
        }
        self.request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Sends a request and waits for its acknowledgement.
    fn request(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(&self.0, &bytes, SendFlags::empty())?;
        let mut answer = [0; 4096];
        let (_, received_bytes) = recv(&self.0, &mut answer[..], RecvFlags::empty())?;
        let answer = answer.get(..received_bytes).ok_or(io::ErrorKind::InvalidData)?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(answer).map_err(io::Error::other)?;
        match answer.payload {
            NetlinkPayload::Error(error) => error
                .code
                .map(NonZeroI32::get)
                .map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code.saturating_neg()))),
            _ => Err(io::Error::other("the kernel answered something else")),
        }
    }
}
