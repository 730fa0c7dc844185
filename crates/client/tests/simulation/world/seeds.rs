//! Which seeds a test runs, and how a failure is repeated.

use std::{env, fs, path::PathBuf, thread};

use fulmar_netsim::virtual_net::Network;

/// How many seeds the campaign runs unless told otherwise. Other tests run more of theirs in proportion.
pub(crate) const CAMPAIGN_SEEDS: u64 = 200;

/// How many it runs in the long form, which `FULMAR_LONG=1` asks for.
const LONG_CAMPAIGN_SEEDS: u64 = 3000;

/// The seed of `FULMAR_SIM_SEED` alone; else `default` of them, in proportion to what `FULMAR_SIM_SEEDS` or the long form
/// makes of [`CAMPAIGN_SEEDS`], and in any case `kept`.
pub(crate) fn seeds(default: u64, kept: &[u64]) -> Vec<u64> {
    match (number("FULMAR_SIM_SEED"), number("FULMAR_SIM_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => {
            let count = (count.unwrap_or_else(usual) * default).div_ceil(CAMPAIGN_SEEDS);
            (0..count).chain(kept.iter().copied().filter(|seed| *seed >= count)).collect()
        }
    }
}

fn usual() -> u64 {
    let is_long = env::var_os("FULMAR_LONG").is_some_and(|value| value == "1");
    if is_long { LONG_CAMPAIGN_SEEDS } else { CAMPAIGN_SEEDS }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Writes every packet of a run to the file of `FULMAR_SIM_TRACE` when the run ends, however it ends.
pub(super) struct TraceFile {
    network: Network,
    path: PathBuf,
}

impl TraceFile {
    /// Begins to keep records, where there is such a file.
    pub(super) fn of(network: &Network) -> Option<Self> {
        let path = env::var_os("FULMAR_SIM_TRACE")?.into();
        network.keep_records();
        Some(Self { network: network.clone(), path })
    }
}

impl Drop for TraceFile {
    fn drop(&mut self) {
        let lines: String = self.network.trace().records.iter().map(|record| format!("{record}\n")).collect();
        if let Err(error) = fs::write(&self.path, lines) {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}

/// Says how to repeat a run that ends in a panic.
pub(crate) struct Repeat {
    seed: u64,
    done: bool,
}

impl Repeat {
    pub(crate) fn of(seed: u64) -> Self {
        Self { seed, done: false }
    }

    /// The run has ended well.
    pub(crate) fn done(mut self) {
        self.done = true;
    }

    /// The line that runs one seed of the current test.
    pub(crate) fn line(seed: u64) -> String {
        let test = thread::current().name().unwrap_or_default().to_owned();
        format!("FULMAR_SIM_SEED={seed} cargo test -p fulmar-client --test simulation -- --exact {test}")
    }
}

impl Drop for Repeat {
    fn drop(&mut self) {
        if !self.done {
            eprintln!("seed {} failed; to repeat it:\n    {}", self.seed, Self::line(self.seed));
        }
    }
}
