//! Invites: a single-use secret that pins the server and enrols the client's key.
//!
//! The invite's text is `fulmar://FINGERPRINT.TOKEN@HOST:PORT`, all of it lower case and without characters that a
//! shell would touch. The token never crosses the wire: the client proves that it has it by a keyed BLAKE3 over the TLS
//! exporter of this very connection (RFC 8446 section 7.5) and the fingerprint of the key that is to be enrolled. The
//! server keeps the derived key and never the token.

use serde::{Deserialize, Serialize};

use crate::{
    address::{AddressError, HostPort},
    fingerprint::Fingerprint,
};

/// The label of the TLS exporter that binds an invite's proof to its connection.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-fulmar-invite-v1";

const KEY_CONTEXT: &str = "fulmar 2026-11 invite proof key";
const ID_CONTEXT: &str = "fulmar 2026-11 invite identifier";
const SCHEME: &str = "fulmar://";

/// The secret of an invite: 128 random bits. It is neither `Debug` nor `Display` with its content.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteToken([u8; 16]);

impl InviteToken {
    /// A token of 128 bits that the caller drew at random.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its text: 26 characters of lower-case base32 (RFC 4648).
    #[must_use]
    pub fn to_base32(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.0).to_ascii_lowercase()
    }

    /// The public identifier by which the server finds the invite.
    #[must_use]
    pub fn id(&self) -> InviteId {
        let derived = blake3::derive_key(ID_CONTEXT, &self.0);
        let mut id = [0; 8];
        id.copy_from_slice(&derived[..8]);
        InviteId(id)
    }

    /// The key of the proof, which is what the server stores.
    #[must_use]
    pub fn key(&self) -> InviteKey {
        InviteKey(blake3::derive_key(KEY_CONTEXT, &self.0))
    }
}

impl std::str::FromStr for InviteToken {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let bytes = data_encoding::BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .map_err(|_| InviteError::Token)?;
        bytes.try_into().map(Self).map_err(|_| InviteError::Token)
    }
}

impl std::fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InviteToken(..)")
    }
}

/// Which invite a proof is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InviteId(pub [u8; 8]);

/// The derived key with which a proof is made and checked.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteKey(pub [u8; 32]);

impl InviteKey {
    /// The proof that whoever holds this key, over the connection with this exporter output, wants `client` enrolled.
    #[must_use]
    pub fn prove(&self, exporter: &[u8; 32], client: &Fingerprint) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(exporter);
        hasher.update(&client.0);
        *hasher.finalize().as_bytes()
    }

    /// Whether `mac` is that proof; compared in constant time.
    #[must_use]
    pub fn verify(&self, exporter: &[u8; 32], client: &Fingerprint, mac: &[u8; 32]) -> bool {
        blake3::Hash::from_bytes(self.prove(exporter, client)) == blake3::Hash::from_bytes(*mac)
    }
}

impl std::fmt::Debug for InviteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InviteKey(..)")
    }
}

/// The content of the Hello extension [`EXTENSION_INVITE`](crate::hello::EXTENSION_INVITE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteProof {
    /// Which invite.
    pub id: InviteId,
    /// [`InviteKey::prove`].
    pub mac: [u8; 32],
}

/// An invite, or only a pin, with the address of its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteUrl {
    /// The fingerprint of the server's key.
    pub fingerprint: Fingerprint,
    /// The secret; none when the text only pins.
    pub token: Option<InviteToken>,
    /// Where the server is.
    pub address: HostPort,
}

/// Why a text is not an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// It does not begin with `fulmar://` or has no `@`.
    #[error("an invite looks like fulmar://FINGERPRINT.TOKEN@HOST:PORT")]
    Shape,
    /// The fingerprint is not 52 characters of base32.
    #[error("the fingerprint in the invite is damaged")]
    Fingerprint,
    /// The token is not 26 characters of base32.
    #[error("the token in the invite is damaged")]
    Token,
    /// The address is not `HOST:PORT`.
    #[error("the address in the invite is damaged: {0}")]
    Address(#[from] AddressError),
}

impl InviteUrl {
    /// Whether `text` means to be an invite.
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
    }
}

impl std::str::FromStr for InviteUrl {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        if !Self::looks_like(text) {
            return Err(InviteError::Shape);
        }
        let (secret, address) = text[SCHEME.len()..].split_once('@').ok_or(InviteError::Shape)?;
        let (fingerprint, token) = match secret.split_once('.') {
            Some((fingerprint, token)) => (fingerprint, Some(token.parse()?)),
            None => (secret, None),
        };
        let fingerprint = Fingerprint::from_base32(&fingerprint.to_ascii_lowercase())
            .map_err(|_| InviteError::Fingerprint)?;
        Ok(Self { fingerprint, token, address: address.trim_end_matches('/').parse()? })
    }
}

impl std::fmt::Display for InviteUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{SCHEME}{}", self.fingerprint.to_base32())?;
        if let Some(token) = &self.token {
            write!(f, ".{}", token.to_base32())?;
        }
        write!(f, "@{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> InviteToken {
        InviteToken::from_random([7; 16])
    }

    #[test]
    fn a_proof_holds_for_its_connection_and_client_alone() {
        let key = token().key();
        let (here, there) = ([1; 32], [2; 32]);
        let (alice, mallory) = (Fingerprint([3; 32]), Fingerprint([4; 32]));
        let mac = key.prove(&here, &alice);
        assert!(key.verify(&here, &alice, &mac));
        assert!(!key.verify(&there, &alice, &mac));
        assert!(!key.verify(&here, &mallory, &mac));
        assert!(!InviteToken::from_random([8; 16]).key().verify(&here, &alice, &mac));
    }

    #[test]
    fn neither_identifier_nor_key_shows_the_token() {
        assert_eq!(format!("{:?} {:?}", token(), token().key()), "InviteToken(..) InviteKey(..)");
        assert_ne!(token().id().0, [7; 8]);
    }

    #[test]
    fn damaged_invites_say_what_is_damaged() {
        let fingerprint = Fingerprint([9; 32]).to_base32();
        let cases = [
            ("http://x@y:1".to_owned(), InviteError::Shape),
            ("fulmar://".to_owned(), InviteError::Shape),
            ("fulmar://abc@host:1".to_owned(), InviteError::Fingerprint),
            (format!("fulmar://{fingerprint}.zz@host:1"), InviteError::Token),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<InviteUrl>(), Err(error), "{text}");
        }
        assert!(matches!(
            format!("fulmar://{fingerprint}@host:99999").parse::<InviteUrl>(),
            Err(InviteError::Address(_))
        ));
    }

    proptest! {
        #[test]
        fn an_invite_survives_its_text(fp: [u8; 32], secret: Option<[u8; 16]>, port in 1u16..) {
            let url = InviteUrl {
                fingerprint: Fingerprint(fp),
                token: secret.map(InviteToken::from_random),
                address: HostPort::new("host.example", port).expect("a plain name"),
            };
            let text = url.to_string();
            prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b":/.@-".contains(&b)));
            prop_assert_eq!(text.parse::<InviteUrl>(), Ok(url.clone()));
            prop_assert_eq!(text.to_ascii_uppercase().parse::<InviteUrl>().map(|u| u.fingerprint), Ok(url.fingerprint));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<InviteUrl>();
            let _ = format!("fulmar://{text}").parse::<InviteUrl>();
        }
    }
}
