//! Two namespaces, joined.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    num::NonZero,
    os::fd::OwnedFd,
    sync::{
        Arc, OnceLock,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use netlink_packet_route::link::LinkAttribute;
use rustix::{
    event::{EventfdFlags, eventfd},
    io::write,
};
use serde::{Deserialize, Serialize};
use tappers::{Interface, linux::Tun};

use super::{
    Access, MTU_BYTES, Namespace, TunError,
    emulator::{Emulator, Observation, Request},
    netlink::Netlink,
    observed::{NamespaceCounts, Ticks, somebody_listens},
    report::{Carried, Device, Emulation, Machine, Report, reasons},
    settings,
};
use crate::{Link, Profile, Way};

/// The device's name in both namespaces.
pub(super) const DEVICE: &str = "fulmar0";

/// Packets that wait for the emulator: a window of TCP arrives at once, since a TUN device does not slow its sender down.
const RING_PACKETS: u32 = 10_000;

/// The network of both ends.
pub(super) const NETWORK: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 77, 0, 0), 24);

/// One end of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where packets up come from.
    Client,
    /// Where packets down come from.
    Server,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// Its address on the link.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.ipv4().into()
    }

    pub(super) fn ipv4(self) -> Ipv4Addr {
        match self {
            Self::Client => Ipv4Addr::new(10, 77, 0, 1),
            Self::Server => Ipv4Addr::new(10, 77, 0, 2),
        }
    }
}

/// TCP's congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// RFC 9438, Linux's default.
    Cubic,
    /// BBR version 1, as Linux has it.
    Bbr,
}

impl Congestion {
    /// The kernel's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }
}

/// What a lab is made after.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The link.
    pub profile: Profile,
    /// What all chance comes from.
    pub seed: u64,
    /// Of all TCP connections over the link; the system's own when it is none.
    pub congestion: Option<Congestion>,
}

/// Two namespaces, joined. It ends when it is dropped; namespaces live on while processes are in them, but nothing passes
/// between them any more.
#[derive(Debug)]
pub struct Lab {
    plan: Plan,
    client: Namespace,
    server: Namespace,
    requests: Sender<Request>,
    bell: Arc<OwnedFd>,
    emulator: Option<JoinHandle<()>>,
    /// Why the emulator has ended early.
    end: Arc<OnceLock<String>>,
    began: Ticks,
}

impl Lab {
    /// Makes the namespaces and joins them.
    ///
    /// # Errors
    /// [`TunError::Unavailable`] when this may not be done here, or what else failed.
    pub fn start(_access: Access, plan: Plan) -> Result<Self, TunError> {
        let link = Link::new(&plan.profile, plan.seed)?;
        let buffer_bytes = settings::tcp_buffer_bytes(&plan.profile);
        let made = |side| made(side, plan.congestion, buffer_bytes);
        let (client, client_device) = made(Side::Client)?;
        let (server, server_device) = made(Side::Server)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from);
        let bell = Arc::new(bell.map_err(TunError::failed("make an event descriptor"))?);
        let (requests, asked) = mpsc::channel();
        let emulator = Emulator::new(link, [client_device, server_device], asked, Arc::clone(&bell));
        let (began, end) = (Ticks::now(), Arc::new(OnceLock::new()));
        let emulator = thread::Builder::new()
            .name("emulator".to_owned())
            .spawn({
                let end = Arc::clone(&end);
                move || emulator.run(&end)
            })
            .map_err(TunError::failed("start a thread"))?;
        Ok(Self { plan, client, server, requests, bell, emulator: Some(emulator), end, began })
    }

    /// One end.
    #[must_use]
    pub fn namespace(&self, side: Side) -> &Namespace {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// Whether somebody can be reached at one end: a TCP socket that listens or a UDP socket that is bound.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn somebody_listens(&self, side: Side) -> Result<bool, TunError> {
        self.namespace(side).run(|| Ok(somebody_listens())).map_err(TunError::failed("look at sockets"))
    }

    /// What happened so far.
    ///
    /// # Errors
    /// [`TunError::Stopped`] when the emulator has ended early; or when the kernel does not tell something.
    pub fn report(&self) -> Result<Report, TunError> {
        let (answer, observation) = mpsc::sync_channel(1);
        self.ask(Request::Observe(answer));
        let observation = observation.recv().map_err(|_| self.stopped())?;
        let [client, server] = Side::BOTH.map(|side| {
            let counted = self.namespace(side).run(|| NamespaceCounts::read(DEVICE));
            counted.map(device).map_err(TunError::failed("read the kernel's counters"))
        });
        let (client, server) = (client?, server?);
        let emulator = emulation(&observation);
        Ok(Report {
            profile: self.plan.profile.name.clone(),
            seed: self.plan.seed,
            congestion: self.plan.congestion.map(Congestion::name),
            seconds: observation.elapsed.as_secs_f64(),
            up: carried(&observation, Way::Up),
            down: carried(&observation, Way::Down),
            spoilt: reasons(&emulator, [&client, &server]),
            emulator,
            client,
            server,
            machine: machine(self.began),
        })
    }

    fn stopped(&self) -> TunError {
        TunError::Stopped(self.end.get().map_or("its thread panicked", String::as_str).to_owned())
    }

    fn ask(&self, request: Request) {
        // When the other end is gone, whoever waits for the answer learns it there.
        let _ = self.requests.send(request);
        let _ = write(&*self.bell, &1u64.to_ne_bytes());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.ask(Request::Stop);
        if let Some(emulator) = self.emulator.take() {
            // How it ended is told to whoever asks for a report.
            let _ = emulator.join();
        }
    }
}

