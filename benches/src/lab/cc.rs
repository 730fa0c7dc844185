//! The matrix that fulmar's congestion control has to stand with real processes: a file over links of two rates, near and far, with and without
//! loss, beside TCP BBR and TCP CUBIC, and each cell against its target.
//!
//! ```text
//! plan         which links, which transfers, in which order
//! targets      what is expected of each link
//! figures      what the transfers over a link come to, and which targets that misses
//! text         the table
//! ```

mod args;
mod figures;
mod plan;
mod targets;
mod text;

use std::{fs::File, io::BufWriter, time::Instant};

use anyhow::Result;
use fulmar_netsim::tun::Access;

pub(super) use args::CcArgs;
use figures::Cell;
use plan::Plan;

use super::table::{Course, Interruption, Row, Setup, announce};
use crate::{measure::machine::Conditions, report};

/// Targets were missed.
const MISSED: u8 = 1;

/// Measures and reports. Returns the exit code.
pub(super) fn cc(args: &CcArgs) -> Result<u8> {
    let plan = Plan::new(args)?;
    let conditions = Conditions::here(&args.measuring.dir)?;
    // Before any thread is started: a user namespace is entered by single threads only.
    let access = Access::obtain()?;
    let mut json = args.json.as_deref().map(report::create).transpose()?;
    if let Some(out) = &mut json {
        report::write_conditions(out, &conditions)?;
    }
    let interruption = Interruption::listen()?;
    let begin = Instant::now();
    let rows = match measure(args, &plan, access, &interruption, json.as_mut()) {
        Ok(rows) => rows,
        Err(error) => return interruption.exit_code().ok_or(error),
    };
    eprintln!("all of it took {:.0} s", begin.elapsed().as_secs_f64());
    let cells = figures::cells(&plan, &rows);
    if let Some(out) = &mut json {
        report::write_cells(out, &cells)?;
    }
    print!("{}", text::table(&conditions, &plan, &rows, &cells));
    Ok(if cells.iter().all(Cell::is_met) { 0 } else { MISSED })
}

/// Makes all transfers. What has been measured is on disk before the next one begins.
fn measure(
    args: &CcArgs,
    plan: &Plan,
    access: Access,
    interruption: &Interruption,
    mut json: Option<&mut BufWriter<File>>,
) -> Result<Vec<Row>> {
    eprintln!("making the source files, and every transfer once without a link");
    let setup = Setup {
        dir: &args.measuring.dir,
        seed: args.measuring.seed,
        cells: &plan.cells(),
        repeats: args.measuring.repeats,
    };
    let course = Course::prepare(&setup, access, interruption)?;
    eprintln!("over the links: {} transfers", plan.transfers().count());
    let mut rows = Vec::new();
    for planned in plan.transfers() {
        let made = course.transfer(&plan.spots()[planned.link].link, planned)?;
        made.iter().for_each(|row| announce(row, plan.rounds()));
        if let Some(out) = &mut json {
            report::write_rows(*out, &made)?;
        }
        rows.extend(made);
    }
    Ok(rows)
}
