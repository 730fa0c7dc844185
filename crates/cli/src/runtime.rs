//! The threads that everything runs on.

use std::{future::Future, num::NonZero, thread};

use crate::{exit_code::ExitCode, output::Failure};

/// How many threads do blocking work (files, hashes): two per core, so that some hash while others wait for the disk.
pub(crate) fn disk_threads() -> usize {
    (2 * cores()).clamp(4, 64)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs `work` to its end on at least two threads. Threads that sit in a blocking read are left behind.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores().max(2))
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(ExitCode::Other, "other", format!("cannot start the runtime: {error}"))
        })?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(result)
}
