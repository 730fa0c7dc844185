//! Remote directories: each made once, before what is in it, and beside the others.

use std::{path::PathBuf, sync::Arc};

use fulmar_disk::Dir;
use fulmar_proto::{
    error::{ErrorCode, Failure},
    listing::EntryKind,
    path::{DirPath, Name, PathError},
};
use tokio::sync::SetOnce;

use super::{LocalSource, Uploading};
use crate::error::Error;

/// How it is with a remote directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tree) enum State {
    /// It is there.
    There,
    /// It is not there, and would be made.
    Missing,
    /// It cannot be made; that has been told.
    Failed,
}

/// A directory of a tree that is uploaded.
#[derive(Debug)]
pub(in crate::tree) struct Directory {
    /// Where the walk began.
    pub(super) base: Dir,
    /// The path of that.
    pub(super) base_path: PathBuf,
    /// From there to here, `/` between names.
    pub(super) local: String,
    /// Where it goes.
    pub(in crate::tree) remote: DirPath,
    /// How it is called.
    pub(in crate::tree) shown: String,
    /// None where the walk began.
    pub(super) above: Option<Arc<Directory>>,
    /// Whoever waits for it goes on in the order of the walk.
    state: SetOnce<State>,
}

impl Directory {
    /// Where a walk begins.
    pub(super) fn root(base: Dir, source: &LocalSource, remote: DirPath, state: Option<State>) -> Self {
        Self {
            base,
            base_path: source.path.clone(),
            local: String::new(),
            remote,
            shown: source.shown.clone(),
            above: None,
            state: SetOnce::new_with(state),
        }
    }

    /// The directory `name` in this one.
    pub(super) fn below(self: &Arc<Self>, name: &str) -> Result<Self, PathError> {
        Ok(Self {
            base: self.base.clone(),
            base_path: self.base_path.clone(),
            local: self.local_path_of(name),
            remote: self.remote.join(name)?.into(),
            shown: super::super::shown_below(&self.shown, name),
            above: Some(Arc::clone(self)),
            state: SetOnce::new(),
        })
    }

    /// From where the walk began to what is called `name` here.
    pub(super) fn local_path_of(&self, name: &str) -> String {
        if self.local.is_empty() { name.to_owned() } else { format!("{}/{name}", self.local) }
    }

    /// Says how it is with it. What was said first counts.
    pub(in crate::tree) fn set(&self, state: State) {
        let _ = self.state.set(state);
    }

    /// How it is with it, once that is known.
    pub(in crate::tree) async fn known(&self) -> State {
        *self.state.wait().await
    }

    /// How it is with it, as far as that is known.
    pub(in crate::tree) fn known_now(&self) -> Option<State> {
        self.state.get().copied()
    }

    /// How it is with the one above.
    pub(in crate::tree) async fn above(&self) -> State {
        match &self.above {
            Some(above) => above.known().await,
            None => State::There,
        }
    }

    /// How it is with where the walk began; that is known by itself.
    async fn top(&self) -> State {
        let Some(mut top) = self.above.as_ref() else { return State::There };
        while let Some(above) = &top.above {
            top = above;
        }
        top.known().await
    }

    pub(super) async fn is_there_in_the_end(&self) -> bool {
        self.known().await != State::Failed
    }
}

/// Where directories go.
#[derive(Debug)]
pub(super) enum Target {
    /// Into this one.
    Into(DirPath, State),
    /// One becomes this one, which was made for that or is missing.
    Become(DirPath, State),
}

impl Target {
    /// Where something of this name goes, and how it is with that. Without a name, it is what is in it that goes there.
    pub(super) fn of(&self, name: Option<&Name>) -> Result<(DirPath, Option<State>), PathError> {
        match (self, name) {
            (Self::Become(path, state), _) | (Self::Into(path, state), None) => {
                Ok((path.clone(), Some(*state)))
            }
            (Self::Into(path, _), Some(name)) => Ok((path.join(name.as_str())?.into(), None)),
        }
    }
}

impl Uploading<'_> {
    /// Finds out where directories go; of just one, the destination is made when it does not exist.
    pub(super) async fn target(&self) -> Result<Target, Error> {
        let Some(path) = self.destination.path.to_rel() else {
            return Ok(Target::Into(DirPath::root(), State::There));
        };
        let into = |state| Ok(Target::Into(path.clone().into(), state));
        if self.destination.must_be_directory {
            return match self.remote_state(&path.clone().into()).await? {
                State::Missing => Err(Error::Server(Failure::new(ErrorCode::NO_PARENT))),
                state => into(state),
            };
        }
        if self.options.dry_run {
            return match self.remote_state(&path.clone().into()).await? {
                State::Missing => match self.remote_state(&path.parent()).await? {
                    State::Missing => Err(Error::Server(Failure::new(ErrorCode::NO_PARENT))),
                    _ => Ok(Target::Become(path.into(), State::Missing)),
                },
                state => into(state),
            };
        }
        match self.session.make_directory(&path, false).await {
            Ok(_) => {
                self.course.directory_there();
                Ok(Target::Become(path.into(), State::There))
            }
            Err(Error::Server(failure)) if failure.code == ErrorCode::EXISTS => {
                // A file is in the way, or it is a directory and this changes nothing.
                self.session.make_directory(&path, true).await?;
                into(State::There)
            }
            Err(error) => Err(error),
        }
    }

    /// How it is with a remote directory. Whoever may not ask learns that from what is done there.
    pub(in crate::tree) async fn remote_state(&self, path: &DirPath) -> Result<State, Error> {
        match self.session.stat(path).await {
            Ok(entry) if entry.kind == EntryKind::Directory => Ok(State::There),
            Ok(_) => Err(Error::Server(Failure::new(ErrorCode::NOT_A_DIRECTORY))),
            Err(Error::Server(failure)) if failure.code == ErrorCode::NOT_FOUND => Ok(State::Missing),
            Err(Error::Server(failure))
                if failure.code == ErrorCode::NOT_GRANTED && !self.options.dry_run =>
            {
                Ok(State::There)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a directory. It does not wait for the one above, which is made with it if need be; only for where the walk
    /// began, which may go nowhere but into a directory that is there.
    pub(super) async fn make(&self, directory: &Directory) {
        let Some(path) = directory.remote.to_rel() else { return directory.set(State::There) };
        if directory.above.is_none() && directory.known_now() == Some(State::There) {
            return;
        }
        if directory.top().await == State::Failed {
            return directory.set(State::Failed);
        }
        let flight = self.window.command().await;
        let made = match &directory.above {
            Some(_) => self.session.make_directory(&path, true).await,
            // What it goes into has to exist.
            None => match self.session.make_directory(&path, false).await {
                Err(Error::Server(failure)) if failure.code == ErrorCode::EXISTS => {
                    self.session.make_directory(&path, true).await
                }
                made => made,
            },
        };
        drop(flight);
        match made {
            // Whoever is told that one above has failed must not find that what is in it was stored.
            Ok(_) if directory.above().await == State::Failed => directory.set(State::Failed),
            Ok(_) => {
                self.course.directory_there();
                directory.set(State::There);
            }
            Err(error) => {
                // What is wrong with the one above is told there.
                let is_own = directory.above().await != State::Failed;
                directory.set(State::Failed);
                if is_own {
                    self.course.failed(&directory.shown, &error);
                }
            }
        }
    }
}
