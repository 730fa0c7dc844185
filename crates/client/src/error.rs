//! What can go wrong, by whose fault it is.

use std::{fmt, net::SocketAddr, path::PathBuf};

use fulmar_disk::DiskError;
use fulmar_proto::{
    address::HostPort,
    code::CloseCode,
    error::{ErrorCode, Failure},
    fingerprint::Fingerprint,
    path::PathError,
};
use fulmar_transport::{
    ConnectionLost, DialError, IdentityError, KnownHost, KnownHostsError, ResolveError, StreamError,
};

/// Why a command or transfer failed. Shown, it is one line without the name of what it is about; text that a peer sent
/// is escaped in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's key is not known. Nothing but the handshake has happened.
    #[error("the server's key is not known: {fingerprint}")]
    UnknownServer {
        /// The server, as it was named.
        address: HostPort,
        /// The address that answered, when the name leads to just one.
        answered: Option<SocketAddr>,
        /// The key that it offered.
        fingerprint: Fingerprint,
    },
    /// The server offered another key than the one that is known. Nothing was sent.
    #[error("the server's key has changed: known {}, offered {offered}", join(known))]
    ServerKeyChanged {
        /// The server, as it was named.
        address: HostPort,
        /// The keys that are known, and since when.
        known: Vec<KnownHost>,
        /// The key that it offered.
        offered: Fingerprint,
    },
    /// The demanded key is not the one that is known for this server. The server was not even contacted.
    #[error("{pin} is not the key that is known for this server: known {}", join(known))]
    PinNotKnown {
        /// The server, as it was named.
        address: HostPort,
        /// The keys that are known, and since when.
        known: Vec<KnownHost>,
        /// The key that was demanded.
        pin: Pin,
    },
    /// The caller demands another key than the invite. The server was not even contacted.
    #[error("the demanded key {demanded} is not the invite's key {invite}")]
    PinsDiffer {
        /// The key that the caller demands.
        demanded: Fingerprint,
        /// The key that the invite demands.
        invite: Fingerprint,
    },
    /// The server, of which nothing was known, offered another key than the demanded one. Nothing was sent.
    #[error("{pin} is not the key that the server has: offered {offered}")]
    PinNotOffered {
        /// The server, as it was named.
        address: HostPort,
        /// The key that was demanded.
        pin: Pin,
        /// The key that it offered.
        offered: Fingerprint,
    },
    /// The host's name leads to no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No connection came about.
    #[error(transparent)]
    Dial(DialError),
    /// No answer to Hello in time.
    #[error("the server did not answer in time")]
    NoWelcome,
    /// The connection is gone.
    #[error("the connection was lost: {0}")]
    Lost(ConnectionLost),
    /// The server sends nothing although the connection lives.
    #[error("the server has stopped answering")]
    Stalled,
    /// The server refused or failed the command.
    #[error("{}", failure_text(.0))]
    Server(Failure),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Stream(StreamError),
    /// The server sent a reply that does not fit its request.
    #[error("the server broke the protocol: unexpected reply ({0})")]
    UnexpectedReply(&'static str),
    /// The server's policy refuses this, as this side can tell.
    #[error("the server's policy: {0}")]
    Policy(&'static str),
    /// A path cannot be used.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A local file's name cannot be used on a server.
    #[error("the local name cannot be used on a server: {0}")]
    LocalName(PathError),
    /// A local file or directory is not there, or the local disk failed.
    #[error("{error}")]
    Local {
        /// Which one.
        path: PathBuf,
        /// What the disk said.
        error: DiskError,
    },
    /// The local directory that a download should go into does not exist.
    #[error("the local directory does not exist")]
    NoLocalDirectory {
        /// Which one.
        path: PathBuf,
    },
    /// The local target exists, with other content.
    #[error("exists already, with other content")]
    LocalExists {
        /// The target.
        path: PathBuf,
    },
    /// Another file of the same transfer has the local name already.
    #[error("another file of this transfer has that name on this machine")]
    LocalCollision {
        /// The target.
        path: PathBuf,
    },
    /// The server lists something by a name that no path can have.
    #[error("its name cannot be used in a path")]
    UnservableName,
    /// The local target was published, but perhaps not durably.
    #[error("written, but the disk did not confirm it: {error}")]
    LocalUnknown {
        /// The target.
        path: PathBuf,
        /// What the disk said.
        error: DiskError,
    },
    /// Reading from the given reader, or writing to the given writer, failed.
    #[error("{0}")]
    Stdio(#[source] std::io::Error),
    /// The source changed while it was sent or fetched, and again after the restart.
    #[error("it keeps changing while it is transferred")]
    SourceChanged,
    /// Bytes and digest do not agree.
    #[error("the bytes do not have the digest that was announced")]
    DigestMismatch,
    /// This client's identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The list of known servers cannot be used.
    #[error(transparent)]
    KnownHosts(#[from] KnownHostsError),
    /// The system gives no threads or no random numbers.
    #[error("the system refuses: {0}")]
    System(#[source] std::io::Error),
}

fn join(hosts: &[KnownHost]) -> String {
    hosts.iter().map(|host| host.fingerprint.to_string()).collect::<Vec<_>>().join(" or ")
}

/// A key that is demanded of a server, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// By the caller.
    Caller(Fingerprint),
    /// By the invite.
    Invite(Fingerprint),
}

impl Pin {
    /// The key.
    #[must_use]
    pub fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Caller(fingerprint) | Self::Invite(fingerprint) => fingerprint,
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(fingerprint) => write!(f, "the demanded key {fingerprint}"),
            Self::Invite(fingerprint) => write!(f, "the invite's key {fingerprint}"),
        }
    }
}

/// The coarse kind of an error, for exit codes and scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// Something that was named does not exist.
    NotFound,
    /// The server refuses: unknown client, missing grant, read-only, policy.
    Refused,
    /// The target exists with other content.
    Exists,
    /// No connection came about.
    CannotConnect,
    /// The connection was lost for good.
    ConnectionLost,
    /// The server's key is unknown or has changed.
    ServerUntrusted,
    /// Bytes and digest do not agree.
    DigestMismatch,
    /// The local disk.
    LocalDisk,
    /// The other side speaks another protocol or version, or breaks ours.
    Protocol,
    /// The command itself makes no sense.
    Usage,
    /// The source kept changing.
    Changed,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// A stable word for scripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Refused => "refused",
            Self::Exists => "exists",
            Self::CannotConnect => "cannot-connect",
            Self::ConnectionLost => "connection-lost",
            Self::ServerUntrusted => "server-untrusted",
            Self::DigestMismatch => "digest-mismatch",
            Self::LocalDisk => "local-disk",
            Self::Protocol => "protocol",
            Self::Usage => "usage",
            Self::Changed => "changed",
            Self::Other => "other",
        }
    }
}

