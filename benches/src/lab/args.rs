//! The command line of the lab.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use fulmar_netsim::{Way, tun};

use super::{cc::CcArgs, many::ManyArgs, table::TableArgs};
use crate::contest::Congestion;

/// What follows `lab`.
#[derive(Args, Debug)]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    pub(super) command: LabCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum LabCommand {
    /// Run a command against a server, each at its end of a link, and tell what the link did
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Make a link that stays until `lab down`
    Up(LinkArgs),
    /// Run a command at one end of the link that is up
    Exec(ExecArgs),
    /// Tell what the link that is up has done so far, as JSON
    Status,
    /// Take the link down that is up, and clean up after labs that were killed
    Down,
    /// Measure how true a link is: round trip when idle, loss, one TCP flow
    Check(CheckArgs),
    /// Measure one TCP flow, and print it as JSON
    Tcp(TcpArgs),
    /// Measure TCP CUBIC, TCP BBR, TLS over TCP and fulmar side by side on bad links
    Table(TableArgs),
    /// Measure fulmar, TCP BBR and TCP CUBIC on links of two rates with 0 to 20 % loss, each against its target; exit code 1
    /// when one is missed
    Cc(CcArgs),
    /// Measure 10,000 and 1,000 files of 4 KiB against one file of the same bytes, and against rsync and scp over ssh with
    /// BBR, where they and sshd are installed; exit code 1 when a target is missed
    Many(ManyArgs),
    /// What stays after `lab up`; started by it
    #[command(hide = true)]
    Hold(LinkArgs),
    /// Enter a namespace and become a command; started by `lab run`
    #[command(hide = true)]
    Enter(EnterArgs),
}

const RUN_HELP: &str = "\
{server} in either command stands for the server's address (10.77.0.2); both have it in FULMAR_LAB_SERVER, too.
Exit code: that of COMMAND (128 + N when signal N ended it); 125 when the lab itself failed, 77 when no lab is possible
here (not root, and no user namespace or no /dev/net/tun for it), 127 and 126 when COMMAND is not found or cannot be run.

Example:
  fulmar-bench lab run --profile lossy-10 --congestion bbr --server 'iperf3 -s -1' -- iperf3 -c {server} -t 10";

/// Which link.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct LinkArgs {
    /// A named profile, or a file that holds one; without it a perfect wire
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) profile: Option<String>,
    /// What all chance comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// The congestion control of all TCP connections over the link [default: the system's]
    #[arg(long, value_enum)]
    pub(super) congestion: Option<Congestion>,
    /// This rate instead of the profile's, both ways
    #[arg(long, value_name = "N")]
    pub(super) rate_mbit: Option<f64>,
    /// This round trip instead of the profile's, half of it each way
    #[arg(long, value_name = "N")]
    pub(super) rtt_ms: Option<f64>,
    /// This ratio of loss instead of the profile's, both ways, after the queue
    #[arg(long, value_name = "R")]
    pub(super) loss: Option<f64>,
    /// This queue instead of the profile's, in products of rate and round trip
    #[arg(long, value_name = "X")]
    pub(super) buffer_bdp: Option<f64>,
}

impl From<Congestion> for tun::Congestion {
    fn from(congestion: Congestion) -> Self {
        match congestion {
            Congestion::Cubic => Self::Cubic,
            Congestion::Bbr => Self::Bbr,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SideArg {
    /// 10.77.0.1
    Client,
    /// 10.77.0.2
    Server,
}

impl From<SideArg> for tun::Side {
    fn from(side: SideArg) -> Self {
        match side {
            SideArg::Client => Self::Client,
            SideArg::Server => Self::Server,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum WayArg {
    /// From the client to the server
    Up,
    /// From the server to the client
    Down,
}

impl From<WayArg> for Way {
    fn from(way: WayArg) -> Self {
        match way {
            WayArg::Up => Self::Up,
            WayArg::Down => Self::Down,
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) link: LinkArgs,
    /// The server, as words of a shell without its expansions; its output goes to standard error
    #[arg(long, value_name = "COMMAND LINE")]
    pub(super) server: Option<String>,
    /// The server is ready when a line of its output contains this [default: when anybody in its namespace has a TCP socket
    /// that listens, or a UDP socket that is bound]
    #[arg(long, value_name = "TEXT", requires = "server")]
    pub(super) ready: Option<String>,
    /// How long to wait for that
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(super) ready_timeout_s: u64,
    /// Write what the link did to FILE, as JSON [default: standard error]
    #[arg(long, value_name = "FILE")]
    pub(super) counters: Option<PathBuf>,
    /// What to run at the client's end
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct ExecArgs {
    /// At which end
    #[arg(long, value_enum, default_value = "client")]
    pub(super) side: SideArg,
    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct EnterArgs {
    /// The namespace
    #[arg(long, value_name = "PATH")]
    pub(super) namespace: PathBuf,
    /// Who started this, and with whom the command is to end
    #[arg(long, value_name = "PID")]
    pub(super) parent: i32,
    /// What to become
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) link: LinkArgs,
    /// Round trips to measure, one after the other
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) echoes: u32,
    /// Packets to send each way for the loss
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) packets: u32,
    /// How long the TCP flow lasts; 0 for none
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub(super) seconds: u64,
    /// Write everything to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct TcpArgs {
    #[command(flatten)]
    pub(super) link: LinkArgs,
    /// Which way
    #[arg(long, value_enum, default_value = "up")]
    pub(super) way: WayArg,
    /// How long
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) seconds: u64,
    /// The beginning that the second figure leaves out; shorter than the whole
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(super) skip_seconds: u64,
}
