//! The first stream: Hello, its answer, and the notices that follow.
//!
//! TLS proves that the client holds its key; Hello admits it. The client sends [`Hello`] as the first frame of its first
//! stream and may send commands on further streams right behind it. The server answers with
//! [`Reply::Welcome`](crate::reply::Reply::Welcome) or [`Reply::Failed`](crate::reply::Reply::Failed) and, after a
//! Welcome, keeps the stream open for [`Notice`]s.

use serde::{Deserialize, Serialize};

use crate::{codec::Growing, grants::Grants, text::Text};

/// The most extensions that a Hello or Welcome carries.
pub const MAX_EXTENSIONS: usize = 32;

/// The most bytes that one extension carries.
pub const MAX_EXTENSION_BYTES: usize = 4096;

/// The most keys that one [`Notice::KeysToCome`] names.
pub const MAX_NEXT_KEYS: usize = 8;

/// Optional abilities, one bit each. Bits that a side does not know are ignored by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Features(pub u64);

impl Features {
    /// A `Commit` may be sent before the ranges that it is about have arrived: the server waits for those under way on the
    /// connection.
    pub const EARLY_COMMIT: Self = Self(1);

    /// Whether every ability of `other` is among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One extension: a tag and bytes that mean something to those who know the tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Which extension it is; see the `EXTENSION_*` constants.
    pub tag: u16,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The tag of the extension that carries an [`InviteProof`](crate::invite::InviteProof).
pub const EXTENSION_INVITE: u16 = 1;

/// A bounded list of extensions. Unknown tags are ignored; the first of a repeated tag counts.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Extension>", into = "Vec<Extension>")]
pub struct Extensions(Vec<Extension>);

/// A list of extensions exceeded [`MAX_EXTENSIONS`] or [`MAX_EXTENSION_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more or longer extensions than the protocol allows")]
pub struct ExtensionsError;

impl Extensions {
    /// The content of the extension `tag`, if it is there.
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&[u8]> {
        self.0.iter().find(|extension| extension.tag == tag).map(|extension| extension.bytes.as_slice())
    }
}

impl TryFrom<Vec<Extension>> for Extensions {
    type Error = ExtensionsError;

    fn try_from(list: Vec<Extension>) -> Result<Self, ExtensionsError> {
        let too_long = list.iter().any(|extension| extension.bytes.len() > MAX_EXTENSION_BYTES);
        if list.len() > MAX_EXTENSIONS || too_long {
            return Err(ExtensionsError);
        }
        Ok(Self(list))
    }
}

impl From<Extensions> for Vec<Extension> {
    fn from(extensions: Extensions) -> Self {
        extensions.0
    }
}

/// Which congestion controller a client would like the server to send with. A number, so that later ones can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Congestion(pub u8);

impl Congestion {
    /// Whatever the server prefers.
    pub const ANY: Self = Self(0);
    /// The loss-resilient controller.
    pub const LRC: Self = Self(1);
    /// CUBIC (RFC 9438).
    pub const CUBIC: Self = Self(2);
    /// NewReno (RFC 9002 section 7).
    pub const NEW_RENO: Self = Self(3);
    /// BBR.
    pub const BBR: Self = Self(4);
}

/// The client's first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The minor version that the client speaks.
    pub minor: u16,
    /// What the client can do beyond it.
    pub features: Features,
    /// Extensions, the invite's proof among them.
    pub extensions: Extensions,
    /// What the client calls itself, for logs and for the list of clients.
    pub name: Text,
    /// The most bytes per second that the server should send, when the client wants a cap.
    pub max_rate_bytes_per_s: Option<u64>,
    /// The controller that the server should send with. The server may choose otherwise.
    pub congestion: Congestion,
}

/// What a server demands of every client, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policies(pub u32);

impl Policies {
    /// Nothing can be stored, renamed or removed.
    pub const READ_ONLY: Self = Self(1);
    /// A new name must keep the extension, in uploads, renames and downloads.
    pub const KEEP_EXTENSION: Self = Self(2);
    /// What is stored cannot be replaced.
    pub const NO_OVERWRITE: Self = Self(4);

    /// Whether every policy of `other` is in force.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What the server will bear from one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The most commands in flight at once.
    pub max_commands: u32,
    /// The most bytes of one body: no range and no small file is longer.
    pub max_body_bytes: u32,
    /// A body that makes no progress for this long is given up, in milliseconds.
    pub stall_timeout_ms: u32,
}

/// The server's answer to a Hello that it admits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The minor version that the server speaks.
    pub minor: u16,
    /// What the server can do beyond it.
    pub features: Features,
    /// Extensions.
    pub extensions: Extensions,
    /// What the server calls itself.
    pub server_name: Text,
    /// What this client may do.
    pub grants: Grants,
    /// What holds for every client.
    pub policies: Policies,
    /// What the server will bear.
    pub limits: Limits,
}

/// A key that the server will use from some day on, with the proof that it holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextKey {
    /// The Ed25519 public key.
    pub public_key: [u8; 32],
    /// The signature by that key, first and second half, over this connection's exporter.
    pub signature: ([u8; 32], [u8; 32]),
}

/// Keys to come: a bounded list.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<NextKey>", into = "Vec<NextKey>")]
pub struct NextKeys(Vec<NextKey>);

/// More keys to come than [`MAX_NEXT_KEYS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more keys to come than the protocol allows")]
pub struct NextKeysError;

impl TryFrom<Vec<NextKey>> for NextKeys {
    type Error = NextKeysError;

    fn try_from(keys: Vec<NextKey>) -> Result<Self, NextKeysError> {
        if keys.len() > MAX_NEXT_KEYS { Err(NextKeysError) } else { Ok(Self(keys)) }
    }
}

impl From<NextKeys> for Vec<NextKey> {
    fn from(keys: NextKeys) -> Self {
        keys.0
    }
}

/// What the server says on the Hello stream after Welcome. Unknown notices are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// No new command will be started; those that run have this long to end.
    GoingAway {
        /// Milliseconds until the server closes the connection.
        grace_ms: u32,
    },
    /// The client's grants were taken away; the connection is about to be closed.
    Revoked,
    /// The server announces keys that it will use later.
    KeysToCome(NextKeys),
    /// New limits hold from now on.
    LimitsChanged(Limits),
}

impl Growing for Notice {
    const VARIANTS: u32 = 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(tag: u16, len: usize) -> Extension {
        Extension { tag, bytes: vec![0; len] }
    }

    #[test]
    fn extensions_are_bounded_on_both_sides_of_the_limit() {
        assert!(Extensions::try_from(vec![extension(9, 1); MAX_EXTENSIONS]).is_ok());
        assert!(Extensions::try_from(vec![extension(9, 1); MAX_EXTENSIONS + 1]).is_err());
        assert!(Extensions::try_from(vec![extension(9, MAX_EXTENSION_BYTES)]).is_ok());
        assert!(Extensions::try_from(vec![extension(9, MAX_EXTENSION_BYTES + 1)]).is_err());
    }

    #[test]
    fn the_first_of_a_repeated_tag_counts() {
        let list = Extensions::try_from(vec![extension(7, 3), extension(7, 5)]).expect("short");
        assert_eq!(list.get(7).map(<[u8]>::len), Some(3));
        assert_eq!(list.get(8), None);
    }
}
