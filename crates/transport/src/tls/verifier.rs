//! Who the other side is: certificate verifiers that look at the public key and at nothing else.
//!
//! A certificate is public, so accepting its key proves nothing by itself: the proof is the signature over the
//! handshake (RFC 8446 section 4.4.3), which both verifiers check with the key they accepted.

use std::sync::{Arc, OnceLock};

use fulmar_proto::fingerprint::Fingerprint;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme,
};

use super::{ServerTrust, fingerprint_of};

/// What a client's verifier found. QUIC reports a refused certificate as a text, so this goes beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key is one of the pinned ones. The handshake may still fail, for want of a signature by it.
    Match,
    /// Nothing is known about this server.
    Unknown(Fingerprint),
    /// Other keys are known for this server.
    Changed {
        /// The pinned keys.
        known: Vec<Fingerprint>,
        /// The key that was offered instead.
        offered: Fingerprint,
    },
}

impl Verdict {
    fn on(trust: &ServerTrust, offered: Fingerprint) -> Self {
        match trust {
            ServerTrust::Pinned(known) if known.contains(&offered) => Self::Match,
            ServerTrust::Pinned(known) if !known.is_empty() => {
                Self::Changed { known: known.clone(), offered }
            }
            ServerTrust::Pinned(_) | ServerTrust::NothingKnown => Self::Unknown(offered),
        }
    }
}

/// Where the verifier of one dial leaves its verdict.
pub(crate) type VerdictCell = OnceLock<Verdict>;

/// Refuses certificates that come with others: no chain means anything here, and none should cost time to parse.
fn lone_key(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<Fingerprint, Error> {
    if intermediates.is_empty() {
        fingerprint_of(end_entity)
    } else {
        Err(CertificateError::UnknownIssuer.into())
    }
}

/// Verifies an Ed25519 signature over the handshake and refuses every other scheme.
fn verify_signature(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if signature.scheme != SignatureScheme::ED25519 {
        return Err(PeerIncompatible::NoSignatureSchemesInCommon.into());
    }
    verify_tls13_signature(message, certificate, signature, algorithms)
}

/// A client's check of the server's key.
#[derive(Debug)]
pub(crate) struct ServerKeyVerifier {
    algorithms: WebPkiSupportedAlgorithms,
    trust: ServerTrust,
    verdict: Arc<VerdictCell>,
}

impl ServerKeyVerifier {
    pub(crate) fn new(provider: &CryptoProvider, trust: ServerTrust, verdict: Arc<VerdictCell>) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, trust, verdict }
    }
}

impl ServerCertVerifier for ServerKeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = Verdict::on(&self.trust, lone_key(end_entity, intermediates)?);
        let matches = verdict == Verdict::Match;
        // One cell serves one dial, whose handshake has one certificate message: the first verdict is the only one.
        let _ = self.verdict.set(verdict);
        if matches {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(&self.algorithms, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// A server's check of a client's key: present, well formed and really held. Whether it is admitted is decided later.
#[derive(Debug)]
pub(crate) struct ClientKeyVerifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientKeyVerifier {
    pub(crate) fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ClientCertVerifier for ClientKeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        lone_key(end_entity, intermediates).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(&self.algorithms, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
