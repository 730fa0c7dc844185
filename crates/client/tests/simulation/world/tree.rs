//! Whole trees: local ones, and moving them with every file entered into the run's ledger.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use fulmar_client::{
    Error, LocalSource, Outcome, RemoteSource, TreeDone, TreeEvent, TreeObserver, TreeOptions,
};
use fulmar_proto::{
    digest::Digest,
    path::{DirPath, RelPath},
    upload::Destination,
};

use super::{
    environment::BEGINNING_S,
    ledger::Change,
    peer::{Visit, bounded, is_refusal},
};

/// What a tree holds, by path: bytes, or none for a directory.
pub(crate) type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// Writes a tree, with times that are the same in every run: they are sent along.
pub(crate) fn write_tree(folder: &Path, tree: &Tree) {
    let seconds = u64::try_from(BEGINNING_S).expect("after 1970");
    for (name, content) in tree {
        let path = folder.join(name);
        let Some(bytes) = content else {
            fs::create_dir_all(path).expect("a directory");
            continue;
        };
        fs::create_dir_all(path.parent().expect("in the folder")).expect("parents");
        fs::write(&path, bytes).expect("a file");
        let file = fs::File::options().write(true).open(&path).expect("a file");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("a time");
    }
}

/// Reads a tree. Every file has to have the time that [`write_tree`] gives.
pub(crate) fn read_tree(folder: &Path) -> Tree {
    let (mut tree, mut folders) = (Tree::new(), vec![folder.to_owned()]);
    let seconds = u64::try_from(BEGINNING_S).expect("after 1970");
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("below").to_str().expect("text").to_owned();
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            if metadata.is_dir() {
                tree.insert(name, None);
                folders.push(path);
                continue;
            }
            let modified = metadata.modified().expect("a time");
            assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), "{name}");
            tree.insert(name, Some(fs::read(&path).expect("a file")));
        }
    }
    tree
}

/// Events in words, and what became of which file.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<(String, Result<(), String>)>>, Mutex<Vec<String>>);

impl Seen {
    /// The files that ended, by the names that they are called by, with the error of each that failed.
    pub(crate) fn ended(&self) -> Vec<(String, Result<(), String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything else that was told.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut told = self.1.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.sort();
        told
    }

    /// The names of what failed, and why.
    pub(crate) fn failures(&self) -> Vec<(String, String)> {
        let failure = |(name, result): (String, Result<(), String>)| Some((name, result.err()?));
        let mut failures: Vec<_> = self.ended().into_iter().filter_map(failure).collect();
        failures.sort();
        failures
    }
}

impl TreeObserver for Seen {
    fn on(&self, event: TreeEvent<'_>) {
        let end = |source: &str, result| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((source.to_owned(), result));
        };
        let tell = |text| self.1.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        match event {
            TreeEvent::Done { source, .. } => end(source, Ok(())),
            TreeEvent::Failed { source, error, .. } => end(source, Err(error.to_string())),
            TreeEvent::PassedOver { source, kind } => tell(format!("passed over {source}: {kind:?}")),
            TreeEvent::Planned { source, destination, action, .. } => {
                tell(format!("{action:?} {source} -> {destination}"));
            }
            TreeEvent::Found { .. }
            | TreeEvent::WalkEnded
            | TreeEvent::Started { .. }
            | TreeEvent::Moved { .. } => {}
        }
    }
}

/// Enters what becomes of files into the ledger.
struct Entered<'a> {
    visit: &'a Visit,
    changes: BTreeMap<String, (Change, Digest)>,
    seen: &'a Seen,
}

impl TreeObserver for Entered<'_> {
    fn on(&self, event: TreeEvent<'_>) {
        self.seen.on(event);
        match event {
            TreeEvent::Done { source, transferred, .. } => {
                let (change, digest) = &self.changes[source];
                if transferred.outcome == Outcome::Skipped {
                    return self.visit.with_ledger(|ledger| ledger.refuse(change));
                }
                assert_eq!(transferred.root, *digest, "{source}");
                self.visit.with_ledger(|ledger| ledger.acknowledge(change));
            }
            TreeEvent::Failed { source, error, .. } if is_refusal(error) => {
                if let Some((change, _)) = self.changes.get(source) {
                    self.visit.with_ledger(|ledger| ledger.refuse(change));
                }
            }
            _ => {}
        }
    }
}

impl Visit {
    /// A local folder with this tree.
    pub(crate) fn local_tree(&self, tree: &Tree) -> PathBuf {
        let folder = self.local_folder().join("tree");
        fs::create_dir(&folder).expect("a folder");
        write_tree(&folder, tree);
        folder
    }

    /// Uploads what is in a folder to the remote directory `to`, which is made unless it is there.
    pub(crate) async fn upload_tree(
        &self,
        folder: &Path,
        to: &str,
        options: &TreeOptions,
        seen: &Seen,
    ) -> Result<TreeDone, Error> {
        let below = |name: &str| if to.is_empty() { name.to_owned() } else { format!("{to}/{name}") };
        let files = read_tree(folder).into_iter().filter_map(|(name, content)| Some((name, content?)));
        let begin = |(name, bytes): (String, Vec<u8>)| {
            let digest = Digest::of(&bytes);
            let path: RelPath = below(&name).parse().expect("a path");
            let contents = BTreeSet::from([Some(digest)]);
            let replaces = options.transfer.on_exists == fulmar_proto::upload::OnExists::Overwrite;
            (name, (self.with_ledger(|ledger| ledger.begin(&path, contents, replaces)), digest))
        };
        let entered = Entered { visit: self, changes: files.map(begin).collect(), seen };
        let sources = [LocalSource { path: folder.to_owned(), shown: String::new(), contents: true }];
        let destination: Destination = to.parse().expect("a destination");
        let uploading = self.session.upload_tree(&sources, &destination, options, &entered);
        bounded("upload a tree", uploading).await
    }

    /// Downloads what is in a remote directory to a folder, which is made unless it is there.
    pub(crate) async fn download_tree(
        &self,
        from: &str,
        folder: &Path,
        options: &TreeOptions,
        seen: &Seen,
    ) -> Result<TreeDone, Error> {
        let path: DirPath = from.parse().expect("a directory");
        let sources = [RemoteSource { path, shown: String::new(), contents: true }];
        let downloading = self.session.download_tree(&sources, folder, false, options, seen);
        bounded("download a tree", downloading).await
    }
}
