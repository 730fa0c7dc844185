//! The directories and files of a run, in a temporary directory that goes with it.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use fulmar_disk::Dir;
use fulmar_proto::digest::Digest;
use tempfile::TempDir;

use super::cell::{Cell, Direction, Size};

/// Room for catalogs, keys and the file system's own records, in bytes.
const MARGIN_BYTES: u64 = 64 << 20;

/// How much of a source file is made at once, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// Where a run takes place.
#[derive(Debug)]
pub(crate) struct Scene {
    folder: TempDir,
    sources: Vec<Source>,
}

/// A file that is moved again and again.
#[derive(Debug)]
struct Source {
    size: Size,
    path: PathBuf,
    digest: Digest,
}

/// The directories of one cell.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) server_dir: PathBuf,
    pub(crate) server_state: PathBuf,
    pub(crate) client_dir: PathBuf,
    pub(crate) client_state: PathBuf,
}

impl Stage {
    /// Where the files of one direction arrive.
    pub(crate) fn receiver_dir(&self, direction: Direction) -> &Path {
        match direction {
            Direction::Upload => &self.server_dir,
            Direction::Download => &self.client_dir,
        }
    }

    /// The same, but what is sent in `direction` arrives in an empty directory, which goes with what is returned: nothing
    /// that was left unfinished is there to be gone on with.
    pub(crate) fn anew(&self, direction: Direction) -> Result<(Self, TempDir)> {
        let fresh = tempfile::Builder::new().prefix("fresh-").tempdir_in(self.receiver_dir(direction))?;
        let mut stage = self.clone();
        match direction {
            Direction::Upload => fresh.path().clone_into(&mut stage.server_dir),
            Direction::Download => fresh.path().clone_into(&mut stage.client_dir),
        }
        Ok((stage, fresh))
    }
}

impl Scene {
    /// Makes a temporary directory in `dir` with one source file per size, of bytes that depend on `seed` alone.
    pub(crate) fn set(dir: &Path, sizes: &[Size], seed: u64) -> Result<Self> {
        let needed = needed_bytes(sizes);
        let available = Dir::open_ambient(dir).and_then(|dir| dir.available_bytes());
        let available = available.with_context(|| format!("cannot use {}", dir.display()))?;
        ensure!(
            available >= needed,
            "{} has {} MiB free and {} MiB are needed; name another directory with --dir, or fewer --sizes",
            dir.display(),
            available >> 20,
            needed.div_ceil(1 << 20)
        );
        let folder = tempfile::Builder::new().prefix("fulmar-bench-").tempdir_in(dir);
        let folder = folder.with_context(|| format!("cannot write to {}", dir.display()))?;
        let sources = sizes.iter().map(|size| make_source(folder.path(), *size, seed));
        let sources = sources.collect::<Result<_>>().context("cannot make the source files")?;
        Ok(Self { folder, sources })
    }

    fn source(&self, size: Size) -> Result<&Source> {
        self.sources.iter().find(|source| source.size == size).context("a size without a source")
    }

    /// What the file of this size must arrive as.
    pub(super) fn digest(&self, size: Size) -> Result<Digest> {
        Ok(self.source(size)?.digest)
    }

    /// The path of the file of this size.
    pub(super) fn source_path(&self, size: Size) -> Result<&Path> {
        Ok(&self.source(size)?.path)
    }

    /// Makes the directories of a cell. What is downloaded lies in the server's directory: the same file, linked.
    pub(crate) fn stage(&self, cell: Cell) -> Result<Stage> {
        let folder = self.folder.path().join(format!(
            "{}-{}-{}",
            cell.size.0,
            cell.direction.word(),
            cell.contender.word()
        ));
        let stage = Stage {
            server_dir: folder.join("server"),
            server_state: folder.join("server-state"),
            client_dir: folder.join("client"),
            client_state: folder.join("client-state"),
        };
        for dir in [&stage.server_dir, &stage.server_state, &stage.client_dir, &stage.client_state] {
            private_dir(dir)?;
        }
        if cell.direction == Direction::Download {
            fs::hard_link(self.source_path(cell.size)?, stage.server_dir.join(source_name(cell.size)))?;
        }
        Ok(stage)
    }
}

/// The name of the source file of one size.
pub(super) fn source_name(size: Size) -> String {
    format!("source-{}.bin", size.0)
}

/// All sources, one result, and room to work in. Results are removed before the next is made.
fn needed_bytes(sizes: &[Size]) -> u64 {
    let sources: u64 = sizes.iter().map(|size| size.0).fold(0, u64::saturating_add);
    let result = sizes.iter().map(|size| size.0).max().unwrap_or(0);
    sources.saturating_add(result).saturating_add(MARGIN_BYTES)
}

/// Keys are only taken from folders that nobody else may look into.
fn private_dir(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    Ok(())
}

/// Bytes that cannot be compressed and that every run with this seed has: BLAKE3's output for the seed and the size.
fn make_source(folder: &Path, size: Size, seed: u64) -> Result<Source> {
    let mut bytes = blake3::Hasher::new();
    bytes.update(&seed.to_le_bytes()).update(&size.0.to_le_bytes());
    let mut bytes = bytes.finalize_xof();
    let path = folder.join(source_name(size));
    let mut file = File::create_new(&path)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut missing = size.0;
    while missing > 0 {
        let len = usize::try_from(missing).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        bytes.fill(&mut piece[..len]);
        hasher.update(&piece[..len]);
        file.write_all(&piece[..len])?;
        missing -= len as u64;
    }
    file.sync_all()?;
    Ok(Source { size, path, digest: Digest(*hasher.finalize().as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::Contender;

    #[test]
    fn sources_depend_on_seed_and_size_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let sizes = [Size(1000), Size(3 << 20)];
        let digests = |seed| {
            let scene = Scene::set(dir.path(), &sizes, seed).expect("room");
            let bytes = fs::read(scene.source_path(sizes[1]).expect("made")).expect("readable");
            assert_eq!(bytes.len(), 3 << 20);
            assert_eq!(blake3::hash(&bytes).as_bytes(), &scene.digest(sizes[1]).expect("made").0);
            sizes.map(|size| scene.digest(size).expect("made"))
        };
        let first = digests(1);
        assert_eq!(first, digests(1));
        let second = digests(2);
        assert!(first.iter().zip(&second).all(|(first, second)| first != second));
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0, "a scene goes when it is dropped");
    }

    #[test]
    fn a_directory_without_space_is_refused_in_words() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = Scene::set(dir.path(), &[Size(1 << 60)], 1).expect_err("no disk is so large").to_string();
        assert!(error.contains("MiB are needed") && error.contains("--sizes"), "{error}");
        assert_eq!(needed_bytes(&[Size(3), Size(5)]), 3 + 5 + 5 + MARGIN_BYTES);
        assert_eq!(needed_bytes(&[Size(u64::MAX), Size(5)]), u64::MAX);
    }

    #[test]
    fn what_is_downloaded_lies_at_the_server() {
        let dir = tempfile::tempdir().expect("a folder");
        let size = Size(10);
        let scene = Scene::set(dir.path(), &[size], 1).expect("room");
        for direction in Direction::ALL {
            let stage = scene.stage(Cell { size, direction, contender: Contender::Tcp }).expect("made");
            let there = stage.server_dir.join(source_name(size)).exists();
            assert_eq!(there, direction == Direction::Download);
        }
    }
}
