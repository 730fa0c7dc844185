//! All cases with all seeds, on several threads.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    sync::mpsc,
    thread,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{
    figures::Row,
    identities::Identities,
    plan::Case,
    world::{self, Scene},
};

/// Runs every case with every seed. `done` gets the rows of one case after the other, in the order of the cases and of the
/// seeds, however the threads come along.
pub(super) fn run(
    cases: &[Case],
    seeds: Range<u64>,
    threads: Option<u16>,
    mut done: impl FnMut(&Case, &[Row]) -> Result<()>,
) -> Result<()> {
    let per_case = usize::try_from(seeds.end - seeds.start)?;
    let jobs = cases.len() * per_case;
    let (folder, identities) = (folder()?, Identities::make()?);
    let scene = Scene { folder: folder.path(), identities: &identities };
    let next = AtomicUsize::new(0);
    let (to_us, rows) = mpsc::channel();
    let threads = threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    thread::scope(|scope| {
        for _ in 0..threads.min(jobs) {
            let (next, scene, seeds, to_us) = (&next, &scene, seeds.clone(), to_us.clone());
            scope.spawn(move || {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(job / per_case) else { return };
                    let seed = seeds.start + (job % per_case) as u64;
                    let row = world::run(scene, case, seed);
                    let row = row.with_context(|| format!("{} with seed {seed}", case.name));
                    // Nobody listens any more once something failed.
                    if to_us.send((job, row)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to_us);
        let collected = collect(cases, per_case, &rows, &mut done);
        // Threads that still run notice at their next row.
        drop(rows);
        collected
    })
}

/// Hands rows on in the order of the jobs.
fn collect(
    cases: &[Case],
    per_case: usize,
    rows: &mpsc::Receiver<(usize, Result<Row>)>,
    done: &mut impl FnMut(&Case, &[Row]) -> Result<()>,
) -> Result<()> {
    let mut early: BTreeMap<usize, Row> = BTreeMap::new();
    for (index, case) in cases.iter().enumerate() {
        let jobs = index * per_case..(index + 1) * per_case;
        while early.range(jobs.clone()).count() < per_case {
            let (job, row) = rows.recv().context("a thread has ended early")?;
            early.insert(job, row?);
        }
        let rest = early.split_off(&jobs.end);
        let rows: Vec<Row> = std::mem::replace(&mut early, rest).into_values().collect();
        done(case, &rows)?;
    }
    Ok(())
}

/// Where files of the runs may be: in memory where the system has such a place.
fn folder() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("fulmar-transfers-");
    Ok(builder.tempdir_in(Path::new("/dev/shm")).or_else(|_| builder.tempdir())?)
}
