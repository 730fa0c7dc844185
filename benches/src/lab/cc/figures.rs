//! What the transfers over a link come to, and which targets that misses.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    plan::{ENTRANTS, Plan},
    targets::{Of, Target, targets},
};
use crate::{
    contest::{Direction, End},
    lab::table::{Entrant, Row},
    measure::stats::{self, Summary},
};

/// A place in the table: a link and a direction.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cell {
    /// Its place among the links.
    #[serde(skip)]
    pub(super) place: usize,
    pub(super) link: String,
    pub(super) direction: Direction,
    pub(super) contenders: Vec<Course>,
    pub(super) verdicts: Vec<Verdict>,
}

/// What one contender made of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Course {
    pub(super) contender: Entrant,
    /// None when it never ran.
    pub(super) goodput_mbit_per_s: Option<Summary>,
    /// How many of the transfers were stopped at their limit, how many failed, and for how many the emulator was late.
    pub(super) stopped: usize,
    pub(super) failed: usize,
    pub(super) spoilt: usize,
    pub(super) count: usize,
}

/// How fulmar compares with something, and how it should.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) of: Of,
    /// Taken within each round; none when there was nothing to compare.
    pub(super) ratio: Option<Summary>,
    /// None where nothing is expected.
    pub(super) at_least: Option<f64>,
    pub(super) met: bool,
}

impl Cell {
    /// Whether every target was met and none of fulmar's transfers failed.
    pub(super) fn is_met(&self) -> bool {
        let ours = self.contenders.iter().filter(|course| course.contender == Entrant::Fulmar);
        self.verdicts.iter().all(|verdict| verdict.met)
            && ours.map(|course| course.failed).sum::<usize>() == 0
    }
}

/// All places of the table, in order.
pub(super) fn cells(plan: &Plan, rows: &[Row]) -> Vec<Cell> {
    let places = plan
        .directions()
        .iter()
        .flat_map(|direction| (0..plan.spots().len()).map(move |place| (*direction, place)));
    places.map(|(direction, place)| cell(plan, rows, direction, place)).collect()
}

fn cell(plan: &Plan, rows: &[Row], direction: Direction, place: usize) -> Cell {
    let spot = &plan.spots()[place];
    let rows: Vec<&Row> =
        rows.iter().filter(|row| row.counts && (row.place, row.direction) == (place, direction)).collect();
    let targets = targets(spot);
    Cell {
        place,
        link: spot.link.name.clone(),
        direction,
        contenders: ENTRANTS.iter().map(|entrant| course(&rows, *entrant)).collect(),
        verdicts: Of::ALL.iter().map(|of| verdict(&rows, *of, &targets)).collect(),
    }
}

fn course(rows: &[&Row], contender: Entrant) -> Course {
    let of = || rows.iter().filter(|row| row.contender == contender);
    let how_many = |is: fn(&Row) -> bool| of().filter(|row| is(row)).count();
    Course {
        contender,
        goodput_mbit_per_s: Summary::of(of().map(|row| row.goodput_mbit_per_s)),
        stopped: how_many(|row| row.end == End::Stopped),
        failed: how_many(|row| matches!(row.end, End::Failed(_))),
        spoilt: how_many(Row::is_spoilt),
        count: how_many(|_| true),
    }
}

fn verdict(rows: &[&Row], of: Of, targets: &[Target]) -> Verdict {
    let ratio = stats::ratio(&goodput(rows, Entrant::Fulmar), &compared(rows, of));
    let at_least = targets.iter().find(|target| target.of == of).map(|target| target.at_least);
    // What was never compared has not reached anything.
    let met = at_least.is_none_or(|least| ratio.is_some_and(|ratio| ratio.median >= least));
    Verdict { of, ratio, at_least, met }
}

/// Of each round, what fulmar is divided by.
fn compared(rows: &[&Row], of: Of) -> BTreeMap<u32, f64> {
    match of {
        Of::Limit => {
            let limits = rows.iter().filter_map(|row| Some((row.round, row.limit_mbit_per_s?)));
            limits.collect()
        }
        Of::Bbr => goodput(rows, Entrant::TcpBbr),
        Of::Cubic => goodput(rows, Entrant::TcpCubic),
        Of::BetterTcp => {
            let cubic = goodput(rows, Entrant::TcpCubic);
            let better = |(round, bbr): (u32, f64)| Some((round, bbr.max(*cubic.get(&round)?)));
            goodput(rows, Entrant::TcpBbr).into_iter().filter_map(better).collect()
        }
    }
}

