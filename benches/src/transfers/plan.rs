//! Which files are moved over which links, and what has to be reached.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use fulmar_netsim::{Direction, Loss, Profile, profile::Queue};
use fulmar_proto::text::Escaped;
use serde::{Deserialize, Serialize};

/// The plan that comes with the program.
const BUILTIN: &str = include_str!("../../plans/transfers.toml");

/// More cases than this are a slip of the pen.
const MAX_CASES: usize = 5000;

/// The longest file, in bytes: all of it is held in memory, at the server and in the file system.
const MAX_BYTES: u64 = 4 << 30;

/// Everything that a plan says.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) description: String,
    /// With how many seeds each case runs, unless the command line says otherwise.
    pub(crate) seeds: u32,
    pub(crate) cases: Vec<Case>,
}

/// One file over one link.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) profile: Profile,
    /// Packets arrive and timers fire at whole milliseconds only, as behind an interrupt that waits for company.
    pub(crate) bunched: bool,
    /// Another connection went before, so that something is known of the path.
    pub(crate) known: bool,
    pub(crate) way: Way,
    pub(crate) bytes: u64,
    pub(crate) targets: Vec<Target>,
}

/// Which way a file goes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Up,
    Down,
}

/// What the cases with a word in their names have to reach.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    of: String,
    /// Of the share of what the link could have carried.
    pub(crate) share: Option<Bound>,
    /// Of the time.
    pub(crate) seconds: Option<Bound>,
}

/// Bounds on one figure. Nine of ten runs are at least as good as its `p90`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Bound {
    pub(crate) median_at_least: Option<f64>,
    pub(crate) p90_at_least: Option<f64>,
    pub(crate) median_at_most: Option<f64>,
    pub(crate) p90_at_most: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    description: String,
    seeds: u32,
    matrix: Vec<Matrix>,
    #[serde(default)]
    target: Vec<Target>,
}

/// Links crossed with files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    rates_mbit_per_s: Vec<f64>,
    rtts_ms: Vec<f64>,
    losses: Vec<f64>,
    #[serde(default = "one_bdp")]
    buffer_bdp: f64,
    #[serde(default = "exact")]
    bunched: Vec<bool>,
    #[serde(default)]
    known: bool,
    bytes: Vec<u64>,
    ways: Vec<Way>,
}

fn exact() -> Vec<bool> {
    vec![false]
}

fn one_bdp() -> f64 {
    1.0
}

/// The plan at `path`, or the one that comes with the program.
pub(crate) fn load(path: Option<&Path>) -> Result<Plan> {
    let Some(path) = path else { return Plan::parse(BUILTIN).context("the plan transfers") };
    let shown = || format!("plan {}", Escaped(&path.to_string_lossy()));
    let text = fs::read_to_string(path).with_context(shown)?;
    Plan::parse(&text).with_context(shown)
}

impl Plan {
    /// Reads a plan and checks everything in it.
    fn parse(text: &str) -> Result<Self> {
        // The error of the parser would show lines of the file as they are.
        let written: Written =
            toml::from_str(text).map_err(|error| anyhow::anyhow!("{}", Escaped(error.message())))?;
        ensure!((1..=10_000).contains(&written.seeds), "seeds is out of range: 1 to 10,000");
        let mut cases = Vec::new();
        for matrix in &written.matrix {
            matrix.cases(&written.target, &mut cases)?;
        }
        ensure!(!cases.is_empty(), "the plan has no cases");
        for target in &written.target {
            if !cases.iter().any(|case| target.is_of(&case.name)) {
                bail!("a target is of {:?}, which no case has in its name", target.of);
            }
        }
        let Written { name, description, seeds, .. } = written;
        Ok(Self { name, description, seeds, cases })
    }

    /// Keeps the cases with `word` in their names, and of these the ones with files of `bytes`.
    pub(crate) fn keep(&mut self, word: &str, bytes: Option<u64>) {
        self.cases.retain(|case| case.name.contains(word) && bytes.is_none_or(|bytes| case.bytes == bytes));
    }
}

impl Target {
    /// Names are compared by words, since `1MB` is in `11MB`.
    fn is_of(&self, case: &str) -> bool {
        let (words, case): (Vec<&str>, Vec<&str>) = (self.of.split(' ').collect(), case.split(' ').collect());
        case.windows(words.len()).any(|window| window == words)
    }
}

