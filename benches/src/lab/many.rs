//! Many small files over a link that delays and loses packets: fulmar's program against one file of the same bytes, and against rsync and scp over
//! ssh with BBR.
//!
//! ```text
//! plan         who moves how many files, in which order, and what is expected
//! trees        the files, and what of them has arrived
//! programs     fulmar's server and clients, with keys of their own
//! ssh          sshd, rsync and scp, with keys of their own, where they are installed
//! visit        one transfer: a link, a server, a client and the time
//! figures      what the transfers come to; text, the table
//! ```

mod args;
mod figures;
mod plan;
mod programs;
mod ssh;
mod text;
mod trees;
mod visit;

use std::{fs::File, io::BufWriter};

use anyhow::{Context as _, Result};
use fulmar_netsim::tun::Access;

pub(super) use args::ManyArgs;
use figures::Figures;
use plan::{Plan, Task, Who};
use programs::Programs;
use ssh::Ssh;
use trees::Trees;
use visit::{Row, Visits};

use super::table::Interruption;
use crate::{measure::machine::Conditions, report};

/// Targets were missed.
const MISSED: u8 = 1;

/// Measures and reports. Returns the exit code.
pub(super) fn many(args: &ManyArgs) -> Result<u8> {
    let mut plan = Plan::new(args);
    let conditions = Conditions::here(&args.measuring.dir)?;
    // Before any thread is started: a user namespace is entered by single threads only.
    let access = Access::obtain()?;
    let mut json = args.json.as_deref().map(report::create).transpose()?;
    if let Some(out) = &mut json {
        report::write_conditions(out, &conditions)?;
    }
    let interruption = Interruption::listen()?;
    let rows = match measure(args, &mut plan, access, &interruption, json.as_mut()) {
        Ok(rows) => rows,
        Err(error) => return interruption.exit_code().ok_or(error),
    };
    let figures = Figures::all(&plan, &rows);
    if let Some(out) = &mut json {
        report::write_cells(out, &figures)?;
    }
    print!("{}", text::table(&conditions, &plan, &rows, &figures));
    Ok(if figures.iter().all(Figures::is_met) { 0 } else { MISSED })
}

/// Makes all transfers. What has been measured is on disk before the next one begins.
fn measure(
    args: &ManyArgs,
    plan: &mut Plan,
    access: Access,
    interruption: &Interruption,
    mut json: Option<&mut BufWriter<File>>,
) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new().prefix("fulmar-bench-").tempdir_in(&args.measuring.dir);
    let folder = folder.with_context(|| format!("cannot write to {}", args.measuring.dir.display()))?;
    eprintln!("making the files and the keys");
    let trees = Trees::make(folder.path(), args.measuring.seed, plan.counts())?;
    let ssh = match Ssh::prepare(&folder.path().join("ssh"), access) {
        Ok(ssh) => Some(ssh),
        Err(why) => {
            plan.leave_out_ssh(&format!("{why:#}"));
            None
        }
    };
    let programs = Programs::prepare(&folder.path().join("fulmar"), args.fulmar.as_deref())?;
    let visits = Visits {
        access,
        folder: folder.path(),
        trees: &trees,
        programs: &programs,
        ssh: ssh.as_ref(),
        interruption,
    };
    visits.enrol().context("cannot enrol fulmar's client")?;
    let mut rows = Vec::new();
    for planned in plan.transfers() {
        for attempt in 0..=args.measuring.repeats {
            let mut row = visits.one(planned, attempt)?;
            row.counts = row.lab.spoilt.is_empty() || attempt == args.measuring.repeats;
            eprintln!("round {} of {}: {}", planned.round + 1, plan.rounds(), text::said(&row));
            if let Some(out) = &mut json {
                report::write_rows(*out, std::slice::from_ref(&row))?;
            }
            let counts = row.counts;
            rows.push(row);
            if counts {
                break;
            }
        }
    }
    Ok(rows)
}
