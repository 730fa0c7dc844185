//! Congestion controllers on links that lose packets: flows of quinn-proto over one bottleneck, in virtual time.
//!
//! ```text
//! plan         which cases: a matrix of links and sets of flows, or single scenarios; TOML
//! limit        the most that a link could have carried over an interval
//! figures      what a run comes to
//! expect       bounds on that, from the plan
//! table, chart how it is shown
//! ```
//!
//! Nothing here depends on how fast the machine is: the same plan and seeds give the same table.

mod args;
mod chart;
mod expect;
mod figures;
mod limit;
mod plan;
mod table;

use std::{fs::File, io::BufWriter, io::Write as _};

use anyhow::{Context as _, Result, bail};
use fulmar_netsim::flows;

pub(crate) use args::FlowsArgs;
use figures::Row;
use plan::Case;

use crate::grid;

/// Runs a plan, prints its table, and fails when an expectation is missed.
pub(crate) fn run(args: &FlowsArgs) -> Result<()> {
    if args.list {
        for (name, description) in plan::builtin()? {
            println!("{name:<10} {description}");
        }
        return Ok(());
    }
    let mut plan = plan::load(&args.plan)?;
    if args.quick {
        plan.keep_quick();
    }
    plan.keep(args.only.as_deref().unwrap_or_default());
    let Some(first) = plan.cases.first() else { bail!("no case of the plan has that in its name") };
    let seeds = args.first_seed..args.first_seed.saturating_add(args.seeds.unwrap_or(plan.seeds).into());
    eprintln!("{}: {} cases, {} seeds", plan.name, plan.cases.len(), seeds.end - seeds.start);
    if let Some(path) = &args.svg {
        let drawn = chart::draw(path, first, seeds.start);
        drawn.with_context(|| format!("cannot draw {}", path.display()))?;
    }
    let mut json = args.json.as_deref().map(crate::report::create).transpose()?;
    print!("{}", table::head(&plan));
    let mut tally = expect::Tally::default();
    grid::run(&plan.cases, seeds, args.threads, one, |case, rows| {
        let misses = expect::misses(&plan.expectations, &case.name, rows);
        tally.add(&plan, &case.name, &misses);
        print!("{}", table::line(case, rows, &expect::targets(&plan.expectations, &case.name), &misses));
        std::io::stdout().flush()?;
        json.as_mut().map_or(Ok(()), |out| write_json(out, rows))
    })?;
    println!("{}", table::foot(&plan, &tally));
    if tally.misses > 0 {
        bail!("{} of the plan's expectations were missed; the table says which", tally.misses);
    }
    Ok(())
}

/// Runs a case with one seed.
fn one(case: &Case, seed: u64) -> Result<Row> {
    let outcome = flows::run(&case.scenario, seed).with_context(|| case.name.clone())?;
    Ok(Row::of(case, seed, &outcome))
}

/// Writes runs, one JSON object per line.
fn write_json(out: &mut BufWriter<File>, rows: &[Row]) -> Result<()> {
    for row in rows {
        writeln!(out, "{}", serde_json::to_string(row)?)?;
    }
    Ok(out.flush()?)
}
