//! The command line of the bench of many files.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub(in crate::lab) struct ManyArgs {
    /// How often everything is measured; the link's chance is the same for all of a round [default: 3; with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) rounds: Option<u32>,
    /// A look rather than a measurement: a tenth of the files
    #[arg(long)]
    pub(super) quick: bool,
    /// How often a transfer is made again for which the emulator was not on time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) repeats: u32,
    /// After how long scp is cut off, and everybody else given up
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) limit_s: u64,
    /// fulmar's program [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub(super) fulmar: Option<PathBuf>,
    /// What the bytes of the files and the chance of the first round come from
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1 << 32))]
    pub(super) seed: u64,
    /// Where the files are, sources and results
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    pub(super) dir: PathBuf,
    /// Write the conditions, every transfer and then every line of the table to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}
