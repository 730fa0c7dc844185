//! QUIC endpoints: the [`Listener`] of a server and the [`Dialer`] of a client.

mod dialer;
mod listener;
mod race;

use std::io;
use std::net::SocketAddr;

pub use dialer::{DialError, Dialer};
pub use listener::{AcceptError, BindError, Incoming, Listener};

/// Fixes quinn's own random choices, so that a simulation can be repeated. Keys and connection IDs stay random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointSeed(pub [u8; 32]);

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The system's resolver failed, or knows no such name.
    #[error("cannot find the address of {host}: {source}")]
    Lookup {
        /// The name that was looked up.
        host: String,
        /// The resolver's answer.
        source: io::Error,
    },
    /// The name exists and has no address.
    #[error("{host} has no address")]
    NoAddress {
        /// The name that was looked up.
        host: String,
    },
}

/// The addresses of a host name or of an address in text form (IPv6 without brackets), in the system's order of
/// preference (RFC 6724) and without repetitions.
///
/// An address is answered at once and without a thread, so that a paused clock stands still meanwhile. The system's resolver
/// has its own time-outs; wrap this in one that suits the caller.
///
/// # Errors
/// [`ResolveError`].
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| ResolveError::Lookup { host: host.to_owned(), source })?;
    let mut addrs: Vec<SocketAddr> = Vec::new();
    for addr in found {
        if !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    if addrs.is_empty() {
        return Err(ResolveError::NoAddress { host: host.to_owned() });
    }
    Ok(addrs)
}
