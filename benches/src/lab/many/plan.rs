//! Who moves how many files, in which order, and what is expected.

use std::collections::BTreeSet;

use fulmar_netsim::{Direction, Loss, Profile};
use serde::Serialize;

use super::args::ManyArgs;

/// The length of each of the many files.
pub(super) const FILE_BYTES: u64 = 4096;

/// How many files there are in the long and in the short tree, and in those of a quick look.
const COUNTS: [u32; 2] = [10_000, 1_000];
const QUICK_COUNTS: [u32; 2] = [1_000, 100];

/// Who moves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Who {
    /// fulmar, and one file with as many bytes as all the others have.
    FulmarOneFile,
    Fulmar,
    Rsync,
    Scp,
}

impl Who {
    /// The name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::FulmarOneFile => "fulmar, one file of the same bytes",
            Self::Fulmar => "fulmar upload -r",
            Self::Rsync => "rsync -a over ssh, BBR",
            Self::Scp => "scp -r, BBR",
        }
    }

    /// Whether it comes with fulmar.
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::FulmarOneFile | Self::Fulmar)
    }
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Task {
    pub(super) who: Who,
    /// How many files there are, or would be if they were not one.
    pub(super) count: u32,
}

impl Task {
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.count) * FILE_BYTES
    }

    /// How many files are to arrive.
    pub(super) fn files(self) -> u32 {
        if self.who == Who::FulmarOneFile { 1 } else { self.count }
    }
}

/// The most that the median ratio of fulmar's time to somebody's may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Target {
    pub(super) of: Who,
    pub(super) at_most: f64,
}

/// One transfer that is to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) round: u32,
    pub(super) task: Task,
    /// What the link's chance comes from: the same for everything in a round.
    pub(super) seed: u64,
    /// After how long it is cut off.
    pub(super) limit_s: u64,
}

/// The order of everything. In each round everybody runs once, one right after the other; who begins changes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    tasks: Vec<Task>,
    /// Whether the counts are those that the targets are for.
    quick: bool,
    rounds: u32,
    seed: u64,
    limit_s: u64,
    /// Why rsync and scp are left out.
    left_out: Option<String>,
}

impl Plan {
    pub(super) fn new(args: &ManyArgs) -> Self {
        let [long, short] = if args.quick { QUICK_COUNTS } else { COUNTS };
        let of = |count, who: &[Who]| who.iter().map(|who| Task { who: *who, count }).collect::<Vec<_>>();
        let tasks = [
            of(long, &[Who::FulmarOneFile, Who::Fulmar, Who::Rsync]),
            of(short, &[Who::Fulmar, Who::Rsync, Who::Scp]),
        ];
        Self {
            tasks: tasks.concat(),
            quick: args.quick,
            rounds: args.measuring.rounds.unwrap_or(if args.quick { 1 } else { 3 }),
            seed: args.measuring.seed,
            limit_s: args.limit_s,
            left_out: None,
        }
    }

    /// Leaves rsync and scp out, for a reason.
    pub(super) fn leave_out_ssh(&mut self, why: &str) {
        self.tasks.retain(|task| task.who.is_ours());
        self.left_out = Some(why.to_owned());
    }

    pub(super) fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    pub(super) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub(super) fn rounds(&self) -> u32 {
        self.rounds
    }

    pub(super) fn limit_s(&self) -> u64 {
        self.limit_s
    }

    /// How many files the trees have.
    pub(super) fn counts(&self) -> BTreeSet<u32> {
        self.tasks.iter().map(|task| task.count).collect()
    }

    /// What is expected of a task.
    pub(super) fn targets(&self, task: Task) -> Vec<Target> {
        let [long, _] = if self.quick { QUICK_COUNTS } else { COUNTS };
        match (task.who, task.count == long) {
            (Who::Fulmar, true) => {
                vec![Target { of: Who::FulmarOneFile, at_most: 1.6 }, Target { of: Who::Rsync, at_most: 1.0 }]
            }
            (Who::Fulmar, false) => vec![Target { of: Who::Rsync, at_most: 0.7 }],
            _ => Vec::new(),
        }
    }

    /// All transfers, in order.
    pub(super) fn transfers(&self) -> impl Iterator<Item = Planned> {
        let count = self.tasks.len();
        (0..self.rounds).flat_map(move |round| {
            let turn = usize::try_from(round).unwrap_or(0);
            (0..count).map(move |place| Planned {
                round,
                task: self.tasks[(place + turn) % count],
                seed: self.seed + u64::from(round),
                limit_s: self.limit_s,
            })
        })
    }
}

/// The link: 100 Mbit/s, 50 ms, every hundredth packet lost, both ways.
pub(super) fn link() -> Profile {
    let both = Direction {
        rate_mbit_per_s: Some(100.0),
        delay_ms: 25.0,
        loss_after_queue: Some(Loss::Bernoulli(0.01)),
        ..Direction::default()
    };
    Profile::symmetric("100M 50ms 1%", both)
}

#[cfg(test)]
pub(super) mod testing {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ManyArgs,
    }

    /// What these words make.
    pub(in super::super) fn plan(words: &[&str]) -> Plan {
        Plan::new(&Line::parse_from(std::iter::once(&"many").chain(words)).args)
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::plan, *};

    #[test]
    fn six_tasks_are_done_three_times_and_who_begins_changes() {
        let plan = plan(&[]);
        let all: Vec<Planned> = plan.transfers().collect();
        assert_eq!((all.len(), plan.tasks().len()), (18, 6));
        for round in all.chunks(6) {
            assert!(
                round
                    .iter()
                    .all(|one| (one.round, one.seed) == (round[0].round, 1 + u64::from(round[0].round)))
            );
            assert_eq!(round.iter().map(|one| one.task).collect::<BTreeSet<_>>().len(), 6);
            assert_eq!(round[0].task, plan.tasks()[round[0].round as usize]);
        }
        assert_eq!(plan.counts(), BTreeSet::from([1_000, 10_000]));
        let one = Task { who: Who::FulmarOneFile, count: 10_000 };
        assert_eq!((one.bytes(), one.files()), (40_960_000, 1));
        assert!(link().check().is_ok());
    }

    #[test]
    fn targets_are_for_fulmar_with_many_files() {
        let plan = plan(&[]);
        let of = |who, count| {
            let targets = plan.targets(Task { who, count });
            targets.into_iter().map(|target| (target.of, target.at_most)).collect::<Vec<_>>()
        };
        assert_eq!(of(Who::Fulmar, 10_000), [(Who::FulmarOneFile, 1.6), (Who::Rsync, 1.0)]);
        assert_eq!(of(Who::Fulmar, 1_000), [(Who::Rsync, 0.7)]);
        assert!(of(Who::Rsync, 10_000).is_empty() && of(Who::FulmarOneFile, 10_000).is_empty());
    }

    #[test]
    fn without_ssh_fulmar_is_alone_and_it_is_known_why() {
        let mut plan = plan(&["--quick"]);
        assert_eq!((plan.rounds(), plan.counts()), (1, BTreeSet::from([100, 1_000])));
        plan.leave_out_ssh("there is no sshd");
        assert_eq!(plan.left_out(), Some("there is no sshd"));
        assert_eq!(plan.transfers().count(), 3);
        assert!(plan.tasks().iter().all(|task| task.who.is_ours()));
    }
}
