//! The contenders of the contest side by side on bad links.
//!
//! ```text
//! plan         which transfers, in which order
//! measure      one transfer over a link of its own
//! interrupt    what happens when the program is asked to end
//! figures      what several transfers of a kind come to
//! text, chart  two ways of showing that
//! ```

mod args;
mod chart;
mod figures;
mod interrupt;
mod measure;
mod plan;
#[cfg(test)]
pub(in crate::lab) mod testing;
mod text;

use std::{fs::File, io::BufWriter, time::Instant};

use anyhow::{Context as _, Result};
use fulmar_netsim::{Profile, tun::Access};
use fulmar_proto::text::Escaped;

pub(super) use args::TableArgs;
pub(super) use interrupt::Interruption;
pub(super) use measure::{Course, Row, Setup};
use plan::Plan;
pub(super) use plan::{Entrant, Planned};
pub(super) use text::{conditions, mbit};

use crate::{measure::machine::Conditions, report};

/// All transfers, and what they were made under.
#[derive(Debug)]
struct Report {
    conditions: Conditions,
    plan: Plan,
    rows: Vec<Row>,
}

/// Measures and reports. Returns the exit code.
pub(super) fn table(args: &TableArgs) -> Result<u8> {
    let links = args.links.iter().map(|name| super::plan::find(name)).collect::<Result<Vec<Profile>>>()?;
    let plan = Plan::new(links, args);
    let conditions = Conditions::here(&args.measuring.dir)?;
    // Before any thread is started: a user namespace is entered by single threads only.
    let access = Access::obtain()?;
    let mut json = args.json.as_deref().map(report::create).transpose()?;
    if let Some(out) = &mut json {
        report::write_conditions(out, &conditions)?;
    }
    let interruption = Interruption::listen()?;
    let begin = Instant::now();
    let rows = match measure(args, &plan, access, &interruption, json) {
        Ok(rows) => rows,
        Err(error) => return interruption.exit_code().ok_or(error),
    };
    eprintln!("all of it took {:.0} s", begin.elapsed().as_secs_f64());
    let report = Report { conditions, plan, rows };
    print!("{}", text::table(&report));
    if let Some(path) = &args.svg {
        chart::draw(path, &report).with_context(|| format!("cannot draw {}", path.display()))?;
    }
    Ok(0)
}

/// Makes all transfers. What has been measured is on disk before the next one begins.
fn measure(
    args: &TableArgs,
    plan: &Plan,
    access: Access,
    interruption: &Interruption,
    mut json: Option<BufWriter<File>>,
) -> Result<Vec<Row>> {
    eprintln!("making the source files, and every transfer once without a link");
    let setup = Setup {
        dir: &args.measuring.dir,
        seed: args.measuring.seed,
        cells: &plan.cells(),
        repeats: args.measuring.repeats,
    };
    let course = Course::prepare(&setup, access, interruption)?;
    eprintln!("over the links: {} transfers of at most {} s each", plan.transfers().count(), plan.limit_s());
    let mut rows = Vec::new();
    for planned in plan.transfers() {
        let made = course.transfer(&plan.links()[planned.link], planned)?;
        for row in &made {
            announce(row, plan.rounds());
        }
        if let Some(out) = &mut json {
            report::write_rows(out, &made)?;
        }
        rows.extend(made);
    }
    Ok(rows)
}

/// Says on standard error what a transfer came to.
pub(super) fn announce(row: &Row, rounds: u32) {
    let Row { round, link, direction, contender, .. } = row;
    let (round, direction, link) = (round + 1, direction.word(), Escaped(link));
    eprintln!("round {round} of {rounds}: {link}, {direction}, {}: {}", contender.title(), text::said(row));
}
