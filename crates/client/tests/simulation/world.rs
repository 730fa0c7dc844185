//! One run: a network, a server, clients, and what they were told.

mod audit;
mod environment;
mod identities;
pub(crate) mod impostor;
mod ledger;
mod peer;
pub(crate) mod raw;
mod seeds;
mod server;
pub(crate) mod tree;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fulmar_netsim::{
    Profile, Stream,
    virtual_net::{self, Network, Trace, VirtualRuntime},
};
use fulmar_proto::{
    digest::{Digest, RangeDigest},
    path::RelPath,
    range::Range,
    upload::OnExists,
    version::SourceToken,
};
use fulmar_store::{CommitUpload, DeviceLatency, Environment, MemoryStore, NewUpload, UploadKey, Uploads};
use fulmar_transport::{Dialer, EndpointSeed, Sending};
use tempfile::TempDir;

pub(crate) use environment::data;
use ledger::Ledger;
pub(crate) use peer::{Peer, Visit};
pub(crate) use raw::Raw;
use seeds::TraceFile;
pub(crate) use seeds::{CAMPAIGN_SEEDS, Repeat, seeds};
pub(crate) use server::Restart;
use server::Running;

/// Where the server listens.
pub(crate) const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 4433);

/// How many clients are enrolled. The last one is the one that looks at everything in the end.
pub(crate) const PEERS: u8 = 32;

/// Longer than any call may take on a link that a test uses, in virtual time: an hour.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(3600);

/// How a placed file is cut.
const PLACED_RANGE_BYTES: usize = 1 << 20;

/// The address of the n-th client's host.
pub(crate) fn peer_ip(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 1, number).into()
}

/// Where files of a run may be: in memory where the system has such a place, since a simulation syncs a lot.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("fulmar-simulation-");
    builder.tempdir_in(memory).or_else(|_| builder.tempdir()).expect("a temporary folder")
}

/// Runs `scenario` in a world of its own and checks what has to hold afterwards. All links are of `profile` unless the
/// scenario joins others.
pub(crate) fn simulate<T>(seed: u64, profile: &Profile, scenario: impl AsyncFnOnce(&World) -> T) -> T {
    traced(seed, profile, scenario).0
}

/// As [`simulate`], and tells what became of every packet.
pub(crate) fn traced<T>(seed: u64, profile: &Profile, scenario: impl AsyncFnOnce(&World) -> T) -> (T, Trace) {
    run(seed, profile, device(seed), scenario)
}

/// As [`simulate`] on a store that takes no time worth mentioning.
pub(crate) fn simulate_on_fast_device<T>(
    seed: u64,
    profile: &Profile,
    scenario: impl AsyncFnOnce(&World) -> T,
) -> T {
    let step = Duration::from_millis(1);
    run(seed, profile, DeviceLatency { sync: step, name: step, directory_sync: step }, scenario).0
}

fn run<T>(
    seed: u64,
    profile: &Profile,
    device: DeviceLatency,
    scenario: impl AsyncFnOnce(&World) -> T,
) -> (T, Trace) {
    let repeat = Repeat::of(seed);
    let result = virtual_net::run(async {
        let world = World::new(seed, profile, device).await;
        let result = scenario(&world).await;
        let trace = world.network.trace();
        world.check().await;
        (result, trace)
    });
    repeat.done();
    result
}

/// How fast the store's device is; it follows from the seed: 1 to 150 ms for each step.
fn device(seed: u64) -> DeviceLatency {
    let mut stream = Stream::new(seed, "device");
    let mut step = || Duration::from_secs_f64(0.001 * 150_f64.powf(stream.unit()));
    DeviceLatency { sync: step(), name: step(), directory_sync: step() }
}

/// Everything of one run.
pub(crate) struct World {
    seed: u64,
    profile: Profile,
    network: Network,
    environment: Environment,
    /// What is stored; another one after a power cut.
    store: Mutex<Arc<MemoryStore>>,
    server: tokio::sync::Mutex<Running>,
    ledger: Arc<Mutex<Ledger>>,
    folder: TempDir,
    _trace_file: Option<TraceFile>,
}

impl World {
    async fn new(seed: u64, profile: &Profile, device: DeviceLatency) -> Self {
        let environment = environment::environment(seed);
        let store = MemoryStore::on_device(environment.clone(), device);
        let network = Network::new(seed);
        let folder = folder();
        server::write_state(&folder.path().join("server"));
        let mut world = Self {
            seed,
            profile: profile.clone(),
            _trace_file: TraceFile::of(&network),
            network,
            environment,
            store: Mutex::new(store),
            server: tokio::sync::Mutex::new(Running::nothing()),
            ledger: Arc::default(),
            folder,
        };
        *world.server.get_mut() = world.start(1);
        world
    }

