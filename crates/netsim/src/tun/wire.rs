//! Two namespaces, joined by a pair of the kernel's own Ethernet devices: no emulator and no loss in between, and the MTU of a network.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};

use super::{
    Access, Namespace, Side, TunError,
    lab::{DEVICE, NETWORK},
    netlink::Netlink,
    settings,
};

/// The shortest MTU that QUIC gets through (RFC 9000, 14), with the headers of IPv4 and UDP, and the longest that the devices take.
const MTU_BYTES: std::ops::RangeInclusive<u32> = 1228..=65535;

/// Buffers for TCP that no connection between two processes on one machine fills.
const TCP_BUFFER_BYTES: u64 = 64 << 20;

/// Two namespaces, joined. Their offloads are as the kernel sets them: what TCP and `UDP_SEGMENT` hand down goes through the pair in one piece,
/// as with a network card that cuts it.
#[derive(Debug)]
pub struct Wire {
    client: Namespace,
    server: Namespace,
}

impl Wire {
    /// Makes the namespaces and joins them.
    ///
    /// # Errors
    /// [`TunError::Unavailable`] when this may not be done here, or what else failed.
    pub fn start(_access: Access, mtu_bytes: u32) -> Result<Self, TunError> {
        if !MTU_BYTES.contains(&mtu_bytes) {
            let (least, most) = (MTU_BYTES.start(), MTU_BYTES.end());
            let refused =
                io::Error::new(io::ErrorKind::InvalidInput, format!("{least} to {most} bytes are possible"));
            return Err(TunError::failed(format!("have an MTU of {mtu_bytes}"))(refused));
        }
        let this = Self { client: Namespace::create()?, server: Namespace::create()? };
        let far = this.server.borrow();
        let made = this.client.run(|| Netlink::open()?.add(pair(far, mtu_bytes)));
        made.map_err(TunError::refused("make a pair of devices"))?;
        for side in Side::BOTH {
            let furnished = this.namespace(side).run(|| Ok(furnished(side)));
            furnished.map_err(TunError::refused("enter a network namespace"))??;
        }
        Ok(this)
    }

    /// One end.
    #[must_use]
    pub fn namespace(&self, side: Side) -> &Namespace {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

/// A pair of devices: one here, the other in the namespace behind a descriptor.
fn pair(far: BorrowedFd<'_>, mtu_bytes: u32) -> Vec<LinkAttribute> {
    let own = || vec![LinkAttribute::IfName(DEVICE.to_owned()), LinkAttribute::Mtu(mtu_bytes)];
    let mut peer = LinkMessage::default();
    peer.attributes = own();
    peer.attributes.push(LinkAttribute::NetNsFd(far.as_raw_fd()));
    let info = vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer)))];
    let mut attributes = own();
    attributes.push(LinkAttribute::LinkInfo(info));
    attributes
}

/// Furnishes the calling thread's namespace, in which its device is.
fn furnished(side: Side) -> Result<(), TunError> {
    settings::apply(TCP_BUFFER_BYTES)?;
    connect(side).map_err(TunError::refused("set the network of a namespace up"))
}

fn connect(side: Side) -> io::Result<()> {
    let netlink = Netlink::open()?;
    netlink.up(netlink.index("lo")?, Vec::new())?;
    let index = netlink.index(DEVICE)?;
    netlink.up(index, Vec::new())?;
    netlink.address(index, side.ipv4(), NETWORK.1)?;
    netlink.route(index, NETWORK, side.ipv4(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mtu_that_no_device_has_is_refused_in_words() {
        for mtu_bytes in [0, 1227, 65536] {
            let error = Wire::start(Access::Granted, mtu_bytes).expect_err("no MTU").to_string();
            assert!(error.contains("1228 to 65535"), "{error}");
        }
    }
}
