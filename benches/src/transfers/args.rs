//! What `fulmar-bench transfers` is told.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct TransfersArgs {
    /// The path of a plan [default: the one that comes with the program]
    #[arg(value_name = "PLAN")]
    pub(crate) plan: Option<PathBuf>,
    /// With how many seeds each case runs, instead of what the plan says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) seeds: Option<u32>,
    /// The first seed; the others follow
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=u64::MAX / 2))]
    pub(crate) first_seed: u64,
    /// Only the cases with this in their names
    #[arg(long, value_name = "SUBSTRING")]
    pub(crate) only: Option<String>,
    /// Only the cases with files of this length
    #[arg(long, value_name = "N")]
    pub(crate) bytes: Option<u64>,
    /// How many cases run at a time [default: one on each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Write every run to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
