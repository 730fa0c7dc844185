//! The command line of the matrix.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::contest::Direction;

#[derive(Args, Debug)]
pub(in crate::lab) struct CcArgs {
    /// Which way the files go
    #[arg(long, value_enum, default_value = "up")]
    pub(super) direction: Ways,
    /// Only the links with this in their names, as in the table
    #[arg(long, value_name = "SUBSTRING")]
    pub(super) only: Option<String>,
    /// How often everything is measured; the link's chance is the same for all contenders of a round [default: 3; with
    /// --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) rounds: Option<u32>,
    /// A look rather than a measurement: files of 25 MB, of which more is start-up than the targets are for
    #[arg(long)]
    pub(super) quick: bool,
    /// How often a transfer is made again for which the emulator was not on time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) repeats: u32,
    /// What the bytes of the files and the chance of the first round come from
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1 << 32))]
    pub(super) seed: u64,
    /// Where the files are, sources and results
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    pub(super) dir: PathBuf,
    /// Write the conditions, every transfer and then every cell to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

/// Which ways are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Ways {
    /// Uploads
    Up,
    /// Downloads
    Down,
    Both,
}

impl Ways {
    pub(super) fn directions(self) -> &'static [Direction] {
        match self {
            Self::Up => &[Direction::Upload],
            Self::Down => &[Direction::Download],
            Self::Both => &Direction::ALL,
        }
    }
}