/// A namespace with its device.
fn made(side: Side, congestion: Option<Congestion>, buffer_bytes: u64) -> Result<(Namespace, Tun), TunError> {
    let namespace = Namespace::create()?;
    let device = namespace
        .run(|| Ok(furnished(side, congestion, buffer_bytes)))
        .map_err(TunError::refused("enter a network namespace"))?;
    Ok((namespace, device?))
}

/// Furnishes the calling thread's namespace.
fn furnished(side: Side, congestion: Option<Congestion>, buffer_bytes: u64) -> Result<Tun, TunError> {
    settings::apply(buffer_bytes)?;
    let device =
        Interface::new(DEVICE).and_then(Tun::create_named).map_err(TunError::refused("make a TUN device"))?;
    device.set_nonblocking(true).map_err(TunError::failed("set the TUN device up"))?;
    connect(side, congestion).map_err(|error| match congestion {
        // So answers the kernel when it knows no algorithm of that name.
        Some(congestion) if error.kind() == io::ErrorKind::InvalidInput => TunError::Unavailable(format!(
            "this kernel has no congestion control {} (as root: modprobe tcp_{0})",
            congestion.name()
        )),
        _ => TunError::refused("set the network of a namespace up")(error),
    })?;
    Ok(device)
}

/// Brings the devices up and sets address and route.
fn connect(side: Side, congestion: Option<Congestion>) -> io::Result<()> {
    let netlink = Netlink::open()?;
    netlink.up(netlink.index("lo")?, Vec::new())?;
    let index = netlink.index(DEVICE)?;
    netlink.up(index, vec![LinkAttribute::Mtu(MTU_BYTES), LinkAttribute::TxQueueLen(RING_PACKETS)])?;
    netlink.address(index, side.ipv4(), NETWORK.1)?;
    netlink.route(index, NETWORK, side.ipv4(), congestion.map(Congestion::name))
}

fn carried(observation: &Observation, way: Way) -> Carried {
    let index = match way {
        Way::Up => 0,
        Way::Down => 1,
    };
    let (arrived_packets, arrived_bytes) = observation.arrived[index];
    Carried { link: observation.counters[index].clone(), arrived_packets, arrived_bytes }
}

fn emulation(observation: &Observation) -> Emulation {
    let cpu_s = observation.cpu.as_secs_f64();
    Emulation {
        realtime: observation.realtime.is_ok(),
        realtime_refused: observation.realtime.clone().err(),
        lateness: observation.lateness,
        cpu_s,
        busiest_share: observation.busiest_share,
        cpu_share: cpu_s / observation.elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
        held_peak_bytes: observation.held_peak_bytes,
        overflow_packets: observation.overflow_packets,
        refused_packets: observation.refused_packets,
        uncut_packets: observation.uncut_packets,
    }
}

fn device(counts: NamespaceCounts) -> Device {
    Device {
        ring_drops: counts.ring_drops,
        receive_drops: counts.receive_drops,
        udp_receive_overflows: counts.udp_overflows,
    }
}

fn machine(began: Ticks) -> Machine {
    let rmem_max = fs::read_to_string("/proc/sys/net/core/rmem_max").ok();
    Machine {
        idle_share: Ticks::now().idle_share_since(began),
        cores: thread::available_parallelism().map_or(1, NonZero::get),
        rmem_max_bytes: rmem_max.and_then(|text| text.trim().parse().ok()),
    }
}
