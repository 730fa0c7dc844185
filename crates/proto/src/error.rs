//! Errors as they cross the wire: a code, and what is needed to say them well.

use serde::{Deserialize, Serialize};

use crate::{path::RelPath, text::Text};

/// What went wrong, as a number. Codes are only ever added; one that this version does not know is an ordinary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ErrorCode(pub u16);

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every code that this version knows.
            pub const KNOWN: &'static [Self] = &[$(Self::$name),*];

            /// A stable word for scripts and logs; `other` for a code that this version does not know.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                    _ => "other",
                }
            }
        }
    };
}

error_codes! {
    /// The request breaks the protocol's rules.
    MALFORMED = 1, "malformed";
    /// The request is of a kind this server does not know.
    UNSUPPORTED = 2, "unsupported";
    /// The client's key is not enrolled here.
    UNKNOWN_CLIENT = 3, "unknown-client";
    /// The invite is unknown, used or expired, or its proof is wrong.
    INVITE_INVALID = 4, "invite-invalid";
    /// The client lacks a grant that the command needs.
    NOT_GRANTED = 5, "not-granted";
    /// The server serves its directory read-only.
    READ_ONLY = 6, "read-only";
    /// The server's policy refuses this (another extension, an overwrite).
    POLICY = 7, "policy";
    /// There is no such file or directory.
    NOT_FOUND = 8, "not-found";
    /// The target exists already, with other content.
    EXISTS = 9, "exists";
    /// A directory is needed and something else is there.
    NOT_A_DIRECTORY = 10, "not-a-directory";
    /// A file is needed and a directory is there.
    IS_A_DIRECTORY = 11, "is-a-directory";
    /// It is neither a regular file nor a directory; such things are listed but not served.
    NOT_SERVABLE = 12, "not-servable";
    /// The directory is not empty.
    NOT_EMPTY = 13, "not-empty";
    /// The file changed while it was read.
    CHANGED = 14, "changed";
    /// Bytes and digest do not agree.
    DIGEST_MISMATCH = 15, "digest-mismatch";
    /// The receiving file system is full, or a quota is.
    NO_SPACE = 16, "no-space";
    /// A newer upload of the same source to the same destination took over.
    STALE_GENERATION = 17, "stale-generation";
    /// There is no such upload for this client.
    UNKNOWN_UPLOAD = 18, "unknown-upload";
    /// A commit names a size of which not every range has arrived.
    INCOMPLETE = 19, "incomplete";
    /// A limit announced in Welcome was exceeded.
    OVER_LIMIT = 20, "over-limit";
    /// The peer made no progress for too long.
    STALLED = 21, "stalled";
    /// The server is shutting down.
    GOING_AWAY = 22, "going-away";
    /// Something else has hold of it; trying again may help.
    BUSY = 23, "busy";
    /// The disk of the side that answers failed.
    DISK = 24, "disk";
    /// A fault of the side that answers.
    INTERNAL = 25, "internal";
    /// It may or may not have happened: the last step could not be confirmed.
    UNKNOWN_OUTCOME = 26, "unknown-outcome";
    /// The directory that the target should go into does not exist.
    NO_PARENT = 27, "no-parent";
    /// The name is too long for the file system.
    NAME_TOO_LONG = 28, "name-too-long";
    /// The sender of a body gave up.
    CANCELLED = 29, "cancelled";
    /// The client's grants were taken away.
    REVOKED = 30, "revoked";
    /// The two sides speak no common version.
    VERSION = 31, "version";
    /// The file system refuses the server this access.
    PERMISSION = 32, "permission";
    /// A directory cannot be moved into itself.
    INTO_ITSELF = 33, "into-itself";
}

/// A failure: what the final frame of a failed command, or a failed body's trailer, carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub code: ErrorCode,
    /// What it is about, where that differs from what was asked for (the resolved target of an upload, say).
    pub path: Option<RelPath>,
    /// More for a person to read; at most 256 bytes, to be escaped before it is shown. Often empty.
    pub detail: Text,
}

impl Failure {
    /// A failure with a code alone.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self { code, path: None, detail: Text::default() }
    }

    /// The same failure, about `path`.
    #[must_use]
    pub fn about(mut self, path: RelPath) -> Self {
        self.path = Some(path);
        self
    }

    /// The same failure with text for a person to read; what exceeds 256 bytes is cut.
    #[must_use]
    pub fn saying(mut self, detail: &str) -> Self {
        self.detail = Text::new(detail);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_are_unique() {
        let mut words: Vec<_> = ErrorCode::KNOWN.iter().map(|code| code.word()).collect();
        let mut numbers: Vec<_> = ErrorCode::KNOWN.iter().map(|code| code.0).collect();
        words.sort_unstable();
        words.dedup();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(words.len(), ErrorCode::KNOWN.len());
        assert_eq!(numbers.len(), ErrorCode::KNOWN.len());
    }

    #[test]
    fn an_unknown_code_has_a_word() {
        assert_eq!(ErrorCode(60_000).word(), "other");
    }
}
