//! The command line.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    str::FromStr,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    contest::{Congestion, Contender, Direction, Part, Size},
    flows::FlowsArgs,
    lab::LabArgs,
    transfers::TransfersArgs,
};

/// Measures fulmar against TCP and TLS over TCP, side by side, and congestion controllers in simulations.
#[derive(Debug, Parser)]
#[command(name = "fulmar-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One file from a source to a staged, hashed, synced, published file, over the loopback interface
    Loopback(LoopbackArgs),
    /// Congestion controllers on links that lose packets, simulated in virtual time
    Flows(FlowsArgs),
    /// Whole transfers by the real client and server, in virtual time
    Transfers(TransfersArgs),
    /// Real programs over a link that loses and delays packets, in network namespaces of their own
    Lab(LabArgs),
    /// One side of one contender; started by the bench itself
    #[command(hide = true)]
    Side(SideArgs),
}

#[derive(Args, Debug)]
pub(crate) struct LoopbackArgs {
    /// Where the files are, sources and results; repeat it to run on several file systems
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    pub(crate) dir: Vec<PathBuf>,
    /// File sizes, with KiB, MiB or GiB
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "1MiB,16MiB,256MiB,1GiB")]
    pub(crate) sizes: Vec<Size>,
    /// Rounds of the largest files; up to 256 MiB take part in twice, up to 16 MiB in four times as many
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Only these ways
    #[arg(long, value_name = "WAYS", value_delimiter = ',', value_enum, default_value = "upload,download")]
    pub(crate) directions: Vec<Direction>,
    /// Only these contenders
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_enum, default_value = "tcp,tls,fulmar")]
    pub(crate) contenders: Vec<Contender>,
    /// Over a pair of Ethernet devices with this MTU between two network namespaces, instead of the loopback interface; 1500 is
    /// a network's. Offloads stay as the kernel sets them. Exit code 77 where no namespaces may be made
    #[arg(long, value_name = "BYTES")]
    pub(crate) mtu: Option<u32>,
    /// A look rather than a measurement: files up to 256 MiB, few rounds
    #[arg(long, conflicts_with_all = ["sizes", "rounds"])]
    pub(crate) quick: bool,
    /// What the bytes of the files are made from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write the conditions and then every transfer to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the goodput of the first DIR to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// What a side is told when it is started; everything else it is told on its standard input.
#[derive(Args, Debug)]
pub(crate) struct SideArgs {
    /// Which part it plays
    #[arg(value_enum)]
    pub(crate) part: Part,
    #[arg(long, value_enum)]
    pub(crate) contender: Contender,
    /// Where its files are
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Where its keys are
    #[arg(long)]
    pub(crate) state: PathBuf,
    /// Where the server is, as the server told
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// Where a server listens
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) listen: IpAddr,
    /// What a TCP socket sends by
    #[arg(long, value_enum)]
    pub(crate) congestion: Option<Congestion>,
    /// The keys of both sides know each other from an earlier start
    #[arg(long)]
    pub(crate) enrolled: bool,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit_bytes = match &text[digits.len()..] {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err("a size is a number with KiB, MiB or GiB".to_owned()),
        };
        let number: u64 = digits.parse().map_err(|_| format!("{digits:?} is no number"))?;
        let bytes = number.checked_mul(unit_bytes).filter(|bytes| *bytes > 0);
        bytes.map(Self).ok_or_else(|| format!("{text} is no size of a file"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_definition_is_sound_and_the_defaults_parse() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
        let Command::Loopback(args) = Cli::parse_from(["fulmar-bench", "loopback"]).command else {
            panic!("not loopback")
        };
        assert_eq!(args.sizes, [Size(1 << 20), Size(16 << 20), Size(256 << 20), Size(1 << 30)]);
        assert_eq!(args.rounds, 5);
    }

    #[test]
    fn sizes_need_a_number_and_a_unit() {
        for text in ["", "MiB", "0MiB", "1", "1MB", "-1MiB", "1.5GiB", "99999999999GiB", "1 MiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_size_is_shown_as_it_is_read(number in 1u64..1023, unit in 0usize..3) {
            let text = format!("{number}{}", ["KiB", "MiB", "GiB"][unit]);
            let size: Size = text.parse().expect("a size");
            prop_assert_eq!(size.to_string().replace(' ', ""), text);
        }

        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = text.parse::<Size>();
        }
    }
}
