//! The files, and what of them has arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::plan::{FILE_BYTES, Task, Who};

/// How many files there are in a folder.
const FILES_PER_FOLDER: u32 = 100;

/// Everything that is sent: for each count a tree of that many files, and one file with as many bytes.
#[derive(Debug)]
pub(super) struct Trees {
    folder: PathBuf,
}

impl Trees {
    /// Makes them in a folder, of bytes that depend on `seed` alone and cannot be compressed.
    pub(super) fn make(folder: &Path, seed: u64, counts: BTreeSet<u32>) -> Result<Self> {
        let this = Self { folder: folder.join("sources") };
        for count in counts {
            let mut bytes = blake3::Hasher::new();
            let mut bytes = bytes.update(&seed.to_le_bytes()).update(&count.to_le_bytes()).finalize_xof();
            let root = this.tree(count);
            let mut content = vec![0; usize::try_from(FILE_BYTES)?];
            let mut all = Vec::new();
            for index in 0..count {
                let dir = root.join(format!("folder-{:03}", index / FILES_PER_FOLDER));
                fs::create_dir_all(&dir)?;
                bytes.fill(&mut content);
                fs::write(dir.join(format!("file-{index:05}.bin")), &content)?;
                all.extend_from_slice(&content);
            }
            fs::write(this.one_file(count), all)?;
        }
        Ok(this)
    }

    /// What a task sends.
    pub(super) fn source(&self, task: Task) -> PathBuf {
        if task.who == Who::FulmarOneFile { self.one_file(task.count) } else { self.tree(task.count) }
    }

    fn tree(&self, count: u32) -> PathBuf {
        self.folder.join(format!("tree-{count}"))
    }

    fn one_file(&self, count: u32) -> PathBuf {
        self.folder.join(format!("one-{count}.bin"))
    }

    /// How many files of a task lie in `dir` under their names, with their bytes.
    pub(super) fn arrived(&self, task: Task, dir: &Path) -> Result<u32> {
        let source = self.source(task);
        let same = |from: &Path, to: &Path| -> io::Result<bool> {
            match fs::read(to) {
                Ok(bytes) => Ok(bytes == fs::read(from)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        };
        if task.who == Who::FulmarOneFile {
            return Ok(u32::from(same(&source, dir)?));
        }
        let mut arrived = 0;
        for (name, path) in files(&source)? {
            arrived += u32::from(same(&path, &dir.join(name))?);
        }
        Ok(arrived)
    }
}

/// The files of a tree of two levels, by their names in it.
fn files(root: &Path) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut files = BTreeMap::new();
    for folder in fs::read_dir(root).with_context(|| format!("cannot read {}", root.display()))? {
        for file in fs::read_dir(folder?.path())? {
            let path = file?.path();
            files.insert(path.strip_prefix(root)?.to_owned(), path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_arrived_is_counted_by_names_and_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        let trees = Trees::make(dir.path(), 1, BTreeSet::from([250])).expect("made");
        let (many, one) =
            (Task { who: Who::Fulmar, count: 250 }, Task { who: Who::FulmarOneFile, count: 250 });
        assert_eq!(trees.arrived(many, &trees.source(many)).expect("read"), 250);
        assert_eq!(trees.arrived(one, &trees.source(one)).expect("read"), 1);
        assert_eq!(fs::metadata(trees.source(one)).expect("there").len(), one.bytes());
        assert_eq!(fs::read_dir(trees.source(many)).expect("there").count(), 3);

        let arrived = dir.path().join("arrived");
        fs::create_dir_all(arrived.join("folder-002")).expect("made");
        assert_eq!(trees.arrived(many, &arrived).expect("read"), 0);
        let name = "folder-002/file-00249.bin";
        fs::copy(trees.source(many).join(name), arrived.join(name)).expect("copied");
        assert_eq!(trees.arrived(many, &arrived).expect("read"), 1);
        fs::write(arrived.join(name), "other bytes").expect("written");
        assert_eq!(trees.arrived(many, &arrived).expect("read"), 0);
        assert_eq!(trees.arrived(one, &dir.path().join("nothing")).expect("read"), 0);
    }

    #[test]
    fn the_bytes_come_from_the_seed() {
        let dir = tempfile::tempdir().expect("a folder");
        let one = |name: &str, seed| {
            let trees = Trees::make(&dir.path().join(name), seed, BTreeSet::from([3])).expect("made");
            fs::read(trees.source(Task { who: Who::FulmarOneFile, count: 3 })).expect("there")
        };
        let first = one("a", 1);
        assert!(first == one("b", 1) && first != one("c", 2));
    }
}
