//! The endpoint: accepting, admitting to the handshake, draining.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fulmar_proto::{code::CloseCode, fingerprint::Fingerprint};
use fulmar_store::{Environment, Store, Uploads};
use fulmar_transport::{BytePool, Identity, Incoming, Listener, Paths, Role};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{interval, timeout},
};

use crate::{
    audit::Audit,
    config::{Limits, ServerConfig},
    connection,
    error::ServeError,
    trust::TrustStore,
};

/// How long the last packets of a closed endpoint are given to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everything is served.
    Serving,
    /// Running transfers may end; nothing new begins.
    Draining,
    /// Everything ends now.
    Stopped,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) limits: Limits,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) uploads: Arc<dyn Uploads>,
    pub(crate) environment: Environment,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) trust: TrustStore,
    pub(crate) pool: BytePool,
    /// What connections of admitted clients have found out about their paths.
    pub(crate) paths: Mutex<Paths>,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) trust_changed: watch::Sender<()>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A server whose socket is bound.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listener: Listener,
    local_addr: SocketAddr,
    connections: AtomicU64,
}

impl Server {
    /// Loads or makes the identity, reads the trust state, and binds the socket. Must run inside a tokio runtime.
    /// Blocks briefly on the file system.
    ///
    /// # Errors
    /// [`ServeError`] when the state folder cannot be used or the address cannot be bound.
    pub fn bind(
        config: ServerConfig,
        store: Arc<dyn Store>,
        uploads: Arc<dyn Uploads>,
        environment: Environment,
        audit: Arc<dyn Audit>,
    ) -> Result<Self, ServeError> {
        let identity = Identity::load_or_create(&config.state_dir, Role::Server)?;
        let trust = TrustStore::open(&config.state_dir)?;
        let listener = Listener::bind(config.listen, &identity)?;
        Self::with_listener(listener, trust, config, store, uploads, environment, audit)
    }

    /// As [`Server::bind`], on a listener that is there already, such as one of a virtual network: its address and
    /// identity count, and `trust`, not what `config` says of them.
    ///
    /// # Errors
    /// [`ServeError::Address`] when the listener does not tell its address.
    pub fn with_listener(
        listener: Listener,
        trust: TrustStore,
        config: ServerConfig,
        store: Arc<dyn Store>,
        uploads: Arc<dyn Uploads>,
        environment: Environment,
        audit: Arc<dyn Audit>,
    ) -> Result<Self, ServeError> {
        let local_addr = listener.local_addr().map_err(ServeError::Address)?;
        let shared = Shared {
            pool: BytePool::new(config.max_memory_bytes),
            paths: Mutex::default(),
            limits: Limits::default(),
            config,
            store,
            uploads,
            environment,
            audit,
            trust,
            phase: watch::channel(Phase::Serving).0,
            trust_changed: watch::channel(()).0,
        };
        Ok(Self { shared: Arc::new(shared), listener, local_addr, connections: AtomicU64::new(0) })
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The fingerprint of the server's key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.listener.fingerprint()
    }

