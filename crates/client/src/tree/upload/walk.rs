//! Walking local trees: with handles, never through a link, and no further ahead than there is use for.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use fulmar_disk::{Dir, DirEntry, DirReader, DiskError, Kind, Offload};
use fulmar_proto::{listing::EntryKind, path::PathError, upload::Destination};

use super::{directories::Directory, file::FoundFile};
use crate::{
    error::Error,
    transfer::source::SourcePlace,
    tree::{
        Exclude,
        course::{Course, Walk},
        shown_below,
    },
};

/// How much is found in one job.
const BATCH: usize = 256;

/// How many entries of one directory are sorted by name together: all of them in most directories.
const CHUNK: usize = 1024;

/// What a walk finds. A directory comes before what is in it.
#[derive(Debug)]
pub(super) enum Found {
    Directory(Arc<Directory>),
    File(FoundFile),
    PassedOver(String, EntryKind),
    Failed(String, Error),
}

type Batch = (Walker, Vec<Found>);

/// A walk over all sources. A job looks ahead by a batch while what was found before is taken up.
pub(super) struct LocalWalk<'a> {
    offload: &'a Offload,
    course: &'a Course<'a>,
    found: VecDeque<Found>,
    walker: Option<Walker>,
    job: Option<Pin<Box<dyn Future<Output = Batch> + Send + 'a>>>,
}

impl<'a> LocalWalk<'a> {
    pub(super) fn new(offload: &'a Offload, exclude: Exclude, course: &'a Course<'a>) -> Self {
        let walker = Walker { exclude, roots: VecDeque::new(), levels: Vec::new() };
        Self { offload, course, found: VecDeque::new(), walker: Some(walker), job: None }
    }

    /// A file that was named.
    pub(super) fn add_file(&mut self, file: FoundFile) {
        self.course.found(file.bytes);
        self.found.push_back(Found::File(file));
    }

    /// A directory that was named.
    pub(super) fn add_directory(&mut self, directory: Arc<Directory>) {
        if let Some(walker) = &mut self.walker {
            walker.roots.push_back(directory);
        }
    }

    fn start(&mut self) {
        if let Some(mut walker) = self.walker.take() {
            let offload = self.offload;
            self.job = Some(Box::pin(offload.run(move || {
                let found = walker.batch();
                (walker, found)
            })));
        }
    }
}

impl Walk for LocalWalk<'_> {
    type Found = Found;

    async fn next(&mut self) -> Option<Found> {
        if let Some(found) = self.found.pop_front() {
            return Some(found);
        }
        if self.job.is_none() {
            self.start();
        }
        let (walker, found) = self.job.as_mut()?.await;
        self.job = None;
        if found.is_empty() {
            return None;
        }
        for found in &found {
            if let Found::File(file) = found {
                self.course.found(file.bytes);
            }
        }
        self.walker = Some(walker);
        self.start();
        self.found.extend(found);
        self.found.pop_front()
    }

    /// The job that looks ahead goes on by itself.
    async fn go_on(&mut self) {
        std::future::pending::<()>().await;
    }
}

/// One directory on the way down.
struct Level {
    directory: Arc<Directory>,
    dir: Dir,
    entries: DirReader,
    /// Entries that were read and not looked at yet, in the order of their names.
    chunk: VecDeque<DirEntry>,
}

struct Walker {
    exclude: Exclude,
    roots: VecDeque<Arc<Directory>>,
    levels: Vec<Level>,
}

impl Walker {
    /// The next things that there are, none at the end. Blocks.
    fn batch(&mut self) -> Vec<Found> {
        let mut found = Vec::with_capacity(BATCH);
        while found.len() < BATCH {
            let Some(level) = self.levels.last_mut() else {
                let Some(root) = self.roots.pop_front() else { break };
                let base = root.base.clone();
                found.push(Found::Directory(Arc::clone(&root)));
                self.enter(root, Ok(base), &mut found);
                continue;
            };
            match level.next() {
                Some(Ok(entry)) => {
                    let (directory, dir) = (Arc::clone(&level.directory), level.dir.clone());
                    self.look_at(&directory, &dir, &entry, &mut found);
                }
                Some(Err(error)) => {
                    found.push(failed(&level.directory, "", error));
                    self.levels.pop();
                }
                None => drop(self.levels.pop()),
            }
        }
        found
    }

