//! The command line of the bench of many files.

use std::path::PathBuf;

use clap::Args;

use crate::lab::measuring::Measuring;

#[derive(Args, Debug)]
pub(in crate::lab) struct ManyArgs {
    /// A look rather than a measurement: a tenth of the files
    #[arg(long)]
    pub(super) quick: bool,
    /// After how long scp is cut off, and everybody else given up
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) limit_s: u64,
    /// fulmar's program [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub(super) fulmar: Option<PathBuf>,
    #[command(flatten)]
    pub(super) measuring: Measuring,
    /// Write the conditions, every transfer and then every line of the table to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}
