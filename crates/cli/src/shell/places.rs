//! Where the names that Tab offers come from: both sides' directories, and the servers that are known.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

use fulmar_client::{Error, Session};
use fulmar_proto::{
    listing::{EntryKind, EntryName},
    path::DirPath,
};
use fulmar_transport::KnownHosts;
use tokio::runtime::Handle;

use super::completion::{Listed, Places};
use crate::{remote_path::RemotePath, session::below_local_dir, state_dir};

/// How long Tab waits for a server.
const REMOTE_LIMIT: Duration = Duration::from_millis(500);
/// How long a listing is good for, while the same line is edited.
const REMOTE_AGE: Duration = Duration::from_secs(5);
/// The most entries of a directory that are read: what begins alike beyond them is not offered.
const MAX_REMOTE_ENTRIES: usize = 1_000;
const MAX_LOCAL_ENTRIES: usize = 10_000;

/// What a line is typed in: the connection and the directories of that moment.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The connection, when there is one.
    pub(crate) session: Option<Session>,
    /// The current remote directory.
    pub(crate) remote_dir: DirPath,
    /// The current local directory.
    pub(crate) local_dir: PathBuf,
    /// The state folder.
    pub(crate) state_dir: PathBuf,
    /// The names of servers that the configuration file gives.
    pub(crate) host_names: Vec<String>,
}

/// The places of one line after the other.
#[derive(Debug)]
pub(super) struct Here {
    runtime: Handle,
    scope: Option<Scope>,
    listings: RefCell<HashMap<DirPath, (Instant, Vec<Listed>)>>,
}

impl Here {
    /// Nowhere yet. Listings are fetched on `runtime`, from a thread that is none of its own.
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime, scope: None, listings: RefCell::default() }
    }

    /// A new line begins: a command has been run, and may have changed what any directory holds.
    pub(super) fn enter(&mut self, scope: Scope) {
        self.scope = Some(scope);
        self.listings.get_mut().clear();
    }

    /// No line is being typed: the connection must not be kept alive for it.
    pub(super) fn leave(&mut self) {
        self.scope = None;
    }

    fn fetch(&self, session: Session, directory: DirPath) -> Option<Vec<Listed>> {
        let (send, receive) = mpsc::channel();
        let fetching = self.runtime.spawn(async move {
            if let Ok(listed) = list(&session, &directory).await {
                let _ = send.send(listed);
            }
        });
        let listed = receive.recv_timeout(REMOTE_LIMIT).ok();
        fetching.abort();
        listed
    }
}

async fn list(session: &Session, directory: &DirPath) -> Result<Vec<Listed>, Error> {
    let mut listing = session.list(directory, false).await?;
    let mut listed = Vec::new();
    while listed.len() < MAX_REMOTE_ENTRIES
        && let Some(entries) = listing.next_page().await?
    {
        listed.extend(entries.into_iter().filter_map(|entry| match entry.name {
            EntryName::Servable(name) => {
                let is_directory = entry.kind == EntryKind::Directory;
                Some(Listed { name: name.as_str().to_owned(), is_directory })
            }
            // Commands cannot use it.
            EntryName::Unservable(_) => None,
        }));
    }
    listed.truncate(MAX_REMOTE_ENTRIES);
    Ok(listed)
}

impl Places for Here {
    fn remote(&self, directory: &str) -> Vec<Listed> {
        let Some(Scope { session: Some(session), remote_dir, .. }) = &self.scope else { return Vec::new() };
        let typed = if directory.is_empty() { "." } else { directory };
        let Ok(path) = RemotePath::resolve(remote_dir, typed) else { return Vec::new() };
        let path = path.path;
        if let Some((read, listed)) = self.listings.borrow().get(&path)
            && read.elapsed() < REMOTE_AGE
        {
            return listed.clone();
        }
        let Some(listed) = self.fetch(session.clone(), path.clone()) else { return Vec::new() };
        self.listings.borrow_mut().insert(path, (Instant::now(), listed.clone()));
        listed
    }

    fn local(&self, directory: &str) -> Vec<Listed> {
        let Some(scope) = &self.scope else { return Vec::new() };
        let directory = if directory.is_empty() { "." } else { directory };
        read_dir(&below_local_dir(&scope.local_dir, Path::new(directory)))
    }

    fn endpoints(&self) -> Vec<String> {
        self.scope.as_ref().map(endpoint_candidates).unwrap_or_default()
    }
}

fn read_dir(directory: &Path) -> Vec<Listed> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let listed = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        // Links are followed: what matters is whether one can go on behind it.
        let is_directory = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
        Some(Listed { name, is_directory })
    };
    entries.take(MAX_LOCAL_ENTRIES).filter_map(Result::ok).filter_map(listed).collect()
}

/// The servers that `connme` can name: those that have names, those whose keys are known, and the last one.
fn endpoint_candidates(scope: &Scope) -> Vec<String> {
    let known = KnownHosts::load(&scope.state_dir.join(state_dir::KNOWN_HOSTS)).ok();
    let known = known.iter().flat_map(KnownHosts::entries).map(|host| host.host_port.to_string());
    let last = state_dir::last_server(&scope.state_dir).map(|address| address.to_string());
    scope.host_names.iter().cloned().chain(known).chain(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(dir: &Path) -> Scope {
        Scope {
            session: None,
            remote_dir: DirPath::root(),
            local_dir: dir.to_owned(),
            state_dir: dir.join("state"),
            host_names: Vec::new(),
        }
    }

    #[test]
    fn local_names_are_read_with_what_they_are() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("a b.txt"), "").expect("written");
        fs::create_dir_all(dir.path().join("sub/deep")).expect("made");
        std::os::unix::fs::symlink("sub", dir.path().join("link")).expect("linked");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut here = Here::new(runtime.handle().clone());
        assert!(here.local("").is_empty() && here.endpoints().is_empty(), "no line is being typed");
        here.enter(scope(dir.path()));
        let mut listed = here.local("");
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let named = |name: &str, is_directory| Listed { name: name.to_owned(), is_directory };
        assert_eq!(listed, [named("a b.txt", false), named("link", true), named("sub", true)]);
        assert_eq!(here.local("sub/"), [named("deep", true)]);
        assert!(here.local("missing/").is_empty());
        assert!(here.remote("").is_empty(), "not connected");
    }

    #[test]
    fn servers_are_those_that_are_known_and_the_last_one() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = dir.path().join("state");
        let mut scope = scope(dir.path());
        assert!(endpoint_candidates(&scope).is_empty());
        let line = format!(
            "lab:4433 ed25519 {} first-seen=2026-11-02\n",
            fulmar_proto::fingerprint::Fingerprint([7; 32])
        );
        fulmar_transport::private_file::write_private(&state.join(state_dir::KNOWN_HOSTS), line.as_bytes())
            .expect("written");
        state_dir::remember_last_server(&state, &"other:99".parse().expect("an address"));
        scope.host_names = vec!["field".to_owned()];
        assert_eq!(endpoint_candidates(&scope), ["field", "lab:4433", "other:99"]);
    }
}
