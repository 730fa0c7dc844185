//! Keys that are the same in every run: a certificate's length depends on its key, and with it that of packets.

use std::sync::LazyLock;

use data_encoding::BASE64;
use fulmar_transport::{Identity, Role, private_file};

use super::{PEERS, folder};

/// What comes before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The server's key, and then the clients'.
static IDENTITIES: LazyLock<Vec<Identity>> = LazyLock::new(|| (0..=PEERS).map(make).collect());

pub(super) fn server() -> &'static Identity {
    &IDENTITIES[0]
}

pub(super) fn peer(number: u8) -> &'static Identity {
    &IDENTITIES[usize::from(number) + 1]
}

pub(super) fn peers() -> &'static [Identity] {
    &IDENTITIES[1..]
}

fn make(number: u8) -> Identity {
    let key = blake3::derive_key("fulmar simulation identity 2026-11", &[number]);
    let pem = BASE64.encode(&[&PKCS8_PREFIX[..], &key].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
    let folder = folder();
    let file = folder.path().join(Role::Client.key_file());
    private_file::write_private(&file, pem.as_bytes()).expect("a key file");
    Identity::load_or_create(folder.path(), Role::Client).expect("an identity")
}
