//! All cases with all seeds, on several threads.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use anyhow::{Context as _, Result};

/// Runs every case with every seed through `one`, on so many threads or one for each core. `done` gets the rows of one case after the
/// other, in the order of the cases and of the seeds, however the threads come along.
pub(crate) fn run<Case: Sync, Row: Send>(
    cases: &[Case],
    seeds: Range<u64>,
    threads: Option<u16>,
    one: impl Fn(&Case, u64) -> Result<Row> + Sync,
    mut done: impl FnMut(&Case, &[Row]) -> Result<()>,
) -> Result<()> {
    let per_case = usize::try_from(seeds.end - seeds.start)?;
    let jobs = cases.len() * per_case;
    let next = AtomicUsize::new(0);
    let (to_us, rows) = mpsc::channel();
    let threads = threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    thread::scope(|scope| {
        for _ in 0..threads.min(jobs) {
            let (next, one, seeds, to_us) = (&next, &one, seeds.clone(), to_us.clone());
            scope.spawn(move || {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(job / per_case) else { return };
                    let seed = seeds.start + (job % per_case) as u64;
                    // Nobody listens any more once something failed.
                    if to_us.send((job, one(case, seed))).is_err() {
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
fn collect<Case, Row>(
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn rows_come_in_the_order_of_cases_and_seeds() {
        let mut seen = Vec::new();
        let last_is_done = AtomicBool::new(false);
        let one = |case: &u64, seed| {
            // The first one takes longest.
            while (*case, seed) == (1, 5) && !last_is_done.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            last_is_done.fetch_or((*case, seed) == (3, 6), Ordering::Relaxed);
            Ok(100 * case + seed)
        };
        let done = |case: &u64, rows: &[u64]| {
            seen.push((*case, rows.to_vec()));
            Ok(())
        };
        run(&[1, 2, 3], 5..7, Some(3), one, done).expect("no case fails");
        assert_eq!(seen, [(1, vec![105, 106]), (2, vec![205, 206]), (3, vec![305, 306])]);
    }

    #[test]
    fn the_first_failure_ends_it() {
        let one = |case: &u64, _| if *case == 2 { Err(anyhow::anyhow!("the second")) } else { Ok(*case) };
        let error = run(&[1, 2, 3], 1..3, Some(1), one, |_, _| Ok(())).expect_err("a failure");
        assert_eq!(error.to_string(), "the second");
    }
}