impl Error {
    /// Which kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownServer { .. }
            | Self::ServerKeyChanged { .. }
            | Self::PinNotKnown { .. }
            | Self::PinsDiffer { .. }
            | Self::PinNotOffered { .. } => ErrorKind::ServerUntrusted,
            Self::Dial(DialError::ProtocolMismatch(_)) => ErrorKind::Protocol,
            Self::Resolve(_) | Self::Dial(_) | Self::NoWelcome => ErrorKind::CannotConnect,
            Self::Lost(lost) => lost_kind(lost),
            Self::Stalled => ErrorKind::ConnectionLost,
            Self::Server(failure) => failure_kind(failure.code),
            Self::Stream(_) | Self::UnexpectedReply(_) => ErrorKind::Protocol,
            Self::Policy(_) => ErrorKind::Refused,
            Self::Path(_) | Self::LocalName(_) | Self::UnservableName => ErrorKind::Usage,
            Self::Local { error: DiskError::NotFound, .. } | Self::NoLocalDirectory { .. } => {
                ErrorKind::NotFound
            }
            Self::LocalExists { .. } | Self::LocalCollision { .. } => ErrorKind::Exists,
            Self::Local { .. } | Self::LocalUnknown { .. } | Self::Stdio(_) => ErrorKind::LocalDisk,
            Self::SourceChanged => ErrorKind::Changed,
            Self::DigestMismatch => ErrorKind::DigestMismatch,
            Self::Identity(_) | Self::KnownHosts(_) | Self::System(_) => ErrorKind::Other,
        }
    }

    /// The name of what the error is about, unescaped, when that is more exact than what was asked for.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        match self {
            Self::Local { path, .. }
            | Self::LocalExists { path }
            | Self::LocalCollision { path }
            | Self::LocalUnknown { path, .. }
            | Self::NoLocalDirectory { path } => Some(path.to_string_lossy().into_owned()),
            Self::Server(failure) => failure.path.as_ref().map(|path| path.as_str().to_owned()),
            _ => None,
        }
    }

    /// Whether the file was not in the state that the transfer had begun with.
    pub(crate) fn is_changed(&self) -> bool {
        match self {
            Self::SourceChanged | Self::Local { error: DiskError::Changed, .. } => true,
            Self::Server(failure) => failure.code == ErrorCode::CHANGED,
            _ => false,
        }
    }
}

impl From<ConnectionLost> for Error {
    fn from(lost: ConnectionLost) -> Self {
        Self::Lost(lost)
    }
}

impl From<StreamError> for Error {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Lost(lost) => Self::Lost(lost),
            other => Self::Stream(other),
        }
    }
}

