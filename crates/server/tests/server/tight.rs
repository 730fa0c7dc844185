//! A client whose transport takes in next to nothing: quinn and TLS by hand, with windows of its own choosing.

use std::sync::Arc;

use fulmar_proto::{ALPN, codec::encode_frame, request::Request};
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
};
use serde::Serialize;

use crate::{peer::plain_hello, rig::Rig};

/// What each stream takes in, in bytes: a reply, and hardly any of the body behind it.
const STREAM_WINDOW_BYTES: u32 = 256;

/// A client with a key of its own that nobody knows.
#[derive(Debug)]
pub(crate) struct TightPeer {
    pub(crate) connection: Connection,
    _endpoint: Endpoint,
    _hello: (SendStream, RecvStream),
}

impl TightPeer {
    /// Connects, and is admitted.
    pub(crate) async fn connect(rig: &Rig) -> Self {
        let endpoint = Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
        let connecting = endpoint.connect_with(config(), rig.server.local_addr(), "fulmar.invalid");
        let connection = connecting.expect("a good configuration").await.expect("the handshake succeeds");
        let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
        send.write_all(&frame(&plain_hello())).await.expect("Hello is sent");
        let mut start = [0; 5];
        receive.read_exact(&mut start).await.expect("a reply arrives");
        let welcome = 2;
        assert_eq!(start[4], welcome, "the reply is Welcome");
        Self { connection, _endpoint: endpoint, _hello: (send, receive) }
    }

    /// Sends a request and reads nothing.
    pub(crate) async fn ask(&self, request: &Request) -> (SendStream, RecvStream) {
        let (mut send, receive) = self.connection.open_bi().await.expect("a stream");
        send.write_all(&frame(request)).await.expect("the request is sent");
        (send, receive)
    }
}

fn frame<T: Serialize>(value: &T) -> Vec<u8> {
    encode_frame(value).expect("short")
}

fn config() -> ClientConfig {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("randomness");
    let params = rcgen::CertificateParams::new(vec!["fulmar.invalid".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_client_auth_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a key and its certificate");
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("the cipher suites of QUIC");
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES));
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    config
}

/// Trusts any server that holds the key of its certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
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
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
