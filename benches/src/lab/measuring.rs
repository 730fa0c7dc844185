//! What every comparison over emulated links is told.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub(in crate::lab) struct Measuring {
    /// How often everything is measured; the link's chance is the same for all contenders of a round [default: 3; with
    /// --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(in crate::lab) rounds: Option<u32>,
    /// How often a transfer is made again for which the emulator was not on time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(in crate::lab) repeats: u32,
    /// What the bytes of the files and the chance of the first round come from
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1 << 32))]
    pub(in crate::lab) seed: u64,
    /// Where the files are, sources and results
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    pub(in crate::lab) dir: PathBuf,
}
