//! The local side: where a download goes, and digests of local files.

use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use fulmar_disk::{
    Dir, DiskError, Meta, Offload, PublishError, Replace, Source, Staging, SyncedStaging, file_unchanged,
    publish_unsynced, read_piece,
};
use fulmar_proto::{
    digest::Digest,
    path::{PathError, RelPath},
    upload::OnExists,
};

use crate::{
    client::Client,
    error::Error,
    transfer::{Event, Observer},
};

/// How much of a file is hashed in one job, in bytes: long enough to be worth a job, short enough to report progress.
const HASH_JOB_BYTES: u64 = 8 << 20;

/// The most numbers tried for a free name.
const MAX_NUMBER: u32 = 10_000;

/// Where a download goes: one name in one open directory.
#[derive(Debug)]
pub(crate) struct LocalTarget {
    dir: Dir,
    folder: PathBuf,
    leaf: String,
    /// What must not be replaced, where several files go into the directory.
    claims: Option<Arc<Claims>>,
}

/// What one transfer of many files has put into a directory. Two names of a server may be one for the local file system: the
/// second must not replace the first.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<FileId>>);

/// Device and inode: directories side by side may be the roots of two file systems, which have the same inode in each.
type FileId = (u64, u64);

impl Claims {
    /// Takes note of something. Says whether it is new.
    pub(crate) fn claim(&self, meta: &Meta) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id(meta))
    }
}

fn id(meta: &Meta) -> FileId {
    (meta.device, meta.inode)
}

/// A file has its name; what is left to do is to sync its directory.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) path: PathBuf,
    pub(crate) dir: Dir,
}

impl Named {
    /// Makes the name durable, and gives it. Blocks.
    pub(crate) fn sync(self) -> Result<PathBuf, Error> {
        match self.dir.sync() {
            Ok(()) => Ok(self.path),
            Err(error) => Err(Error::LocalUnknown { path: self.path, error }),
        }
    }
}

impl LocalTarget {
    /// Finds out where `path` leads for something called `name`: into an existing directory, or to a new name. Blocks.
    pub(crate) fn resolve(path: &Path, must_be_directory: bool, name: &str) -> Result<Self, Error> {
        let (folder, leaf) = if path.is_dir() {
            (path.to_owned(), name.to_owned())
        } else if must_be_directory {
            return Err(Error::NoLocalDirectory { path: path.to_owned() });
        } else {
            let leaf = path.file_name().ok_or_else(|| Error::NoLocalDirectory { path: path.to_owned() })?;
            let leaf = leaf.to_str().ok_or(Error::LocalName(PathError::NotUtf8))?.to_owned();
            (path.parent().unwrap_or(Path::new("")).to_owned(), leaf)
        };
        let open = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let dir = Dir::open_ambient(open).map_err(|error| match error {
            DiskError::NotFound | DiskError::NotADirectory => {
                Error::NoLocalDirectory { path: folder.clone() }
            }
            error => Error::Local { path: folder.clone(), error },
        })?;
        Ok(Self { dir, folder, leaf, claims: None })
    }

