//! What each contender made of each link as a bar chart.

use std::path::Path;

use anyhow::Result;

use super::{
    Report,
    figures::{Figures, Kind},
    plan::Entrant,
};
use crate::{
    contest::Direction,
    report::picture::{Bar, Group, Layout, Panel, Picture, RGBColor, Series, draw as draw_picture},
};

/// Draws the median share of what each link carries, with a line from the least to the greatest.
pub(super) fn draw(path: &Path, report: &Report) -> Result<()> {
    let series = |entrant: &Entrant| Series { title: entrant.title(), color: color(*entrant) };
    draw_picture(
        path,
        &Picture {
            heading: format!(
                "One file over bad links: % of what the link carries, median and range; pale: not all arrived within {} s",
                report.plan.limit_s()
            ),
            layout: Layout::Stacked,
            series: report.plan.entrants().iter().map(series).collect(),
            panels: report.plan.directions().iter().map(|direction| panel(report, *direction)).collect(),
        },
    )
}

fn panel(report: &Report, direction: Direction) -> Panel {
    let group = |(link, name): (usize, &str)| {
        let bar = |entrant: &Entrant| bar(report, Kind { link, direction, entrant: *entrant });
        Group { label: name.to_owned(), bars: report.plan.entrants().iter().map(bar).collect() }
    };
    let links = report.plan.links().iter().map(|link| link.name.as_str()).enumerate();
    Panel { title: direction.word(), groups: links.map(group).collect() }
}

/// In per cent of the limit; none where there is no limit.
fn bar(report: &Report, kind: Kind) -> Option<Bar> {
    let figures = Figures::of(&report.rows, kind)?;
    let share = figures.of_limit.as_ref()?;
    let [value, least, most] = [share.median, share.min, share.max].map(|share| share * 100.0);
    Some(Bar { value, least, most, whole: figures.is_whole() })
}

/// Colours that differ in brightness too (after Okabe and Ito's palette).
fn color(entrant: Entrant) -> RGBColor {
    match entrant {
        Entrant::TcpCubic => RGBColor(0xaa, 0xaa, 0xaa),
        Entrant::TcpBbr => RGBColor(0x55, 0x55, 0x55),
        Entrant::TlsCubic => RGBColor(0x00, 0x72, 0xb2),
        Entrant::TlsBbr => RGBColor(0x56, 0xb4, 0xe9),
        Entrant::Fulmar => RGBColor(0xd5, 0x5e, 0x00),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::table::testing::report;

    #[test]
    fn the_chart_has_a_bar_for_every_kind_and_says_what_it_shows() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("chart.svg");
        draw(&path, &report()).expect("drawn");
        let svg = std::fs::read_to_string(path).expect("there");
        for word in ["upload", "download", "TCP CUBIC", "TCP BBR", "fulmar", "lossy-1", "84", "8.4"] {
            assert!(svg.lines().any(|line| line.trim() == word), "{word} is not in the chart");
        }
        for entrant in [Entrant::TcpCubic, Entrant::TcpBbr, Entrant::Fulmar] {
            let RGBColor(r, g, b) = color(entrant);
            // One for each direction, and one in the legend.
            assert_eq!(svg.matches(&format!("fill=\"#{r:02X}{g:02X}{b:02X}\"")).count(), 3);
        }
    }
}
