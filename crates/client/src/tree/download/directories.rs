//! Local directories: each made once, before what is in it, and never entered through a link.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use fulmar_disk::{Dir, DiskError, Kind};
use fulmar_proto::path::{DirPath, PathError};

use super::Downloading;
use crate::{
    error::Error,
    local::{Claims, LocalTarget},
    tree::{RemoteSource, shown_below},
};

/// Where directories go.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Into this one.
    Into(Dir, PathBuf),
    /// One becomes this one, which was made for that.
    Become(Dir, PathBuf),
    /// One would become this one, which is not there.
    Missing(PathBuf),
}

/// The local directory that a tree goes to.
#[derive(Debug)]
pub(super) struct Root {
    /// None where nothing is to be made and it is not there.
    dir: Option<Dir>,
    path: PathBuf,
    is_fresh: bool,
}

/// A directory of a tree that is downloaded.
#[derive(Debug)]
pub(in crate::tree) struct Directory {
    root: Arc<Root>,
    /// From there to here, `/` between names.
    local: String,
    /// Where it comes from.
    pub(super) remote: DirPath,
    /// How it is called.
    pub(in crate::tree) shown: String,
    /// None where the walk began.
    above: Option<Arc<Directory>>,
    /// Nobody but this transfer has put anything there.
    is_fresh: AtomicBool,
    /// The files that this transfer has put there.
    claims: Arc<Claims>,
    /// The directories that this transfer has made or entered there.
    entered: Claims,
}

impl Directory {
    /// Where a walk begins.
    pub(super) fn root(root: Root, source: &RemoteSource) -> Self {
        Self {
            is_fresh: AtomicBool::new(root.is_fresh),
            root: Arc::new(root),
            local: String::new(),
            remote: source.path.clone(),
            shown: source.shown.clone(),
            above: None,
            claims: Arc::default(),
            entered: Claims::default(),
        }
    }

    /// The directory `name` in this one. It need not be there yet.
    pub(super) fn below(self: &Arc<Self>, name: &str) -> Result<Self, PathError> {
        Ok(Self {
            root: Arc::clone(&self.root),
            local: self.local_path_of(name),
            remote: self.remote.join(name)?.into(),
            shown: shown_below(&self.shown, name),
            above: Some(Arc::clone(self)),
            is_fresh: AtomicBool::new(false),
            claims: Arc::default(),
            entered: Claims::default(),
        })
    }

    /// From where the walk began to what is called `name` here.
    pub(super) fn local_path_of(&self, name: &str) -> String {
        if self.local.is_empty() { name.to_owned() } else { format!("{}/{name}", self.local) }
    }

    /// The local path, to be told.
    pub(in crate::tree) fn path(&self) -> PathBuf {
        if self.local.is_empty() { self.root.path.clone() } else { self.root.path.join(&self.local) }
    }

    /// Whether nobody but this transfer has put anything there; of a directory that is not there that is true too.
    pub(in crate::tree) fn is_fresh(&self) -> bool {
        self.is_fresh.load(Ordering::Relaxed)
    }

    fn failed(&self, error: DiskError) -> Error {
        Error::Local { path: self.path(), error }
    }

    /// Opens the local directory. Each use opens it anew, so that directories which wait hold no handles. Blocks.
    fn open(&self) -> Result<Dir, Error> {
        let root = self.root.dir.as_ref().ok_or(DiskError::NotFound);
        root.and_then(|root| root.open_beneath(&self.local)).map_err(|error| self.failed(error))
    }

    /// The local name of something in here. Blocks.
    pub(in crate::tree) fn target(&self, name: &str) -> Result<LocalTarget, Error> {
        let claims = Some(Arc::clone(&self.claims));
        Ok(LocalTarget::within(self.open()?, self.path(), name.to_owned(), claims))
    }

    /// Makes the local directory, or finds that it is there. What stands there and is none is not touched. Blocks.
    fn make(&self, dry_run: bool) -> Result<(), Error> {
        let Some(above) = &self.above else { return Ok(()) };
        let name = self.local.rsplit('/').next().unwrap_or_default();
        if dry_run {
            return self.look(above, name);
        }
        let dir = above.open()?;
        match dir.make_dir_leaf(name, 0o777) {
            Ok(()) => {
                self.is_fresh.store(true, Ordering::Relaxed);
                dir.sync().map_err(|error| self.failed(error))?;
            }
            Err(DiskError::AlreadyExists) => {}
            Err(error) => return Err(self.failed(error)),
        }
        let made =
            dir.open_dir_leaf(name).and_then(|made| made.meta()).map_err(|error| self.failed(error))?;
        // Two names of the server may be one for this file system.
        if above.entered.claim(&made) { Ok(()) } else { Err(Error::LocalCollision { path: self.path() }) }
    }

