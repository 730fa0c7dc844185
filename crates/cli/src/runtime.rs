//! The threads that everything runs on.

use std::{future::Future, num::NonZero, thread};

use rustix::process::Resource;

use crate::{exit_code::ExitCode, output::Failure};

/// How many threads do blocking work (files, hashes): two per core, so that some hash while others wait for the disk.
pub(crate) fn disk_threads() -> usize {
    (2 * cores()).clamp(4, 64)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Takes as many open files as the system allows without asking: every upload under way holds
/// one or two, and every folder on the command line one.
fn raise_open_files() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer open files fewer uploads can be under way; nothing else depends on it.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
}

/// Runs `work` to its end on at least two threads. Threads that sit in a blocking read are left behind.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    raise_open_files();
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
