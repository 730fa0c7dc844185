//! `invites`: one line per invite that is still good.
//!
//! ```text
//! 0123456789abcdef KEY-IN-HEX grants=list,read expires=1795000000
//! ```
//!
//! The key is derived from the token, which is kept nowhere. A used invite's line is gone.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use data_encoding::HEXLOWER;
use fulmar_proto::{
    fingerprint::Fingerprint,
    grants::Grants,
    invite::{InviteId, InviteKey, InviteProof},
};

use super::TrustError;

/// One invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invite {
    pub(super) id: InviteId,
    pub(super) key: InviteKey,
    pub(super) grants: Grants,
    /// The second from which on it is no longer good, since 1970-01-01T00:00:00Z.
    pub(super) expires_secs: i64,
}

/// The invites that are still good.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Invites(BTreeMap<InviteId, Invite>);

impl Invites {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, TrustError> {
        let mut invites = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let error = |reason| TrustError::Line { path: path.to_owned(), line: index + 1, reason };
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let invite = parse_line(line).ok_or_else(|| error("not an invite"))?;
            invites.insert(invite.id, invite);
        }
        Ok(Self(invites))
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::from("# Invites that are still good. A used one disappears.\n");
        for invite in self.0.values() {
            let (id, key) = (HEXLOWER.encode(&invite.id.0), HEXLOWER.encode(&invite.key.0));
            let line = writeln!(text, "{id} {key} grants={} expires={}", invite.grants, invite.expires_secs);
            line.expect("writing to a string succeeds");
        }
        text
    }

    pub(super) fn add(&mut self, invite: Invite) {
        self.0.insert(invite.id, invite);
    }

    pub(super) fn drop_expired(&mut self, now_secs: i64) {
        self.0.retain(|_, invite| invite.expires_secs > now_secs);
    }

    /// Takes the invite that `proof` is for out of the list, when the proof holds and the invite is still good.
    pub(super) fn take(
        &mut self,
        proof: &InviteProof,
        exporter: &[u8; 32],
        client: &Fingerprint,
        now_secs: i64,
    ) -> Option<Invite> {
        let invite = self.0.get(&proof.id)?;
        let good = invite.key.verify(exporter, client, &proof.mac) && invite.expires_secs > now_secs;
        if good { self.0.remove(&proof.id) } else { None }
    }
}

fn parse_line(line: &str) -> Option<Invite> {
    let mut words = line.split_whitespace();
    let id = HEXLOWER.decode(words.next()?.as_bytes()).ok()?.try_into().ok()?;
    let key = HEXLOWER.decode(words.next()?.as_bytes()).ok()?.try_into().ok()?;
    let grants = words.next()?.strip_prefix("grants=")?.parse().ok()?;
    let expires_secs = words.next()?.strip_prefix("expires=")?.parse().ok()?;
    if words.next().is_some() {
        return None;
    }
    Some(Invite { id: InviteId(id), key: InviteKey(key), grants, expires_secs })
}
