//! A client of a world, and what it does there.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use fulmar_client::{
    Client, ClientConfig, DownloadTarget, Endpoint, Error, ErrorKind, NoObserver, Outcome, Session,
    TransferOptions, Transferred, Trust, UploadSource,
};
use fulmar_disk::Offload;
use fulmar_proto::{
    digest::Digest,
    listing::{Entry, EntryName},
    path::{DirPath, RelPath},
    upload::{Destination, OnExists},
};

use fulmar_transport::Sending;

use super::{
    CALL_LIMIT, SERVER, World,
    environment::BEGINNING_S,
    identities,
    ledger::{Change, Content, Ledger, Look},
};

/// Tells the processes of one user apart, and the local files of one process.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// How many numbered names are reckoned with.
const NUMBERS: u32 = 16;

/// A client that is not connected yet. Clones are the same process.
#[derive(Clone)]
pub(crate) struct Peer {
    client: Client,
    addr: SocketAddr,
    folder: PathBuf,
    ledger: Arc<Mutex<Ledger>>,
}

impl Peer {
    pub(super) fn new(world: &World, number: u8, sending: Sending) -> Self {
        let (dialer, addr) = world.dialer(number);
        let folder = world.state_dir(&format!("client {}", COUNTER.fetch_add(1, Ordering::Relaxed)));
        let config = ClientConfig {
            name: format!("client {number}"),
            connect_timeout: CONNECT_TIMEOUT,
            sending,
            ..ClientConfig::new(folder.join("state"))
        };
        let client = Client::with_dialer(config, dialer, Offload::inline());
        Self { client, addr, folder, ledger: world.ledger.clone() }
    }

    /// The address of its socket; what others see may differ.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connects to the server, whose key it knows.
    pub(crate) async fn connect(&self) -> Result<Visit, Error> {
        let endpoint: Endpoint = SERVER.to_string().parse().expect("an endpoint");
        let trust = Trust::Pinned(identities::server().fingerprint());
        let session = bounded("connect", self.client.connect(&endpoint, &trust)).await?;
        Ok(Visit { peer: self.clone(), session })
    }

    /// Connects to the server, whose key it knows, without waiting until it is admitted.
    pub(crate) async fn connect_early(&self) -> Result<Visit, Error> {
        let endpoint: Endpoint = SERVER.to_string().parse().expect("an endpoint");
        let trusted = self.client.trust_server(endpoint.address(), identities::server().fingerprint());
        trusted.expect("the only key that is known");
        let connecting = self.client.connect_early(&endpoint, &Trust::KnownOnly);
        let session = bounded("connect", connecting).await?;
        Ok(Visit { peer: self.clone(), session })
    }

    /// Connects, which has to succeed.
    pub(crate) async fn visit(&self) -> Visit {
        self.connect().await.unwrap_or_else(|error| panic!("not admitted: {error}"))
    }
}

/// How long a client tries to connect: what somebody on a bad link asks for with `--connect-timeout`. Within the usual ten seconds one
/// handshake in some hundreds does not get through the worst links, because time-outs double while packets get lost.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A client while it is connected. Every call is bounded by [`CALL_LIMIT`], and entered into the run's ledger.
#[derive(Clone)]
pub(crate) struct Visit {
    peer: Peer,
    pub(super) session: Session,
}

impl Visit {
    /// The session, for what has no call here. What it uploads must also be told to the ledger: use the calls here.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Uploads bytes to a new name.
    pub(crate) async fn upload(&self, path: &str, bytes: &[u8]) -> Result<Transferred, Error> {
        self.upload_with(path, bytes, OnExists::Fail).await
    }

    /// Uploads bytes. Dropping the future cancels it.
    pub(crate) async fn upload_with(
        &self,
        path: &str,
        bytes: &[u8],
        on_exists: OnExists,
    ) -> Result<Transferred, Error> {
        let wanted: RelPath = path.parse().expect("a path");
        self.upload_file(&self.local_file(wanted.name(), bytes), path, on_exists).await
    }

    /// Uploads a local file; the same one again carries on an upload that was cut off.
    pub(crate) async fn upload_file(
        &self,
        file: &Path,
        path: &str,
        on_exists: OnExists,
    ) -> Result<Transferred, Error> {
        let digest = Digest::of(&fs::read(file).expect("a local file"));
        let changes = self.begin_upload(&path.parse().expect("a path"), digest, on_exists);
        let destination: Destination = path.parse().expect("a destination");
        let options = TransferOptions { on_exists, ..TransferOptions::default() };
        let source = UploadSource::File(file.to_owned());
        let uploading = self.session.upload(source, &destination, &options, &NoObserver);
        let done = bounded("upload", uploading).await;
        let stored = match &done {
            Ok(done) if done.outcome == Outcome::Skipped => None,
            Ok(done) => {
                assert_eq!(
                    done.root, digest,
                    "{path}: another digest was acknowledged than that of the source"
                );
                Some(done.destination.parse::<RelPath>().expect("the path where it is stored"))
            }
            // It may or may not have happened, unless the server says why not.
            Err(error) if is_refusal(error) => None,
            Err(_) => return done,
        };
        self.with_ledger(|ledger| {
            for (path, change) in &changes {
                if stored.as_ref() == Some(path) { ledger.acknowledge(change) } else { ledger.refuse(change) }
            }
        });
        done
    }

