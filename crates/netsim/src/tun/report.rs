//! What a run over the link came to, and whether its figures count.

use serde::Serialize;

use crate::Counters;

/// Deliveries may be this late at the 99th percentile; the link's delay is not what was set otherwise.
pub(super) const LATENESS_LIMIT_MS: f64 = 1.0;

/// A thread that is busy for more than this share of a second has no reserve left. Linux lets real-time threads have at
/// most 0.95 of it.
pub(super) const BUSY_LIMIT: f64 = 0.9;

/// What a run over the link came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The profile's name.
    pub profile: String,
    /// What all chance came from.
    pub seed: u64,
    /// What was set on the routes, if anything.
    pub congestion: Option<&'static str>,
    /// Since the link was made.
    pub seconds: f64,
    /// From the client to the server.
    pub up: Carried,
    /// From the server to the client.
    pub down: Carried,
    /// The thread between the devices.
    pub emulator: Emulation,
    /// The client's end.
    pub client: Device,
    /// The server's end.
    pub server: Device,
    /// The machine during the run.
    pub machine: Machine,
    /// Why the figures do not count; empty when they do.
    pub spoilt: Vec<String>,
}

/// One way.
#[derive(Clone, Debug, Serialize)]
pub struct Carried {
    /// What the link did.
    #[serde(flatten)]
    pub link: Counters,
    /// Packets that have reached the other end so far, second copies included.
    pub arrived_packets: u64,
    /// Their bytes.
    pub arrived_bytes: u64,
}

/// How well the thread between the devices did.
#[derive(Clone, Debug, Serialize)]
pub struct Emulation {
    /// Whether it runs before every ordinary thread (`SCHED_FIFO`).
    pub realtime: bool,
    /// Why it does not.
    pub realtime_refused: Option<String>,
    /// How late packets were delivered.
    pub lateness: Lateness,
    /// Processor time, in seconds, the kernel's work for receivers included.
    pub cpu_s: f64,
    /// The same as a share of one processor.
    pub cpu_share: f64,
    /// The same in the busiest second.
    pub busiest_share: f64,
    /// The most bytes on their way at once.
    pub held_peak_bytes: u64,
    /// Packets for which there was no memory.
    pub overflow_packets: u64,
    /// Packets that a device refused.
    pub refused_packets: u64,
    /// Packets longer than the devices' MTU, which the kernel has not cut.
    pub uncut_packets: u64,
}

/// How late packets were delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lateness {
    /// Half of them no later than this, in milliseconds.
    pub p50_ms: f64,
    /// 99 % of them.
    pub p99_ms: f64,
    /// All of them.
    pub max_ms: f64,
}

/// One end of the link.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Device {
    /// Packets that the kernel had no room for between sender and emulator.
    pub ring_drops: u64,
    /// Packets from the emulator that the kernel dropped at the device.
    pub receive_drops: u64,
    /// Datagrams for which a receiver's buffer had no room: the receiver's loss, not the link's.
    pub udp_receive_overflows: u64,
}

/// The machine during the run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Machine {
    /// The share of all processors' time in which there was nothing to do.
    pub idle_share: f64,
    /// How many processors.
    pub cores: usize,
    /// The most that a UDP socket may buffer (`net.core.rmem_max`), which is the machine's and not a namespace's.
    pub rmem_max_bytes: Option<u64>,
}

/// Why figures do not count.
pub(super) fn reasons(emulator: &Emulation, devices: [&Device; 2]) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut when = |condition: bool, reason: String| {
        if condition {
            reasons.push(reason);
        }
    };
    let p99_ms = emulator.lateness.p99_ms;
    when(p99_ms > LATENESS_LIMIT_MS, format!("1 % of deliveries were {p99_ms:.1} ms late or more"));
    for (side, device) in ["client", "server"].into_iter().zip(devices) {
        let Device { ring_drops, receive_drops, .. } = device;
        when(*ring_drops > 0, format!("the {side}'s device dropped {ring_drops} packets before the link"));
        when(
            *receive_drops > 0,
            format!("the {side}'s device dropped {receive_drops} packets after the link"),
        );
    }
    let Emulation { overflow_packets, refused_packets, uncut_packets, busiest_share, .. } = emulator;
    when(*overflow_packets > 0, format!("the emulator had no memory for {overflow_packets} packets"));
    when(*refused_packets > 0, format!("a device refused {refused_packets} packets"));
    when(*uncut_packets > 0, format!("{uncut_packets} packets were longer than the MTU"));
    when(
        *busiest_share > BUSY_LIMIT,
        format!("the emulator was busy for {:.0} % of a second", busiest_share * 100.0),
    );
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Device = Device { ring_drops: 0, receive_drops: 0, udp_receive_overflows: 0 };

    fn emulation() -> Emulation {
        Emulation {
            realtime: true,
            realtime_refused: None,
            lateness: Lateness { p50_ms: 0.05, p99_ms: LATENESS_LIMIT_MS, max_ms: 9.0 },
            cpu_s: 1.0,
            cpu_share: 0.5,
            busiest_share: BUSY_LIMIT,
            held_peak_bytes: 0,
            overflow_packets: 0,
            refused_packets: 0,
            uncut_packets: 0,
        }
    }

    #[test]
    fn a_run_just_within_the_limits_counts() {
        let overflowed = Device { udp_receive_overflows: 9, ..FINE };
        assert_eq!(
            reasons(&emulation(), [&FINE, &overflowed]),
            Vec::<String>::new(),
            "the receiver's own loss"
        );
    }

    #[test]
    fn each_thing_that_went_wrong_is_a_reason() {
        let mut late = emulation();
        late.lateness.p99_ms = LATENESS_LIMIT_MS + 0.1;
        assert_eq!(reasons(&late, [&FINE; 2]), ["1 % of deliveries were 1.1 ms late or more"]);
        let dropped = Device { ring_drops: 3, receive_drops: 4, ..FINE };
        assert_eq!(
            reasons(&emulation(), [&FINE, &dropped]),
            [
                "the server's device dropped 3 packets before the link",
                "the server's device dropped 4 packets after the link"
            ]
        );
        let overrun = Emulation {
            overflow_packets: 1,
            refused_packets: 2,
            uncut_packets: 3,
            busiest_share: 0.97,
            ..emulation()
        };
        assert_eq!(
            reasons(&overrun, [&FINE; 2]),
            [
                "the emulator had no memory for 1 packets",
                "a device refused 2 packets",
                "3 packets were longer than the MTU",
                "the emulator was busy for 97 % of a second"
            ]
        );
    }
}
