//! Identities: an Ed25519 key pair and the self-signed X.509 certificate around it.
//!
//! The key is the identity: its fingerprint is the SHA-256 of the certificate's `SubjectPublicKeyInfo` (RFC 5280
//! section 4.1.2.7), so a new certificate around the same key changes nothing for anybody. The certificate's name and
//! validity mean nothing here; peers pin the key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fulmar_proto::fingerprint::Fingerprint;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PublicKeyData as _};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};
use crate::tls::{self, SERVER_NAME};

/// A key or certificate file is a few hundred bytes; whatever is longer than this is something else.
const MAX_FILE_BYTES: usize = 16 * 1024;

/// Which side an identity is for. A server and a client may share a state folder; their files differ in name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that accepts connections: `server.key` and `server.crt`.
    Server,
    /// The side that makes connections: `client.key` and `client.crt`.
    Client,
}

impl Role {
    /// The private key's file name in the state folder (PEM, PKCS#8).
    #[must_use]
    pub fn key_file(self) -> &'static str {
        match self {
            Self::Server => "server.key",
            Self::Client => "client.key",
        }
    }

    /// The certificate's file name in the state folder (PEM).
    #[must_use]
    pub fn certificate_file(self) -> &'static str {
        match self {
            Self::Server => "server.crt",
            Self::Client => "client.crt",
        }
    }
}

/// Why there is no identity to use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The state folder or one of the files in it cannot be used; the message says how to mend it.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The key file does not hold one Ed25519 private key in PEM and PKCS#8. It is never overwritten.
    #[error(
        "{}: is not an Ed25519 private key (PEM, PKCS#8); move it away and start again for a new identity",
        .0.display()
    )]
    MalformedKey(PathBuf),
    /// The certificate file does not hold an X.509 certificate in PEM. It is never overwritten.
    #[error("{}: is not a certificate; remove it to have it made anew from the key", .0.display())]
    MalformedCertificate(PathBuf),
    /// The cryptography library could not make a key or a certificate.
    #[error("cannot make an identity: {0}")]
    Generate(#[from] rcgen::Error),
    /// The TLS library does not accept the key or the certificate that was made from it.
    #[error("the TLS library refuses this identity: {0}")]
    Tls(#[from] rustls::Error),
}

/// An Ed25519 key pair with its certificate. Cheap to clone; the private key stays inside.
#[derive(Clone)]
pub struct Identity {
    fingerprint: Fingerprint,
    certified: Arc<CertifiedKey>,
    certificate: CertificateDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes a new identity in memory.
    ///
    /// # Errors
    /// [`IdentityError::Generate`] when the system has no randomness, otherwise never.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = generate_key()?;
        let certificate = self_signed(&key)?.der().clone();
        Self::assemble(&key, certificate)
    }

    /// Loads the identity of `role` from the state folder, making the key when there is none.
    ///
    /// The folder is made with mode 0700 when absent, the key file with mode 0600. Of several first starts at once one
    /// makes the key and all use it. The certificate is made anew when it is missing or belongs to another key. Blocks
    /// on the file system.
    ///
    /// # Errors
    /// Any [`IdentityError`]. A key file is refused when others may read it, when it belongs to another user, and when
    /// it is a symbolic link. Files that are refused or malformed are left as they are.
    pub fn load_or_create(state_dir: &Path, role: Role) -> Result<Self, IdentityError> {
        let key_path = state_dir.join(role.key_file());
        let key = match load_key(&key_path)? {
            Some(key) => key,
            None => create_key(&key_path)?,
        };
        let certificate = load_certificate(&state_dir.join(role.certificate_file()), &key)?;
        Self::assemble(&key, certificate)
    }

    fn assemble(key: &KeyPair, certificate: CertificateDer<'static>) -> Result<Self, IdentityError> {
        let fingerprint = tls::fingerprint_of(&certificate)?;
        let pkcs8 = Zeroizing::new(key.serialize_der());
        let signing_key =
            rustls::crypto::aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&pkcs8[..]))?;
        let certified = CertifiedKey::new(vec![certificate.clone()], signing_key);
        certified.keys_match()?;
        Ok(Self { fingerprint, certified: Arc::new(certified), certificate })
    }

    /// The SHA-256 of the public key's `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The self-signed certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What the TLS configurations sign with.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }
}

fn generate_key() -> Result<Zeroizing<KeyPair>, IdentityError> {
    Ok(Zeroizing::new(KeyPair::generate_for(&PKCS_ED25519)?))
}

/// The private key in a file: `None` when there is no such file.
fn load_key(path: &Path) -> Result<Option<Zeroizing<KeyPair>>, IdentityError> {
    let Some(pem) = private_file::read_private(path, MAX_FILE_BYTES)? else { return Ok(None) };
    let malformed = || IdentityError::MalformedKey(path.to_owned());
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(&pem).map(Zeroizing::new).map_err(|_| malformed())?;
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_ED25519).map_err(|_| malformed())?;
    Ok(Some(Zeroizing::new(key)))
}

/// Makes the key file, or loads the one that somebody else made first.
fn create_key(path: &Path) -> Result<Zeroizing<KeyPair>, IdentityError> {
    let key = generate_key()?;
    let pem = Zeroizing::new(key.serialize_pem());
    if private_file::create_private(path, pem.as_bytes())? {
        return Ok(key);
    }
    load_key(path)?.ok_or_else(|| IdentityError::MalformedKey(path.to_owned()))
}

/// The certificate in the file when it belongs to `key`, otherwise a new one, which is written there.
fn load_certificate(path: &Path, key: &KeyPair) -> Result<CertificateDer<'static>, IdentityError> {
    if let Some(pem) = private_file::read_trusted(path, MAX_FILE_BYTES)? {
        let malformed = || IdentityError::MalformedCertificate(path.to_owned());
        let stored = CertificateDer::from_pem_slice(&pem).map_err(|_| malformed())?;
        let spki = tls::spki_of(&stored).map_err(|_| malformed())?;
        if spki.as_ref() == key.subject_public_key_info() {
            return Ok(stored);
        }
    }
    let certificate = self_signed(key)?;
    private_file::write_public(path, certificate.pem().as_bytes())?;
    Ok(certificate.der().clone())
}

fn self_signed(key: &KeyPair) -> Result<rcgen::Certificate, IdentityError> {
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
    params.distinguished_name.push(rcgen::DnType::CommonName, SERVER_NAME);
    Ok(params.self_signed(key)?)
}

#[cfg(test)]
mod tests;
