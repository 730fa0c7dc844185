//! The certificate and the TLS settings of all ends.

use std::sync::{Arc, LazyLock};

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, SerialNumber};
use rustls::{
    RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::PrivatePkcs8KeyDer,
    version::TLS13,
};

use super::FlowsError;

/// What every server is called.
pub(super) const SERVER_NAME: &str = "flows";

/// What both ends of a flow need for their handshake.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) client: Arc<QuicClientConfig>,
    pub(super) server: Arc<QuicServerConfig>,
}

/// The settings of all flows: keys are made once in a process, since nothing depends on which they are.
pub(super) fn tls() -> Result<Tls, FlowsError> {
    static TLS: LazyLock<Result<Tls, String>> = LazyLock::new(|| make().map_err(|error| error.to_string()));
    TLS.clone().map_err(FlowsError::Tls)
}

/// One suite and one key exchange, an Ed25519 key and a fixed serial number: all messages are of the same length in every
/// process, and so are the packets. The key exchange is the hybrid one, whose first flight takes two packets.
fn make() -> Result<Tls, Box<dyn std::error::Error>> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    });
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
    params.serial_number = Some(SerialNumber::from(1));
    let certificate = params.self_signed(&key)?;

    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    let mut client = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.resumption = Resumption::disabled();
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    server.send_tls13_tickets = 0;
    Ok(Tls { client: Arc::new(client.try_into()?), server: Arc::new(server.try_into()?) })
}