fn lost_kind(lost: &ConnectionLost) -> ErrorKind {
    match lost {
        ConnectionLost::ClosedByPeer { code: CloseCode::NOT_ADMITTED | CloseCode::REVOKED, .. } => {
            ErrorKind::Refused
        }
        ConnectionLost::ClosedByPeer { code: CloseCode::PROTOCOL, .. }
        | ConnectionLost::VersionMismatch
        | ConnectionLost::Protocol { .. } => ErrorKind::Protocol,
        _ => ErrorKind::ConnectionLost,
    }
}

fn failure_kind(code: ErrorCode) -> ErrorKind {
    match code {
        ErrorCode::NOT_FOUND | ErrorCode::NO_PARENT => ErrorKind::NotFound,
        ErrorCode::UNKNOWN_CLIENT
        | ErrorCode::INVITE_INVALID
        | ErrorCode::NOT_GRANTED
        | ErrorCode::READ_ONLY
        | ErrorCode::POLICY
        | ErrorCode::REVOKED
        | ErrorCode::PERMISSION => ErrorKind::Refused,
        ErrorCode::EXISTS => ErrorKind::Exists,
        ErrorCode::DIGEST_MISMATCH => ErrorKind::DigestMismatch,
        ErrorCode::MALFORMED | ErrorCode::UNSUPPORTED | ErrorCode::VERSION => ErrorKind::Protocol,
        ErrorCode::GOING_AWAY | ErrorCode::STALLED => ErrorKind::ConnectionLost,
        ErrorCode::CHANGED => ErrorKind::Changed,
        _ => ErrorKind::Other,
    }
}

/// What a server's failure means, in words.
fn failure_text(failure: &Failure) -> String {
    let text = match failure.code {
        ErrorCode::MALFORMED => "the server did not understand the request",
        ErrorCode::UNSUPPORTED => "the server does not know this command",
        ErrorCode::UNKNOWN_CLIENT => "the server does not know this client's key",
        ErrorCode::INVITE_INVALID => "the invite is used, expired or unknown",
        ErrorCode::NOT_GRANTED => "this client may not do that; it lacks",
        ErrorCode::READ_ONLY => "the server is read-only",
        ErrorCode::POLICY => "the server's policy",
        ErrorCode::NOT_FOUND => "no such file or directory on the server",
        ErrorCode::EXISTS => "exists already, with other content",
        ErrorCode::NOT_A_DIRECTORY => "not a directory",
        ErrorCode::IS_A_DIRECTORY => "is a directory",
        ErrorCode::NOT_SERVABLE => "neither a regular file nor a directory",
        ErrorCode::NOT_EMPTY => "the directory is not empty",
        ErrorCode::CHANGED => "it changed while it was read",
        ErrorCode::DIGEST_MISMATCH => "the bytes do not have the digest that was announced",
        ErrorCode::NO_SPACE => "the server's disk is full",
        ErrorCode::STALE_GENERATION => "a newer upload of the same file took over",
        ErrorCode::UNKNOWN_UPLOAD => "the server does not know this upload any more",
        ErrorCode::INCOMPLETE => "the server lacks a part of the file",
        ErrorCode::OVER_LIMIT => "over a limit of the server",
        ErrorCode::STALLED => "the server heard nothing for too long",
        ErrorCode::GOING_AWAY => "the server is shutting down",
        ErrorCode::BUSY => "the server has something else going on with it",
        ErrorCode::DISK => "the server's disk failed",
        ErrorCode::INTERNAL => "the server has an internal problem",
        ErrorCode::UNKNOWN_OUTCOME => "it may have happened; the server could not confirm it",
        ErrorCode::NO_PARENT => "the remote directory does not exist",
        ErrorCode::NAME_TOO_LONG => "the name is too long for the server's file system",
        ErrorCode::CANCELLED => "cancelled",
        ErrorCode::REVOKED => "this client's access was revoked",
        ErrorCode::VERSION => "the server speaks no common version",
        ErrorCode::PERMISSION => "the server's file system denies access",
        ErrorCode::INTO_ITSELF => "a directory cannot be moved into itself",
        _ => "the server reports an error that this version does not know",
    };
    if failure.detail.is_empty() { text.to_owned() } else { format!("{text}: {}", failure.detail.escaped()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_has_words_of_its_own() {
        let unknown = failure_text(&Failure::new(ErrorCode(60_000)));
        for code in ErrorCode::KNOWN {
            assert_ne!(failure_text(&Failure::new(*code)), unknown, "{}", code.word());
        }
    }

    #[test]
    fn what_a_server_says_is_escaped() {
        let failure = Failure::new(ErrorCode::DISK).saying("bad\u{1b}[2J\nnews");
        let shown = Error::Server(failure).to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
}