fn goodput(rows: &[&Row], entrant: Entrant) -> BTreeMap<u32, f64> {
    let rows = rows.iter().filter(|row| row.contender == entrant);
    rows.map(|row| (row.round, row.goodput_mbit_per_s)).collect()
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::{contest::Share, lab::table::testing::link_report};

    /// Transfers in which every contender has the same goodput in every round and everywhere.
    pub(in super::super) fn rows(plan: &Plan, fulmar: f64, bbr: f64, cubic: f64) -> Vec<Row> {
        let share = Share { cpu_s: 0.1, peak_bytes: 10 << 20 };
        let row = |planned: crate::lab::table::Planned| {
            let goodput_mbit_per_s = match planned.entrant {
                Entrant::Fulmar => fulmar,
                Entrant::TcpBbr => bbr,
                _ => cubic,
            };
            let link = &plan.spots()[planned.link].link;
            Row {
                place: planned.link,
                link: link.name.clone(),
                direction: planned.direction,
                contender: planned.entrant,
                size: planned.size,
                round: planned.round,
                attempt: 0,
                counts: true,
                end: if planned.entrant == Entrant::TcpCubic { End::Stopped } else { End::Finished },
                seconds: 1.0,
                received_bytes: planned.size.0,
                goodput_mbit_per_s,
                limit_mbit_per_s: link.limit_bytes_per_s(fulmar_netsim::Way::Up).map(|rate| rate * 8e-6),
                client: share,
                server: share,
                lab: link_report(),
            }
        };
        plan.transfers().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::rows, *};
    use crate::lab::cc::plan::testing::plan;

    fn only(words: &[&str], goodput: [f64; 3]) -> (Plan, Vec<Row>) {
        let plan = plan(words).expect("a plan");
        let [fulmar, bbr, cubic] = goodput;
        let rows = rows(&plan, fulmar, bbr, cubic);
        (plan, rows)
    }

    fn missed(cell: &Cell) -> Vec<Of> {
        cell.verdicts.iter().filter(|verdict| !verdict.met).map(|verdict| verdict.of).collect()
    }

    #[test]
    fn a_target_is_met_or_missed_on_both_sides_of_it() {
        // The limit at 10 % is 86.13 Mbit/s, of which 90 % are 77.5.
        for (goodput, expected) in [
            ([77.6, 55.0, 1.0], vec![]),
            ([77.4, 55.0, 1.0], vec![Of::Limit]),
            ([77.6, 55.5, 1.0], vec![Of::Bbr]),
            ([77.6, 77.7, 1.0], vec![Of::BetterTcp, Of::Bbr]),
            ([77.6, 55.0, 3.9], vec![Of::Cubic]),
        ] {
            let (plan, rows) = only(&["--only", "100M 100ms 10%"], goodput);
            let cells = cells(&plan, &rows);
            assert_eq!(missed(&cells[0]), expected, "{goodput:?}");
            assert_eq!(cells[0].is_met(), expected.is_empty());
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_a_round_that_does_not_count_is_left_out() {
        let (plan, mut rows) = only(&["--only", "100M 20ms 1%"], [50.0, 100.0, 10.0]);
        for row in rows.iter_mut().filter(|row| row.round == 1) {
            row.goodput_mbit_per_s *= if row.contender == Entrant::TcpCubic { 20.0 } else { 1.0 };
        }
        let ratio = |rows: &[Row], of: Of| {
            let cells = cells(&plan, rows);
            cells[0].verdicts.iter().find(|verdict| verdict.of == of).and_then(|verdict| verdict.ratio)
        };
        let better = ratio(&rows, Of::BetterTcp).expect("compared");
        assert_eq!((better.min, better.median, better.max), (0.25, 0.5, 0.5));
        assert_eq!(ratio(&rows, Of::Cubic).expect("compared").min, 0.25);
        rows.iter_mut().filter(|row| row.round == 1).for_each(|row| row.counts = false);
        assert_eq!(ratio(&rows, Of::BetterTcp).expect("compared").min, 0.5);
    }

    #[test]
    fn what_failed_or_never_ran_has_not_met_its_targets() {
        let (plan, mut rows) = only(&["--only", "100M 20ms 20%"], [70.0, 1.0, 1.0]);
        assert!(cells(&plan, &rows)[0].is_met());
        rows.iter_mut().find(|row| row.contender == Entrant::Fulmar).expect("there").end =
            End::Failed("lost".to_owned());
        assert!(!cells(&plan, &rows)[0].is_met(), "one of three failed");
        rows.clear();
        let empty = cells(&plan, &rows);
        assert_eq!(missed(&empty[0]), [Of::Limit]);
        assert!(empty[0].contenders.iter().all(|course| course.goodput_mbit_per_s.is_none()));
    }

    #[test]
    fn a_cell_says_in_json_what_was_met() {
        let (plan, rows) = only(&["--only", "100M 20ms 0%"], [80.0, 90.0, 91.0]);
        let json = serde_json::to_value(&cells(&plan, &rows)[0]).expect("JSON");
        assert_eq!((&json["link"], &json["direction"]), (&"100M 20ms 0%".into(), &"upload".into()));
        assert_eq!(
            (&json["verdicts"][1]["of"], &json["verdicts"][1]["met"]),
            (&"better_tcp".into(), &false.into())
        );
        assert_eq!(
            (&json["contenders"][2]["contender"], &json["contenders"][2]["stopped"]),
            (&"tcp-cubic".into(), &3.into())
        );
    }
}
