//! The measurement.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::plan::Plan;
use crate::{
    args::LoopbackArgs,
    contest::{Cell, Moved, Pair, Scene, Share, Size, Venue},
    lab::Wired,
    measure::machine::Conditions,
    report::{self, Report},
};

/// One transfer that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// From 0; transfers of one round, size and direction were made one right after the other.
    pub(crate) round: u32,
    #[serde(flatten)]
    pub(crate) cell: Cell,
    pub(crate) seconds: f64,
    /// File bytes per second.
    pub(crate) goodput_bytes_per_s: f64,
    pub(crate) client: Share,
    pub(crate) server: Share,
}

/// Measures in every directory and reports.
pub(crate) fn run(args: &LoopbackArgs) -> Result<()> {
    let quick_sizes = [1, 16, 256].map(|mib| Size(mib << 20));
    let (sizes, rounds) = if args.quick { (&quick_sizes[..], 1) } else { (&args.sizes[..], args.rounds) };
    let plan = Plan::new(sizes, &args.directions, &args.contenders, rounds);
    // Before any thread is started: a user namespace is entered by single threads only.
    let wired = args.mtu.map(Wired::start).transpose()?;
    let launch = wired.as_ref().map(|wired| |part, arguments: &[String]| wired.command(part, arguments));
    let venue = match &launch {
        Some(launch) => Venue { listen: Wired::server_address(), launch, ..Venue::loopback() },
        None => Venue::loopback(),
    };
    let mut json = args.json.as_deref().map(report::create).transpose()?;
    for (index, dir) in args.dir.iter().enumerate() {
        let mut conditions = Conditions::here(dir)?;
        if let Some(mtu_bytes) = args.mtu {
            (conditions.interface, conditions.mtu_bytes) = ("veth", Some(mtu_bytes.into()));
        }
        let rows = measure(dir, &plan, &venue, args.seed)?;
        let report = Report { conditions, rows };
        print!("{}{}", if index > 0 { "\n" } else { "" }, report::table(&report));
        if let Some(out) = &mut json {
            report::write_json(out, &report.conditions, &report.rows)?;
        }
        if let Some(path) = args.svg.as_deref().filter(|_| index == 0) {
            report::draw(path, &report).with_context(|| format!("cannot draw {}", path.display()))?;
        }
    }
    Ok(())
}

/// Runs the plan with files in `dir`.
fn measure(dir: &Path, plan: &Plan, venue: &Venue<'_>, seed: u64) -> Result<Vec<Row>> {
    eprintln!("making the source files");
    let scene = Scene::set(dir, plan.sizes(), seed)?;
    let warm_up = plan.warm_up();
    let mut pairs = BTreeMap::new();
    for cell in &warm_up {
        pairs.insert(*cell, Pair::start(&scene.stage(*cell)?, *cell, venue)?);
    }
    eprintln!("warming up: every transfer once, not counted");
    for cell in warm_up {
        transfer(&scene, &mut pairs, 0, cell)?;
    }
    let mut rows = Vec::new();
    for round in 0..plan.rounds() {
        eprintln!("round {} of {}", round + 1, plan.rounds());
        for cell in plan.round(round) {
            rows.push(transfer(&scene, &mut pairs, round, cell)?);
        }
    }
    Ok(rows)
}

fn transfer(scene: &Scene, pairs: &mut BTreeMap<Cell, Pair>, round: u32, cell: Cell) -> Result<Row> {
    let pair = pairs.get_mut(&cell).context("a transfer without processes")?;
    let moved = pair.transfer(scene, &format!("result-{round}.bin"), None).and_then(Moved::whole);
    let moved = moved.with_context(|| {
        format!("{} of {} by {}", cell.direction.word(), cell.size, cell.contender.title())
    })?;
    let seconds = moved.elapsed.as_secs_f64();
    let goodput_bytes_per_s = cell.size.0 as f64 / seconds;
    Ok(Row { round, cell, seconds, goodput_bytes_per_s, client: moved.client, server: moved.server })
}
