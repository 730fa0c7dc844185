//! The command line of the matrix.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{contest::Direction, lab::measuring::Measuring};

#[derive(Args, Debug)]
pub(in crate::lab) struct CcArgs {
    /// Which way the files go
    #[arg(long, value_enum, default_value = "up")]
    pub(super) direction: Ways,
    /// Only the links with this in their names, as in the table
    #[arg(long, value_name = "SUBSTRING")]
    pub(super) only: Option<String>,
    /// A look rather than a measurement: files of 25 MB, of which more is start-up than the targets are for
    #[arg(long)]
    pub(super) quick: bool,
    #[command(flatten)]
    pub(super) measuring: Measuring,
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