impl Matrix {
    fn cases(&self, targets: &[Target], cases: &mut Vec<Case>) -> Result<()> {
        for &rate_mbit_per_s in &self.rates_mbit_per_s {
            for &rtt_ms in &self.rtts_ms {
                for &loss in &self.losses {
                    let profile = self.profile(rate_mbit_per_s, rtt_ms, loss)?;
                    for &bunched in &self.bunched {
                        self.files(&profile, bunched, targets, cases)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn files(
        &self,
        profile: &Profile,
        bunched: bool,
        targets: &[Target],
        cases: &mut Vec<Case>,
    ) -> Result<()> {
        let bunched_word = if bunched { " bunched" } else { "" };
        let known_word = if self.known { " known" } else { "" };
        for &bytes in &self.bytes {
            ensure!((1..=MAX_BYTES).contains(&bytes), "bytes is out of range: 1 to {MAX_BYTES}");
            for &way in &self.ways {
                ensure!(cases.len() < MAX_CASES, "a plan has at most {MAX_CASES} cases");
                let name =
                    format!("{}{bunched_word}{known_word} {} {}", profile.name, amount(bytes), way.word());
                let targets = targets.iter().filter(|target| target.is_of(&name)).cloned().collect();
                let (profile, known) = (profile.clone(), self.known);
                cases.push(Case { name, profile, bunched, known, way, bytes, targets });
            }
        }
        Ok(())
    }

    fn profile(&self, rate_mbit_per_s: f64, rtt_ms: f64, loss: f64) -> Result<Profile> {
        let percent = (loss * 1e8).round() / 1e6;
        let direction = Direction {
            rate_mbit_per_s: Some(rate_mbit_per_s),
            queue: Queue::Bdp(self.buffer_bdp),
            delay_ms: rtt_ms / 2.0,
            // What is no ratio must not pass for no loss: the model refuses it.
            loss_after_queue: (loss != 0.0).then_some(Loss::Bernoulli(loss)),
            ..Direction::default()
        };
        let profile = Profile::symmetric(&format!("{rate_mbit_per_s}M {rtt_ms}ms {percent}%"), direction);
        profile.check().with_context(|| profile.name.clone())?;
        Ok(profile)
    }
}

impl Way {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// An amount in the largest unit that gives a whole number.
fn amount(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1_000_000) => format!("{}MB", bytes / 1_000_000),
        _ if bytes.is_multiple_of(1000) => format!("{}kB", bytes / 1000),
        _ => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "\
name = 'small'
seeds = 2
[[matrix]]
rates_mbit_per_s = [10]
rtts_ms = [20]
losses = [0, 0.1]
bytes = [1_000_000, 11_000_000]
ways = ['up', 'down']
[[target]]
of = '0% 1MB'
share = { median_at_least = 0.5 }
";

    #[test]
    fn the_plan_that_comes_along_has_a_target_for_every_unknown_path() {
        let plan = load(None).expect("a plan");
        assert_eq!((plan.cases.len(), plan.seeds), (48, 25));
        // What a known path brings is shown; what has to be reached is so from nothing.
        let targets = |case: &Case| if case.known { 0 } else { 1 };
        assert!(plan.cases.iter().all(|case| case.targets.len() == targets(case)));
    }

    #[test]
    fn a_target_is_of_whole_words() {
        let plan = Plan::parse(PLAN).expect("a plan");
        let with_target: Vec<&str> = plan
            .cases
            .iter()
            .filter(|case| !case.targets.is_empty())
            .map(|case| case.name.as_str())
            .collect();
        assert_eq!(with_target, ["10M 20ms 0% 1MB up", "10M 20ms 0% 1MB down"]);
    }

    #[test]
    fn cases_are_kept_by_word_and_length() {
        let mut plan = Plan::parse(PLAN).expect("a plan");
        plan.keep("10% ", Some(1_000_000));
        let names: Vec<&str> = plan.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["10M 20ms 10% 1MB up", "10M 20ms 10% 1MB down"]);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for (from, to) in [
            ("seeds = 2", "seeds = 0"),
            ("0.1]", "1.1]"),
            ("[10]", "[-1]"),
            ("1_000_000", "0"),
            ("1MB'", "2MB'"),
            ("ways = ['up', 'down']", "ways = []"),
            ("name", "nome"),
        ] {
            assert!(Plan::parse(&PLAN.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
