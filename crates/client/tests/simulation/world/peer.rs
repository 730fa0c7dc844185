//! A client of a world, and what it does there.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use fulmar_client::{
    Client, ClientConfig, DownloadTarget, Endpoint, Error, NoObserver, Outcome, Session, TransferOptions,
    Transferred, Trust, UploadSource,
};
use fulmar_disk::Offload;
use fulmar_netsim::virtual_net::VirtualRuntime;
use fulmar_proto::{
    digest::Digest,
    listing::{Entry, EntryName},
    path::{DirPath, RelPath},
    upload::{Destination, OnExists},
};
use fulmar_transport::Dialer;

use super::{CALL_LIMIT, SERVER, World, environment::BEGINNING_S, identities, ledger::Ledger, peer_ip};

/// Tells the processes of one user apart, and the local files of one process.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A client that is not connected yet. Clones are the same process.
#[derive(Clone)]
pub(crate) struct Peer {
    client: Client,
    addr: SocketAddr,
    folder: PathBuf,
    ledger: Arc<Mutex<Ledger>>,
}

impl Peer {
    pub(super) fn new(world: &World, number: u8) -> Self {
        let ip = peer_ip(number);
        if world.network.counters(ip, SERVER.ip()).is_none() {
            world.join(number, &world.profile);
        }
        let socket = world.network.bind((ip, 0).into()).expect("a free port");
        let (addr, runtime) = (socket.addr(), Arc::new(VirtualRuntime));
        let seed = Some(world.endpoint_seed(&format!("client {addr}")));
        let dialer = Dialer::with_socket(socket, runtime, identities::peer(number), seed).expect("a dialer");
        let folder = world.state_dir(&format!("client {}", COUNTER.fetch_add(1, Ordering::Relaxed)));
        let config =
            ClientConfig { name: format!("client {number}"), ..ClientConfig::new(folder.join("state")) };
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
}

/// A client while it is connected. Every call is bounded by [`CALL_LIMIT`], and entered into the run's ledger.
#[derive(Clone)]
pub(crate) struct Visit {
    peer: Peer,
    session: Session,
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
        let (wanted, digest): (RelPath, _) = (path.parse().expect("a path"), Digest::of(bytes));
        let source = UploadSource::File(self.local_file(wanted.name(), bytes));
        let destination: Destination = path.parse().expect("a destination");
        self.with_ledger(|ledger| ledger.attempt(&wanted, digest, on_exists == OnExists::Overwrite));
        let options = TransferOptions { on_exists, ..TransferOptions::default() };
        let uploading = self.session.upload(source, &destination, &options, &NoObserver);
        let done = bounded("upload", uploading).await?;
        if done.outcome != Outcome::Skipped {
            assert_eq!(done.root, digest, "{path}: another digest was acknowledged than that of the source");
            let stored = done.destination.parse().expect("the path where it is stored");
            self.with_ledger(|ledger| ledger.acknowledge(&stored, digest));
        }
        Ok(done)
    }

    /// Downloads a file. What comes back are the bytes under its final local name; a download that fails must leave
    /// nothing there.
    pub(crate) async fn download(&self, path: &str) -> Result<Vec<u8>, Error> {
        let folder = self.local_folder();
        let target = folder.join("download");
        let to = DownloadTarget::Path { path: target.clone(), must_be_directory: false };
        let (wanted, options) = (path.parse().expect("a path"), TransferOptions::default());
        let downloading = self.session.download(&wanted, to, &options, &NoObserver);
        match bounded("download", downloading).await {
            Ok(done) => {
                let bytes = fs::read(target).expect("a download that succeeded is there");
                assert_eq!(Digest::of(&bytes), done.root, "{path}: the file is not what was acknowledged");
                Ok(bytes)
            }
            Err(error) => {
                assert!(!target.exists(), "{path}: a failed download has left something under its name");
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
        self.with_ledger(|ledger| ledger.may_be_gone(&wanted));
        bounded("remove", self.session.remove(&wanted, false)).await.map(drop)
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        bounded("close", self.session.close()).await;
    }

    fn with_ledger<T>(&self, visit: impl FnOnce(&mut Ledger) -> T) -> T {
        visit(&mut self.peer.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A folder of its own for one call.
    fn local_folder(&self) -> PathBuf {
        let folder = self.peer.folder.join(COUNTER.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// A local file with these bytes, and a time that is the same in every run: it is sent along.
    fn local_file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.local_folder().join(name);
        fs::write(&path, bytes).expect("a file");
        let seconds = u64::try_from(BEGINNING_S).expect("after 1970");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = fs::File::options().write(true).open(&path).expect("a file");
        file.set_modified(modified).expect("a time");
        path
    }
}

/// The name of an entry; what cannot be served is marked.
fn shown(entry: &Entry) -> String {
    match &entry.name {
        EntryName::Servable(name) => name.as_str().to_owned(),
        EntryName::Unservable(text) => format!("?{}", text.as_str()),
    }
}

/// Waits for a call, but not for ever.
async fn bounded<T>(call: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(CALL_LIMIT, future).await {
        Ok(result) => result,
        Err(_) => panic!("{call} did not end within {} s of virtual time", CALL_LIMIT.as_secs()),
    }
}
