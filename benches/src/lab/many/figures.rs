//! What the transfers of a line come to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Plan, Row, Task, plan::Target};
use crate::{
    contest::End,
    measure::stats::{self, Summary},
};

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    #[serde(flatten)]
    pub(super) task: Task,
    /// Also of those that were cut off; none when all failed.
    pub(super) seconds: Option<Summary>,
    /// How many were cut off, failed, and for how many the emulator was late.
    pub(super) stopped: usize,
    pub(super) failed: usize,
    pub(super) spoilt: usize,
    pub(super) count: usize,
    /// The fewest files that had arrived in the end.
    pub(super) least_arrived_files: u32,
    /// Why one failed.
    pub(super) reason: Option<String>,
    pub(super) verdicts: Vec<Verdict>,
}

/// How long fulmar took, in somebody's times.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Verdict {
    #[serde(flatten)]
    pub(super) target: Target,
    /// Taken within each round; none when there was nothing to compare.
    pub(super) ratio: Option<Summary>,
    /// None when the other was left out.
    pub(super) met: Option<bool>,
}

impl Figures {
    /// All lines, in order.
    pub(super) fn all(plan: &Plan, rows: &[Row]) -> Vec<Self> {
        plan.tasks().iter().map(|task| Self::of(plan, rows, *task)).collect()
    }

    fn of(plan: &Plan, rows: &[Row], task: Task) -> Self {
        let of = || of_task(rows, task);
        let how_many = |is: fn(&Row) -> bool| of().filter(|row| is(row)).count();
        let reason = of().find_map(|row| match &row.end {
            End::Failed(reason) => Some(reason.clone()),
            _ => None,
        });
        Self {
            task,
            seconds: Summary::of(seconds(rows, task).into_values()),
            stopped: how_many(|row| row.end == End::Stopped),
            failed: how_many(|row| matches!(row.end, End::Failed(_))),
            spoilt: how_many(|row| !row.lab.spoilt.is_empty()),
            count: how_many(|_| true),
            least_arrived_files: of().map(|row| row.arrived_files).min().unwrap_or(0),
            reason,
            verdicts: plan
                .targets(task)
                .into_iter()
                .map(|target| verdict(plan, rows, task, target))
                .collect(),
        }
    }

    /// Whether no target was missed and, of fulmar's own, everything arrived.
    pub(super) fn is_met(&self) -> bool {
        let arrived = !self.task.who.is_ours() || self.stopped + self.failed == 0;
        arrived && self.verdicts.iter().all(|verdict| verdict.met != Some(false))
    }

    /// Per second, of the median; not of one file.
    pub(super) fn files_per_s(&self) -> Option<f64> {
        (self.task.files() > 1).then_some(())?;
        Some(f64::from(self.least_arrived_files) / self.seconds?.median)
    }
}

fn verdict(plan: &Plan, rows: &[Row], task: Task, target: Target) -> Verdict {
    let other = Task { who: target.of, ..task };
    let ratio = stats::ratio(&seconds(rows, task), &seconds(rows, other));
    // What was never compared has not reached anything.
    let met = ratio.is_some_and(|ratio| ratio.median <= target.at_most);
    Verdict { target, ratio, met: plan.tasks().contains(&other).then_some(met) }
}

/// Of each round, how long it took; who was cut off would have taken longer, and who failed has no time.
fn seconds(rows: &[Row], task: Task) -> BTreeMap<u32, f64> {
    let rows = of_task(rows, task).filter(|row| !matches!(row.end, End::Failed(_)));
    rows.map(|row| (row.round, row.seconds)).collect()
}

