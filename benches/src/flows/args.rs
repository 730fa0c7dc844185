//! What `fulmar-bench flows` is told.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct FlowsArgs {
    /// A built-in plan, or the path of one: with a slash, or ending in .toml
    #[arg(value_name = "PLAN", default_value = "stock")]
    pub(crate) plan: String,
    /// Names the built-in plans and stops
    #[arg(long)]
    pub(crate) list: bool,
    /// With how many seeds each case runs, instead of what the plan says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) seeds: Option<u32>,
    /// The first seed; the others follow
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=u64::MAX / 2))]
    pub(crate) first_seed: u64,
    /// Only the cases with this in their names
    #[arg(long, value_name = "SUBSTRING")]
    pub(crate) only: Option<String>,
    /// Only the few cases that the plan names for a quick look, with all their seeds
    #[arg(long)]
    pub(crate) quick: bool,
    /// How many cases run at a time [default: one on each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Write every run to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the rates and the queue of the first case with the first seed to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}