    /// The name `leaf` in a directory that is open.
    pub(crate) fn within(dir: Dir, folder: PathBuf, leaf: String, claims: Option<Arc<Claims>>) -> Self {
        Self { dir, folder, leaf, claims }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.leaf)
    }

    pub(crate) fn leaf(&self) -> &str {
        &self.leaf
    }

    fn local(&self, error: DiskError) -> Error {
        Error::Local { path: self.path(), error }
    }

    /// What is there already. Blocks.
    pub(crate) fn existing(&self) -> Result<Option<Meta>, Error> {
        match self.dir.stat_leaf(&self.leaf) {
            Ok(meta) => Ok(Some(meta)),
            Err(DiskError::NotFound) => Ok(None),
            Err(error) => Err(self.local(error)),
        }
    }

    /// Opens what is there already, for comparing. Blocks.
    pub(crate) fn open_existing(&self) -> Result<(File, Meta), Error> {
        self.dir.open_file_leaf(&self.leaf).map_err(|error| self.local(error))
    }

    /// A name for a staging file, which has the same length whatever the target's name is, and is nobody else's.
    pub(crate) fn staging_name() -> Result<String, Error> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Error::System(error.into()))?;
        Ok(format!(".fulmar-part-{:016x}", u64::from_le_bytes(random)))
    }

    /// A staging file beside the target. Blocks.
    pub(crate) fn stage(&self, size: u64) -> Result<Staging, Error> {
        self.stage_as(&Self::staging_name()?, size)
    }

    /// As [`LocalTarget::stage`], under a name from [`LocalTarget::staging_name`]. Blocks.
    pub(crate) fn stage_as(&self, name: &str, size: u64) -> Result<Staging, Error> {
        Staging::create(&self.dir, name, Some(size)).map_err(|error| self.local(error))
    }

    /// Takes the name of a staging file away. Blocks briefly.
    pub(crate) fn remove_staged(&self, name: &str) {
        // It may have gone with its file; of a name that stays there is nobody to tell.
        drop(self.dir.remove_file_leaf(name));
    }

    /// Gives the staging file its name, which is not durable yet. Blocks.
    pub(crate) fn publish_unsynced(
        &self,
        staging: SyncedStaging,
        on_exists: OnExists,
    ) -> Result<Named, Error> {
        let Some(claims) = self.claims.as_ref().filter(|_| on_exists == OnExists::Overwrite) else {
            return self.take_name(staging, on_exists).map(|(named, _)| named);
        };
        // Locked until the name is taken: two files of one name may come at the same time.
        let mut claimed = claims.0.lock().unwrap_or_else(PoisonError::into_inner);
        if self.existing()?.is_some_and(|existing| claimed.contains(&id(&existing))) {
            return Err(Error::LocalCollision { path: self.path() });
        }
        let (named, meta) = self.take_name(staging, on_exists)?;
        claimed.insert(id(&meta));
        Ok(named)
    }

    /// Gives the staging file its name. Tells what it is then, too.
    fn take_name(&self, staging: SyncedStaging, on_exists: OnExists) -> Result<(Named, Meta), Error> {
        let replace = if on_exists == OnExists::Overwrite { Replace::Always } else { Replace::Never };
        let mut staging = staging;
        let mut leaf = self.leaf.clone();
        for number in 1..=MAX_NUMBER {
            match publish_unsynced(staging, &self.dir, &leaf, replace) {
                Ok(meta) => {
                    let named = Named { path: self.folder.join(leaf), dir: self.dir.clone() };
                    return Ok((named, meta));
                }
                Err(PublishError::Refused { staging: back, error: DiskError::AlreadyExists }) => {
                    if on_exists != OnExists::Rename {
                        return Err(Error::LocalExists { path: self.path() });
                    }
                    staging = *back;
                    leaf = numbered(&self.leaf, number)?;
                }
                Err(PublishError::Refused { error, .. }) => return Err(self.local(error)),
                Err(PublishError::Unknown { error, .. }) => {
                    return Err(Error::LocalUnknown { path: self.folder.join(leaf), error });
                }
            }
        }
        Err(Error::LocalExists { path: self.path() })
    }
}

/// `name (1).ext`, by the rule that servers use too.
fn numbered(leaf: &str, number: u32) -> Result<String, Error> {
    let name =
        RelPath::parse(leaf).and_then(|path| path.with_suffix_number(number)).map_err(Error::LocalName)?;
    Ok(name.name().to_owned())
}

