use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, ServerConnection, Version};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};

use super::*;

/// A whole handshake without a network. Returns both ends and what the client sent first.
fn handshake(client: ClientConfig, server: ServerConfig) -> (ClientConnection, ServerConnection, Vec<u8>) {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), Version::V1, name, Vec::new()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server), Version::V1, Vec::new()).unwrap();
    let mut first_flight = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        let to_server = written(|buffer| client.write_hs(buffer));
        if first_flight.is_empty() {
            first_flight = to_server.concat();
        }
        to_server.iter().for_each(|epoch| server.read_hs(epoch).unwrap());
        let to_client = written(|buffer| server.write_hs(buffer));
        to_client.iter().for_each(|epoch| client.read_hs(epoch).unwrap());
        assert!(!(to_server.is_empty() && to_client.is_empty()), "the handshake has stalled");
    }
    (client, server, first_flight)
}

/// What one end has to say, in pieces of one key epoch each, as QUIC's packet number spaces would carry them.
fn written(mut write: impl FnMut(&mut Vec<u8>) -> Option<rustls::quic::KeyChange>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    loop {
        let mut piece = Vec::new();
        let change = write(&mut piece);
        if !piece.is_empty() {
            pieces.push(piece);
        }
        if change.is_none() {
            return pieces;
        }
    }
}

fn configs() -> (ClientConfig, ServerConfig) {
    let (client, server) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let trust = ServerTrust::from(server.fingerprint());
    let client = rustls_client_config(&client, &trust, Arc::new(VerdictCell::new())).unwrap();
    (client, rustls_server_config(&server).unwrap())
}

#[test]
fn the_preferred_group_suite_and_protocol_are_negotiated() {
    let (client, server) = configs();
    let (client, server, _) = handshake(client, server);
    let ends: [&rustls::CommonState; 2] = [&client, &server];
    for end in ends {
        let group = end.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, KEY_EXCHANGE);
        let suite = end.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(suite, CIPHER_SUITE);
        assert_eq!(end.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(end.alpn_protocol(), Some(&b"fulmar/1"[..]));
        assert_eq!(end.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(end.peer_certificates().map(<[_]>::len), Some(1));
    }
}

#[test]
fn a_peer_without_the_hybrid_group_gets_x25519() {
    let (mut client, server) = configs();
    let mut plain = provider();
    plain.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let plain = Arc::new(plain);
    let resolver = client.client_auth_cert_resolver.clone();
    client = ClientConfig::builder_with_provider(plain.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey))
        .with_client_cert_resolver(resolver);
    client.alpn_protocols = vec![ALPN.to_vec()];
    let (client, _, _) = handshake(client, server);
    assert_eq!(client.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519);
}

/// How the second of two handshakes with the same settings went, with a server that hands out tickets.
fn second_handshake(client: &ClientConfig) -> Option<HandshakeKind> {
    let server_id = Identity::generate().unwrap();
    let mut server = rustls_server_config(&server_id).unwrap();
    server.send_tls13_tickets = 2;
    server.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    let mut client = client.clone();
    client.dangerous().set_certificate_verifier(Arc::new(AnyKey));
    handshake(client.clone(), server.clone());
    handshake(client, server).0.handshake_kind()
}

#[test]
fn a_client_remembers_no_session() {
    let (client, _) = configs();
    assert_eq!(second_handshake(&client), Some(HandshakeKind::Full));
    let mut remembering = client;
    remembering.resumption = rustls::client::Resumption::in_memory_sessions(8);
    assert_eq!(second_handshake(&remembering), Some(HandshakeKind::Resumed), "the oracle must see it");
}

#[test]
fn the_first_flight_names_no_server() {
    let (client, server) = configs();
    let (_, _, first_flight) = handshake(client, server);
    let name = SERVER_NAME.as_bytes();
    assert!(first_flight.windows(8).any(|window| window == b"fulmar/1"), "the flight can be read");
    assert!(!first_flight.windows(name.len()).any(|window| window == name));
}

#[test]
fn only_ed25519_keys_have_a_fingerprint() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let params = rcgen::CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    assert!(spki_of(certificate.der()).is_ok());
    assert!(fingerprint_of(certificate.der()).is_err());
    assert!(fingerprint_of(&CertificateDer::from(vec![0x30, 0x00])).is_err());
    assert!(fingerprint_of(&CertificateDer::from(Vec::new())).is_err());
}

proptest::proptest! {
    #[test]
    fn no_certificate_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = fingerprint_of(&CertificateDer::from(bytes));
    }

    #[test]
    fn no_changed_certificate_panics_or_keeps_its_key_by_another_fingerprint(at in 0usize..400, bit in 0u8..8) {
        let identity = Identity::generate().unwrap();
        let mut bytes = identity.certificate().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let changed = CertificateDer::from(bytes);
        if let Ok(fingerprint) = fingerprint_of(&changed) {
            let same_key = spki_of(&changed).unwrap() == spki_of(identity.certificate()).unwrap();
            proptest::prop_assert_eq!(fingerprint == identity.fingerprint(), same_key);
        }
    }
}

/// Accepts any server, to look at other parts of the handshake.
#[derive(Debug)]
struct AnyKey;

impl rustls::client::danger::ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ED25519]
    }
}
