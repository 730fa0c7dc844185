//! A server that runs, and what a test wants to know of it.

use std::{fmt, future::pending, path::Path, sync::Arc, time::Duration};

use fulmar_proto::{fingerprint::Fingerprint, grants::Grants, hello::Policies, path::DirPath};
use fulmar_server::{Audit, AuditKind, AuditRecord, Server, ServerConfig};
use fulmar_store::{Environment, MemoryStore, Store, StoreError};
use fulmar_transport::Identity;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// Long enough that only a hang reaches it.
const AMPLE: Duration = Duration::from_secs(45);

/// Runs a test, which must not hang.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(AMPLE, test).await.expect("the test hangs");
    });
}

/// How a server is to be started.
pub(crate) struct Setup {
    pub(crate) policies: Policies,
    pub(crate) anonymous: Grants,
    pub(crate) max_memory_bytes: u64,
    /// The text of the list of clients.
    pub(crate) clients: String,
}

impl Default for Setup {
    fn default() -> Self {
        let (policies, anonymous) = (Policies::default(), Grants::NONE);
        Self { policies, anonymous, max_memory_bytes: 64 << 20, clients: String::new() }
    }
}

impl Setup {
    /// With a client enrolled.
    pub(crate) fn with(mut self, client: &Identity, grants: Grants) -> Self {
        self.clients.push_str(&line(client, grants));
        self
    }

    /// Starts the server on a store in memory.
    pub(crate) fn start(self) -> Rig {
        let environment = environment();
        let store = MemoryStore::new(environment.clone());
        self.start_on(environment, store.clone(), store)
    }

    /// Starts the server on a store of the test's own making, which is built around `memory`.
    pub(crate) fn start_on(
        self,
        environment: Environment,
        memory: Arc<MemoryStore>,
        store: Arc<dyn Store>,
    ) -> Rig {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(clients_file(folder.path()), &self.clients).expect("the list of clients is written");
        let config = ServerConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            state_dir: folder.path().to_owned(),
            name: "rig".to_owned(),
            policies: self.policies,
            anonymous: self.anonymous,
            max_connections: 100,
            max_memory_bytes: self.max_memory_bytes,
            remember_paths: true,
        };
        let (sink, records) = mpsc::unbounded_channel();
        let server = Server::bind(config, store, memory.clone(), environment.clone(), Arc::new(Sink(sink)));
        let server = Arc::new(server.expect("the server starts"));
        let (stop, stopped) = oneshot::channel::<()>();
        let (stop_now, stopped_now) = oneshot::channel::<()>();
        let running = tokio::spawn({
            let server = server.clone();
            async move { server.run(requested(stopped), requested(stopped_now)).await }
        });
        Rig {
            server,
            memory,
            environment,
            records,
            running,
            stop: Some(stop),
            stop_now: Some(stop_now),
            folder,
        }
    }
}

pub(crate) fn environment() -> Environment {
    Environment::system(2).expect("threads")
}

/// Waits for the request to stop. A rig that is dropped without one does not stop its server that way.
async fn requested(stop: oneshot::Receiver<()>) {
    if stop.await.is_err() {
        pending::<()>().await;
    }
}

fn clients_file(folder: &Path) -> std::path::PathBuf {
    folder.join("authorized_clients")
}

fn line(client: &Identity, grants: Grants) -> String {
    format!("{} grants={grants}\n", client.fingerprint())
}

/// Hands the server's records to the test.
struct Sink(mpsc::UnboundedSender<AuditRecord>);

impl Audit for Sink {
    fn record(&self, record: &AuditRecord) {
        // The test may have ended by now.
        let _ = self.0.send(record.clone());
    }
}

/// A running server.
pub(crate) struct Rig {
    pub(crate) server: Arc<Server>,
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) environment: Environment,
    records: mpsc::UnboundedReceiver<AuditRecord>,
    running: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    stop_now: Option<oneshot::Sender<()>>,
    folder: TempDir,
}

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Rig {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.server.fingerprint()
    }

    /// Replaces the list of clients, as an editor would.
    pub(crate) fn enrol_only(&self, clients: &[(&Identity, Grants)]) {
        let text: String = clients.iter().map(|(client, grants)| line(client, *grants)).collect();
        let fresh = self.folder.path().join("authorized_clients.new");
        std::fs::write(&fresh, text).expect("the list of clients is written");
        std::fs::rename(fresh, clients_file(self.folder.path())).expect("the list of clients is replaced");
    }

    /// Waits until the server has taken a change of the list of clients over.
    pub(crate) async fn until_granted(&self, client: &Identity, grants: Grants) {
        let holds =
            || self.server.trust().find(&client.fingerprint()).is_some_and(|found| found.grants == grants);
        while !holds() {
            tokio::task::yield_now().await;
        }
    }

    /// The next record of this kind; those before it are passed over.
    pub(crate) async fn record(&mut self, kind: AuditKind) -> AuditRecord {
        loop {
            let record = self.records.recv().await.expect("the server keeps records as long as it runs");
            if record.kind == kind {
                return record;
            }
        }
    }

    /// The records that have been kept by now.
    pub(crate) fn records_so_far(&mut self) -> Vec<AuditRecord> {
        std::iter::from_fn(|| self.records.try_recv().ok()).collect()
    }

    /// Asks the server to stop when what runs has ended.
    pub(crate) fn stop(&mut self) {
        self.stop.take().expect("asked once").send(()).expect("the server runs");
    }

    /// Asks the server to stop at once.
    pub(crate) fn stop_now(&mut self) {
        self.stop_now.take().expect("asked once").send(()).expect("the server runs");
    }

    /// Waits until `run` has returned.
    pub(crate) async fn ended(&mut self) {
        (&mut self.running).await.expect("the server does not panic");
    }

    /// Whether the store has something under this name.
    pub(crate) async fn has(&self, path: &str) -> bool {
        match self.memory.stat(&path.parse::<DirPath>().expect("a path")).await {
            Ok(_) => true,
            Err(StoreError::NotFound) => false,
            Err(error) => panic!("{path}: {error}"),
        }
    }
}
