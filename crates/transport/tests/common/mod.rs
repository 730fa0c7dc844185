//! What the transport's tests share: ready-made ends, and peers that do not play by the rules.
#![allow(dead_code, reason = "every test file uses another part of this")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fulmar_transport::{Connection, Dialer, FrameReceiver, FrameSender, Identity, Listener, ServerTrust};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Long enough that only a hang reaches it.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A listener on loopback and its address.
pub(crate) fn listen(identity: &Identity) -> (Listener, SocketAddr) {
    let listener = Listener::bind(loopback(), identity).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Two ends of one connection, and what must be kept for them to work.
pub(crate) struct Pair {
    pub(crate) client: Connection,
    pub(crate) server: Connection,
    pub(crate) dialer: Dialer,
    pub(crate) listener: Listener,
}

pub(crate) async fn pair() -> Pair {
    let identity = Identity::generate().unwrap();
    let (listener, addr) = listen(&identity);
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let trust = ServerTrust::from(identity.fingerprint());
    let accept = async { listener.accept().await.unwrap().finish().await };
    let (client, server) = tokio::join!(dialer.dial(addr, &trust, AMPLE), accept);
    Pair { client: client.unwrap(), server: server.unwrap(), dialer, listener }
}

/// Both halves of a stream that the client opened, seen from both ends. The server has read the frame that opened it.
pub(crate) async fn stream(pair: &Pair) -> ((FrameSender, FrameReceiver), (FrameSender, FrameReceiver)) {
    let (mut send, receive) = pair.client.open_stream().await.unwrap();
    send.send(&0u8).await.unwrap();
    let (server_send, mut server_receive) = pair.server.accept_stream().await.unwrap();
    assert_eq!(server_receive.recv::<u8>().await.unwrap(), Some(0));
    ((send, receive), (server_send, server_receive))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A self-signed certificate and its key, of any algorithm.
pub(crate) fn certificate(
    algorithm: &'static rcgen::SignatureAlgorithm,
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let params = rcgen::CertificateParams::new(vec!["fulmar.invalid".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// What somebody presents who knows a certificate and holds another key.
pub(crate) fn impostor(victim: &CertificateDer<'static>) -> Arc<rustls::sign::SingleCertAndKey> {
    let (_, key) = certificate(&rcgen::PKCS_ED25519);
    let signing_key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let stolen = rustls::sign::CertifiedKey::new(vec![victim.clone()], signing_key);
    Arc::new(rustls::sign::SingleCertAndKey::from(stolen))
}

/// Accepts every key and counts how often it was asked.
#[derive(Debug)]
pub(crate) struct Counting {
    pub(crate) calls: AtomicUsize,
    provider: Arc<CryptoProvider>,
}

impl Counting {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { calls: AtomicUsize::new(0), provider: provider() })
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }
}

impl ServerCertVerifier for Counting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Counting {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A rustls client that trusts everybody, resumes sessions and sends early data; without a certificate of its own.
pub(crate) fn eager_client(
    verifier: Arc<Counting>,
) -> rustls::ConfigBuilder<rustls::ClientConfig, WantsClientCert> {
    rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
}

pub(crate) type WantsClientCert = rustls::client::WantsClientCert;

pub(crate) fn alpn(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// A quinn client endpoint with any TLS settings.
pub(crate) fn raw_client(config: rustls::ClientConfig) -> (quinn::Endpoint, quinn::ClientConfig) {
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
    (quinn::Endpoint::client(loopback()).unwrap(), config)
}

/// A rustls server that hands out tickets and takes early data, with any key and protocols.
pub(crate) fn eager_server(verifier: Arc<Counting>, protocols: &[&str]) -> rustls::ServerConfig {
    let (certificate, key) = certificate(&rcgen::PKCS_ED25519);
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = alpn(protocols);
    config.max_early_data_size = u32::MAX;
    config
}

/// A quinn server endpoint with any TLS settings.
pub(crate) fn raw_server(config: rustls::ServerConfig) -> (quinn::Endpoint, SocketAddr) {
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).unwrap()));
    let endpoint = quinn::Endpoint::server(config, loopback()).unwrap();
    let addr = endpoint.local_addr().unwrap();
    (endpoint, addr)
}

/// Accepts every connection of a raw server, and echoes one byte on every stream of each.
pub(crate) fn serve_raw(endpoint: &quinn::Endpoint) {
    let endpoint = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    let _ = receive.read_to_end(64).await;
                    let _ = send.write_all(b"!").await;
                    let _ = send.finish();
                }
            });
        }
    });
}

/// Finishes every handshake of a listener, answers the first frame on every stream with the same frame.
pub(crate) fn serve(listener: &Listener) {
    let listener = listener.clone();
    tokio::spawn(async move {
        while let Some(incoming) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = incoming.finish().await else { return };
                while let Ok((mut send, mut receive)) = connection.accept_stream().await {
                    if let Ok(Some(payload)) = receive.recv::<u8>().await {
                        let _ = send.send(&payload).await;
                    }
                    let _ = send.finish();
                }
            });
        }
    });
}
