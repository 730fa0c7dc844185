//! Who is let in and who is believed: real handshakes over loopback, honest peers and others.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod common;

use std::sync::Arc;

use common::*;
use fulmar_transport::{AcceptError, ConnectionLost, DialError, Dialer, Identity, ServerTrust};

/// The TLS alert with which a handshake failed on the accepting side.
fn alert(error: &AcceptError) -> Option<u8> {
    match error {
        AcceptError::Handshake(lost) => lost.tls_alert(),
        _ => None,
    }
}

#[tokio::test]
async fn with_the_right_pin_both_ends_know_each_other() {
    let (server_id, client_id) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let (listener, addr) = listen(&server_id);
    let dialer = Dialer::new(&client_id);
    let rotating = ServerTrust::Pinned(vec![client_id.fingerprint(), server_id.fingerprint()]);
    for trust in [ServerTrust::from(server_id.fingerprint()), rotating] {
        let accept = async { listener.accept().await.unwrap().finish().await.unwrap() };
        let (client, server) = tokio::join!(dialer.dial(addr, &trust, AMPLE), accept);
        let client = client.unwrap();
        assert_eq!(client.peer(), server_id.fingerprint());
        assert_eq!(server.peer(), client_id.fingerprint());
        assert_eq!(client.remote_addr(), addr);
        assert_eq!(client.exporter(b"label", b"context"), server.exporter(b"label", b"context"));
        assert_ne!(client.exporter(b"label", b"context"), client.exporter(b"label", b"other"));
        assert_ne!(client.exporter(b"label", b""), client.exporter(b"lebal", b""));
    }
}

#[tokio::test]
async fn a_wrong_pin_is_a_changed_key_and_the_client_keeps_its_own_to_itself() {
    let server_id = Identity::generate().unwrap();
    let (listener, addr) = listen(&server_id);
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let known = Identity::generate().unwrap().fingerprint();
    let trust = ServerTrust::from(known);
    let accept = async { listener.accept().await.unwrap().finish().await };
    let (client, server) = tokio::join!(dialer.dial(addr, &trust, AMPLE), accept);
    match client.unwrap_err() {
        DialError::ServerKeyChanged { known: k, offered } => {
            assert_eq!((k, offered), (vec![known], server_id.fingerprint()));
        }
        other => panic!("{other:?}"),
    }
    // Alert 49, access_denied: the handshake never got to the client's certificate, let alone to a stream.
    assert_eq!(alert(&server.unwrap_err()), Some(49));
}

#[tokio::test]
async fn an_unknown_key_is_reported_and_nothing_is_sent() {
    let server_id = Identity::generate().unwrap();
    let (listener, addr) = listen(&server_id);
    let dialer = Dialer::new(&Identity::generate().unwrap());
    for trust in [ServerTrust::NothingKnown, ServerTrust::Pinned(Vec::new())] {
        let accept = async { listener.accept().await.unwrap().finish().await };
        let (client, server) = tokio::join!(dialer.dial(addr, &trust, AMPLE), accept);
        let error = client.unwrap_err();
        assert!(
            matches!(error, DialError::UnknownServer(offered) if offered == server_id.fingerprint()),
            "{error:?}"
        );
        assert_eq!(alert(&server.unwrap_err()), Some(49));
    }
}

#[tokio::test]
async fn a_server_with_the_right_certificate_and_another_key_is_refused() {
    let victim = Identity::generate().unwrap();
    let mut config = eager_server(Counting::new(), &["fulmar/1"]);
    config.cert_resolver = impostor(victim.certificate());
    let (endpoint, addr) = raw_server(config);
    serve_raw(&endpoint);
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let error = dialer.dial(addr, &victim.fingerprint().into(), AMPLE).await.unwrap_err();
    // Alert 51, decrypt_error: "unable to correctly verify a signature".
    assert!(matches!(&error, DialError::Handshake(lost) if lost.tls_alert() == Some(51)), "{error:?}");
}

#[tokio::test]
async fn a_client_with_the_right_certificate_and_another_key_is_refused() {
    let (listener, addr) = listen(&Identity::generate().unwrap());
    let victim = Identity::generate().unwrap();
    let mut config = eager_client(Counting::new()).with_client_cert_resolver(impostor(victim.certificate()));
    config.alpn_protocols = alpn(&["fulmar/1"]);
    let (endpoint, config) = raw_client(config);
    let accept = async { listener.accept().await.unwrap().finish().await };
    let connecting = endpoint.connect_with(config, addr, "fulmar.invalid").unwrap();
    let (_, server) = tokio::join!(connecting, accept);
    assert_eq!(alert(&server.unwrap_err()), Some(51));
}

