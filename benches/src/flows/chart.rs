//! The rates of a case's flows and its queue over time, as a picture.

use std::{ops::Range, path::Path, time::Duration};

use anyhow::{Result, anyhow};
use fulmar_netsim::flows::{self, Outcome};
use plotters::{coord::Shift, prelude::*};

use super::{Case, limit};

const SIZE_PX: (u32, u32) = (960, 560);
const RATES_PX: u32 = 350;
const FONT: &str = "sans-serif";

/// How many points a line has at most.
const POINTS: u32 = 300;

/// Colours that differ in brightness too (Okabe and Ito's palette).
const COLORS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xe6, 0x9f, 0x00),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A line of a panel: its name, and its points in seconds and in the panel's unit.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Runs a case and draws what happens in it.
pub(super) fn draw(path: &Path, case: &Case, seed: u64) -> Result<()> {
    let outcome = flows::run(&case.scenario, seed)?;
    let root = SVGBackend::new(path, SIZE_PX).into_drawing_area();
    paint(&root, case, seed, &outcome).map_err(|error| anyhow!("{error}"))
}

fn paint(root: &Area<'_>, case: &Case, seed: u64, outcome: &Outcome) -> Drawn {
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(RATES_PX);
    let title = format!("{}, seed {seed}: goodput, Mbit/s", case.name);
    panel(&above, &title, &rates(case, outcome))?;
    panel(&below, "queue of the data's way, ms", &queues(case, outcome))?;
    root.present()
}

fn bin(outcome: &Outcome) -> Duration {
    outcome.series.ended() / POINTS
}

/// The goodput of every flow, and the most that the link could have carried the first one's way.
fn rates(case: &Case, outcome: &Outcome) -> Vec<Curve> {
    let flows = outcome.flows.iter().enumerate().map(|(index, flow)| {
        let bins = outcome.series.bins(index, flow.way, bin(outcome));
        let points = bins.iter().map(|(at, rate, _)| (at.as_secs_f64(), rate / 125_000.0)).collect();
        Curve { name: flow.name.clone(), points }
    });
    flows.chain(std::iter::once(most(case, outcome))).collect()
}

fn most(case: &Case, outcome: &Outcome) -> Curve {
    let way = outcome.flows[0].way;
    let direction = case.scenario.profile.direction(way);
    let mut from = Duration::ZERO;
    let mut points = Vec::new();
    for (to, _, _) in outcome.series.bins(0, way, bin(outcome)) {
        let during: Range<Duration> = from..to;
        points.push((to.as_secs_f64(), limit::bytes_per_s(direction, &during) / 125_000.0));
        from = to;
    }
    Curve { name: "limit".to_owned(), points }
}

fn queues(case: &Case, outcome: &Outcome) -> Vec<Curve> {
    let mut ways: Vec<_> = case.scenario.flows.iter().map(|flow| flow.way).collect();
    ways.sort_unstable();
    ways.dedup();
    let curve = |way: fulmar_netsim::Way| {
        let bins = outcome.series.bins(0, way, bin(outcome));
        let points = bins.iter().map(|(at, _, queue_ms)| (at.as_secs_f64(), *queue_ms)).collect();
        Curve { name: format!("queue {}", way.word()), points }
    };
    ways.into_iter().map(curve).collect()
}

fn panel(area: &Area<'_>, title: &str, curves: &[Curve]) -> Drawn {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let right = points().map(|point| point.0).fold(0.001, f64::max);
    let top = points().map(|point| point.1).fold(0.001, f64::max) * 1.25;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 15))
        .margin(8)
        .x_label_area_size(26)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    chart.configure_mesh().label_style((FONT, 12)).light_line_style(TRANSPARENT).draw()?;
    for (index, curve) in curves.iter().enumerate() {
        let color = color(index, curve);
        let series = chart.draw_series([PathElement::new(curve.points.clone(), color)])?;
        series.label(&curve.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font((FONT, 12))
        .draw()
}

fn color(index: usize, curve: &Curve) -> RGBColor {
    if curve.name == "limit" { RGBColor(0x88, 0x88, 0x88) } else { COLORS[index % COLORS.len()] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::figures::testing::case;

    #[test]
    fn the_picture_has_a_line_for_every_flow_the_limit_and_the_queue() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("chart.svg");
        draw(&path, &case(), 1).expect("drawn");
        let svg = std::fs::read_to_string(path).expect("there");
        for word in ["test case, seed 1: goodput, Mbit/s", "cubic", "bbr", "limit", "queue up"] {
            assert!(svg.lines().any(|line| line.trim() == word), "{word} is not in the picture");
        }
        let colors = [COLORS[0], COLORS[1], RGBColor(0x88, 0x88, 0x88)];
        for RGBColor(r, g, b) in colors {
            // The line, and its place in the legend.
            assert!(svg.matches(&format!("stroke=\"#{r:02X}{g:02X}{b:02X}\"")).count() >= 2);
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_an_error() {
        assert!(draw(Path::new("/nonexistent/chart.svg"), &case(), 1).is_err());
    }
}
