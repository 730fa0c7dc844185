//! The matrix as a table in Markdown.

use std::fmt::Write as _;

use super::{
    figures::{Cell, Course, Verdict},
    plan::Plan,
    targets::Of,
};
use crate::{
    contest::Size,
    lab::table::{Entrant, Row, conditions, mbit},
    measure::{machine::Conditions, stats::Summary},
};

const HEAD: &str = "\
| link | file | fulmar, Mbit/s | TCP BBR | TCP CUBIC | of the limit | of the better TCP | of BBR | of CUBIC | targets | |
|---|---|---|---|---|---|---|---|---|---|---|
";

/// Stands with a goodput of which a part comes from files that did not arrive as a whole.
const MARK: &str = "*";

/// The conditions, a table for each direction, and how many cells met their targets.
pub(super) fn table(made_under: &Conditions, plan: &Plan, rows: &[Row], cells: &[Cell]) -> String {
    let mut text = conditions(made_under, rows.iter().map(|row| (&row.lab, row.counts)));
    for direction in plan.directions() {
        // Writing into a string cannot fail.
        let _ = write!(text, "{}, rounds: {}\n\n{HEAD}", direction.title(), plan.rounds());
        for cell in cells.iter().filter(|cell| cell.direction == *direction) {
            text.push_str(&line(plan, cell));
        }
        text.push('\n');
    }
    if cells.iter().flat_map(|cell| &cell.contenders).any(|course| course.stopped > 0) {
        let _ = write!(
            text,
            "`{MARK}`: not all of these files arrived within {} s (BBR {} s, CUBIC {} s); counted is what the receiver had by then.\n\n",
            plan.limit_s(Entrant::Fulmar),
            plan.limit_s(Entrant::TcpBbr),
            plan.limit_s(Entrant::TcpCubic)
        );
    }
    text.push_str(&summary(cells));
    text
}

fn summary(cells: &[Cell]) -> String {
    let missed: Vec<&Cell> = cells.iter().filter(|cell| !cell.is_met()).collect();
    let mut text = format!("Targets met in {} of {} cells.\n", cells.len() - missed.len(), cells.len());
    for Cell { link, direction, verdicts, .. } in missed {
        let _ = writeln!(text, "- missed: {link}, {}{}", direction.word(), misses(verdicts));
    }
    text
}

fn line(plan: &Plan, cell: &Cell) -> String {
    let spot = &plan.spots()[cell.place];
    let goodput: Vec<String> = cell.contenders.iter().map(goodput).collect();
    let ratios: Vec<String> = cell.verdicts.iter().map(ratio).collect();
    let met = if cell.is_met() { "met".to_owned() } else { format!("**missed**{}", misses(&cell.verdicts)) };
    let notes: Vec<String> = std::iter::once(met).chain(cell.contenders.iter().flat_map(notes)).collect();
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        cell.link,
        size(spot.size),
        goodput.join(" | "),
        ratios.join(" | "),
        targets(&cell.verdicts),
        notes.join("; ")
    )
}

fn size(size: Size) -> String {
    format!("{} MB", size.0 / 1_000_000)
}

fn goodput(course: &Course) -> String {
    let Some(Summary { median, min, max, .. }) = course.goodput_mbit_per_s else { return "-".to_owned() };
    let mark = if course.stopped + course.failed > 0 { MARK } else { "" };
    format!("{}{mark} ({}..{})", mbit(median), mbit(min), mbit(max))
}

fn ratio(verdict: &Verdict) -> String {
    let Some(Summary { median, .. }) = verdict.ratio else { return "-".to_owned() };
    match verdict.of {
        Of::Limit => format!("{:.1} %", median * 100.0),
        Of::Cubic => format!("{median:.1}"),
        Of::BetterTcp | Of::Bbr => format!("{median:.3}"),
    }
}

fn targets(verdicts: &[Verdict]) -> String {
    let said = |verdict: &Verdict| Some(format!("{} {}", verdict.at_least?, verdict.of.title()));
    verdicts.iter().filter_map(said).collect::<Vec<_>>().join(", ")
}

