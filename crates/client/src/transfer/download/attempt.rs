//! A file on its way to its name. A download that is given up takes it back, wherever it is.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fulmar_disk::{DiskError, Offload, Staging, SyncedStaging};
use fulmar_proto::upload::OnExists;

use crate::{
    error::Error,
    local::{LocalTarget, Named},
};

/// One attempt at a download. Dropping it takes the staging file's name away at once, whatever jobs do meanwhile: those that
/// write hold the file, one that syncs it may take seconds, and the process may end before they do. A job that has not come
/// to giving the final name will not give it any more.
#[derive(Debug)]
pub(super) struct Attempt(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    target: Arc<LocalTarget>,
    /// The name of the staging file.
    staged_as: String,
    state: Mutex<State>,
}

/// Locked while either name is given, which takes a moment, and never while anything is synced.
#[derive(Debug, Default)]
enum State {
    /// There is no staging file yet.
    #[default]
    Begun,
    /// It has its first name, and jobs write it.
    Staged(Arc<Staging>),
    /// It is being synced.
    Complete,
    /// It has its final name.
    Named,
    /// Nobody waits for it any more.
    GivenUp,
}

impl Attempt {
    pub(super) fn new(target: Arc<LocalTarget>) -> Result<Self, Error> {
        let staged_as = LocalTarget::staging_name()?;
        Ok(Self(Arc::new(Shared { target, staged_as, state: Mutex::default() })))
    }

    /// Makes the staging file for `size` bytes.
    pub(super) async fn stage(&self, offload: &Offload, size: u64) -> Result<Arc<Staging>, Error> {
        let shared = Arc::clone(&self.0);
        offload.run(move || shared.stage(size)).await
    }

    /// Makes the file durable and gives it its name. Every job that wrote it has ended. Returns where it is then.
    pub(super) async fn publish(&self, offload: &Offload, on_exists: OnExists) -> Result<PathBuf, Error> {
        let shared = Arc::clone(&self.0);
        offload.run(move || shared.publish(on_exists)).await
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut state = self.0.state();
        match &*state {
            State::Named => return,
            State::Begun | State::GivenUp => {}
            State::Staged(staging) => staging.abandon(),
            State::Complete => self.0.target.remove_staged(&self.0.staged_as),
        }
        *state = State::GivenUp;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn given_up(&self) -> Error {
        Error::Local { path: self.target.path(), error: DiskError::Stopped }
    }

    /// Blocks.
    fn stage(&self, size: u64) -> Result<Arc<Staging>, Error> {
        let mut state = self.state();
        if matches!(*state, State::GivenUp) {
            return Err(self.given_up());
        }
        let staging = Arc::new(self.target.stage_as(&self.staged_as, size)?);
        *state = State::Staged(Arc::clone(&staging));
        Ok(staging)
    }

    /// Blocks.
    fn publish(&self, on_exists: OnExists) -> Result<PathBuf, Error> {
        let staging = self.complete()?;
        let local = |error| Error::Local { path: self.target.path(), error };
        let synced = staging.sync().map_err(local)?;
        self.name(synced, on_exists)?.sync()
    }

    /// The file, which nobody writes any more.
    fn complete(&self) -> Result<Staging, Error> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Complete) {
            State::Staged(staging) => Arc::into_inner(staging).ok_or(Error::UnexpectedReply("still writing")),
            given_up => {
                *state = given_up;
                Err(self.given_up())
            }
        }
    }

    /// Gives the file its final name.
    fn name(&self, synced: SyncedStaging, on_exists: OnExists) -> Result<Named, Error> {
        let mut state = self.state();
        if matches!(*state, State::GivenUp) {
            return Err(self.given_up());
        }
        let named = self.target.publish_unsynced(synced, on_exists)?;
        *state = State::Named;
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use fulmar_disk::{Executor, Job};
    use futures_util::FutureExt as _;

    use super::*;

    /// Runs jobs when it is told to.
    #[derive(Debug, Default)]
    struct Held(Mutex<Vec<Waiting>>);

    struct Waiting(Job);

    impl std::fmt::Debug for Waiting {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a job")
        }
    }

    impl Executor for Held {
        fn execute(&self, job: Job) {
            self.0.lock().expect("no panic").push(Waiting(job));
        }
    }

    impl Held {
        fn run_all(&self) {
            let waiting = std::mem::take(&mut *self.0.lock().expect("no panic"));
            waiting.into_iter().for_each(|Waiting(job)| job());
        }
    }

    fn begin(folder: &Path) -> Attempt {
        let target = LocalTarget::resolve(&folder.join("file"), false, "").expect("a target");
        Attempt::new(Arc::new(target)).expect("a name")
    }

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect()
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        future.now_or_never().expect("jobs run at once")
    }

    #[test]
    fn what_is_given_up_before_it_has_its_name_never_gets_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = Arc::new(Held::default());
        let (later, at_once) = (Offload::new(held.clone()), Offload::inline());
        // Before it is staged.
        let attempt = begin(folder.path());
        assert!(attempt.stage(&later, 3).now_or_never().is_none());
        drop(attempt);
        held.run_all();
        assert!(names(folder.path()).is_empty());
        // While it is written, by a job that still holds it.
        let attempt = begin(folder.path());
        let staging = run(attempt.stage(&at_once, 3)).expect("staged");
        drop(attempt);
        assert!(names(folder.path()).is_empty());
        assert!(staging.write_at(b"one", 0).is_err());
        // While it waits to be synced.
        let attempt = begin(folder.path());
        run(attempt.stage(&at_once, 3)).expect("staged").write_at(b"one", 0).expect("written");
        assert!(attempt.publish(&later, OnExists::Overwrite).now_or_never().is_none());
        assert_eq!(names(folder.path()).len(), 1);
        drop(attempt);
        assert!(names(folder.path()).is_empty());
        held.run_all();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_given_up_while_it_is_synced_has_no_name_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let attempt = begin(folder.path());
        let shared = Arc::clone(&attempt.0);
        run(attempt.stage(&Offload::inline(), 3)).expect("staged").write_at(b"one", 0).expect("written");
        let staging = shared.complete().expect("nobody writes it");
        drop(attempt);
        assert!(names(folder.path()).is_empty());
        // The job goes on all the same.
        let synced = staging.sync().expect("synced");
        let named = shared.name(synced, OnExists::Overwrite);
        assert!(matches!(named, Err(Error::Local { error: DiskError::Stopped, .. })), "{named:?}");
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_has_its_name_keeps_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (attempt, at_once) = (begin(folder.path()), Offload::inline());
        run(attempt.stage(&at_once, 3)).expect("staged").write_at(b"one", 0).expect("written");
        let path = run(attempt.publish(&at_once, OnExists::Fail)).expect("published");
        drop(attempt);
        assert_eq!(fs::read(path).expect("a file"), b"one");
        assert_eq!(names(folder.path()), ["file"]);
        // A refusal leaves what was there, and nothing else.
        let attempt = begin(folder.path());
        run(attempt.stage(&at_once, 3)).expect("staged").write_at(b"two", 0).expect("written");
        let refused = run(attempt.publish(&at_once, OnExists::Fail));
        assert!(matches!(refused, Err(Error::LocalExists { .. })), "{refused:?}");
        drop(attempt);
        assert_eq!(names(folder.path()), ["file"]);
    }
}
