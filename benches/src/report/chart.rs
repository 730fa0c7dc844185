//! The goodput as a bar chart.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    Report,
    figures::{Figures, cells},
};
use crate::loopback::{Cell, Contender, Direction, Size};

const SIZE_PX: (u32, u32) = (960, 400);
const FONT: &str = "sans-serif";

/// Of the room that a size has, how much its bars take; and how much of its own room a bar takes.
const GROUP: f64 = 0.84;
const BAR: f64 = 0.9;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the median goodput of every cell, with a line from the least to the greatest: a picture for each direction.
pub(crate) fn draw(path: &Path, report: &Report) -> Result<()> {
    let root = SVGBackend::new(path, SIZE_PX).into_drawing_area();
    paint(&root, report).map_err(|error| anyhow!("{error}"))
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn paint(root: &Area<'_>, report: &Report) -> Drawn {
    root.fill(&WHITE)?;
    let (title, below) = root.split_vertically(46);
    let heading = format!(
        "One file over loopback, staged, hashed and synced on {}: MB/s, median and range",
        report.conditions.file_system
    );
    title.draw(&Text::new(heading, (16, 8), (FONT, 16)))?;
    legend(&title, report)?;
    for (direction, panel) in Direction::ALL.into_iter().zip(below.split_evenly((1, 2))) {
        paint_direction(root, &panel, report, direction)?;
    }
    root.present()
}

fn legend(area: &Area<'_>, report: &Report) -> Drawn {
    let (width, _) = area.dim_in_pixel();
    let contenders = contenders(report);
    let room = 130;
    let mut x = i32::try_from(width).unwrap_or(0) - room * i32::try_from(contenders.len()).unwrap_or(0);
    for contender in contenders {
        area.draw(&Rectangle::new([(x, 28), (x + 12, 40)], color(contender).filled()))?;
        area.draw(&Text::new(contender.title(), (x + 18, 27), (FONT, 13)))?;
        x += room;
    }
    Ok(())
}

fn paint_direction(root: &Area<'_>, panel: &Area<'_>, report: &Report, direction: Direction) -> Drawn {
    let sizes = sizes(report);
    let contenders = contenders(report);
    let top = highest(report) * 1.12;
    let mut chart = ChartBuilder::on(panel)
        .caption(direction.word(), (FONT, 15))
        .margin(8)
        .x_label_area_size(26)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..sizes.len() as f64, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .label_style((FONT, 12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (index, size) in sizes.iter().enumerate() {
        let group = index as f64;
        let center = chart.backend_coord(&(group + 0.5, 0.0));
        root.draw(&label(size.to_string(), (center.0, center.1 + 6), VPos::Top))?;
        for (place, contender) in contenders.iter().enumerate() {
            let cell = Cell { size: *size, direction, contender: *contender };
            let Some(figures) = Figures::of(&report.rows, cell) else { continue };
            let (median, least, most) = in_mb(&figures);
            let (left, right) = edges(group, place, contenders.len());
            let bar = Rectangle::new([(left, 0.0), (right, median)], color(*contender).filled());
            let middle = (left + right) / 2.0;
            let range = PathElement::new([(middle, least), (middle, most)], BLACK.mix(0.55));
            chart.draw_series([bar])?;
            chart.draw_series([range])?;
            let above = chart.backend_coord(&(middle, most));
            root.draw(&label(format!("{median:.0}"), (above.0, above.1 - 3), VPos::Bottom))?;
        }
    }
    Ok(())
}

fn label(text: String, at: (i32, i32), vertical: VPos) -> Text<'static, (i32, i32), String> {
    Text::new(text, at, TextStyle::from((FONT, 12).into_font()).pos(Pos::new(HPos::Center, vertical)))
}

/// Where a bar begins and ends, in sizes from the left.
fn edges(group: f64, place: usize, places: usize) -> (f64, f64) {
    let room = GROUP / places as f64;
    let left = group + (1.0 - GROUP) / 2.0 + room * (place as f64 + (1.0 - BAR) / 2.0);
    (left, left + room * BAR)
}

fn in_mb(figures: &Figures) -> (f64, f64, f64) {
    let goodput = figures.goodput;
    (goodput.median / 1e6, goodput.min / 1e6, goodput.max / 1e6)
}

/// The greatest goodput of all, in MB/s; both pictures have one scale.
fn highest(report: &Report) -> f64 {
    report.rows.iter().map(|row| row.goodput_bytes_per_s / 1e6).fold(1.0, f64::max)
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
fn color(contender: Contender) -> RGBColor {
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

    #[test]
    fn bars_lie_side_by_side_within_their_group() {
        let edges: Vec<(f64, f64)> = (0..3).map(|place| edges(1.0, place, 3)).collect();
        let flat: Vec<f64> = edges.iter().flat_map(|(left, right)| [*left, *right]).collect();
        assert!(flat.is_sorted() && flat[0] > 1.0 && flat[5] < 2.0, "{flat:?}");
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_an_error() {
        assert!(draw(Path::new("/nonexistent/chart.svg"), &report()).is_err());
    }
}
