//! Plain TCP: the socket as it is.

use std::net::TcpStream;

use anyhow::Result;

use super::stream::Wrap;

/// Nothing around the socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain;

impl Wrap for Plain {
    type Channel = TcpStream;

    fn wrap(&self, socket: TcpStream) -> Result<TcpStream> {
        Ok(socket)
    }
}
