//! Whole transfers, from connecting to the acknowledged end, by the real client and server in virtual time.
//!
//! ```text
//! plan     which files over which links, and what has to be reached; TOML
//! world    one transfer: a network, a server, a client
//! work     all cases with all seeds, in one folder
//! figures  what the runs of a case come to
//! table    how it is shown
//! ```
//!
//! Unless a case is bunched, packets arrive and timers of endpoints fire at the very moment when they are to.

mod args;
mod figures;
mod identities;
mod plan;
mod table;
mod work;
mod world;

use std::io::Write as _;

use anyhow::{Result, bail};

pub(crate) use args::TransfersArgs;

/// Runs a plan, prints its table, and fails when a target is missed.
pub(crate) fn run(args: &TransfersArgs) -> Result<()> {
    let mut plan = plan::load(args.plan.as_deref())?;
    plan.keep(args.only.as_deref().unwrap_or_default(), args.bytes);
    if plan.cases.is_empty() {
        bail!("no case of the plan has that in its name");
    }
    let seeds = args.first_seed..args.first_seed.saturating_add(args.seeds.unwrap_or(plan.seeds).into());
    eprintln!("{}: {} cases, {} seeds", plan.name, plan.cases.len(), seeds.end - seeds.start);
    let mut json = args.json.as_deref().map(crate::report::create).transpose()?;
    print!("{}", table::head(&plan));
    let mut missed = 0;
    work::run(&plan.cases, seeds, args.threads, |case, rows| {
        let misses = figures::misses(case, rows);
        missed += misses.len();
        print!("{}", table::line(case, rows, &misses));
        std::io::stdout().flush()?;
        if let Some(out) = &mut json {
            rows.iter().try_for_each(|row| {
                writeln!(out, "{}", serde_json::to_string(row)?).map_err(anyhow::Error::from)
            })?;
            out.flush()?;
        }
        Ok(())
    })?;
    println!("{}", table::foot(&plan, missed));
    if missed > 0 {
        bail!("{missed} of the plan's targets were missed; the table says which");
    }
    Ok(())
}
