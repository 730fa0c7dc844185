//! Groups of bars side by side, in one panel or several.

use std::path::Path;

use anyhow::{Result, anyhow};
pub(crate) use plotters::style::RGBColor;
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

const WIDTH_PX: u32 = 960;
const HEADING_PX: u32 = 46;
const PANEL_PX: u32 = 354;
const FONT: &str = "sans-serif";

/// Of the room that a group has, how much its bars take; and how much of its own room a bar takes.
const GROUP: f64 = 0.84;
const BAR: f64 = 0.9;

/// How much of its colour a bar keeps that stands for something that is not whole.
const PALE: f64 = 0.4;

/// What is drawn. All panels have one scale.
pub(crate) struct Picture {
    pub(crate) heading: String,
    /// How the panels lie.
    pub(crate) layout: Layout,
    pub(crate) series: Vec<Series>,
    pub(crate) panels: Vec<Panel>,
}

/// How panels lie.
#[derive(Clone, Copy)]
pub(crate) enum Layout {
    SideBySide,
    Stacked,
}

/// What has a bar in every group.
pub(crate) struct Series {
    pub(crate) title: &'static str,
    pub(crate) color: RGBColor,
}

/// One of the charts beside each other.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) groups: Vec<Group>,
}

/// Bars that are compared: as many as there are series, in their order.
pub(crate) struct Group {
    pub(crate) label: String,
    pub(crate) bars: Vec<Option<Bar>>,
}

/// A value, with a line from the least to the most.
pub(crate) struct Bar {
    pub(crate) value: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// What stands for something that is not whole is pale.
    pub(crate) whole: bool,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws to an SVG file.
pub(crate) fn draw(path: &Path, picture: &Picture) -> Result<()> {
    let panels = picture.panels.len().max(1);
    let (rows, columns) = match picture.layout {
        Layout::SideBySide => (1, panels),
        Layout::Stacked => (panels, 1),
    };
    let height_px = HEADING_PX + PANEL_PX * u32::try_from(rows)?;
    let root = SVGBackend::new(path, (WIDTH_PX, height_px)).into_drawing_area();
    paint(&root, picture, (rows, columns)).map_err(|error| anyhow!("{error}"))
}

fn paint(root: &Area<'_>, picture: &Picture, places: (usize, usize)) -> Drawn {
    root.fill(&WHITE)?;
    let (title, below) = root.split_vertically(HEADING_PX);
    title.draw(&Text::new(picture.heading.as_str(), (16, 8), (FONT, 16)))?;
    legend(&title, &picture.series)?;
    for (panel, place) in picture.panels.iter().zip(below.split_evenly(places)) {
        paint_panel(root, &place, picture, panel)?;
    }
    root.present()
}

fn legend(area: &Area<'_>, series: &[Series]) -> Drawn {
    let (width, _) = area.dim_in_pixel();
    let room = 130;
    let mut x = i32::try_from(width).unwrap_or(0) - room * i32::try_from(series.len()).unwrap_or(0);
    for Series { title, color } in series {
        area.draw(&Rectangle::new([(x, 28), (x + 12, 40)], color.filled()))?;
        area.draw(&Text::new(*title, (x + 18, 27), (FONT, 13)))?;
        x += room;
    }
    Ok(())
}

fn paint_panel(root: &Area<'_>, place: &Area<'_>, picture: &Picture, panel: &Panel) -> Drawn {
    let top = highest(picture) * 1.12;
    let mut chart = ChartBuilder::on(place)
        .caption(panel.title, (FONT, 15))
        .margin(8)
        .x_label_area_size(26)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..panel.groups.len() as f64, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .label_style((FONT, 12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (index, group) in panel.groups.iter().enumerate() {
        let left = index as f64;
        let center = chart.backend_coord(&(left + 0.5, 0.0));
        root.draw(&label(group.label.clone(), (center.0, center.1 + 6), VPos::Top))?;
        for (place, (bar, series)) in group.bars.iter().zip(&picture.series).enumerate() {
            let Some(bar) = bar else { continue };
            let (left, right) = edges(left, place, picture.series.len());
            let fill = if bar.whole { series.color.filled() } else { series.color.mix(PALE).filled() };
            let middle = (left + right) / 2.0;
            let range = PathElement::new([(middle, bar.least), (middle, bar.most)], BLACK.mix(0.55));
            chart.draw_series([Rectangle::new([(left, 0.0), (right, bar.value)], fill)])?;
            chart.draw_series([range])?;
            let above = chart.backend_coord(&(middle, bar.most));
            root.draw(&label(shown(bar.value), (above.0, above.1 - 3), VPos::Bottom))?;
        }
    }
    Ok(())
}

/// A value in few characters, of which the first two count.
fn shown(value: f64) -> String {
    if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn label(text: String, at: (i32, i32), vertical: VPos) -> Text<'static, (i32, i32), String> {
    Text::new(text, at, TextStyle::from((FONT, 12).into_font()).pos(Pos::new(HPos::Center, vertical)))
}

/// Where a bar begins and ends, in groups from the left.
fn edges(group: f64, place: usize, places: usize) -> (f64, f64) {
    let room = GROUP / places as f64;
    let left = group + (1.0 - GROUP) / 2.0 + room * (place as f64 + (1.0 - BAR) / 2.0);
    (left, left + room * BAR)
}

fn highest(picture: &Picture) -> f64 {
    let groups = picture.panels.iter().flat_map(|panel| &panel.groups);
    groups.flat_map(|group| group.bars.iter().flatten()).map(|bar| bar.most).fold(1.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let bar = |value, whole| Some(Bar { value, least: value / 2.0, most: value * 2.0, whole });
        let group = |label: &str, bars| Group { label: label.to_owned(), bars };
        Picture {
            heading: "what it shows".to_owned(),
            layout: Layout::Stacked,
            series: vec![
                Series { title: "first", color: RGBColor(1, 2, 3) },
                Series { title: "second", color: RGBColor(4, 5, 6) },
            ],
            panels: vec![Panel {
                title: "a panel",
                groups: vec![
                    group("left", vec![bar(3.0, true), bar(70.0, true)]),
                    group("right", vec![None, bar(0.25, false)]),
                ],
            }],
        }
    }

    #[test]
    fn every_bar_has_its_colour_and_value_and_what_is_not_whole_is_pale() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("picture.svg");
        draw(&path, &picture()).expect("drawn");
        let svg = std::fs::read_to_string(path).expect("there");
        for word in ["what it shows", "a panel", "first", "second", "left", "right", "3.0", "70", "0.2"] {
            assert!(svg.lines().any(|line| line.trim() == word), "{word} is not in the picture");
        }
        let bars = |color: &str, opacity: &str| {
            svg.matches(&format!("opacity=\"{opacity}\" fill=\"{color}\"")).count()
        };
        // One of each is in the legend.
        assert_eq!((bars("#010203", "1"), bars("#040506", "1"), bars("#040506", "0.4")), (2, 2, 1), "{svg}");
    }

    #[test]
    fn bars_lie_side_by_side_within_their_group() {
        let edges: Vec<(f64, f64)> = (0..3).map(|place| edges(1.0, place, 3)).collect();
        let flat: Vec<f64> = edges.iter().flat_map(|(left, right)| [*left, *right]).collect();
        assert!(flat.is_sorted() && flat[0] > 1.0 && flat[5] < 2.0, "{flat:?}");
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_an_error() {
        assert!(draw(Path::new("/nonexistent/picture.svg"), &picture()).is_err());
    }
}
