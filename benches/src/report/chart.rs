//! The goodput over loopback as a bar chart.

use std::path::Path;

use anyhow::Result;

use super::{
    Report,
    figures::{Figures, cells},
    picture::{Bar, Group, Layout, Panel, Picture, RGBColor, Series, draw as draw_picture},
};
use crate::contest::{Cell, Contender, Direction, Size};

/// Draws the median goodput of every cell, with a line from the least to the greatest: a picture for each direction.
pub(crate) fn draw(path: &Path, report: &Report) -> Result<()> {
    let series = |contender: &Contender| Series { title: contender.title(), color: color(*contender) };
    let contenders = contenders(report);
    let picture = Picture {
        heading: format!(
            "One file over loopback, staged, hashed and synced on {}: MB/s, median and range",
            report.conditions.file_system
        ),
        layout: Layout::SideBySide,
        series: contenders.iter().map(series).collect(),
        panels: Direction::ALL.into_iter().map(|direction| panel(report, direction, &contenders)).collect(),
    };
    draw_picture(path, &picture)
}

fn panel(report: &Report, direction: Direction, contenders: &[Contender]) -> Panel {
    let group = |size: Size| {
        let bar = |contender: &Contender| bar(report, Cell { size, direction, contender: *contender });
        Group { label: size.to_string(), bars: contenders.iter().map(bar).collect() }
    };
    Panel { title: direction.word(), groups: sizes(report).into_iter().map(group).collect() }
}

/// In MB/s.
fn bar(report: &Report, cell: Cell) -> Option<Bar> {
    let goodput = Figures::of(&report.rows, cell)?.goodput;
    let [value, least, most] =
        [goodput.median, goodput.min, goodput.max].map(|bytes_per_s| bytes_per_s / 1e6);
    Some(Bar { value, least, most, whole: true })
}

fn sizes(report: &Report) -> Vec<Size> {
    let mut sizes: Vec<Size> = cells(&report.rows).iter().map(|cell| cell.size).collect();
    sizes.dedup();
    sizes
}

fn contenders(report: &Report) -> Vec<Contender> {
    let all = cells(&report.rows);
    let runs = |contender: &Contender| all.iter().any(|cell| cell.contender == *contender);
    Contender::ALL.into_iter().filter(runs).collect()
}

/// Colours that differ in brightness too (Okabe and Ito's palette).
pub(crate) fn color(contender: Contender) -> RGBColor {
    match contender {
        Contender::Tcp => RGBColor(0x99, 0x99, 0x99),
        Contender::Tls => RGBColor(0x56, 0xb4, 0xe9),
        Contender::Fulmar => RGBColor(0xd5, 0x5e, 0x00),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::report;

    #[test]
    fn the_chart_has_a_bar_for_every_cell_and_says_what_it_shows() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("chart.svg");
        let report = report();
        draw(&path, &report).expect("drawn");
        let svg = std::fs::read_to_string(path).expect("there");
        for word in ["upload", "download", "TCP", "TLS over TCP", "fulmar", "1 GiB", "1074", "537", "242"] {
            assert!(svg.lines().any(|line| line.trim() == word), "{word} is not in the chart");
        }
        let bars = |contender| {
            let RGBColor(r, g, b) = color(contender);
            svg.matches(&format!("fill=\"#{r:02X}{g:02X}{b:02X}\"")).count()
        };
        // One for each direction, and one in the legend.
        assert_eq!(Contender::ALL.map(bars), [3; 3]);
    }
}
