//! Why a server cannot start.

use fulmar_transport::{BindError, IdentityError};

use crate::trust::TrustError;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The identity in the state folder cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The list of authorised clients or of invites cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The socket cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system does not tell the bound address.
    #[error("cannot tell the bound address: {0}")]
    Address(std::io::Error),
}