/// Which targets were missed, if a ratio missed one.
fn misses(verdicts: &[Verdict]) -> String {
    let missed = verdicts.iter().filter(|verdict| !verdict.met).map(|verdict| verdict.of.title());
    let missed = missed.collect::<Vec<_>>().join(", ");
    if missed.is_empty() { missed } else { format!(": {missed}") }
}

/// What else there is to say of a contender.
fn notes(course: &Course) -> Vec<String> {
    let Course { contender, stopped, failed, spoilt, count, .. } = course;
    let stopped = if *contender == Entrant::TcpCubic { &0 } else { stopped };
    let notes = [(stopped, "stopped"), (failed, "failed"), (spoilt, "spoilt")];
    let some = notes.into_iter().filter(|(number, _)| **number > 0);
    some.map(|(number, what)| format!("{} {what}: {number} of {count}", contender.title())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contest::End,
        lab::cc::{
            figures::{cells, testing::rows},
            plan::testing::plan,
        },
    };

    fn shown(words: &[&str], goodput: [f64; 3], change: impl Fn(&mut Row)) -> String {
        let plan = plan(words).expect("a plan");
        let [fulmar, bbr, cubic] = goodput;
        let mut rows = rows(&plan, fulmar, bbr, cubic);
        rows.iter_mut().for_each(change);
        let dir = tempfile::tempdir().expect("a folder");
        let conditions = Conditions::here(dir.path()).expect("known");
        table(&conditions, &plan, &rows, &cells(&plan, &rows))
    }

    #[test]
    fn every_link_has_its_line_and_every_line_its_columns() {
        let text = shown(&["--direction", "both"], [80.0, 70.0, 1.0], |_| {});
        let columns = HEAD.lines().next().expect("a head").matches('|').count();
        let lines: Vec<&str> =
            text.lines().filter(|line| line.contains("ms ") && line.starts_with("| ")).collect();
        assert_eq!(lines.len(), 2 * 13, "{text}");
        assert!(lines.iter().all(|line| line.matches('|').count() == columns), "{text}");
    }

    #[test]
    fn a_line_says_what_it_came_to_and_what_was_expected() {
        let text = shown(&["--only", "100M 100ms 10%"], [80.0, 50.0, 1.0], |_| {});
        let expected = "| 100M 100ms 10% | 100 MB | 80.0 (80.0..80.0) | 50.0 (50.0..50.0) | 1.00* (1.00..1.00) | 92.9 % | 1.600 | 1.600 \
                        | 80.0 | 0.9 of the limit, 1 of the better TCP, 1.4 of BBR, 20 of CUBIC | met |";
        assert!(text.lines().any(|line| line == expected), "{text}");
        assert!(
            text.contains("(BBR 90 s, CUBIC 30 s)") && text.ends_with("Targets met in 1 of 1 cells.\n"),
            "{text}"
        );
    }

    #[test]
    fn what_was_missed_is_told_beside_it_and_at_the_end() {
        let text = shown(&["--only", "100M 20ms 0%"], [50.0, 90.0, 91.0], |row| row.end = End::Finished);
        assert!(text.contains("| **missed**: of the limit, of the better TCP |"), "{text}");
        let end =
            "Targets met in 0 of 1 cells.\n- missed: 100M 20ms 0%, upload: of the limit, of the better TCP\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn who_was_given_up_or_failed_is_named() {
        let text = shown(&["--only", "300M 100ms 0%"], [290.0, 90.0, 91.0], |row| match row.contender {
            Entrant::Fulmar => row.end = End::Failed("lost".to_owned()),
            _ => row.end = End::Stopped,
        });
        assert!(text.contains("| **missed**; fulmar failed: 3 of 3; TCP BBR stopped: 3 of 3 |"), "{text}");
        assert!(text.contains("- missed: 300M 100ms 0%, upload\n"), "{text}");
    }
}
