//! All cases with all seeds, in one folder.

use std::{ops::Range, path::Path};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{
    figures::Row,
    identities::Identities,
    plan::Case,
    world::{self, Scene},
};
use crate::grid;

/// Runs every case with every seed; see [`grid::run`].
pub(super) fn run(
    cases: &[Case],
    seeds: Range<u64>,
    threads: Option<u16>,
    done: impl FnMut(&Case, &[Row]) -> Result<()>,
) -> Result<()> {
    let (folder, identities) = (folder()?, Identities::make()?);
    let scene = Scene { folder: folder.path(), identities: &identities };
    let one = |case: &Case, seed| {
        world::run(&scene, case, seed).with_context(|| format!("{} with seed {seed}", case.name))
    };
    grid::run(cases, seeds, threads, one, done)
}

/// Where files of the runs may be: in memory where the system has such a place.
fn folder() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("fulmar-transfers-");
    Ok(builder.tempdir_in(Path::new("/dev/shm")).or_else(|_| builder.tempdir())?)
}
