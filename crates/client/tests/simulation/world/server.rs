//! The server of a world.

use std::{fs, path::Path, sync::Arc, time::Duration};

use fulmar_netsim::virtual_net::{Network, VirtualRuntime};
use fulmar_proto::{grants::Grants, hello::Policies};
use fulmar_server::{NoAudit, Server, ServerConfig, TrustStore};
use fulmar_transport::{Identity, Listener};
use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

use super::{SERVER, World, identities};

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// From one moment to the next: it sends nothing any more, and what it was doing is not done.
    Killed,
    /// As killed, and of the store only that is left which its device has.
    PowerCut,
    /// As asked to: what runs may end, and clients are told.
    Orderly,
}

/// A server while it runs.
pub(super) struct Running {
    generation: u32,
    task: Option<(JoinHandle<()>, oneshot::Sender<()>)>,
}

impl Running {
    pub(super) fn nothing() -> Self {
        Self { generation: 0, task: None }
    }

    /// How many servers there were before, and this one.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) async fn end(&mut self, how: Restart, network: &Network) {
        let Some((task, stop)) = self.task.take() else { return };
        match how {
            Restart::Killed | Restart::PowerCut => {
                network.close(SERVER);
                task.abort();
            }
            // The server is gone when nobody listens.
            Restart::Orderly => drop(stop.send(())),
        }
        match task.await {
            Ok(()) => {}
            Err(error) if error.is_cancelled() => {}
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        // The process ends, and with it what its last connections still held.
        network.close(SERVER);
    }
}

/// Writes the list of clients: all of them, with every right.
pub(super) fn write_state(folder: &Path) {
    fs::create_dir(folder).expect("a folder");
    write_clients(folder, identities::peers());
}

fn write_clients(folder: &Path, clients: &[Identity]) {
    let lines = clients.iter().map(|client| format!("{} grants={}\n", client.fingerprint(), Grants::ALL));
    fs::write(folder.join("authorized_clients"), lines.collect::<String>()).expect("the list of clients");
}

/// Longer than it takes a server to notice another list of clients.
const NOTICED: Duration = Duration::from_secs(3);

impl World {
    /// Takes every client off the server's list.
    pub(crate) async fn enrol_nobody(&self) {
        write_clients(&self.state_dir("server"), &[]);
        sleep(NOTICED).await;
    }

    /// Puts all clients on the server's list again.
    pub(crate) async fn enrol_all(&self) {
        write_clients(&self.state_dir("server"), identities::peers());
        sleep(NOTICED).await;
    }

    /// Starts a server where the last one was.
    pub(super) fn start(&self, generation: u32) -> Running {
        let socket = self.network.bind(SERVER).expect("the server's address is free");
        let seed = self.endpoint_seed(&format!("server {generation}"));
        let listener =
            Listener::bind_with(socket, Arc::new(VirtualRuntime), identities::server(), Some(seed));
        let config = ServerConfig {
            listen: SERVER,
            state_dir: self.state_dir("server"),
            name: "simulation".to_owned(),
            policies: Policies::default(),
            anonymous: Grants::NONE,
            max_connections: 100,
            max_memory_bytes: 64 << 20,
            remember_paths: true,
        };
        let trust = TrustStore::open(&config.state_dir).expect("the list of clients can be read");
        let store = self.store();
        let server = Server::with_listener(
            listener.expect("a listener"),
            trust,
            config,
            store.clone(),
            store,
            self.environment.clone(),
            Arc::new(NoAudit),
        )
        .expect("a server");
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let asked = async {
                if stopped.await.is_err() {
                    // Nobody will ask any more: the run is over.
                    std::future::pending::<()>().await;
                }
            };
            server.run(asked, std::future::pending()).await;
        });
        Running { generation, task: Some((task, stop)) }
    }
}
