//! The one table of stream reset, STOP_SENDING and connection close codes.
//!
//! Both are application error codes in the sense of RFC 9000 section 20.2. A code that this version does not know is
//! kept as a number and treated as a plain failure.

/// Why one side stopped a stream (RESET_STREAM or STOP_SENDING, RFC 9000 sections 19.4 and 19.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResetCode(pub u32);

impl ResetCode {
    /// Whoever wrote this stream gave up on it: a cancelled command, a dropped writer, a panic.
    pub const CANCELLED: Self = Self(1);
    /// The bytes on the stream broke the protocol.
    pub const MALFORMED: Self = Self(2);
    /// The answer has been given already; the rest of the body is not wanted.
    pub const NOT_NEEDED: Self = Self(3);
    /// The peer has made no progress for too long.
    pub const STALLED: Self = Self(4);
    /// A limit announced in Welcome was exceeded.
    pub const OVER_LIMIT: Self = Self(5);
    /// Something went wrong on the side that sends this code.
    pub const INTERNAL: Self = Self(6);
    /// The stream arrived before admission, or the admission failed.
    pub const NOT_ADMITTED: Self = Self(7);
    /// The server is going away and will not start this command.
    pub const GOING_AWAY: Self = Self(8);

    /// A stable word for logs and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CANCELLED => "cancelled",
            Self::MALFORMED => "malformed",
            Self::NOT_NEEDED => "not needed",
            Self::STALLED => "stalled",
            Self::OVER_LIMIT => "over a limit",
            Self::INTERNAL => "internal error",
            Self::NOT_ADMITTED => "not admitted",
            Self::GOING_AWAY => "going away",
            _ => "unknown code",
        }
    }
}

/// Why one side closed the connection (CONNECTION_CLOSE of type 0x1d, RFC 9000 section 19.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u32);

impl CloseCode {
    /// The client has finished: `byebye`.
    pub const DONE: Self = Self(0);
    /// The server did not admit this client; the reply to Hello said why.
    pub const NOT_ADMITTED: Self = Self(1);
    /// The client's grants were taken away while it was connected.
    pub const REVOKED: Self = Self(2);
    /// The server is shutting down.
    pub const SHUTTING_DOWN: Self = Self(3);
    /// The peer broke the protocol in a way that one stream cannot carry.
    pub const PROTOCOL: Self = Self(4);
    /// No Hello arrived in time.
    pub const HELLO_TIMEOUT: Self = Self(5);
    /// The server already holds as many connections as it may.
    pub const TOO_MANY_CONNECTIONS: Self = Self(6);
    /// Another attempt to the same server won the race.
    pub const LOST_RACE: Self = Self(7);
    /// Something went wrong on the side that sends this code.
    pub const INTERNAL: Self = Self(8);

    /// A stable word for logs and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DONE => "done",
            Self::NOT_ADMITTED => "not admitted",
            Self::REVOKED => "revoked",
            Self::SHUTTING_DOWN => "shutting down",
            Self::PROTOCOL => "protocol violation",
            Self::HELLO_TIMEOUT => "no hello in time",
            Self::TOO_MANY_CONNECTIONS => "too many connections",
            Self::LOST_RACE => "another address answered first",
            Self::INTERNAL => "internal error",
            _ => "unknown code",
        }
    }
}
