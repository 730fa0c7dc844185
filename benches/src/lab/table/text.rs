//! The figures as a table in Markdown.

use std::fmt::Write as _;

use fulmar_netsim::{Profile, tun::Report as LinkReport};
use fulmar_proto::text::Escaped;

use super::{
    Report,
    figures::{Figures, Kind},
    measure::Row,
    plan::{Plan, limit_bytes_per_s},
};
use crate::{
    contest::{Direction, End},
    measure::{machine::Conditions, stats::Summary},
    report,
};

const HEAD: &str = "\
| link | file | | Mbit/s, median | min..max | of the limit | of TCP BBR | queue ms, mean / p95 | lost %, way / queue | |
|---|---|---|---:|---|---:|---|---|---|---|
";

/// Stands with a goodput of which a part comes from files that did not arrive as a whole.
const MARK: &str = "*";

/// The conditions, the links, and a table for each direction.
pub(super) fn table(report: &Report) -> String {
    let mut text = conditions(&report.conditions, report.rows.iter().map(|row| (&row.lab, row.counts)));
    for link in report.plan.links() {
        text.push_str(&described(link));
    }
    for direction in report.plan.directions() {
        // Writing into a string cannot fail.
        let _ = write!(text, "\n{}, rounds: {}\n\n{HEAD}", direction.title(), report.plan.rounds());
        for link in 0..report.plan.links().len() {
            for entrant in report.plan.entrants() {
                let kind = Kind { link, direction: *direction, entrant: *entrant };
                if let Some(figures) = Figures::of(&report.rows, kind) {
                    text.push_str(&line(&report.plan, kind, &figures));
                }
            }
        }
    }
    if report.rows.iter().any(|row| row.counts && row.end != End::Finished) {
        let _ = write!(
            text,
            "\n`{MARK}`: not all of these files arrived within {} s; counted is what the receiver had by then, of fulmar in \
             whole ranges (64 KiB to 2 MiB) that were verified. What arrived in the meantime, in IP packets, is beside it.\n",
            report.plan.limit_s()
        );
    }
    text
}

/// What a transfer came to, in a few words.
pub(super) fn said(row: &Row) -> String {
    let rate = mbit(row.goodput_mbit_per_s);
    let mut text = match &row.end {
        End::Finished => format!("{rate} Mbit/s"),
        End::Stopped => format!("{rate} Mbit/s when it was stopped"),
        End::Failed(reason) => format!("failed: {}", Escaped(reason)),
    };
    if row.is_spoilt() {
        let again = if row.counts { "" } else { "; it is made again" };
        let _ = write!(text, " (spoilt: {}{again})", row.lab.spoilt.join(", "));
    }
    text
}

/// What everything was measured under. Of each transfer: what the link did, and whether it counts.
pub(in crate::lab) fn conditions<'a>(
    conditions: &Conditions,
    transfers: impl Iterator<Item = (&'a LinkReport, bool)> + Clone,
) -> String {
    let rmem_max = conditions.rmem_max_bytes.map_or("unknown".to_owned(), |bytes| bytes.to_string());
    let worst = |figure: fn(&LinkReport) -> f64| {
        transfers.clone().filter(|(_, counts)| *counts).map(|(lab, _)| figure(lab)).fold(0.0, f64::max)
    };
    let idle = Summary::of(transfers.clone().map(|(lab, _)| lab.machine.idle_share * 100.0));
    let real_time = if transfers.clone().all(|(lab, _)| lab.emulator.realtime) { "" } else { "not " };
    format!(
        "On {}, net.core.rmem_max {rmem_max}; {}.\n\
         The emulator ran {real_time}in real time; 99 % of a run's deliveries were at most {:.2} ms late; it took up to {:.0} % of \
         a core; the machine was idle for {:.0} % of the time (median); runs that were made again: {}.\n\n",
        report::machine(conditions),
        report::programs(conditions),
        worst(|lab| lab.emulator.lateness.p99_ms),
        worst(|lab| lab.emulator.cpu_share * 100.0),
        idle.map_or(0.0, |idle| idle.median),
        transfers.filter(|(_, counts)| !counts).count(),
    )
}

/// A link, and what it carries.
fn described(link: &Profile) -> String {
    let limits = Direction::ALL.map(|direction| match limit_bytes_per_s(link, direction) {
        Some(bytes_per_s) => format!("{} Mbit/s", mbit(bytes_per_s * 8.0 / 1e6)),
        None => "none".to_owned(),
    });
    let [up, down] = &limits;
    let limits = if up == down { up.clone() } else { format!("{up} up, {down} down") };
    format!("- {}: {}; limit {limits}\n", Escaped(&link.name), Escaped(&link.description))
}

