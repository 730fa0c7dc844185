//! What the sides do: the same for every contender, but for how the bytes travel.

mod fulmar;
mod pipeline;
mod stream;
mod tcp;
mod tls;

use std::path::{Path, PathBuf};

use anyhow::Result;
use fulmar_proto::digest::Digest;
use serde::{Deserialize, Serialize};

use super::plan::{Contender, Direction};

pub(super) use tls::prepare as prepare_tls;

/// One file to move.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) direction: Direction,
    /// What is sent: a path of the client's for an upload, a name in the server's directory for a download.
    pub(super) source: PathBuf,
    /// The name in the receiver's directory.
    pub(super) target: String,
}

/// A server that serves in the background for as long as it is there.
pub(super) trait Server {
    /// What its clients need to know.
    fn greeting(&self) -> String;
}

/// A client, ready to connect.
pub(super) trait Client {
    /// Connects, moves a file, and waits until it is known to be durable under its name and to have the same digest on
    /// both sides. Returns that digest.
    fn transfer(&mut self, job: &Job) -> Result<Digest>;

    /// Ends the connection of the last transfer; not part of the time.
    fn hang_up(&mut self);
}

/// Starts a server that serves `dir`.
pub(super) fn new_server(contender: Contender, dir: &Path, state: &Path) -> Result<Box<dyn Server>> {
    Ok(match contender {
        Contender::Tcp => Box::new(stream::StreamServer::start(tcp::Plain, dir)?),
        Contender::Tls => Box::new(stream::StreamServer::start(tls::TlsServer::load(state)?, dir)?),
        Contender::Fulmar => Box::new(fulmar::FulmarServer::start(dir, state)?),
    })
}

/// Makes a client whose downloads go to `dir`; `server` is what the server has told.
pub(super) fn new_client(
    contender: Contender,
    dir: &Path,
    state: &Path,
    server: &str,
) -> Result<Box<dyn Client>> {
    Ok(match contender {
        Contender::Tcp => Box::new(stream::StreamClient::new(tcp::Plain, dir, server)?),
        Contender::Tls => Box::new(stream::StreamClient::new(tls::TlsClient::load(state)?, dir, server)?),
        Contender::Fulmar => Box::new(fulmar::FulmarClient::enrol(dir, state, server)?),
    })
}