    /// What everything is drawn from.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The network, to break it.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// What is stored.
    fn store(&self) -> Arc<MemoryStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The n-th client, not connected yet. Each call is another process of the same user: it has the same host and
    /// key, and a socket of its own.
    pub(crate) fn peer(&self, number: u8) -> Peer {
        self.peer_that_sends(number, Sending::default())
    }

    /// As [`World::peer`], with wishes for how both sides send.
    pub(crate) fn peer_that_sends(&self, number: u8, sending: Sending) -> Peer {
        Peer::new(self, number, sending)
    }

    /// A socket on the n-th client's host, with that client's key, and the socket's address.
    pub(crate) fn dialer(&self, number: u8) -> (Dialer, SocketAddr) {
        assert!(number < PEERS, "only {PEERS} clients are enrolled");
        let ip = peer_ip(number);
        if self.network.counters(ip, SERVER.ip()).is_none() {
            self.join(number, &self.profile);
        }
        let socket = self.network.bind((ip, 0).into()).expect("a free port");
        let (addr, runtime) = (socket.addr(), Arc::new(VirtualRuntime));
        let seed = Some(self.endpoint_seed(&format!("client {addr}")));
        let dialer = Dialer::with_socket(socket, runtime, identities::peer(number), seed).expect("a dialer");
        (dialer, addr)
    }

    /// Ends the server and starts it again on what is left of the store.
    pub(crate) async fn restart(&self, how: Restart) {
        self.stop(how).await;
        self.start_again().await;
    }

    /// Ends the server.
    pub(crate) async fn stop(&self, how: Restart) {
        let mut running = self.server.lock().await;
        running.end(how, &self.network).await;
        if how == Restart::PowerCut {
            // What the server left running has no power either: nothing of it reaches this store.
            let seed = Stream::new(self.seed, &format!("power cut {}", running.generation())).number();
            let left = self.store().power_cut(seed).expect("the store stands on a device");
            *self.store.lock().unwrap_or_else(PoisonError::into_inner) = left;
        }
    }

    /// Starts the server on the same store, after [`World::stop`].
    pub(crate) async fn start_again(&self) {
        let mut running = self.server.lock().await;
        *running = self.start(running.generation() + 1);
    }

    /// Puts a link of `profile` between the n-th client and the server, from now on: its blackouts and changes count
    /// from here.
    pub(crate) fn join(&self, number: u8, profile: &Profile) {
        self.network.join(peer_ip(number), SERVER.ip(), profile).expect("a profile in range");
    }

    /// Puts a file into the store, as if a client had uploaded it.
    pub(crate) async fn place(&self, path: &str, bytes: &[u8]) {
        let (path, root): (RelPath, _) = (path.parse().expect("a path"), Digest::of(bytes));
        let size = bytes.len() as u64;
        let client = identities::peer(0).fingerprint();
        let upload = NewUpload {
            client,
            path: path.clone(),
            size: Some(size),
            modified: None,
            mode: None,
            source_token: SourceToken([0; 32]),
            on_exists: OnExists::Fail,
            lasting: false,
        };
        let content = BTreeSet::from([Some(root)]);
        let change = self.with_ledger(|ledger| ledger.begin(&path, content, false));
        let store = self.store();
        let open = store.begin(upload).await.expect("an upload begins");
        let (upload_id, generation) = (open.upload_id, open.generation);
        let key = UploadKey { client, upload_id, generation };
        for (index, piece) in bytes.chunks(PLACED_RANGE_BYTES).enumerate() {
            let offset = (index * PLACED_RANGE_BYTES) as u64;
            let range = Range::new(offset, u32::try_from(piece.len()).expect("short")).expect("a range");
            let digest = RangeDigest::of(range, piece).expect("as long as its range");
            let mut writer = store.open_range(&key, range).await.expect("a range opens");
            writer.write(Bytes::copy_from_slice(piece)).await.expect("written");
            writer.finish(digest).await.expect("finished");
        }
        let commit = CommitUpload { key, size, root, may_compare: true, may_replace: true };
        store.commit(commit).await.expect("committed");
        self.with_ledger(|ledger| ledger.acknowledge(&change));
    }

    fn state_dir(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the random choices of one endpoint are drawn from.
    fn endpoint_seed(&self, name: &str) -> EndpointSeed {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(name.as_bytes());
        EndpointSeed(*hasher.finalize().as_bytes())
    }

    fn with_ledger<T>(&self, visit: impl FnOnce(&mut Ledger) -> T) -> T {
        visit(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
