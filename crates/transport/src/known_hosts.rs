//! The server keys that a client has accepted: `known_hosts`.
//!
//! One line per key, several per host where its keys rotate; `#` begins a comment line:
//!
//! ```text
//! lab.example:4433 ed25519 SHA256:… first-seen=2026-11-02
//! ```
//!
//! The file decides whom files are sent to, so everything about it fails closed: a line that cannot be read, a file that
//! cannot be opened, is too long or may be written by others is an error and never an empty list.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fulmar_proto::address::HostPort;
use fulmar_proto::fingerprint::Fingerprint;
pub use jiff::civil::Date;

use crate::private_file::{self, PrivateFileError};
use crate::tls::ServerTrust;

/// The longest file that is read, in bytes: 1 MiB, which is thousands of hosts.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The one kind of key there is, so that a file says what it holds.
const KEY_KIND: &str = "ed25519";

const FIRST_SEEN: &str = "first-seen=";

/// Why the known hosts cannot be used or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownHostsError {
    /// The file cannot be read or written, or is not to be trusted.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A line is not of the form that this module writes.
    #[error("{}:{line}: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: MalformedLine,
    },
    /// Another key is known for the host, and no additional one was asked for.
    #[error("another key is already known for {host_port}: {}", .known[0])]
    OtherKeyKnown {
        /// The host.
        host_port: HostPort,
        /// The keys known for it, at least one.
        known: Vec<Fingerprint>,
    },
    /// With one more entry the file would be longer than what is read.
    #[error("{}: is full; remove hosts that are no longer used", .0.display())]
    Full(PathBuf),
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedLine {
    /// The file is not UTF-8 from this line on.
    #[error("is not text")]
    NotText,
    /// There are not exactly four fields with single spaces between them.
    #[error("does not have the form: HOST:PORT ed25519 SHA256:... first-seen=YYYY-MM-DD")]
    Fields,
    /// The host is not written as HOST:PORT in lower case, IPv6 in brackets.
    #[error("does not begin with HOST:PORT in lower case")]
    HostPort,
    /// The kind of key is not `ed25519`.
    #[error("names a kind of key other than ed25519")]
    KeyKind,
    /// The fingerprint is not one.
    #[error("holds no fingerprint of the form SHA256:...")]
    Fingerprint,
    /// The date is not one.
    #[error("holds no date of the form first-seen=YYYY-MM-DD")]
    FirstSeen,
}

/// Whether a key may stand beside others of the same host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddMode {
    /// Only as the host's first key.
    First,
    /// Beside the known ones: the server has announced it over an authenticated connection.
    Additional,
}

/// One accepted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHost {
    /// The host as it was asked for, in lower case, not what it resolved to.
    pub host_port: HostPort,
    /// The fingerprint of its key.
    pub fingerprint: Fingerprint,
    /// The day on which the key was accepted (RFC 3339 `full-date`).
    pub first_seen: Date,
}

impl fmt::Display for KnownHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host_port, fingerprint, first_seen } = self;
        write!(f, "{host_port} {KEY_KIND} {fingerprint} {FIRST_SEEN}{first_seen}")
    }
}

impl FromStr for KnownHost {
    type Err = MalformedLine;

    fn from_str(line: &str) -> Result<Self, MalformedLine> {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[host, kind, fingerprint, first_seen] = fields.as_slice() else {
            return Err(MalformedLine::Fields);
        };
        let host_port: HostPort = host.parse().map_err(|_| MalformedLine::HostPort)?;
        // Only the form that is written is read: a host in another spelling would never be found.
        if host_port.to_string() != host {
            return Err(MalformedLine::HostPort);
        }
        if kind != KEY_KIND {
            return Err(MalformedLine::KeyKind);
        }
        let fingerprint = fingerprint.parse().map_err(|_| MalformedLine::Fingerprint)?;
        let date = first_seen.strip_prefix(FIRST_SEEN).ok_or(MalformedLine::FirstSeen)?;
        Ok(Self { host_port, fingerprint, first_seen: parse_date(date).ok_or(MalformedLine::FirstSeen)? })
    }
}

/// A date in exactly the form in which dates are written; the library's parser also takes others.
fn parse_date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}

/// A line of the file. Comments and empty lines are kept as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Comment(String),
    Host(KnownHost),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comment(text) => f.write_str(text),
            Self::Host(host) => host.fmt(f),
        }
    }
}

/// The content of a `known_hosts` file, as it was when last read or written here.
#[derive(Clone, Debug)]
pub struct KnownHosts {
    path: PathBuf,
    lines: Vec<Line>,
}