/// The digest of an open local file, which must stay as `meta` says.
pub(crate) async fn hash_open_file(
    offload: &Offload,
    file: Arc<File>,
    path: &Path,
    meta: Meta,
    observer: &dyn Observer,
) -> Result<(u64, Digest), Error> {
    let local = |error| Error::Local { path: path.to_owned(), error };
    let mut hasher = blake3::Hasher::new();
    let mut offset = 0;
    while offset < meta.size {
        let len = (meta.size - offset).min(HASH_JOB_BYTES);
        let file = file.clone();
        let job = move || hash_part(&file, offset, len, hasher);
        hasher = offload.run(job).await.map_err(local)?;
        offset += len;
        observer.on(Event::Hashing { done: offset, total: meta.size });
    }
    if !offload.run(move || file_unchanged(&file, &meta)).await.map_err(local)? {
        return Err(Error::SourceChanged);
    }
    Ok((offset, Digest(*hasher.finalize().as_bytes())))
}

fn hash_part(
    file: &File,
    offset: u64,
    len: u64,
    mut hasher: blake3::Hasher,
) -> Result<blake3::Hasher, DiskError> {
    let len = usize::try_from(len).map_err(|_| DiskError::FileTooLarge)?;
    let piece = read_piece(file, offset, len).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => DiskError::Changed,
        _ => DiskError::from_io("pread", error),
    })?;
    hasher.update(&piece);
    Ok(hasher)
}

impl Client {
    /// The length in bytes and the digest of a local file. Progress comes as [`Event::Hashing`].
    ///
    /// # Errors
    /// [`Error::Local`]; [`Error::SourceChanged`] when it changes meanwhile.
    pub async fn hash_file(&self, path: &Path, observer: &dyn Observer) -> Result<(u64, Digest), Error> {
        let owned = path.to_owned();
        let open = move || {
            let source = Source::open_local(&owned)?;
            let meta = *source.meta();
            Ok((source.file().try_clone().map_err(|error| DiskError::from_io("dup", error))?, meta))
        };
        let opened: Result<(File, Meta), DiskError> = self.offload.run(open).await;
        let (file, meta) = opened.map_err(|error| Error::Local { path: path.to_owned(), error })?;
        hash_open_file(&self.offload, Arc::new(file), path, meta, observer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_directory_or_a_new_name_in_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let at =
            |path: &str, directory| LocalTarget::resolve(&folder.path().join(path), directory, "name.txt");
        assert_eq!(at("", false).expect("into").path(), folder.path().join("name.txt"));
        assert_eq!(at("new", false).expect("as").path(), folder.path().join("new"));
        for (path, directory) in [("new", true), ("missing/new", false), ("missing/", false)] {
            let result = at(path, directory);
            let named = matches!(result, Err(Error::NoLocalDirectory { .. })) || path == "missing/";
            assert!(named, "{path}: {result:?}");
        }
    }

    #[test]
    fn the_roots_of_two_file_systems_are_two_directories() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = Dir::open_ambient(folder.path()).and_then(|dir| dir.meta()).expect("a directory");
        let mounted = Meta { device: here.device + 1, ..here };
        let claims = Claims::default();
        assert!(claims.claim(&here) && claims.claim(&mounted));
        assert!(!claims.claim(&here) && !claims.claim(&mounted));
    }

    #[test]
    fn publishing_never_replaces_unless_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = LocalTarget::resolve(&folder.path().join("a.txt"), false, "").expect("free");
        let publish = |bytes: &[u8], on_exists| {
            let staging = target.stage(3).expect("staged");
            staging.write_at(bytes, 0).expect("written");
            target.publish_unsynced(staging.sync().expect("synced"), on_exists)?.sync()
        };
        let read = |name: &str| std::fs::read(folder.path().join(name)).expect("published");
        publish(b"one", OnExists::Fail).expect("free");
        assert!(matches!(publish(b"two", OnExists::Fail), Err(Error::LocalExists { .. })));
        assert_eq!(read("a.txt"), b"one");
        let renamed = publish(b"two", OnExists::Rename).expect("another name");
        assert_eq!(renamed, folder.path().join("a (1).txt"));
        assert_eq!(read("a (1).txt"), b"two");
        publish(b"six", OnExists::Overwrite).expect("replaced");
        assert_eq!(read("a.txt"), b"six");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 2, "no staging is left");
    }
}
