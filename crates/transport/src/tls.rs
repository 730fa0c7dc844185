//! TLS 1.3 (RFC 8446) with pinned Ed25519 keys on both sides.
//!
//! * Version 1.3 only, one explicit cryptography provider (aws-lc-rs), never the process-wide default.
//! * Key exchange X25519MLKEM768 first, then X25519: files sent today may be recorded and decrypted much later.
//! * The ALPN `fulmar/1` is mandatory on both sides (RFC 7301, RFC 9001 section 8.1).
//! * Both sides present a certificate. What counts is its public key; name, validity and issuer mean nothing.
//! * No resumption and no early data: rustls takes the peer's certificate of a resumed session from the ticket without
//!   asking the verifier, so a revoked key would still be let in; early data can be replayed.
//! * No server name in the first flight; there is nothing in it to choose by.

mod verifier;

use std::sync::Arc;

use fulmar_proto::ALPN;
use fulmar_proto::fingerprint::Fingerprint;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, CipherSuite, ClientConfig, NamedGroup, ServerConfig};

use crate::identity::Identity;
use verifier::{ClientKeyVerifier, ServerKeyVerifier};
pub(crate) use verifier::{Verdict, VerdictCell};

/// The name in every certificate and the name every client asks for; it names nothing (RFC 2606, `.invalid`).
pub const SERVER_NAME: &str = "fulmar.invalid";

/// What two peers of this version negotiate: the first of both sides' lists. Comparisons with other uses of TLS take the
/// same.
pub const CIPHER_SUITE: CipherSuite = CipherSuite::TLS13_AES_128_GCM_SHA256;

/// The key exchange that two peers of this version negotiate.
pub const KEY_EXCHANGE: NamedGroup = NamedGroup::X25519MLKEM768;

/// What a DER `SubjectPublicKeyInfo` of an Ed25519 key begins with (RFC 8410 section 4); 32 bytes of key follow.
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Which server keys a client accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerTrust {
    /// Any of these keys; another one counts as changed. An empty list is [`ServerTrust::NothingKnown`].
    Pinned(Vec<Fingerprint>),
    /// None: the dial ends with the key that was offered, for a person to judge.
    NothingKnown,
}

impl From<Fingerprint> for ServerTrust {
    fn from(pin: Fingerprint) -> Self {
        Self::Pinned(vec![pin])
    }
}

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The TLS library refuses the settings.
    #[error("the TLS library refuses its configuration: {0}")]
    Tls(#[from] rustls::Error),
    /// The provider lacks the cipher suite that QUIC's first packets need (RFC 9001 section 5).
    #[error("the TLS library lacks a cipher suite that QUIC needs: {0}")]
    NoInitialCipherSuite(#[from] NoInitialCipherSuite),
}

/// aws-lc-rs with the key exchange groups and cipher suites in our order, and nothing that is not listed here.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519],
        // QUIC's Initial packets need AES-128-GCM; ChaCha20 is for machines without AES instructions.
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}

/// The server's half: presents `identity`, demands a client key, accepts any well-formed one.
pub(crate) fn server_config(identity: &Identity) -> Result<QuicServerConfig, TlsConfigError> {
    Ok(QuicServerConfig::try_from(rustls_server_config(identity)?)?)
}

/// The client's half: presents `identity` and accepts the keys in `trust`; what it saw is left in `verdict`.
pub(crate) fn client_config(
    identity: &Identity,
    trust: &ServerTrust,
    verdict: Arc<VerdictCell>,
) -> Result<QuicClientConfig, TlsConfigError> {
    Ok(QuicClientConfig::try_from(rustls_client_config(identity, trust, verdict)?)?)
}

fn rustls_server_config(identity: &Identity) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(ClientKeyVerifier::new(&provider)))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    Ok(config)
}

fn rustls_client_config(
    identity: &Identity,
    trust: &ServerTrust,
    verdict: Arc<VerdictCell>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ServerKeyVerifier::new(&provider, trust.clone(), verdict)))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// The certificate's `SubjectPublicKeyInfo` in DER.
///
/// # Errors
/// [`rustls::Error::InvalidCertificate`] when the bytes are not an X.509 certificate.
pub(crate) fn spki_of(
    certificate: &CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'static>, rustls::Error> {
    Ok(ParsedCertificate::try_from(certificate)?.subject_public_key_info())
}

/// The fingerprint of the certificate's Ed25519 key.
///
/// # Errors
/// [`rustls::Error::InvalidCertificate`] when the bytes are not an X.509 certificate or its key is not Ed25519.
pub(crate) fn fingerprint_of(certificate: &CertificateDer<'_>) -> Result<Fingerprint, rustls::Error> {
    let spki = spki_of(certificate)?;
    let is_ed25519 = spki.len() == ED25519_SPKI_PREFIX.len() + 32 && spki.starts_with(&ED25519_SPKI_PREFIX);
    if !is_ed25519 {
        return Err(CertificateError::ApplicationVerificationFailure.into());
    }
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, &spki);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest.as_ref());
    Ok(Fingerprint(fingerprint))
}

#[cfg(test)]
mod tests;