fn line(plan: &Plan, kind: Kind, figures: &Figures) -> String {
    let goodput = &figures.goodput_mbit_per_s;
    let mark = if figures.is_whole() { "" } else { MARK };
    let of_limit =
        figures.of_limit.as_ref().map_or(String::new(), |share| format!("{:.1} %", share.median * 100.0));
    format!(
        "| {} | {} | {} | {}{mark} | {}..{} | {of_limit} | {} | {:.1} / {:.1} | {:.2} / {:.2} | {} |\n",
        Escaped(&plan.links()[kind.link].name),
        plan.size(kind.link, kind.direction),
        kind.entrant.title(),
        mbit(goodput.median),
        mbit(goodput.min),
        mbit(goodput.max),
        figures.of_bar.as_ref().map_or(String::new(), ratio),
        figures.queue_mean_ms,
        figures.queue_p95_ms,
        figures.lost_share * 100.0,
        figures.dropped_share * 100.0,
        notes(figures),
    )
}

/// What else there is to say.
fn notes(figures: &Figures) -> String {
    let Figures { count, stopped, failed, spoilt, overflows, arrived_mbit_per_s, .. } = figures;
    let some = |number: &usize, what: &str| (*number > 0).then(|| format!("{what}: {number} of {count}"));
    let arrived = (!figures.is_whole()).then(|| format!("{} Mbit/s of packets", mbit(*arrived_mbit_per_s)));
    let overflows = (*overflows > 0).then(|| format!("no room at a receiver for {overflows} packets"));
    let notes =
        [some(stopped, "stopped"), some(failed, "failed"), arrived, some(spoilt, "spoilt"), overflows];
    notes.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// A rate with three digits that count.
pub(in crate::lab) fn mbit(mbit_per_s: f64) -> String {
    match mbit_per_s {
        ..9.995 => format!("{mbit_per_s:.2}"),
        ..99.95 => format!("{mbit_per_s:.1}"),
        _ => format!("{mbit_per_s:.0}"),
    }
}

/// A ratio and its range.
fn ratio(ratio: &Summary) -> String {
    format!("{:.3} ({:.3}..{:.3})", ratio.median, ratio.min, ratio.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::table::testing::report;

    #[test]
    fn every_kind_has_its_line_and_every_line_its_columns() {
        let text = table(&report());
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("| lossy-1 |")).collect();
        assert_eq!(lines.len(), 2 * 3, "{text}");
        let columns = HEAD.lines().next().expect("a head").matches('|').count();
        assert!(lines.iter().all(|line| line.matches('|').count() == columns), "{text}");
        assert!(text.contains("- lossy-1: 100 Mbit/s, 100 ms, 1 % of all packets"), "{text}");
        assert!(text.contains("; limit 94.7 Mbit/s\n"), "{text}");
        assert!(text.contains("rounds: 3"), "{text}");
        assert!(!text.contains(&format!("`{MARK}`")), "everything arrived: {text}");
    }

    #[test]
    fn a_link_is_described_by_what_it_carries() {
        let satellite = described(&Profile::named("satellite").expect("there"));
        assert!(satellite.ends_with("; limit 9.47 Mbit/s up, 47.4 Mbit/s down\n"), "{satellite}");
        let wire = Profile::symmetric("wire", fulmar_netsim::Direction::default());
        assert_eq!(described(&wire), "- wire: ; limit none\n");
    }

    #[test]
    fn a_line_says_what_it_came_to() {
        let text = table(&report());
        let line = |name: &str| text.lines().find(|line| line.contains(name)).expect("there").to_owned();
        let fulmar = "| lossy-1 | 1 MiB | fulmar | 8.00 | 8.00..20.0 | 8.4 % | 0.200 (0.100..0.250) | 3.0 / 9.0 | 1.00 / 2.00 |  |";
        assert_eq!(line("| fulmar |"), fulmar);
        assert!(line("| TCP BBR |").contains("| 80.0 | 40.0..80.0 | 84.4 % |  |"), "{text}");
    }

    #[test]
    fn what_did_not_arrive_or_not_count_is_marked() {
        let mut report = report();
        for row in &mut report.rows {
            row.end = End::Stopped;
            row.lab.spoilt = vec!["late".to_owned()];
        }
        let text = table(&report);
        assert!(
            text.contains("| 8.00* |")
                && text.contains("| stopped: 3 of 3; 7.40 Mbit/s of packets; spoilt: 3 of 3 |"),
            "{text}"
        );
        let row = &mut report.rows[0];
        row.counts = false;
        assert!(said(row).ends_with("when it was stopped (spoilt: late; it is made again)"), "{}", said(row));
        row.end = End::Failed("lost\n".to_owned());
        assert!(said(row).starts_with("failed: lost\\"), "{}", said(row));
    }

    #[test]
    fn three_digits_count() {
        assert_eq!([0.123, 9.996, 99.94, 99.96, 951.2].map(mbit), ["0.12", "10.0", "99.9", "100", "951"]);
    }
}
