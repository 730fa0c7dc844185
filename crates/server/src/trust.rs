//! Who may come in: the authorised clients and the invites of a state folder.
//!
//! Both are small text files that a person can read and edit. Everything fails closed: a file that cannot be read or
//! understood is an error with its line number, never an empty list. Changes of other processes are noticed.

mod clients;
mod invites;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
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
    /// With one more line the file would be longer than what is read.
    #[error("{}: is full; revoke clients that are no longer used", .0.display())]
    Full(PathBuf),
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
    /// Whether the list has been replaced since [`TrustStore::reload`] was called last. Locked over every look at the file that
    /// may end in a new list, so that an older look cannot replace what a newer one has found.
    changed: Arc<Mutex<bool>>,
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
        Ok(Self {
            folder: Arc::new(state_dir.to_owned()),
            clients: Arc::new(RwLock::new(clients)),
            changed: Arc::default(),
        })
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

    /// All enrolled clients, in the order of their keys.
    #[must_use]
    pub fn clients(&self) -> Vec<Client> {
        self.current().iter().cloned().collect()
    }

    /// Looks at the file again and takes it over when it has changed. Returns whether the list in memory has been replaced since the
    /// last call, by this one or by a change that was made here.
    ///
    /// # Errors
    /// [`TrustError`]; the list in memory then stays as it was.
    pub fn reload(&self) -> Result<bool, TrustError> {
        let mut changed = self.changed();
        let fresh = read_clients(&self.folder)?;
        if fresh != *self.current() {
            self.replace(fresh);
            *changed = true;
        }
        Ok(std::mem::take(&mut changed))
    }

    /// Enrols a client. Returns the one that has this key already, if there is one; nothing is changed then.
    ///
    /// # Errors
    /// [`TrustError`] when the list cannot be read or written.
    pub fn add(&self, client: &Client) -> Result<Option<Client>, TrustError> {
        self.change_clients(|clients, text| {
            let known = clients.find(&client.fingerprint).cloned();
            if known.is_none() {
                clients::set(text, client);
            }
            known
        })
    }

    /// Gives a client these grants in place of those that it has. Returns the client as it was; `None` when there is none with
    /// this key. A running server takes it over within a second.
    ///
    /// # Errors
    /// [`TrustError`] when the list cannot be read or written.
    pub fn set_grants(
        &self,
        fingerprint: &Fingerprint,
        grants: Grants,
    ) -> Result<Option<Client>, TrustError> {
        self.change_clients(|clients, text| {
            let known = clients.find(fingerprint)?;
            clients::set(text, &Client { grants, ..known.clone() });
            Some(known.clone())
        })
    }

    /// Removes a client. Returns it; `None` when there is none with this key. A running server takes it over within a second,
    /// tells the client and closes its connections.
    ///
    /// # Errors
    /// [`TrustError`] when the list cannot be read or written.
    pub fn revoke(&self, fingerprint: &Fingerprint) -> Result<Option<Client>, TrustError> {
        self.change_clients(|clients, text| {
            let known = clients.find(fingerprint)?;
            clients::remove(text, fingerprint);
            Some(known.clone())
        })
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
        self.change_clients(|clients, text| {
            let known = clients.find(client).map(|client| client.grants);
            let grants = grants.with(known.unwrap_or_default());
            let name = name.as_str().to_owned();
            clients::set(text, &Client { fingerprint: *client, grants, name, enrolled: Some(now) });
            grants
        })
    }

    /// Runs `change` on the list of clients and the text of its file under the file's lock, and writes the text back if it is
    /// another one then.
    fn change_clients<T>(&self, change: impl FnOnce(&Clients, &mut String) -> T) -> Result<T, TrustError> {
        let mut changed = self.changed();
        let path = self.folder.join(CLIENTS_FILE);
        let _lock = private_file::lock(&path)?;
        // Read again under the lock: somebody may have edited the file since.
        let before = read_text(&path, Secret::No)?;
        let mut text = before.clone();
        let result = change(&Clients::parse(&path, &before)?, &mut text);
        if text == before {
            return Ok(result);
        }
        if text.len() > MAX_FILE_BYTES {
            return Err(TrustError::Full(path));
        }
        private_file::write_private(&path, text.as_bytes())?;
        self.replace(Clients::parse(&path, &text)?);
        *changed = true;
        Ok(result)
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

    fn changed(&self) -> MutexGuard<'_, bool> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
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
