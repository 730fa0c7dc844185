//! Who may come in: the authorised clients and the invites of a state folder.
//!
//! Both are small text files that a person can read and edit. Everything fails closed: a file that cannot be read or
//! understood is an error with its line number, never an empty list. Changes of other processes are noticed.

mod clients;
mod invites;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use fulmar_proto::{
    fingerprint::Fingerprint,
    grants::Grants,
    invite::{InviteProof, InviteToken},
    text::Text,
    time::Timestamp,
};
use fulmar_store::Entropy;
use fulmar_transport::private_file::{self, PrivateFileError};

pub use clients::Client;
use clients::Clients;
use invites::{Invite, Invites};

const CLIENTS_FILE: &str = "authorized_clients";
const INVITES_FILE: &str = "invites";

/// The longest list that is read, in bytes: tens of thousands of lines, and still nothing for memory.
const MAX_FILE_BYTES: usize = 4 << 20;

/// Why a list of clients or invites cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read, written or trusted.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A line of the file is not understood.
    #[error("{}: line {line}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file is not text.
    #[error("{}: is not UTF-8 text", .0.display())]
    NotText(PathBuf),
}

/// What an invite's proof came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redeemed {
    /// The client is enrolled now, with these grants.
    Enrolled(Grants),
    /// No such invite, or it is used or expired, or the proof is wrong. Which of these is nobody's business.
    Invalid,
}

/// The trust state of one server: `authorized_clients` and `invites` in its state folder.
#[derive(Clone, Debug)]
pub struct TrustStore {
    folder: Arc<PathBuf>,
    clients: Arc<RwLock<Arc<Clients>>>,
}

impl TrustStore {
    /// Reads the lists of the state folder; missing ones are empty. Blocks on the file system, like all methods here
    /// but [`TrustStore::find`] and [`TrustStore::has_clients`].
    ///
    /// # Errors
    /// [`TrustError`] when a file is there and cannot be used.
    pub fn open(state_dir: &Path) -> Result<Self, TrustError> {
        let clients = Arc::new(read_clients(state_dir)?);
        Invites::parse(
            &state_dir.join(INVITES_FILE),
            &read_text(&state_dir.join(INVITES_FILE), Secret::Yes)?,
        )?;
        Ok(Self { folder: Arc::new(state_dir.to_owned()), clients: Arc::new(RwLock::new(clients)) })
    }

    /// Whether any client is enrolled.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        !self.current().is_empty()
    }

    /// The enrolled client with this key.
    #[must_use]
    pub fn find(&self, fingerprint: &Fingerprint) -> Option<Client> {
        self.current().find(fingerprint).cloned()
    }

    /// Looks at the file again and takes it over when it has changed. Returns whether it had.
    ///
    /// # Errors
    /// [`TrustError`]; the list in memory then stays as it was.
    pub fn reload(&self) -> Result<bool, TrustError> {
        let fresh = read_clients(&self.folder)?;
        if fresh == *self.current() {
            return Ok(false);
        }
        self.replace(fresh);
        Ok(true)
    }

    /// Makes an invite that enrols one client with `grants` within `valid_for` of `now`. Invites that have expired are
    /// dropped from the file.
    ///
    /// # Errors
    /// [`TrustError`] when the list of invites cannot be read or written.
    pub fn make_invite(
        &self,
        grants: Grants,
        valid_for: Duration,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<InviteToken, TrustError> {
        let mut secret = [0; 16];
        entropy.fill(&mut secret);
        let token = InviteToken::from_random(secret);
        let seconds = i64::try_from(valid_for.as_secs()).unwrap_or(i64::MAX);
        let expires_secs = now.secs().saturating_add(seconds);
        self.change_invites(|invites| {
            invites.drop_expired(now.secs());
            invites.add(Invite { id: token.id(), key: token.key(), grants, expires_secs });
            true
        })?;
        Ok(token)
    }

    /// Redeems an invite: checks the proof, burns the invite durably, then enrols the client. A crash in between costs
    /// the invite and gives nothing away.
    ///
    /// # Errors
    /// [`TrustError`] when a list cannot be read or written; nobody is enrolled then.
    pub(crate) fn redeem(
        &self,
        proof: &InviteProof,
        exporter: &[u8; 32],
        client: &Fingerprint,
        name: &Text,
        now: Timestamp,
    ) -> Result<Redeemed, TrustError> {
        let mut taken = None;
        self.change_invites(|invites| {
            taken = invites.take(proof, exporter, client, now.secs());
            taken.is_some()
        })?;
        let Some(invite) = taken else { return Ok(Redeemed::Invalid) };
        let grants = self.enrol(client, invite.grants, name, now)?;
        Ok(Redeemed::Enrolled(grants))
    }

    fn enrol(
        &self,
        client: &Fingerprint,
        grants: Grants,
        name: &Text,
        now: Timestamp,
    ) -> Result<Grants, TrustError> {
        let path = self.folder.join(CLIENTS_FILE);
        let _lock = private_file::lock(&path)?;
        // Read again under the lock: somebody may have edited the file since.
        let mut text = read_text(&path, Secret::No)?;
        let known = Clients::parse(&path, &text)?.find(client).map(|client| client.grants);
        let grants = grants.with(known.unwrap_or_default());
        clients::set(
            &mut text,
            &Client { fingerprint: *client, grants, name: name.as_str().to_owned() },
            now,
        );
        private_file::write_private(&path, text.as_bytes())?;
        self.replace(Clients::parse(&path, &text)?);
        Ok(grants)
    }

    /// Runs `change` on the list of invites under the file's lock and writes it back when `change` says so.
    fn change_invites(&self, change: impl FnOnce(&mut Invites) -> bool) -> Result<(), TrustError> {
        let path = self.folder.join(INVITES_FILE);
        let _lock = private_file::lock(&path)?;
        let mut invites = Invites::parse(&path, &read_text(&path, Secret::Yes)?)?;
        if change(&mut invites) {
            private_file::write_private(&path, invites.to_text().as_bytes())?;
        }
        Ok(())
    }

    fn current(&self) -> Arc<Clients> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, clients: Clients) {
        *self.clients.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(clients);
    }
}

/// Whether a file holds secrets, so that nobody else may even read it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    Yes,
    No,
}

fn read_text(path: &Path, secret: Secret) -> Result<String, TrustError> {
    let bytes = match secret {
        Secret::Yes => private_file::read_private(path, MAX_FILE_BYTES)?.map(|bytes| bytes.to_vec()),
        Secret::No => private_file::read_trusted(path, MAX_FILE_BYTES)?,
    };
    String::from_utf8(bytes.unwrap_or_default()).map_err(|_| TrustError::NotText(path.to_owned()))
}

fn read_clients(folder: &Path) -> Result<Clients, TrustError> {
    let path = folder.join(CLIENTS_FILE);
    Clients::parse(&path, &read_text(&path, Secret::No)?)
}

#[cfg(test)]
mod tests;
