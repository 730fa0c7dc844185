//! The figures as a table in Markdown.

use std::fmt::Write as _;

use super::{
    Report,
    figures::{Figures, cells, ratio},
};
use crate::{
    contest::{Cell, Contender, Direction, Size},
    measure::{machine::Conditions, stats::Summary},
};

const HEAD: &str = "\
| size | | MB/s, median | min..max | quartiles | CPU s/GB client | CPU s/GB server | MiB client | MiB server | of TCP | of TLS |
|---|---|---:|---|---|---:|---:|---:|---:|---|---|
";

/// The conditions and a table for each direction.
pub(crate) fn table(report: &Report) -> String {
    let mut text = conditions(&report.conditions);
    for direction in Direction::ALL {
        if !cells(&report.rows).iter().any(|cell| cell.direction == direction) {
            continue;
        }
        // Writing into a string cannot fail.
        let _ =
            write!(text, "\n{}, {} rounds at the largest size\n\n{HEAD}", direction.title(), rounds(report));
        for cell in cells(&report.rows).into_iter().filter(|cell| cell.direction == direction) {
            if let Some(figures) = Figures::of(&report.rows, cell) {
                text.push_str(&line(report, cell, &figures));
            }
        }
    }
    text.push_str(&verdict(report));
    text
}

/// The size at which fulmar is judged, and by whom on which MTU: at least so much of TLS over TCP.
const JUDGED: Size = Size(1 << 30);
const TARGETS: [(&str, Option<u64>, f64); 2] = [("lo", None, 1.0), ("veth", Some(1500), 0.7)];

/// What fulmar has to reach under these conditions.
fn target(conditions: &Conditions) -> Option<f64> {
    let Conditions { interface, mtu_bytes, file_system, .. } = conditions;
    let is_meant =
        |(of, mtu, _): &&(&str, Option<u64>, f64)| of == interface && (mtu.is_none() || mtu == mtu_bytes);
    TARGETS.iter().filter(|_| file_system == "tmpfs").find(is_meant).map(|(_, _, at_least)| *at_least)
}

/// Whether the target was reached in each direction; nothing where there is none, or the size was not measured.
fn verdict(report: &Report) -> String {
    let Some(at_least) = target(&report.conditions) else { return String::new() };
    let judged = |direction: &Direction| {
        let cell = Cell { size: JUDGED, direction: *direction, contender: Contender::Fulmar };
        let median = ratio(&report.rows, cell, Contender::Tls)?.median;
        let word = if median >= at_least { "met" } else { "**missed**" };
        Some(format!("{} {median:.2}, {word}", direction.word()))
    };
    let directions: Vec<String> = Direction::ALL.iter().filter_map(judged).collect();
    if directions.is_empty() {
        return String::new();
    }
    format!("\nTarget at {JUDGED}, at least {at_least} of TLS over TCP: {}.\n", directions.join("; "))
}

/// How often the largest files were moved each way by each contender.
fn rounds(report: &Report) -> usize {
    let Some(cell) = cells(&report.rows).pop_last() else { return 0 };
    report.rows.iter().filter(|row| row.cell == cell).count()
}

fn conditions(conditions: &Conditions) -> String {
    let mtu = conditions.mtu_bytes.map_or("unknown".to_owned(), |mtu| mtu.to_string());
    let interface = conditions.interface;
    format!("On {}, MTU of {interface} {mtu}; {}.\n", machine(conditions), programs(conditions))
}

/// What the measurement ran on.
pub(crate) fn machine(conditions: &Conditions) -> String {
    let Conditions { processor, cores, memory_mib, kernel, file_system, .. } = conditions;
    format!("{file_system}: {processor}, {cores} cores, {memory_mib} MiB of memory, Linux {kernel}")
}

/// What was measured.
pub(crate) fn programs(conditions: &Conditions) -> String {
    let Conditions { cipher_suite, key_exchange, fulmar, profile, .. } = conditions;
    let commit = conditions.commit.as_deref().map_or(String::new(), |commit| format!(" at {commit}"));
    let libraries = conditions.libraries.join(", ");
    format!("{cipher_suite}, {key_exchange}; fulmar {fulmar}{commit} ({profile} build), {libraries}")
}