impl KnownHosts {
    /// Reads the file at `path`; a missing one is empty. Blocks on the file system.
    ///
    /// # Errors
    /// [`KnownHostsError::File`] and [`KnownHostsError::Malformed`], with the line.
    pub fn load(path: &Path) -> Result<Self, KnownHostsError> {
        let bytes = private_file::read_trusted(path, MAX_FILE_BYTES)?.unwrap_or_default();
        let lines = parse(&bytes).map_err(|(line, reason)| KnownHostsError::Malformed {
            path: path.to_owned(),
            line,
            reason,
        })?;
        Ok(Self { path: path.to_owned(), lines })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All entries, in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = &KnownHost> {
        self.lines.iter().filter_map(|line| match line {
            Line::Host(host) => Some(host),
            Line::Comment(_) => None,
        })
    }

    /// The keys known for a host.
    #[must_use]
    pub fn lookup(&self, host_port: &HostPort) -> Vec<Fingerprint> {
        self.entries().filter(|host| host.host_port == *host_port).map(|host| host.fingerprint).collect()
    }

    /// What to demand of a host when dialling it: one of its known keys, if there are any.
    #[must_use]
    pub fn trust(&self, host_port: &HostPort) -> ServerTrust {
        match self.lookup(host_port) {
            known if known.is_empty() => ServerTrust::NothingKnown,
            known => ServerTrust::Pinned(known),
        }
    }

    /// The line of the file, counted from 1, that holds a host's key, for messages.
    #[must_use]
    pub fn line_of(&self, host_port: &HostPort, fingerprint: Fingerprint) -> Option<usize> {
        let is_it = |line: &Line| matches!(line, Line::Host(h) if h.host_port == *host_port && h.fingerprint == fingerprint);
        self.lines.iter().position(is_it).map(|index| index + 1)
    }

    /// Records a key, durably. Returns whether it is new; a known key keeps its date.
    ///
    /// The file is locked and read again first, so that several processes lose nothing of each other's. Blocks on the
    /// file system.
    ///
    /// # Errors
    /// [`KnownHostsError::OtherKeyKnown`] under [`AddMode::First`]; [`KnownHostsError::Full`]; those of
    /// [`KnownHosts::load`]. The file is untouched then.
    pub fn add(
        &mut self,
        host_port: &HostPort,
        fingerprint: Fingerprint,
        first_seen: Date,
        mode: AddMode,
    ) -> Result<bool, KnownHostsError> {
        let _lock = private_file::lock(&self.path)?;
        let mut fresh = Self::load(&self.path)?;
        let known = fresh.lookup(host_port);
        let is_new = !known.contains(&fingerprint);
        if is_new {
            if mode == AddMode::First && !known.is_empty() {
                return Err(KnownHostsError::OtherKeyKnown { host_port: host_port.clone(), known });
            }
            fresh.lines.push(Line::Host(KnownHost { host_port: host_port.clone(), fingerprint, first_seen }));
            fresh.store()?;
        }
        *self = fresh;
        Ok(is_new)
    }

    /// Removes all keys of a host, durably. Returns what was removed. Locks and reads again as [`KnownHosts::add`].
    ///
    /// # Errors
    /// Those of [`KnownHosts::load`].
    pub fn forget(&mut self, host_port: &HostPort) -> Result<Vec<Fingerprint>, KnownHostsError> {
        let _lock = private_file::lock(&self.path)?;
        let mut fresh = Self::load(&self.path)?;
        let removed = fresh.lookup(host_port);
        if !removed.is_empty() {
            fresh.lines.retain(|line| !matches!(line, Line::Host(host) if host.host_port == *host_port));
            fresh.store()?;
        }
        *self = fresh;
        Ok(removed)
    }

    fn store(&self) -> Result<(), KnownHostsError> {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        if text.len() > MAX_FILE_BYTES {
            return Err(KnownHostsError::Full(self.path.clone()));
        }
        Ok(private_file::write_private(&self.path, text.as_bytes())?)
    }
}

/// The lines of a file, or the number of the first bad one and what is wrong with it.
fn parse(bytes: &[u8]) -> Result<Vec<Line>, (usize, MalformedLine)> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        (1 + good.iter().filter(|byte| **byte == b'\n').count(), MalformedLine::NotText)
    })?;
    text.lines()
        .enumerate()
        .map(|(index, line)| parse_line(line).map_err(|reason| (index + 1, reason)))
        .collect()
}

fn parse_line(line: &str) -> Result<Line, MalformedLine> {
    if line.starts_with('#') || line.trim().is_empty() {
        return Ok(Line::Comment(line.to_owned()));
    }
    line.parse().map(Line::Host)
}

#[cfg(test)]
mod tests;