fn of_task(rows: &[Row], task: Task) -> impl Iterator<Item = &Row> {
    rows.iter().filter(move |row| row.counts && row.task == task)
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::lab::table::testing::link_report;

    /// Transfers that take as long in every round as is said of their task.
    pub(in super::super) fn rows(plan: &Plan, seconds: impl Fn(Task) -> f64) -> Vec<Row> {
        let row = |planned: super::super::plan::Planned| Row {
            task: planned.task,
            bytes: planned.task.bytes(),
            round: planned.round,
            attempt: 0,
            counts: true,
            end: End::Finished,
            seconds: seconds(planned.task),
            arrived_files: planned.task.files(),
            lab: link_report(),
        };
        plan.transfers().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Who, plan::testing::plan},
        testing::rows,
        *,
    };

    /// One file takes 4 s, rsync `rsync_s` and everything of fulmar's `fulmar_s`.
    fn measured(fulmar_s: f64, rsync_s: f64) -> (Plan, Vec<Row>) {
        let plan = plan(&[]);
        let rows = rows(&plan, |task| match task.who {
            Who::FulmarOneFile => 4.0,
            Who::Fulmar => fulmar_s,
            Who::Rsync => rsync_s,
            Who::Scp => 150.0,
        });
        (plan, rows)
    }

    fn missed(figures: &[Figures]) -> Vec<(u32, Who)> {
        let verdicts =
            figures.iter().flat_map(|line| line.verdicts.iter().map(move |one| (line.task.count, one)));
        verdicts
            .filter(|(_, one)| one.met == Some(false))
            .map(|(count, one)| (count, one.target.of))
            .collect()
    }

    #[test]
    fn targets_are_met_or_missed_on_both_sides_of_them() {
        for (fulmar_s, rsync_s, expected) in [
            (6.3, 9.1, vec![]),
            (6.5, 9.4, vec![(10_000, Who::FulmarOneFile)]),
            (6.3, 8.9, vec![(1_000, Who::Rsync)]),
            (6.3, 6.2, vec![(10_000, Who::Rsync), (1_000, Who::Rsync)]),
        ] {
            let (plan, rows) = measured(fulmar_s, rsync_s);
            assert_eq!(missed(&Figures::all(&plan, &rows)), expected, "{fulmar_s} s, {rsync_s} s");
        }
    }

    #[test]
    fn who_was_left_out_is_no_miss_and_who_failed_is() {
        let (mut plan, rows) = measured(6.3, 9.1);
        plan.leave_out_ssh("none");
        let ours: Vec<Row> = rows.iter().filter(|row| row.task.who.is_ours()).cloned().collect();
        let figures = Figures::all(&plan, &ours);
        assert!(figures.iter().all(Figures::is_met));
        let verdicts: Vec<_> = figures.iter().flat_map(|line| &line.verdicts).map(|one| one.met).collect();
        assert_eq!(verdicts, [Some(true), None, None]);
        let failed = |who: Who| {
            let (plan, mut rows) = measured(6.3, 9.1);
            for row in rows.iter_mut().filter(|row| row.task.who == who) {
                row.end = End::Failed("lost".to_owned());
            }
            Figures::all(&plan, &rows)
        };
        let ours = failed(Who::Fulmar);
        assert!(!ours[1].is_met() && ours[1].seconds.is_none());
        assert_eq!((ours[1].failed, ours[1].reason.as_deref()), (3, Some("lost")));
        assert_eq!(
            missed(&failed(Who::Rsync)),
            [(10_000, Who::Rsync), (1_000, Who::Rsync)],
            "nothing to compare with"
        );
        assert!(failed(Who::Scp).iter().all(Figures::is_met), "nobody is compared with scp");
    }

    #[test]
    fn what_was_cut_off_or_does_not_count_is_told() {
        let (plan, mut rows) = measured(6.3, 9.1);
        for row in rows.iter_mut().filter(|row| row.task.who == Who::Scp) {
            (row.end, row.arrived_files) = (End::Stopped, 600 + row.round);
            row.counts = row.round != 0;
        }
        let figures = Figures::all(&plan, &rows);
        let scp = figures.last().expect("there");
        assert_eq!((scp.stopped, scp.count, scp.least_arrived_files), (2, 2, 601));
        assert!((scp.files_per_s().expect("measured") - 601.0 / 150.0).abs() < 1e-9);
    }
}
