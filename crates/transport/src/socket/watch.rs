//! What the system tells of a socket: its buffers, and what was dropped because they were full.
//!
//! Linux counts for each socket the datagrams that found its receive queue full and shows the count in the last column of
//! `/proc/net/udp` and `/proc/net/udp6` (proc_pid_net(5)). A socket's line is the one with its inode. Other systems count for the
//! whole machine at most, which says nothing about one socket, so nothing is told there.

use std::net::UdpSocket;

use super::SocketBuffers;

/// The tables with a line for each socket, IPv4 first.
const TABLES: [&str; 2] = ["/proc/self/net/udp", "/proc/self/net/udp6"];

/// Where the socket's inode stands in a line, counted from 0.
const INODE_COLUMN: usize = 9;

/// Where the drops stand.
const DROPS_COLUMN: usize = 12;

/// What can be asked about a socket while it is open. Knows nothing of the sockets of a virtual network.
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketWatch {
    buffers: Option<SocketBuffers>,
    inode: Option<u64>,
}

impl SocketWatch {
    /// Takes note of a socket of the system's.
    pub(crate) fn of(socket: &UdpSocket) -> Self {
        Self { buffers: SocketBuffers::of(socket).ok(), inode: inode(socket) }
    }

    /// The socket's buffers, where the system tells them.
    #[must_use]
    pub fn buffers(&self) -> Option<SocketBuffers> {
        self.buffers
    }

    /// How many datagrams have found the receive queue full since the socket was opened, of all connections on it; none where the
    /// system does not tell. Reads a table of the system's, so it belongs on a thread for blocking work.
    #[must_use]
    pub fn dropped_datagrams(&self) -> Option<u64> {
        let inode = self.inode?;
        TABLES.iter().find_map(|table| drops(&std::fs::read_to_string(table).ok()?, inode))
    }
}

#[cfg(target_os = "linux")]
fn inode(socket: &UdpSocket) -> Option<u64> {
    rustix::fs::fstat(socket).ok().map(|stat| stat.st_ino)
}

#[cfg(not(target_os = "linux"))]
fn inode(_: &UdpSocket) -> Option<u64> {
    None
}

/// The drops in the line with this inode. A line that is not of the known form is passed over.
fn drops(table: &str, inode: u64) -> Option<u64> {
    // A socket that is gone, or not bound yet, has no inode there.
    let inode = Some(inode).filter(|inode| *inode > 0)?;
    table.lines().find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let found: u64 = columns.nth(INODE_COLUMN)?.parse().ok()?;
        if found != inode {
            return None;
        }
        columns.nth(DROPS_COLUMN - INODE_COLUMN - 1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use socket2::SockRef;

    use super::*;

    const TABLE: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  532: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000   107        0 20841 2 0000000000000000 17
  647: 0100007F:A55C 00000000:0000 07 00000000:00035400 00:00000000 00000000  1000        0 66012 2 0000000000000000 4294967295
100647: 0100007F:A55D 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 0 2 0000000000000000 5
";

    #[test]
    fn the_line_is_found_by_its_inode() {
        assert_eq!(drops(TABLE, 20_841), Some(17));
        assert_eq!(drops(TABLE, 66_012), Some(4_294_967_295));
        assert_eq!(drops(TABLE, 2084), None);
        assert_eq!(drops(TABLE, 0), None);
        assert_eq!(drops("", 20_841), None);
    }

    #[test]
    fn what_finds_the_queue_full_is_counted() {
        let socket = crate::socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let watch = SocketWatch::of(&socket);
        let Some(before) = watch.dropped_datagrams() else {
            println!("skipped: this system does not tell what a socket dropped");
            return;
        };
        assert_eq!(before, 0);
        SockRef::from(&socket).set_recv_buffer_size(4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sent = 200;
        for _ in 0..sent {
            sender.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        let received = std::iter::from_fn(|| socket.recv(&mut [0; 1000]).ok()).count() as u64;
        let dropped = watch.dropped_datagrams().unwrap();
        assert!(dropped > 0, "all {received} fit into 4 KiB");
        assert_eq!(received + dropped, sent);
    }

    #[test]
    fn a_socket_of_ipv6_is_found_too() {
        if !crate::socket::ipv6_available() {
            println!("skipped: this machine has no IPv6");
            return;
        }
        let sockets = [UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("[::1]:0").unwrap()];
        let told = sockets.each_ref().map(|socket| SocketWatch::of(socket).dropped_datagrams());
        assert_eq!(told[0].is_some(), told[1].is_some(), "{told:?}");
    }

    proptest! {
        #[test]
        fn no_table_panics_and_a_whole_line_is_read(
            before in "[ -~\n]{0,80}",
            after in "[ -~\n]{0,80}",
            inode in 1_000_000u64..,
            dropped: u32,
        ) {
            let _ = drops(&before, inode);
            let line = format!("1: 0:0 0:0 07 0:0 00:0 0 1000 0 {inode} 2 0 {dropped}");
            let table = format!("{before}\n{line}\n{after}");
            prop_assert_eq!(drops(&table, inode), Some(u64::from(dropped)));
            // Cut anywhere, it is not taken for another number than a beginning of the right one.
            let cut = drops(&line[..line.len() - 1], inode);
            prop_assert!(cut.is_none_or(|cut| cut <= u64::from(dropped)));
        }
    }
}