    /// Looks whether the local directory is there.
    fn look(&self, above: &Directory, name: &str) -> Result<(), Error> {
        let found = match above.is_fresh() {
            true => Err(DiskError::NotFound),
            false => above.open()?.stat_leaf(name),
        };
        match found {
            Err(DiskError::NotFound) => {
                self.is_fresh.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(meta) => match meta.kind {
                Kind::Directory => Ok(()),
                Kind::Link => Err(self.failed(DiskError::Symlink)),
                Kind::File | Kind::Other => Err(self.failed(DiskError::NotADirectory)),
            },
            Err(error) => Err(self.failed(error)),
        }
    }
}

impl Place {
    /// Where directories that are downloaded to `path` go. Links are followed here: the path is the user's own. Blocks.
    fn resolve(path: &Path, must_be_directory: bool, dry_run: bool) -> Result<Self, Error> {
        let local = |error| Error::Local { path: path.to_owned(), error };
        match Dir::open_ambient(path) {
            Ok(dir) => return Ok(Self::Into(dir, path.to_owned())),
            Err(DiskError::NotFound) if must_be_directory => {
                return Err(Error::NoLocalDirectory { path: path.to_owned() });
            }
            Err(DiskError::NotFound) => {}
            Err(error) => return Err(local(error)),
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let above = Dir::open_ambient(folder).map_err(|error| match error {
            DiskError::NotFound => Error::NoLocalDirectory { path: folder.to_owned() },
            error => Error::Local { path: folder.to_owned(), error },
        })?;
        let Some(name) = path.file_name() else {
            return Err(Error::NoLocalDirectory { path: path.to_owned() });
        };
        if dry_run {
            return Ok(Self::Missing(path.to_owned()));
        }
        let name = name.as_encoded_bytes();
        above.make_dir_leaf(name, 0o777).and_then(|()| above.sync()).map_err(local)?;
        Ok(Self::Become(above.open_dir_leaf(name).map_err(local)?, path.to_owned()))
    }

    /// The directory that something of this name goes to, made if need be. Without a name, it is what is in it that goes
    /// there. Blocks.
    pub(super) fn enter(&self, name: Option<&str>, dry_run: bool) -> Result<Root, Error> {
        let (above, path) = match (self, name) {
            (Self::Missing(path), _) => return Ok(Root { dir: None, path: path.clone(), is_fresh: true }),
            (Self::Become(dir, path), _) => {
                return Ok(Root { dir: Some(dir.clone()), path: path.clone(), is_fresh: true });
            }
            (Self::Into(dir, path), None) => {
                return Ok(Root { dir: Some(dir.clone()), path: path.clone(), is_fresh: false });
            }
            (Self::Into(dir, path), Some(name)) => (dir, path.join(name)),
        };
        let name = name.unwrap_or_default();
        let local = |error| Error::Local { path: path.clone(), error };
        let is_fresh = match above.open_dir_leaf(name) {
            Ok(dir) => return Ok(Root { dir: Some(dir), path, is_fresh: false }),
            Err(DiskError::NotFound) if dry_run => return Ok(Root { dir: None, path, is_fresh: true }),
            Err(DiskError::NotFound) => match above.make_dir_leaf(name, 0o777) {
                Ok(()) => true,
                // Somebody else was faster.
                Err(DiskError::AlreadyExists) => false,
                Err(error) => return Err(local(error)),
            },
            Err(error) => return Err(local(error)),
        };
        above.sync().map_err(local)?;
        Ok(Root { dir: Some(above.open_dir_leaf(name).map_err(local)?), path: path.clone(), is_fresh })
    }
}

impl Downloading<'_> {
    /// Finds out where directories go; of just one, the target is made when it does not exist.
    pub(super) async fn place(&self) -> Result<Place, Error> {
        let (path, must, dry_run) = (self.target.to_owned(), self.must_be_directory, self.options.dry_run);
        self.session.offload().run(move || Place::resolve(&path, must, dry_run)).await
    }

    /// Makes the local directory of one that was found.
    pub(super) async fn make(&self, directory: &Arc<Directory>) -> Result<(), Error> {
        let (directory, dry_run) = (Arc::clone(directory), self.options.dry_run);
        self.session.offload().run(move || directory.make(dry_run)).await
    }
}