    fn enter(&mut self, directory: Arc<Directory>, dir: Result<Dir, DiskError>, found: &mut Vec<Found>) {
        let opened = dir.and_then(|dir| Ok((dir.read_dir(None)?, dir)));
        match opened {
            Ok((entries, dir)) => self.levels.push(Level { directory, dir, entries, chunk: VecDeque::new() }),
            Err(error) => found.push(failed(&directory, "", error)),
        }
    }

    fn look_at(&mut self, above: &Arc<Directory>, dir: &Dir, entry: &DirEntry, found: &mut Vec<Found>) {
        let lossy = String::from_utf8_lossy(&entry.name);
        // The kind that was read along with the name is a hint, and may be missing.
        let meta = match (entry.kind, dir.stat_leaf(&entry.name)) {
            (Some(Kind::Directory), Err(_)) => None,
            (_, Ok(meta)) => Some(meta),
            (_, Err(error)) => {
                if !self.exclude.matches(&above.local_path_of(&lossy), &lossy, false) {
                    found.push(failed(above, &lossy, error));
                }
                return;
            }
        };
        let kind = meta.map_or(Kind::Directory, |meta| meta.kind);
        if self.exclude.matches(&above.local_path_of(&lossy), &lossy, kind == Kind::Directory) {
            return;
        }
        let Ok(name) = std::str::from_utf8(&entry.name) else {
            return found.push(unnameable(above, &lossy, PathError::NotUtf8));
        };
        match kind {
            Kind::Link => found.push(Found::PassedOver(shown_below(&above.shown, name), EntryKind::Link)),
            Kind::Other => found.push(Found::PassedOver(shown_below(&above.shown, name), EntryKind::Other)),
            Kind::Directory => match above.below(name) {
                Err(error) => found.push(unnameable(above, name, error)),
                Ok(directory) => match dir.open_dir_leaf(name) {
                    Err(error) => found.push(failed(above, name, error)),
                    Ok(dir) => {
                        let directory = Arc::new(directory);
                        found.push(Found::Directory(Arc::clone(&directory)));
                        self.enter(directory, Ok(dir), found);
                    }
                },
            },
            Kind::File => found.push(file(above, name, meta.map_or(0, |meta| meta.size))),
        }
    }
}

impl Level {
    fn next(&mut self) -> Option<Result<DirEntry, DiskError>> {
        if self.chunk.is_empty() {
            let mut chunk = Vec::new();
            for entry in self.entries.by_ref().take(CHUNK) {
                match entry {
                    Ok(entry) => chunk.push(entry),
                    // What has been read before is looked at first; reading on will fail again.
                    Err(error) if chunk.is_empty() => return Some(Err(error)),
                    Err(_) => break,
                }
            }
            chunk.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            self.chunk = chunk.into();
        }
        self.chunk.pop_front().map(Ok)
    }
}

fn file(above: &Arc<Directory>, name: &str, bytes: u64) -> Found {
    let to = match above.remote.join(name) {
        Ok(to) => Destination { path: to.into(), must_be_directory: false },
        Err(error) => return unnameable(above, name, error),
    };
    let place = SourcePlace::Found {
        base: above.base.clone(),
        directory: above.local.clone(),
        name: name.to_owned(),
        path: above.base_path.join(above.local_path_of(name)),
    };
    let shown = shown_below(&above.shown, name);
    Found::File(FoundFile { directory: Some(Arc::clone(above)), place, shown, bytes, to })
}

/// What is called `name` in a directory cannot be read; without a name, the directory itself.
fn failed(above: &Directory, name: &str, error: DiskError) -> Found {
    let (shown, local) = match name {
        "" => (above.shown.clone(), above.local.clone()),
        name => (shown_below(&above.shown, name), above.local_path_of(name)),
    };
    Found::Failed(shown, Error::Local { path: above.base_path.join(local), error })
}

fn unnameable(above: &Directory, name: &str, error: PathError) -> Found {
    Found::Failed(shown_below(&above.shown, name), Error::LocalName(error))
}
