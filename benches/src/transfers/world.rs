//! One transfer: a network, a server, a client.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use fulmar_client::{
    Client, ClientConfig, DownloadTarget, Endpoint, NoObserver, TransferOptions, Transferred, Trust,
    UploadSource,
};
use fulmar_disk::Offload;
use fulmar_netsim::{
    Counters, Stream,
    virtual_net::{self, Network, VirtualRuntime},
};
use fulmar_proto::{
    digest::{Digest, RangeDigest},
    grants::Grants,
    hello::Policies,
    path::RelPath,
    range::Range,
    time::Timestamp,
    upload::OnExists,
    version::SourceToken,
};
use fulmar_server::{NoAudit, Server, ServerConfig, TrustStore};
use fulmar_store::{Clock, CommitUpload, Entropy, Environment, MemoryStore, NewUpload, UploadKey, Uploads};
use fulmar_transport::{Dialer, EndpointSeed, Listener};
use tokio::time::{Instant, sleep};

use super::{
    figures::Row,
    identities::Identities,
    plan::{Case, Way},
};

/// Where the server listens.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 4433);

/// The client's host.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 0));

/// How long a client tries to connect: what somebody on a bad link asks for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// How a file that the server has is cut, in bytes.
const PLACED_RANGE_BYTES: u64 = 1 << 20;

/// What goes before where the path is known, in bytes: long enough to find out what the path carries.
const BEFORE_BYTES: u64 = 20_000_000;

/// How long after.
const BETWEEN: Duration = Duration::from_secs(1);

/// 1 January 2027, in seconds since 1970: when every run begins.
const BEGINNING_S: i64 = 1_798_761_600;

/// What all runs share.
pub(super) struct Scene<'a> {
    /// In memory, if possible.
    pub(super) folder: &'a Path,
    pub(super) identities: &'a Identities,
}

/// Runs a case with one seed.
pub(super) fn run(scene: &Scene<'_>, case: &Case, seed: u64) -> Result<Row> {
    let folder = tempfile::tempdir_in(scene.folder)?;
    let transfer = async {
        let world = World::new(scene, case, seed, folder.path())?;
        world.transfer(case).await
    };
    if case.bunched { virtual_net::run(transfer) } else { virtual_net::run_exactly(transfer) }
}

/// How long connecting took, and all of it.
struct Times {
    connected: Duration,
    elapsed: Duration,
}

struct World<'a> {
    seed: u64,
    folder: &'a Path,
    scene: &'a Scene<'a>,
    network: Network,
    environment: Environment,
    store: Arc<MemoryStore>,
}

impl<'a> World<'a> {
    fn new(scene: &'a Scene<'a>, case: &Case, seed: u64, folder: &'a Path) -> Result<Self> {
        let network = Network::new(seed);
        network.join(CLIENT, SERVER.ip(), &case.profile)?;
        let environment = environment(seed);
        let store = MemoryStore::new(environment.clone());
        Ok(Self { seed, folder, scene, network, environment, store })
    }

    async fn transfer(&self, case: &Case) -> Result<Row> {
        let serving = self.serve()?;
        let client = self.client()?;
        let endpoint: Endpoint = SERVER.to_string().parse()?;
        // As to any server but at the very first time.
        client.trust_server(endpoint.address(), self.scene.identities.server.fingerprint())?;
        if case.known {
            self.move_one(&client, case.way, "before", BEFORE_BYTES).await?;
            sleep(BETWEEN).await;
        }
        let before = self.sent(case.way)?;
        let times = self.move_one(&client, case.way, "file", case.bytes).await?;
        let row = self.row(case, &times, &before)?;
        serving.abort();
        Ok(row)
    }

    /// Moves one file on a connection of its own.
    async fn move_one(&self, client: &Client, way: Way, name: &str, length: u64) -> Result<Times> {
        let (local, path) = (self.folder.join(name), name.parse::<RelPath>()?);
        let bytes = data(length);
        match way {
            Way::Up => fs::write(&local, &bytes)?,
            Way::Down => self.place(&path, &bytes).await?,
        }
        let root = Digest::of(&bytes);
        drop(bytes);
        let endpoint: Endpoint = SERVER.to_string().parse()?;
        let started = Instant::now();
        let session = client.connect_early(&endpoint, &Trust::KnownOnly).await?;
        let connected = started.elapsed();
        let done = move_file(&session, way, &local, &path).await?;
        let elapsed = started.elapsed();
        ensure!(done.root == root && done.bytes == length, "another file has arrived than was sent");
        session.close().await;
        Ok(Times { connected, elapsed })
    }

    /// What the sender's side of the link has been offered so far.
    fn sent(&self, way: Way) -> Result<Counters> {
        let (up, down) = self.network.counters(CLIENT, SERVER.ip()).context("no link")?;
        Ok(match way {
            Way::Up => up,
            Way::Down => down,
        })
    }

