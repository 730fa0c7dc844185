//! fulmar as it is shipped: its server on a directory with a catalog, its client library, their defaults.

use std::{
    net::IpAddr,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use fulmar_client::{
    ClientConfig, DownloadTarget, Endpoint, Event, Observer, Outcome, Session, TransferOptions, Trust,
    UploadSource,
};
use fulmar_proto::{
    address::HostPort, digest::Digest, grants::Grants, hello::Policies, invite::InviteUrl, path::RelPath,
};
use fulmar_server::{NoAudit, ServerConfig};
use fulmar_store::{
    Clock as _, Environment, SystemClock, SystemEntropy,
    local::{LocalOptions, LocalStore},
};
use tokio::runtime::Runtime;

use super::{Client, Job, Received, Server};
use crate::contest::Direction;

/// How long the invite lasts that the client of a run is enrolled by.
const INVITE_VALIDITY: Duration = Duration::from_secs(3600);

/// What `fulmar serve` allows unless told otherwise.
const MAX_CONNECTIONS: u32 = 1024;
const MAX_MEMORY_BYTES: u64 = 512 << 20;

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// As many threads for files and hashes as the binary has.
fn disk_threads() -> usize {
    (2 * cores()).clamp(4, 64)
}

/// The runtime of the binary.
fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(cores().max(2)).enable_all().build().context("cannot start the runtime")
}

/// A served directory. Dropping it stops the server.
#[derive(Debug)]
pub(super) struct FulmarServer {
    invite: InviteUrl,
    _runtime: Runtime,
}

impl FulmarServer {
    pub(super) fn start(dir: &Path, state: &Path, listen: IpAddr) -> Result<Self> {
        let runtime = runtime()?;
        let environment = Environment::system(disk_threads())?;
        let store = LocalStore::open(dir, LocalOptions::default(), environment.clone())?;
        let config = ServerConfig {
            listen: (listen, 0).into(),
            state_dir: state.to_owned(),
            name: "fulmar-bench".to_owned(),
            policies: Policies::default(),
            anonymous: Grants::NONE,
            max_connections: MAX_CONNECTIONS,
            max_memory_bytes: MAX_MEMORY_BYTES,
            remember_paths: false,
        };
        let entered = runtime.enter();
        let server =
            fulmar_server::Server::bind(config, store.clone(), store, environment, Arc::new(NoAudit))?;
        drop(entered);
        let token =
            server.trust().make_invite(Grants::ALL, INVITE_VALIDITY, SystemClock.now(), &SystemEntropy)?;
        let local = server.local_addr();
        let address = HostPort::new(&local.ip().to_string(), local.port())?;
        let invite = InviteUrl { fingerprint: server.fingerprint(), token: Some(token), address };
        runtime.spawn(async move { server.run(std::future::pending(), std::future::pending()).await });
        Ok(Self { invite, _runtime: runtime })
    }
}

impl Server for FulmarServer {
    fn greeting(&self) -> String {
        self.invite.to_string()
    }
}

/// A client whose key the server has enrolled, and that knows the server's key.
#[derive(Debug)]
pub(super) struct FulmarClient {
    runtime: Runtime,
    client: fulmar_client::Client,
    server: Endpoint,
    dir: PathBuf,
    session: Option<Session>,
    received: Received,
}

/// What the receiver is known to have: of both directions, the bytes of whole ranges that were verified there.
impl Observer for Received {
    fn on(&self, event: Event) {
        match event {
            Event::Acknowledged { bytes } => self.set(bytes),
            Event::Started { .. } | Event::Restarted => self.set(0),
            Event::Hashing { .. } => {}
        }
    }
}

impl FulmarClient {
    /// A client whose key the server of `invite` knows already when `enrolled`, and otherwise learns now.
    pub(super) fn new(
        dir: &Path,
        state: &Path,
        invite: &str,
        enrolled: bool,
        received: Received,
    ) -> Result<Self> {
        let runtime = runtime()?;
        let config = ClientConfig {
            threads: disk_threads(),
            // Every transfer finds a path of which nothing is known, as for TCP.
            remember_paths: false,
            ..ClientConfig::new(state.to_owned())
        };
        let client = fulmar_client::Client::new(config)?;
        let invite: Endpoint = invite.parse()?;
        let server = Endpoint::Address(invite.address().clone());
        match &invite {
            // The address is another one than at enrolling.
            Endpoint::Invite(invite) if enrolled => {
                client.trust_server(&invite.address, invite.fingerprint)?;
            }
            _ => runtime.block_on(async {
                client.connect(&invite, &Trust::KnownOnly).await?.close().await;
                anyhow::Ok(())
            })?,
        }
        Ok(Self { runtime, client, server, dir: dir.to_owned(), session: None, received })
    }
}

impl Client for FulmarClient {
    fn transfer(&mut self, job: &Job) -> Result<Digest> {
        let options = TransferOptions::default();
        let (session, done) = self.runtime.block_on(async {
            let session = self.client.connect(&self.server, &Trust::KnownOnly).await?;
            let done = match job.direction {
                Direction::Upload => {
                    let source = UploadSource::File(job.source.clone());
                    session.upload(source, &job.target.parse()?, &options, &self.received).await?
                }
                Direction::Download => {
                    let name = job.source.to_str().context("a name that is no text")?;
                    let path = self.dir.join(&job.target);
                    let target = DownloadTarget::Path { path, must_be_directory: false };
                    session.download(&RelPath::parse(name)?, target, &options, &self.received).await?
                }
            };
            anyhow::Ok((session, done))
        })?;
        self.session = Some(session);
        ensure!(done.outcome == Outcome::Stored, "nothing was stored: {:?}", done.outcome);
        Ok(done.root)
    }

    fn hang_up(&mut self) {
        if let Some(session) = self.session.take() {
            self.runtime.block_on(session.close());
        }
    }
}
