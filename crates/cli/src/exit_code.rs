//! The process's exit codes. Scripts depend on the numbers: they are only ever added to.

use fulmar_client::ErrorKind;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Everything was done.
    Done = 0,
    /// A failure that has no code of its own.
    Other = 1,
    /// The command line, or a line of a batch, is wrong.
    Usage = 2,
    /// There is no such file or directory.
    NotFound = 3,
    /// Unknown client, missing grant, read-only server, policy.
    Refused = 4,
    /// Cannot connect, or the connection is lost for good.
    Connection = 5,
    /// The server's identity is not trusted.
    Untrusted = 6,
    /// Several items failed, for different reasons.
    Several = 7,
    /// The target exists already.
    Exists = 8,
    /// Two digests differ.
    Mismatch = 10,
    /// The local disk failed.
    LocalDisk = 11,
    /// The two sides do not understand each other.
    Protocol = 12,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl ExitCode {
    /// The number that the process ends with.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// Whether everything was done.
    pub(crate) fn is_done(self) -> bool {
        self == Self::Done
    }
}

impl From<ErrorKind> for ExitCode {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::Exists => Self::Exists,
            ErrorKind::CannotConnect | ErrorKind::ConnectionLost => Self::Connection,
            ErrorKind::ServerUntrusted => Self::Untrusted,
            ErrorKind::DigestMismatch => Self::Mismatch,
            ErrorKind::LocalDisk => Self::LocalDisk,
            ErrorKind::Protocol => Self::Protocol,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Changed | ErrorKind::Other => Self::Other,
        }
    }
}

/// Sums the exit codes of several items of one command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally(Option<ExitCode>);

impl Tally {
    /// Counts one failed item.
    pub(crate) fn failed(&mut self, code: ExitCode) {
        self.0 = match self.0 {
            None => Some(code),
            Some(known) if known == code => Some(code),
            Some(_) => Some(ExitCode::Several),
        };
    }

    /// The code of the whole: that of the one kind of failure, or [`ExitCode::Several`].
    pub(crate) fn code(self) -> ExitCode {
        self.0.unwrap_or(ExitCode::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_scripts_know() {
        let cases = [
            (ErrorKind::NotFound, 3),
            (ErrorKind::Refused, 4),
            (ErrorKind::CannotConnect, 5),
            (ErrorKind::ConnectionLost, 5),
            (ErrorKind::ServerUntrusted, 6),
            (ErrorKind::Exists, 8),
            (ErrorKind::DigestMismatch, 10),
            (ErrorKind::LocalDisk, 11),
            (ErrorKind::Protocol, 12),
            (ErrorKind::Usage, 2),
            (ErrorKind::Changed, 1),
            (ErrorKind::Other, 1),
        ];
        for (kind, number) in cases {
            assert_eq!(ExitCode::from(kind).number(), number, "{kind:?}");
        }
        assert_eq!(ExitCode::Terminated.number(), 143);
    }

    #[test]
    fn one_kind_of_failure_keeps_its_code() {
        let mut tally = Tally::default();
        assert_eq!(tally.code(), ExitCode::Done);
        tally.failed(ExitCode::NotFound);
        tally.failed(ExitCode::NotFound);
        assert_eq!(tally.code(), ExitCode::NotFound);
    }

    #[test]
    fn different_failures_are_several() {
        let mut tally = Tally::default();
        tally.failed(ExitCode::NotFound);
        tally.failed(ExitCode::Exists);
        assert_eq!(tally.code(), ExitCode::Several);
        tally.failed(ExitCode::NotFound);
        assert_eq!(tally.code(), ExitCode::Several);
    }
}