    fn row(&self, case: &Case, times: &Times, before: &Counters) -> Result<Row> {
        let way = match case.way {
            Way::Up => fulmar_netsim::Way::Up,
            Way::Down => fulmar_netsim::Way::Down,
        };
        let sender = self.sent(case.way)?;
        let packets = sender.offered_packets - before.offered_packets;
        let overflow = sender.lost_queue_full_packets - before.lost_queue_full_packets;
        let Times { connected, elapsed } = *times;
        let limit = case.profile.limit_bytes_per_s(way).context("a link without a rate")?;
        Ok(Row {
            case: case.name.clone(),
            seed: self.seed,
            way: case.way,
            bytes: case.bytes,
            seconds: elapsed.as_secs_f64(),
            share: case.bytes as f64 / elapsed.as_secs_f64() / limit,
            connected_s: connected.as_secs_f64(),
            packets,
            overflow: overflow as f64 / packets.max(1) as f64,
        })
    }

    /// Puts a file into the store, as if a client had uploaded it.
    async fn place(&self, path: &RelPath, bytes: &[u8]) -> Result<()> {
        let (client, root) = (self.scene.identities.client.fingerprint(), Digest::of(bytes));
        let size = bytes.len() as u64;
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
        let open = self.store.begin(upload).await?;
        let key = UploadKey { client, upload_id: open.upload_id, generation: open.generation };
        let mut offset = 0;
        for piece in bytes.chunks(usize::try_from(PLACED_RANGE_BYTES)?) {
            let range = Range::new(offset, u32::try_from(piece.len())?)?;
            let mut writer = self.store.open_range(&key, range).await?;
            writer.write(bytes::Bytes::copy_from_slice(piece)).await?;
            let digest = RangeDigest::of(range, piece).ok().context("a piece of its range's length")?;
            writer.finish(digest).await?;
            offset = range.end();
        }
        self.store.commit(CommitUpload { key, size, root, may_compare: true, may_replace: true }).await?;
        Ok(())
    }

    fn serve(&self) -> Result<tokio::task::JoinHandle<()>> {
        let state_dir = self.folder.join("server");
        fs::create_dir(&state_dir)?;
        let enrolled = format!("{} grants={}\n", self.scene.identities.client.fingerprint(), Grants::ALL);
        fs::write(state_dir.join("authorized_clients"), enrolled)?;
        let (socket, seed) = (self.network.bind(SERVER)?, self.endpoint_seed("server"));
        let identity = &self.scene.identities.server;
        let listener = Listener::bind_with(socket, Arc::new(VirtualRuntime), identity, Some(seed))?;
        let config = ServerConfig {
            listen: SERVER,
            state_dir,
            name: "bench".to_owned(),
            policies: Policies::default(),
            anonymous: Grants::NONE,
            max_connections: 10,
            max_memory_bytes: 256 << 20,
            remember_paths: true,
        };
        let trust = TrustStore::open(&config.state_dir)?;
        let (store, environment) = (self.store.clone(), self.environment.clone());
        let audit = Arc::new(NoAudit);
        let server =
            Server::with_listener(listener, trust, config, store.clone(), store, environment, audit)?;
        Ok(tokio::spawn(async move {
            server.run(std::future::pending(), std::future::pending()).await;
        }))
    }

    fn client(&self) -> Result<Client> {
        let socket = self.network.bind((CLIENT, 0).into())?;
        let (runtime, seed) = (Arc::new(VirtualRuntime), self.endpoint_seed("client"));
        let dialer = Dialer::with_socket(socket, runtime, &self.scene.identities.client, Some(seed))?;
        let config =
            ClientConfig { connect_timeout: CONNECT_TIMEOUT, ..ClientConfig::new(self.folder.join("state")) };
        Ok(Client::with_dialer(config, dialer, Offload::inline()))
    }

    /// What the random choices of one endpoint are drawn from.
    fn endpoint_seed(&self, name: &str) -> EndpointSeed {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(name.as_bytes());
        EndpointSeed(*hasher.finalize().as_bytes())
    }
}

async fn move_file(
    session: &fulmar_client::Session,
    way: Way,
    local: &Path,
    path: &RelPath,
) -> Result<Transferred> {
    let options = TransferOptions { keep_modified: false, ..TransferOptions::default() };
    let local: PathBuf = local.to_owned();
    Ok(match way {
        Way::Up => {
            let source = UploadSource::File(local);
            session.upload(source, &path.as_str().parse()?, &options, &NoObserver).await?
        }
        Way::Down => {
            let target = DownloadTarget::Path { path: local, must_be_directory: false };
            session.download(path, target, &options, &NoObserver).await?
        }
    })
}

/// Virtual time as a time of day.
#[derive(Debug)]
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let since = self.0.elapsed();
        let secs = i64::try_from(since.as_secs()).unwrap_or_default();
        Timestamp::new(BEGINNING_S + secs, since.subsec_nanos()).unwrap_or(Timestamp::EPOCH)
    }
}

/// Random bytes that can be had again.
#[derive(Debug)]
struct SeededEntropy(Mutex<Stream>);

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&stream.number().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What a server and a store take from outside.
fn environment(seed: u64) -> Environment {
    Environment {
        offload: Offload::inline(),
        clock: Arc::new(VirtualClock(Instant::now())),
        entropy: Arc::new(SeededEntropy(Mutex::new(Stream::new(seed, "entropy")))),
    }
}

/// Bytes that look random. Nothing that is measured depends on them.
fn data(len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    blake3::Hasher::new().update(b"fulmar transfers").finalize_xof().fill(&mut bytes);
    bytes
}
