//! The table in Markdown.

use std::fmt::Write as _;

use fulmar_proto::text::Escaped;

use super::{Figures, Plan, Row, Who, figures::Verdict, plan::link};
use crate::{
    contest::End,
    lab::table::conditions,
    measure::{machine::Conditions, stats::Summary},
};

const HEAD: &str = "\
| files of 4 KiB | | s, median | min..max | files/s | in times of one file | in times of rsync | targets | |
|---|---|---:|---|---:|---:|---:|---|---|
";

/// The conditions, a line for everybody, and how many targets were met.
pub(super) fn table(made_under: &Conditions, plan: &Plan, rows: &[Row], figures: &[Figures]) -> String {
    let mut text = conditions(made_under, rows.iter().map(|row| (&row.lab, row.counts)));
    // Writing into a string cannot fail.
    let _ = write!(text, "Upload over {}, rounds: {}\n\n{HEAD}", link().name, plan.rounds());
    figures.iter().for_each(|line| text.push_str(&self::line(plan, line)));
    if let Some(why) = plan.left_out() {
        let _ = write!(text, "\nskipped: rsync and scp: {}\n", Escaped(why));
    }
    let verdicts = || figures.iter().flat_map(|line| &line.verdicts);
    let met = verdicts().filter(|verdict| verdict.met == Some(true)).count();
    let missed = verdicts().filter(|verdict| verdict.met == Some(false)).count();
    let left_out = verdicts().count() - met - missed;
    let _ = write!(text, "\nTargets met: {met}, missed: {missed}, not measured: {left_out}.\n");
    text
}

/// What a transfer came to, in a few words.
pub(super) fn said(row: &Row) -> String {
    let (files, of) = (row.arrived_files, row.task.files());
    let mut text = format!("{}, {} files: ", row.task.who.title(), row.task.count);
    let _ = match &row.end {
        End::Finished => write!(text, "{:.2} s", row.seconds),
        End::Stopped => write!(text, "{files} of {of} files after {:.0} s", row.seconds),
        End::Failed(reason) => write!(text, "failed: {}", Escaped(reason)),
    };
    if !row.lab.spoilt.is_empty() {
        let again = if row.counts { "" } else { "; it is made again" };
        let _ = write!(text, " (spoilt: {}{again})", row.lab.spoilt.join(", "));
    }
    text
}

fn line(plan: &Plan, figures: &Figures) -> String {
    let (median, range) = match figures.seconds {
        Some(Summary { median, min, max, .. }) => (format!("{median:.2}"), format!("{min:.2}..{max:.2}")),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let in_times_of = |who: Who| {
        let verdict = figures.verdicts.iter().find(|verdict| verdict.target.of == who);
        verdict
            .and_then(|verdict| verdict.ratio)
            .map_or(String::new(), |ratio| format!("{:.2}", ratio.median))
    };
    format!(
        "| {} | {} | {median} | {range} | {} | {} | {} | {} | {} |\n",
        figures.task.count,
        figures.task.who.title(),
        figures.files_per_s().map_or("-".to_owned(), |rate| format!("{rate:.0}")),
        in_times_of(Who::FulmarOneFile),
        in_times_of(Who::Rsync),
        figures.verdicts.iter().map(target).collect::<Vec<_>>().join(", "),
        notes(plan, figures)
    )
}

fn target(verdict: &Verdict) -> String {
    let of = if verdict.target.of == Who::FulmarOneFile { "one file" } else { "rsync" };
    format!("at most {} of {of}", verdict.target.at_most)
}

/// Whether targets were met, and what else there is to say.
fn notes(plan: &Plan, figures: &Figures) -> String {
    let Figures { stopped, failed, spoilt, count, least_arrived_files, reason, .. } = figures;
    let verdict = |verdict: &Verdict| {
        let word = match verdict.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        };
        word.to_owned()
    };
    let mut notes: Vec<String> = figures.verdicts.iter().map(verdict).collect();
    if *stopped > 0 {
        notes.push(format!(
            "cut off after {} s: {stopped} of {count}, with {least_arrived_files} files at least",
            plan.limit_s()
        ));
    }
    if let Some(reason) = reason {
        notes.push(format!("failed: {failed} of {count}: {}", Escaped(reason)));
    }
    if *spoilt > 0 {
        notes.push(format!("spoilt: {spoilt} of {count}"));
    }
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{figures::testing::rows, plan::testing::plan},
        *,
    };

    fn shown(change: impl Fn(&mut Plan, &mut Vec<Row>)) -> String {
        let mut plan = plan(&[]);
        let mut rows = rows(&plan, |task| match task.who {
            Who::FulmarOneFile => 4.0,
            Who::Fulmar => 6.0,
            Who::Rsync => 8.0,
            Who::Scp => 150.0,
        });
        change(&mut plan, &mut rows);
        let dir = tempfile::tempdir().expect("a folder");
        let conditions = Conditions::here(dir.path()).expect("known");
        table(&conditions, &plan, &rows, &Figures::all(&plan, &rows))
    }

    #[test]
    fn everybody_has_a_line_and_every_line_its_columns() {
        let text = shown(|_, _| {});
        let columns = HEAD.lines().next().expect("a head").matches('|').count();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("| 1")).collect();
        assert_eq!(lines.len(), 6, "{text}");
        assert!(lines.iter().all(|line| line.matches('|').count() == columns), "{text}");
        let fulmar = "| 10000 | fulmar upload -r | 6.00 | 6.00..6.00 | 1667 | 1.50 | 0.75 | at most 1.6 of one file, at most 1 of rsync \
                      | met; met |";
        assert_eq!(lines[1], fulmar);
        assert!(lines[3].ends_with("| at most 0.7 of rsync | **missed** |"), "{}", lines[3]);
        assert!(text.ends_with("\nTargets met: 2, missed: 1, not measured: 0.\n"), "{text}");
    }

    #[test]
    fn who_was_left_out_and_who_was_cut_off_is_told() {
        let text = shown(|plan, rows| {
            plan.leave_out_ssh("there is no sshd");
            rows.retain(|row| row.task.who.is_ours());
        });
        assert!(text.contains("\nskipped: rsync and scp: there is no sshd\n"), "{text}");
        assert!(text.contains("| met; not measured |") && text.contains("not measured: 2."), "{text}");
        let text = shown(|_, rows| {
            let scp = rows.iter_mut().filter(|row| row.task.who == Who::Scp);
            scp.for_each(|row| (row.end, row.arrived_files) = (End::Stopped, 656));
        });
        assert!(text.contains("| cut off after 150 s: 3 of 3, with 656 files at least |"), "{text}");
    }

    #[test]
    fn a_transfer_is_told_by_how_it_ended() {
        let rows = rows(&plan(&[]), |_| 2.5);
        let mut row = rows[0].clone();
        assert_eq!(said(&row), "fulmar, one file of the same bytes, 10000 files: 2.50 s");
        row.end = End::Stopped;
        assert!(said(&row).ends_with(": 1 of 1 files after 2 s"), "{}", said(&row));
        (row.end, row.counts) = (End::Failed("no\n".to_owned()), false);
        row.lab.spoilt = vec!["late".to_owned()];
        assert!(said(&row).ends_with(": failed: no\\n (spoilt: late; it is made again)"), "{}", said(&row));
    }
}
