//! What the sides do: the same for every contender, but for how the bytes travel.

mod fulmar;
mod pipeline;
mod stream;
mod tcp;
mod tls;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result};
use fulmar_proto::digest::Digest;
use serde::{Deserialize, Serialize};

use super::{Contender, Direction};
use crate::args::SideArgs;

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

/// How many bytes of a file the receiver has, as far as this process knows. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Received(Arc<AtomicU64>);

impl Received {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A server that serves in the background for as long as it is there.
pub(super) trait Server {
    /// What its clients need to know.
    fn greeting(&self) -> String;
}

/// A client, ready to connect.
pub(super) trait Client: Send {
    /// Connects, moves a file, and waits until it is known to be durable under its name and to have the same digest on
    /// both sides. Returns that digest.
    fn transfer(&mut self, job: &Job) -> Result<Digest>;

    /// Ends the connection of the last transfer; not part of the time.
    fn hang_up(&mut self);
}

/// Starts a server. It counts what it receives over a byte stream.
pub(super) fn new_server(args: &SideArgs, received: &Received) -> Result<Box<dyn Server>> {
    let SideArgs { dir, state, listen, .. } = args;
    Ok(match args.contender {
        Contender::Tcp => Box::new(stream::StreamServer::start(manner(args, tcp::Plain, received), *listen)?),
        Contender::Tls => {
            let tls = tls::TlsServer::load(state)?;
            Box::new(stream::StreamServer::start(manner(args, tls, received), *listen)?)
        }
        Contender::Fulmar => Box::new(fulmar::FulmarServer::start(dir, state, *listen)?),
    })
}

/// Makes a client. It counts what it receives, and fulmar's also what the server says to have received.
pub(super) fn new_client(args: &SideArgs, received: &Received) -> Result<Box<dyn Client>> {
    let server = args.server.as_deref().context("a client needs a server")?;
    Ok(match args.contender {
        Contender::Tcp => Box::new(stream::StreamClient::new(manner(args, tcp::Plain, received), server)?),
        Contender::Tls => {
            let tls = tls::TlsClient::load(&args.state)?;
            Box::new(stream::StreamClient::new(manner(args, tls, received), server)?)
        }
        Contender::Fulmar => {
            let SideArgs { dir, state, enrolled, .. } = args;
            Box::new(fulmar::FulmarClient::new(dir, state, server, *enrolled, received.clone())?)
        }
    })
}

fn manner<W>(args: &SideArgs, wrap: W, received: &Received) -> stream::Manner<W> {
    let SideArgs { dir, congestion, .. } = args;
    stream::Manner { wrap, dir: dir.clone(), congestion: *congestion, received: received.clone() }
}