fn line(report: &Report, cell: Cell, figures: &Figures) -> String {
    let Figures { goodput, cpu_s_per_gb, peak_bytes } = figures;
    let mb = |bytes_per_s: f64| bytes_per_s / 1e6;
    let compared = |other| match ratio(&report.rows, cell, other) {
        Some(ratio) if cell.contender != other && cell.contender != Contender::Tcp => shown(&ratio),
        _ => String::new(),
    };
    format!(
        "| {} | {} | {:.0} | {:.0}..{:.0} | {:.0}..{:.0} | {:.2} | {:.2} | {} | {} | {} | {} |\n",
        cell.size,
        cell.contender.title(),
        mb(goodput.median),
        mb(goodput.min),
        mb(goodput.max),
        mb(goodput.lower),
        mb(goodput.upper),
        cpu_s_per_gb[0],
        cpu_s_per_gb[1],
        peak_bytes[0] >> 20,
        peak_bytes[1] >> 20,
        compared(Contender::Tcp),
        compared(Contender::Tls),
    )
}

/// A ratio and its spread.
fn shown(ratio: &Summary) -> String {
    format!("{:.2} ({:.2}..{:.2})", ratio.median, ratio.min, ratio.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::report;

    #[test]
    fn every_cell_has_its_line_and_every_line_its_columns() {
        let text = table(&report());
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("| 1 GiB")).collect();
        assert_eq!(lines.len(), 6);
        let columns = HEAD.lines().next().expect("a head").matches('|').count();
        assert!(lines.iter().all(|line| line.matches('|').count() == columns), "{text}");
        assert!(text.contains("2 rounds at the largest size"), "{text}");
    }

    #[test]
    fn ratios_stand_with_the_one_that_is_compared() {
        let text = table(&report());
        let line = |name: &str| text.lines().find(|line| line.contains(name)).expect("there").to_owned();
        assert!(line("| fulmar |").ends_with("| 0.23 (0.20..0.25) | 0.45 (0.40..0.50) |"), "{text}");
        assert!(line("| TLS over TCP |").ends_with("| 0.50 (0.50..0.50) |  |"), "{text}");
        assert!(line("| TCP |").ends_with("|  |  |"), "{text}");
        assert!(line("| fulmar |").contains("| 242 | 215..268 |"), "{text}");
    }

    #[test]
    fn the_target_is_that_of_what_the_files_went_through_and_stands_where_it_is_judged() {
        let mut report = report();
        let verdict = |report: &mut Report, interface, mtu_bytes, file_system: &str| {
            (report.conditions.interface, report.conditions.mtu_bytes) = (interface, Some(mtu_bytes));
            file_system.clone_into(&mut report.conditions.file_system);
            verdict(report)
        };
        // fulmar has 0.4 and 0.5 of TLS.
        let text = verdict(&mut report, "lo", 65536, "tmpfs");
        let expected = "\nTarget at 1 GiB, at least 1 of TLS over TCP: upload 0.45, **missed**; download 0.45, **missed**.\n";
        assert_eq!(text, expected);
        assert!(verdict(&mut report, "veth", 1500, "tmpfs").contains("at least 0.7 of TLS"));
        assert_eq!(verdict(&mut report, "veth", 9000, "tmpfs"), "");
        assert_eq!(verdict(&mut report, "lo", 65536, "ext4"), "");
        for row in report.rows.iter_mut().filter(|row| row.cell.contender == Contender::Tls) {
            row.goodput_bytes_per_s /= 1.6;
        }
        assert!(verdict(&mut report, "veth", 1500, "tmpfs").contains("upload 0.72, met; download 0.72, met"));
        report.rows.retain(|row| row.cell.contender != Contender::Tls);
        assert_eq!(verdict(&mut report, "veth", 1500, "tmpfs"), "");
    }
}
