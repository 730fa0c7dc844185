//! What is asked only when something is to be found out about a server and the way there.

use std::{io, net::SocketAddr, time::Duration};

use fulmar_proto::{address::HostPort, fingerprint::Fingerprint};
use fulmar_transport::{DialError, Dialer, ResolveError, ServerTrust, SocketBuffers, resolve};
use tokio::time::{Instant, timeout};

use crate::{client::Client, error::Error, session::Session};

/// What answered under an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knocked {
    /// The key that was shown. Nothing has proven yet that it is the server's own.
    pub key: Fingerprint,
    /// From the first packet sent to the key.
    pub elapsed: Duration,
}

impl Client {
    /// The addresses of a server, in the system's order of preference.
    ///
    /// # Errors
    /// [`Error::Resolve`], also when the resolver takes longer than connecting may.
    pub async fn addresses(&self, server: &HostPort) -> Result<Vec<SocketAddr>, Error> {
        let late = || ResolveError::Lookup {
            host: server.host().to_owned(),
            source: io::Error::new(io::ErrorKind::TimedOut, "the resolver does not answer"),
        };
        let found = timeout(self.config.connect_timeout, resolve(server.host(), server.port())).await;
        Ok(found.unwrap_or_else(|_| Err(late()))?)
    }

    /// Begins a handshake with one address and breaks it off at the server's key, whatever that is: the server does not learn who
    /// knocked, and nothing changes on either side.
    ///
    /// # Errors
    /// [`Error::Dial`].
    pub async fn knock(&self, addr: SocketAddr) -> Result<Knocked, Error> {
        self.offload.run(Dialer::warm_up).await;
        let begun = Instant::now();
        let dialled = self.dialer.dial(addr, &ServerTrust::NothingKnown, self.config.connect_timeout).await;
        match dialled {
            Err(DialError::UnknownServer(key)) => Ok(Knocked { key, elapsed: begun.elapsed() }),
            // A server of which nothing is known is never accepted.
            Ok(connection) => Ok(Knocked { key: connection.peer(), elapsed: begun.elapsed() }),
            Err(error) => Err(Error::Dial(error)),
        }
    }
}

impl Session {
    /// The buffers of this side's socket, where it is one of the system's.
    #[must_use]
    pub fn socket_buffers(&self) -> Option<SocketBuffers> {
        self.connection().socket().buffers()
    }

    /// How many datagrams this side's socket has dropped because its receive queue was full, those of other connections of
    /// this client included; none where the system does not tell.
    pub async fn dropped_datagrams(&self) -> Option<u64> {
        let socket = self.connection().socket();
        self.offload().run(move || socket.dropped_datagrams()).await
    }
}
