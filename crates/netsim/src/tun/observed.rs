//! What the kernel counted, read from its text files.

use std::{fs, io};

/// What the kernel counted of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NamespaceCounts {
    /// Packets for which the ring between the kernel and the emulator had no room.
    pub(super) ring_drops: u64,
    /// Packets from the emulator that the kernel dropped at the device.
    pub(super) receive_drops: u64,
    /// Datagrams for which a socket's buffer had no room.
    pub(super) udp_overflows: u64,
}

impl NamespaceCounts {
    /// Of the calling thread's namespace.
    pub(super) fn read(device: &str) -> io::Result<Self> {
        let of_thread = |name: &str| fs::read_to_string(format!("/proc/thread-self/net/{name}"));
        let unknown = |what: &str| io::Error::other(format!("the kernel does not tell {what}"));
        let (receive_drops, ring_drops) =
            drops(&of_thread("dev")?, device).ok_or_else(|| unknown("a device's drops"))?;
        let udp_overflows =
            udp_overflows(&of_thread("snmp")?).ok_or_else(|| unknown("overflows of UDP buffers"))?;
        Ok(Self { ring_drops, receive_drops, udp_overflows })
    }
}

/// What a device dropped of what was received and of what was to be sent (`/proc/net/dev`).
fn drops(dev: &str, device: &str) -> Option<(u64, u64)> {
    let figures = dev.lines().find_map(|line| line.trim_start().strip_prefix(device)?.strip_prefix(':'))?;
    let figures: Vec<u64> = figures.split_whitespace().map_while(|figure| figure.parse().ok()).collect();
    Some((*figures.get(3)?, *figures.get(11)?))
}

/// `RcvbufErrors` of UDP (`/proc/net/snmp`: a line with names, then one with figures).
fn udp_overflows(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, figures) = (lines.next()?, lines.next()?);
    let (_, figure) =
        names.split_whitespace().zip(figures.split_whitespace()).find(|(name, _)| *name == "RcvbufErrors")?;
    figure.parse().ok()
}

/// Whether somebody can be reached in the calling thread's namespace: a TCP socket that listens, or a UDP socket that is
/// bound.
pub(super) fn somebody_listens() -> bool {
    ["tcp", "tcp6"].into_iter().any(|table| has_socket(table, "0A"))
        || ["udp", "udp6"].into_iter().any(|table| has_socket(table, "07"))
}

fn has_socket(table: &str, state: &str) -> bool {
    let text = fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
    any_in_state(&text, state)
}

/// Whether a table of sockets (proc(5)) has one in a state.
fn any_in_state(table: &str, state: &str) -> bool {
    table.lines().skip(1).any(|line| line.split_whitespace().nth(3) == Some(state))
}

/// Ticks of all processors since the machine was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    idle: u64,
    all: u64,
}

impl Ticks {
    pub(super) fn now() -> Self {
        // A machine that does not tell is shown with an idle share of zero.
        fs::read_to_string("/proc/stat").ok().and_then(|stat| Self::parse(&stat)).unwrap_or_default()
    }

    /// Idle and waiting for disks, of everything but what guests took, which is counted under user time as well.
    fn parse(stat: &str) -> Option<Self> {
        let figures = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let figures: Vec<u64> =
            figures.split_whitespace().map_while(|figure| figure.parse().ok()).take(8).collect();
        Some(Self { idle: figures.get(3)? + figures.get(4)?, all: figures.iter().sum() })
    }

    /// The share of the time since `earlier` in which the machine had nothing to do.
    pub(super) fn idle_share_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all);
        if all == 0 { 0.0 } else { self.idle.saturating_sub(earlier.idle) as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
fulmar0: 100    2    0    7    0     0          0         0        300       4    0   11    0     0       0          0
";

    #[test]
    fn drops_of_a_device_are_found() {
        assert_eq!(drops(DEV, "fulmar0"), Some((7, 11)));
        assert_eq!(drops(DEV, "lo"), Some((0, 0)));
        assert_eq!(drops(DEV, "fulmar"), None);
        assert_eq!(drops("", "lo"), None);
    }

    #[test]
    fn overflows_are_found_by_name() {
        let snmp = "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 5 0 3 9 3\n\
                    UdpLite: InDatagrams\nUdpLite: 0\n";
        assert_eq!(udp_overflows(snmp), Some(3));
        assert_eq!(udp_overflows("Udp: InDatagrams\nUdp: 5\n"), None);
    }

    #[test]
    fn a_listening_socket_is_told_from_a_connected_one() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
        let line = |state: &str| format!("   0: 0100007F:1538 00000000:0000 {state} 00000000:00000000\n");
        assert!(any_in_state(&format!("{head}{}{}", line("01"), line("0A")), "0A"));
        assert!(!any_in_state(&format!("{head}{}", line("01")), "0A"));
        assert!(!any_in_state(head, "0A"));
    }

    #[test]
    fn the_idle_share_is_of_the_time_between() {
        let then = Ticks::parse("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\n").expect("read");
        assert_eq!(then, Ticks { idle: 800, all: 1000 });
        let now = Ticks::parse("cpu  130 0 120 850 100 0 0 0 60 0\n").expect("read");
        assert_eq!(now.idle_share_since(then), 0.75);
        assert_eq!(now.idle_share_since(now), 0.0);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = (drops(&text, "lo"), udp_overflows(&text), any_in_state(&text, "07"), Ticks::parse(&text));
        }
    }
}