#[tokio::test]
async fn clients_without_a_plain_ed25519_certificate_are_refused() {
    let (listener, addr) = listen(&Identity::generate().unwrap());
    let (p256, p256_key) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (ed, ed_key) = certificate(&rcgen::PKCS_ED25519);
    let (other, _) = certificate(&rcgen::PKCS_ED25519);
    let honest = || eager_client(Counting::new());
    let cases = [
        ("none", honest().with_no_client_auth(), 116),
        // The client holds no key for the schemes that the server accepts, so it shows none: certificate_required.
        ("P-256", honest().with_client_auth_cert(vec![p256], p256_key).unwrap(), 116),
        ("chain", honest().with_client_auth_cert(vec![ed, other], ed_key).unwrap(), 48),
    ];
    for (name, mut config, expected) in cases {
        config.alpn_protocols = alpn(&["fulmar/1"]);
        let (endpoint, config) = raw_client(config);
        let accept = async { listener.accept().await.unwrap().finish().await };
        let connecting = endpoint.connect_with(config, addr, "fulmar.invalid").unwrap();
        let (_, server) = tokio::join!(connecting, accept);
        assert_eq!(alert(&server.unwrap_err()), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn a_server_with_another_kind_of_key_is_refused() {
    let (p256, key) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut config = eager_server(Counting::new(), &["fulmar/1"]);
    let signing_key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![p256], signing_key);
    config.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let (endpoint, addr) = raw_server(config);
    serve_raw(&endpoint);
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let error = dialer.dial(addr, &ServerTrust::NothingKnown, AMPLE).await.unwrap_err();
    assert!(matches!(error, DialError::Handshake(_)), "{error:?}");
}

#[tokio::test]
async fn clients_without_our_protocol_are_refused() {
    let (listener, addr) = listen(&Identity::generate().unwrap());
    for protocols in [&[][..], &["h3"], &["fulmar/2"], &["fulmar/10"]] {
        let (certificate, key) = certificate(&rcgen::PKCS_ED25519);
        let mut config = eager_client(Counting::new()).with_client_auth_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = alpn(protocols);
        let (endpoint, config) = raw_client(config);
        let accept = async { listener.accept().await.unwrap().finish().await };
        let connecting = endpoint.connect_with(config, addr, "fulmar.invalid").unwrap();
        let (client, server) = tokio::join!(connecting, accept);
        assert_eq!(alert(&server.unwrap_err()), Some(120), "{protocols:?}");
        let seen = ConnectionLost::from(client.unwrap_err());
        assert_eq!(seen.tls_alert(), Some(120), "{protocols:?}");
    }
}

#[tokio::test]
async fn servers_without_our_protocol_are_a_mismatch() {
    for protocols in [&[][..], &["h3"], &["fulmar/2"]] {
        let (endpoint, addr) = raw_server(eager_server(Counting::new(), protocols));
        serve_raw(&endpoint);
        let dialer = Dialer::new(&Identity::generate().unwrap());
        let error = dialer.dial(addr, &ServerTrust::NothingKnown, AMPLE).await.unwrap_err();
        assert!(matches!(error, DialError::ProtocolMismatch(_)), "{protocols:?}: {error:?}");
    }
}

#[tokio::test]
async fn only_quic_version_1_is_spoken() {
    let (listener, addr) = listen(&Identity::generate().unwrap());
    serve(&listener);
    let (certificate, key) = certificate(&rcgen::PKCS_ED25519);
    let mut config = eager_client(Counting::new()).with_client_auth_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = alpn(&["fulmar/1"]);
    let (endpoint, mut config) = raw_client(config);
    let draft_29 = 0xff00_001d;
    config.version(draft_29);
    let error = endpoint.connect_with(config, addr, "fulmar.invalid").unwrap().await.unwrap_err();
    assert_eq!(ConnectionLost::from(error), ConnectionLost::VersionMismatch);
}

/// Connects three times with settings that resume whenever the server lets them. Returns how often early data could be
/// tried; each connection carries one exchange, so that tickets have arrived before the next.
async fn connect_three_times(addr: std::net::SocketAddr, config: rustls::ClientConfig) -> usize {
    let (endpoint, config) = raw_client(config);
    let mut early = 0;
    for _ in 0..3 {
        let connecting = endpoint.connect_with(config.clone(), addr, "fulmar.invalid").unwrap();
        let connection = match connecting.into_0rtt() {
            Ok((connection, accepted)) => {
                early += 1;
                accepted.await;
                connection
            }
            Err(connecting) => connecting.await.unwrap(),
        };
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[1, 0, 0, 0, 7]).await.unwrap();
        send.finish().unwrap();
        assert!(!receive.read_to_end(64).await.unwrap().is_empty());
        connection.close(0u32.into(), b"");
    }
    early
}

fn resuming_client(counting: &Arc<Counting>) -> rustls::ClientConfig {
    let (certificate, key) = certificate(&rcgen::PKCS_ED25519);
    let mut config = eager_client(counting.clone()).with_client_auth_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = alpn(&["fulmar/1"]);
    config.enable_early_data = true;
    config
}

#[tokio::test]
async fn the_oracle_sees_resumption_where_it_is_allowed() {
    let (by_server, by_client) = (Counting::new(), Counting::new());
    let (endpoint, addr) = raw_server(eager_server(by_server.clone(), &["fulmar/1"]));
    serve_raw(&endpoint);
    assert_eq!(connect_three_times(addr, resuming_client(&by_client)).await, 2);
    assert_eq!((by_server.count(), by_client.count()), (1, 1));
}

#[tokio::test]
async fn our_server_resumes_nothing_and_takes_no_early_data() {
    let (listener, addr) = listen(&Identity::generate().unwrap());
    serve(&listener);
    let by_client = Counting::new();
    assert_eq!(connect_three_times(addr, resuming_client(&by_client)).await, 0);
    assert_eq!(by_client.count(), 3);
}

#[tokio::test]
async fn our_client_resumes_nothing() {
    let by_server = Counting::new();
    let config = eager_server(by_server.clone(), &["fulmar/1"]);
    let (endpoint, addr) = raw_server(config);
    serve_raw(&endpoint);
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let error = dialer.dial(addr, &ServerTrust::NothingKnown, AMPLE).await.unwrap_err();
    let DialError::UnknownServer(fingerprint) = error else { panic!("{error:?}") };
    assert_eq!(by_server.count(), 0, "the client's certificate was not shown");
    for expected in 1..=3 {
        let connection = dialer.dial(addr, &fingerprint.into(), AMPLE).await.unwrap();
        let (mut send, mut receive) = connection.open_stream().await.unwrap();
        send.send(&7u8).await.unwrap();
        send.finish().unwrap();
        assert_eq!(receive.read_body_chunk(1).await.unwrap().as_ref(), b"!");
        assert_eq!(by_server.count(), expected);
    }
}
