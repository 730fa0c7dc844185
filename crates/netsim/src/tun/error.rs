//! What can be wrong with a lab.

use std::io;

use crate::profile::ProfileError;

/// Why there is no lab, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum TunError {
    /// This machine, or this user on it, may not have one.
    #[error("no lab is possible here: {0}")]
    Unavailable(String),
    /// A step of making or running it failed.
    #[error("cannot {what}: {source}")]
    Failed {
        /// What was to be done.
        what: String,
        /// How the system answered.
        source: io::Error,
    },
    /// The profile is out of range.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The thread that carries the packets has ended early.
    #[error("the emulator has stopped: {0}")]
    Stopped(String),
}

impl TunError {
    /// A step that failed, with the words for it.
    pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Failed { what, source }
    }

    /// A step of which a refusal says that no lab is possible here, and anything else that it failed.
    pub(super) fn refused(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| match source.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotFound
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::Unsupported => Self::Unavailable(format!("cannot {what}: {source}")),
            _ => Self::Failed { what, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        let error = |kind| TunError::refused("open it")(io::Error::from(kind));
        assert!(matches!(error(io::ErrorKind::PermissionDenied), TunError::Unavailable(_)));
        assert!(matches!(error(io::ErrorKind::NotFound), TunError::Unavailable(_)));
        assert!(matches!(error(io::ErrorKind::ReadOnlyFilesystem), TunError::Unavailable(_)));
        assert!(matches!(error(io::ErrorKind::OutOfMemory), TunError::Failed { .. }));
        assert!(
            error(io::ErrorKind::NotFound)
                .to_string()
                .starts_with("no lab is possible here: cannot open it: ")
        );
    }
}
