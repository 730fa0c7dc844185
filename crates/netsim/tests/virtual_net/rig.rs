//! Two hosts, and a quinn endpoint on each: a server that answers every stream with the digest of what came on it, and a
//! client that sends.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock},
    time::Duration,
};

use fulmar_netsim::{
    Direction, Loss, Profile,
    virtual_net::{Network, VirtualRuntime},
};
use quinn::{Connection, Endpoint, EndpointConfig, TransportConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) const MIB: usize = 1 << 20;

/// The name in the certificate.
const NAME: &str = "simulation.invalid";

/// A key for all tests of this process, since the length of a certificate may depend on it.
static IDENTITY: LazyLock<(CertificateDer<'static>, Vec<u8>)> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let certificate = rcgen::CertificateParams::new(vec![NAME.to_owned()]).expect("a name").self_signed(&key);
    (certificate.expect("a certificate").der().clone(), key.serialize_der())
});

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(crate) fn server() -> SocketAddr {
    addr("10.0.0.1:4433")
}

pub(crate) fn client() -> SocketAddr {
    addr("10.0.0.2:5000")
}

/// Below and above, as links are joined.
pub(crate) fn hosts() -> (IpAddr, IpAddr) {
    (client().ip(), server().ip())
}

/// 20 ms and 50 Mbit/s each way, with this ratio of single losses.
pub(crate) fn lossy(ratio: f64) -> Profile {
    let loss_after_queue = (ratio > 0.0).then_some(Loss::Bernoulli(ratio));
    let both =
        Direction { rate_mbit_per_s: Some(50.0), delay_ms: 20.0, loss_after_queue, ..Direction::default() };
    Profile::symmetric("lossy", both)
}

/// A delay and nothing else.
pub(crate) fn wire(delay_ms: f64) -> Profile {
    Profile::symmetric("wire", Direction { delay_ms, ..Direction::default() })
}

pub(crate) fn data(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let idle = Duration::from_secs(60).try_into().expect("a short time");
    transport.max_idle_timeout(Some(idle)).keep_alive_interval(Some(Duration::from_secs(5)));
    Arc::new(transport)
}

fn endpoint(network: &Network, at: SocketAddr, config: Option<quinn::ServerConfig>, seed: u8) -> Endpoint {
    let socket = network.bind(at).expect("a free address");
    let mut endpoint = EndpointConfig::default();
    endpoint.rng_seed(Some([seed; 32]));
    Endpoint::new_with_abstract_socket(endpoint, config, socket, Arc::new(VirtualRuntime))
        .expect("an endpoint")
}

/// A server at [`server`], which runs until its socket is closed or the test ends.
pub(crate) fn start_server(network: &Network, seed: u8) -> Endpoint {
    let (certificate, key) = &*IDENTITY;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.clone()));
    let mut config = quinn::ServerConfig::with_single_cert(vec![certificate.clone()], key).expect("TLS");
    config.transport_config(transport());
    let endpoint = endpoint(network, server(), Some(config), seed);
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    answer_all(connection).await;
                }
            });
        }
    });
    endpoint
}

async fn answer_all(connection: Connection) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let Ok(bytes) = receive.read_to_end(64 * MIB).await else { return };
        if send.write_all(blake3::hash(&bytes).as_bytes()).await.is_ok() {
            send.finish().expect("not finished yet");
        }
    }
}

/// A client at [`client`].
pub(crate) fn start_client(network: &Network) -> Endpoint {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(IDENTITY.0.clone()).expect("a certificate");
    let mut config = quinn::ClientConfig::with_root_certificates(Arc::new(roots)).expect("TLS");
    config.transport_config(transport());
    let mut endpoint = endpoint(network, client(), None, 2);
    endpoint.set_default_client_config(config);
    endpoint
}

pub(crate) async fn connect(client: &Endpoint) -> Connection {
    client.connect(server(), NAME).expect("a valid configuration").await.expect("a connection")
}

/// Sends `bytes` on a stream of their own; whether the server says that it has got just these.
pub(crate) async fn send(connection: &Connection, bytes: &[u8]) -> Result<bool, Box<dyn std::error::Error>> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(bytes).await?;
    send.finish()?;
    Ok(receive.read_to_end(32).await? == blake3::hash(bytes).as_bytes())
}

/// Both ends on a network with a link of `profile`.
pub(crate) struct Rig {
    pub(crate) network: Network,
    pub(crate) server: Endpoint,
    pub(crate) client: Endpoint,
}

impl Rig {
    pub(crate) fn new(seed: u64, profile: &Profile) -> Self {
        let network = Network::new(seed);
        let (below, above) = hosts();
        network.join(below, above, profile).expect("a profile in range");
        let (server, client) = (start_server(&network, 1), start_client(&network));
        Self { network, server, client }
    }
}
