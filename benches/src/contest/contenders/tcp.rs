//! Plain TCP: the socket as it is, and how it decides what the path can take.

use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};
use rustix::net::sockopt;

use super::stream::Wrap;
use crate::contest::Congestion;

/// Nothing around the socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain;

impl Wrap for Plain {
    type Channel = TcpStream;

    fn wrap(&self, socket: TcpStream) -> Result<TcpStream> {
        Ok(socket)
    }
}

/// Sets what `socket` sends by. Where the kernel leaves that to the route, the route must say the same.
pub(super) fn control(socket: &TcpStream, congestion: Congestion) -> Result<()> {
    let refused = sockopt::set_tcp_congestion(socket, congestion.word()).err();
    let actual = sockopt::tcp_congestion(socket).context("cannot read a socket's congestion control")?;
    let reason = refused.map_or_else(String::new, |error| format!(": {error}"));
    ensure!(
        actual == congestion.word(),
        "a socket sends by {actual} instead of {}{reason}",
        congestion.word()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_socket_sends_by_what_was_set_or_not_at_all() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let socket = TcpStream::connect(listener.local_addr().expect("known")).expect("connected");
        let mut unavailable = 0;
        for congestion in [Congestion::Cubic, Congestion::Bbr] {
            match control(&socket, congestion) {
                Ok(()) => assert_eq!(sockopt::tcp_congestion(&socket).expect("known"), congestion.word()),
                // A kernel may lack one, or keep it from ordinary users.
                Err(error) => {
                    assert!(error.to_string().contains(congestion.word()), "{error}");
                    unavailable += 1;
                }
            }
        }
        assert!(unavailable < 2, "no kernel has neither");
    }
}
