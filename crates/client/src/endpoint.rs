//! What a person names: a server.

use std::str::FromStr;

use fulmar_proto::{
    address::{AddressError, HostPort},
    invite::{InviteError, InviteUrl},
};

/// Where a server is, and what is known about it from the text alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `HOST[:PORT]` or `[V6][:PORT]`.
    Address(HostPort),
    /// `fulmar://FINGERPRINT.TOKEN@HOST:PORT`, or the same without `.TOKEN`.
    Invite(InviteUrl),
}

/// Why a text is not an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is not an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It begins like an invite and is none.
    #[error(transparent)]
    Invite(#[from] InviteError),
}

impl Endpoint {
    /// The server's address.
    #[must_use]
    pub fn address(&self) -> &HostPort {
        match self {
            Self::Address(address) => address,
            Self::Invite(invite) => &invite.address,
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if InviteUrl::looks_like(text) {
            Ok(Self::Invite(text.parse()?))
        } else {
            Ok(Self::Address(text.parse()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_or_an_invite() {
        assert!(matches!("lab".parse(), Ok(Endpoint::Address(address)) if address.port() == 4433));
        assert!(matches!("fulmar://x@lab".parse::<Endpoint>(), Err(EndpointError::Invite(_))));
        assert!(matches!("lab:0".parse::<Endpoint>(), Err(EndpointError::Address(_))));
        let invite = format!("fulmar://{}@[::1]:7", "a".repeat(52));
        assert_eq!(invite.parse::<Endpoint>().map(|e| e.address().to_string()).as_deref(), Ok("[::1]:7"));
    }
}