    /// The changes that an upload may come to.
    fn begin_upload(&self, path: &RelPath, digest: Digest, on_exists: OnExists) -> Vec<(RelPath, Change)> {
        let mut paths = vec![path.clone()];
        if on_exists == OnExists::Rename {
            let numbered = |number| path.with_suffix_number(number).expect("a short name");
            paths.extend((1..=NUMBERS).map(numbered));
        }
        let (contents, replaces) = (BTreeSet::from([Some(digest)]), on_exists == OnExists::Overwrite);
        let begin = |path: RelPath| {
            let change = self.with_ledger(|ledger| ledger.begin(&path, contents.clone(), replaces));
            (path, change)
        };
        paths.into_iter().map(begin).collect()
    }

    /// Downloads a file. What comes back are the bytes under its final local name, and the server must have had them
    /// under its name; a download that fails must leave nothing there.
    pub(crate) async fn download(&self, path: &str) -> Result<Vec<u8>, Error> {
        let folder = self.local_folder();
        let target = folder.join("download");
        let to = DownloadTarget::Path { path: target.clone(), must_be_directory: false };
        let (wanted, options) = (path.parse().expect("a path"), TransferOptions::default());
        let look = self.with_ledger(|ledger| ledger.look(&wanted));
        let downloading = self.session.download(&wanted, to, &options, &NoObserver);
        match bounded("download", downloading).await {
            Ok(done) => {
                let bytes = fs::read(target).expect("a download that succeeded is there");
                assert_eq!(Digest::of(&bytes), done.root, "{path}: the file is not what was acknowledged");
                self.saw(&look, Some(done.root));
                Ok(bytes)
            }
            Err(error) => {
                assert!(!target.exists(), "{path}: a failed download has left something under its name");
                if error.kind() == ErrorKind::NotFound {
                    self.saw(&look, None);
                }
                Err(error)
            }
        }
    }

    /// The names in a directory, as the server gives them.
    pub(crate) async fn list(&self, directory: &str) -> Result<Vec<String>, Error> {
        let directory: DirPath = directory.parse().expect("a directory");
        let listing = async {
            let mut names = Vec::new();
            let mut listing = self.session.list(&directory, false).await?;
            while let Some(entries) = listing.next_page().await? {
                names.extend(entries.iter().map(shown));
            }
            Ok(names)
        };
        bounded("list", listing).await
    }

    /// Removes a file.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), Error> {
        let wanted: RelPath = path.parse().expect("a path");
        let change = self.with_ledger(|ledger| ledger.begin(&wanted, BTreeSet::from([None]), true));
        let removed = bounded("remove", self.session.remove(&wanted, false)).await.map(drop);
        self.conclude(&removed, &[change]);
        removed
    }

    /// Renames a file to exactly `to`, another name.
    pub(crate) async fn rename(&self, from: &str, to: &str, on_exists: OnExists) -> Result<(), Error> {
        assert_ne!(from, to, "the ledger takes the two for different names");
        let paths: [RelPath; 2] = [from, to].map(|path| path.parse().expect("a path"));
        let replaces = on_exists == OnExists::Overwrite;
        let changes = self.with_ledger(|ledger| ledger.begin_move(&paths[0], &paths[1], replaces));
        let destination = to.parse().expect("a destination");
        let renamed = bounded("rename", self.session.rename(&paths[0], &destination, on_exists)).await;
        match renamed {
            Ok(renamed) if renamed.skipped => self.with_ledger(|ledger| {
                changes.iter().for_each(|change| ledger.refuse(change));
                Ok(())
            }),
            renamed => {
                let renamed = renamed.map(drop);
                self.conclude(&renamed, &changes);
                renamed
            }
        }
    }

    /// Enters the end of changes, if it is known.
    fn conclude(&self, done: &Result<(), Error>, changes: &[Change]) {
        self.with_ledger(|ledger| match done {
            Ok(()) => changes.iter().for_each(|change| ledger.acknowledge(change)),
            Err(error) if is_refusal(error) => changes.iter().for_each(|change| ledger.refuse(change)),
            Err(_) => {}
        });
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        bounded("close", self.session.close()).await;
    }

    fn saw(&self, look: &Look, content: Content) {
        self.with_ledger(|ledger| ledger.saw(look, content)).unwrap_or_else(|wrong| panic!("{wrong}"));
    }

    pub(super) fn with_ledger<T>(&self, visit: impl FnOnce(&mut Ledger) -> T) -> T {
        visit(&mut self.peer.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A folder of its own for one call.
    pub(super) fn local_folder(&self) -> PathBuf {
        let folder = self.peer.folder.join(COUNTER.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// A local file with these bytes, and a time that is the same in every run: it is sent along.
    pub(crate) fn local_file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.local_folder().join(name);
        fs::write(&path, bytes).expect("a file");
        let seconds = u64::try_from(BEGINNING_S).expect("after 1970");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = fs::File::options().write(true).open(&path).expect("a file");
        file.set_modified(modified).expect("a time");
        path
    }
}

/// Whether an error says that nothing has been done.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Exists | ErrorKind::NotFound)
}

/// The name of an entry; what cannot be served is marked.
fn shown(entry: &Entry) -> String {
    match &entry.name {
        EntryName::Servable(name) => name.as_str().to_owned(),
        EntryName::Unservable(text) => format!("?{}", text.as_str()),
    }
}

/// Waits for a call, but not for ever.
pub(super) async fn bounded<T>(call: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(CALL_LIMIT, future).await {
        Ok(result) => result,
        Err(_) => panic!("{call} did not end within {} s of virtual time", CALL_LIMIT.as_secs()),
    }
}
