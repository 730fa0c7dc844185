//! One record per connection and per command, for whoever keeps the log.

use std::{net::SocketAddr, time::Duration};

use fulmar_proto::{fingerprint::Fingerprint, time::Timestamp};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditKind {
    /// A client was admitted.
    Connected,
    /// A client was not admitted.
    Refused,
    /// A connection ended.
    Closed,
    /// A command ended.
    Command,
}

impl AuditKind {
    /// A stable word for logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Command => "command",
        }
    }
}

/// What happened. Text in it comes from peers in part and must be escaped before a terminal sees it.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// When it ended.
    pub time: Timestamp,
    /// What it is about.
    pub kind: AuditKind,
    /// The connection's number since the server started.
    pub connection: u64,
    /// Where the client is.
    pub remote: SocketAddr,
    /// The client's key.
    pub client: Fingerprint,
    /// What the client calls itself, or the name it is enrolled under.
    pub client_name: String,
    /// The verb that a person would use for the command (`ls`, `upload`); empty for connections.
    pub verb: &'static str,
    /// The protocol's name of the command (`list`, `write`), since a transfer takes several; empty for connections.
    pub step: &'static str,
    /// What the command was about.
    pub path: Option<String>,
    /// The second path of a command that has two: where something went.
    pub target: Option<String>,
    /// File bytes that the command moved.
    pub bytes: u64,
    /// `ok`, or the stable word of the error.
    pub result: String,
    /// How long it took.
    pub duration: Duration,
}

/// Keeps records.
pub trait Audit: Send + Sync {
    /// Takes one record. Called from asynchronous tasks: it must not block for long.
    fn record(&self, record: &AuditRecord);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAudit;

impl Audit for NoAudit {
    fn record(&self, _record: &AuditRecord) {}
}
