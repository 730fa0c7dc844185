//! Keys that are the same in every run: a certificate's length depends on its key, and with it that of packets.

use anyhow::Result;
use data_encoding::BASE64;
use fulmar_transport::{Identity, Role, private_file};

/// What comes before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Both ends.
#[derive(Debug)]
pub(super) struct Identities {
    pub(super) server: Identity,
    pub(super) client: Identity,
}

impl Identities {
    pub(super) fn make() -> Result<Self> {
        Ok(Self { server: make(0)?, client: make(1)? })
    }
}

fn make(number: u8) -> Result<Identity> {
    let key = blake3::derive_key("fulmar bench identity 2026-11", &[number]);
    let pem = BASE64.encode(&[&PKCS8_PREFIX[..], &key].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
    let folder = tempfile::tempdir()?;
    private_file::write_private(&folder.path().join(Role::Client.key_file()), pem.as_bytes())?;
    Ok(Identity::load_or_create(folder.path(), Role::Client)?)
}