    /// Whether any client is enrolled.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        self.shared.trust.has_clients()
    }

    /// The lists of clients and invites.
    #[must_use]
    pub fn trust(&self) -> &TrustStore {
        &self.shared.trust
    }

    /// What to tell the operator when the kernel grants less socket memory than fast paths need.
    #[must_use]
    pub fn socket_warning(&self) -> Option<String> {
        self.listener.socket_buffers().and_then(|buffers| buffers.warning())
    }

    /// How many datagrams the kernel has dropped because the socket's receive buffer was full; none where it does not tell.
    pub async fn dropped_datagrams(&self) -> Option<u64> {
        let socket = self.listener.socket();
        self.shared.environment.offload.run(move || socket.dropped_datagrams()).await
    }

    /// Serves until `stop` is ready, then drains: transfers that run may end, nothing new begins. Ends at the latest
    /// after the drain time, or as soon as `stop_now` is ready.
    pub async fn run(&self, stop: impl Future<Output = ()>, stop_now: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_trust(self.shared.clone()));
        let mut connections = JoinSet::new();
        let handshakes = Arc::new(Semaphore::new(self.shared.limits.max_handshakes));
        tokio::pin!(stop, stop_now);
        loop {
            tokio::select! {
                // In a fixed order, so that a simulation can be repeated: what there can be most of comes last.
                biased;
                () = &mut stop => break,
                // Ended connections are taken out so that the set does not grow.
                Some(_) = connections.join_next() => {}
                incoming = self.listener.accept() => match incoming {
                    Some(incoming) => self.admit_to_handshake(incoming, &handshakes, &mut connections),
                    None => break,
                },
            }
        }
        self.shared.phase.send_replace(Phase::Draining);
        tokio::select! {
            biased;
            () = &mut stop_now => {}
            () = tokio::time::sleep(self.shared.limits.drain_timeout) => {}
            () = join_all(&mut connections) => {}
            () = self.refuse_newcomers() => {}
        }
        self.listener.stop_accepting();
        self.shared.phase.send_replace(Phase::Stopped);
        self.listener.close(CloseCode::SHUTTING_DOWN, "");
        let _ = timeout(FAREWELL, join_all(&mut connections)).await;
        let _ = timeout(FAREWELL, self.listener.wait_idle()).await;
    }

    /// Tells whoever arrives while the server drains that it is not served, instead of leaving it without an answer.
    async fn refuse_newcomers(&self) {
        while let Some(incoming) = self.listener.accept().await {
            incoming.refuse();
        }
    }

    /// Decides whether a client may begin its handshake, cheapest checks first. Never waits: one slow client must not
    /// hold up the next.
    fn admit_to_handshake(
        &self,
        incoming: Incoming,
        handshakes: &Arc<Semaphore>,
        connections: &mut JoinSet<()>,
    ) {
        let max_connections = self.shared.config.max_connections as usize;
        if self.listener.open_connections() >= max_connections {
            incoming.refuse();
            return;
        }
        let Ok(permit) = handshakes.clone().try_acquire_owned() else {
            // The client will try again by itself, as if the packet had been lost.
            incoming.ignore();
            return;
        };
        // Under load a client first has to show that its address is its own (RFC 9000 section 8.1.2).
        let busy = handshakes.available_permits() < self.shared.limits.max_handshakes / 2;
        if busy && !incoming.remote_validated() {
            incoming.retry();
            return;
        }
        let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let shared = self.shared.clone();
        connections.spawn(async move {
            let handshake = timeout(shared.limits.hello_timeout, incoming.finish()).await;
            drop(permit);
            match handshake {
                Ok(Ok(connection)) => connection::serve(shared, connection, number).await,
                Ok(Err(error)) => tracing::info!(%error, connection = number, "a handshake failed"),
                Err(_) => tracing::info!(connection = number, "a handshake took too long"),
            }
        });
    }
}

async fn join_all(connections: &mut JoinSet<()>) {
    while let Some(result) = connections.join_next().await {
        if let Err(error) = result {
            tracing::error!(%error, "a connection ended in a panic");
        }
    }
}

/// Takes over changes of the list of authorised clients while the server runs. A list that cannot be read leaves the
/// one in memory in force, loudly.
async fn watch_trust(shared: Arc<Shared>) {
    let mut ticks = interval(shared.limits.trust_interval);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let trust = shared.trust.clone();
        match shared.environment.offload.run(move || trust.reload()).await {
            Ok(changed) => {
                failing = false;
                if changed {
                    tracing::info!("the list of authorised clients has changed");
                    shared.trust_changed.send_replace(());
                }
            }
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "the list of authorised clients cannot be read; the old one stays in force");
            }
            Err(_) => {}
        }
    }
}
