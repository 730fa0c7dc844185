//! One file per connection over a byte stream, whatever carries it.
//!
//! ```text
//! client: direction, length of the name, name
//! sender: length of the file, the file, its BLAKE3
//! server, after an upload: the BLAKE3 of what it has stored
//! ```

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use fulmar_disk::{Dir, Replace, Source, Staging, publish};
use fulmar_proto::digest::Digest;

use super::{Client, Job, Server, pipeline};
use crate::loopback::plan::Direction;

const UPLOAD: u8 = 0;
const DOWNLOAD: u8 = 1;

/// Makes a channel for the bytes out of a connected socket.
pub(super) trait Wrap: Send + Sync + 'static {
    type Channel: Read + Write;

    fn wrap(&self, socket: TcpStream) -> Result<Self::Channel>;
}

/// Serves one directory, a thread for each connection.
#[derive(Debug)]
pub(super) struct StreamServer {
    address: SocketAddr,
}

impl StreamServer {
    pub(super) fn start(wrap: impl Wrap, dir: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        let address = listener.local_addr()?;
        let (wrap, dir) = (Arc::new(wrap), Arc::new(dir.to_owned()));
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (wrap, dir) = (Arc::clone(&wrap), Arc::clone(&dir));
                thread::spawn(move || {
                    let served = socket.map_err(Into::into).and_then(|socket| serve(&*wrap, socket, &dir));
                    // The client fails by itself when the connection ends before the answer.
                    if let Err(error) = served {
                        eprintln!("a connection failed: {error:#}");
                    }
                });
            }
        });
        Ok(Self { address })
    }
}

impl Server for StreamServer {
    fn greeting(&self) -> String {
        self.address.to_string()
    }
}

fn serve(wrap: &impl Wrap, socket: TcpStream, dir: &Path) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut channel = wrap.wrap(socket)?;
    let mut head = [0; 3];
    channel.read_exact(&mut head)?;
    let [direction, len @ ..] = head;
    let mut name = vec![0; usize::from(u16::from_le_bytes(len))];
    channel.read_exact(&mut name)?;
    let name = String::from_utf8(name)?;
    match direction {
        UPLOAD => {
            let digest = receive(&mut channel, dir, &name)?;
            channel.write_all(&digest.0)?;
            channel.flush()?;
        }
        DOWNLOAD => drop(send(&mut channel, &dir.join(name))?),
        _ => bail!("neither an upload nor a download"),
    }
    Ok(())
}

/// A client of a [`StreamServer`].
#[derive(Debug)]
pub(super) struct StreamClient<W: Wrap> {
    wrap: W,
    dir: PathBuf,
    server: SocketAddr,
    /// Kept open until the time is taken.
    channel: Option<W::Channel>,
}

impl<W: Wrap> StreamClient<W> {
    pub(super) fn new(wrap: W, dir: &Path, server: &str) -> Result<Self> {
        Ok(Self { wrap, dir: dir.to_owned(), server: server.parse()?, channel: None })
    }
}

impl<W: Wrap> Client for StreamClient<W> {
    fn transfer(&mut self, job: &Job) -> Result<Digest> {
        let socket = TcpStream::connect(self.server)?;
        socket.set_nodelay(true)?;
        let mut channel = self.wrap.wrap(socket)?;
        let digest = match job.direction {
            Direction::Upload => {
                channel.write_all(&request(UPLOAD, &job.target)?)?;
                let digest = send(&mut channel, &job.source)?;
                let mut stored = [0; 32];
                channel.read_exact(&mut stored).context("no answer to an upload")?;
                ensure!(stored == digest.0, "the server has stored other bytes");
                digest
            }
            Direction::Download => {
                let name = job.source.to_str().context("a name that is no text")?;
                channel.write_all(&request(DOWNLOAD, name)?)?;
                channel.flush()?;
                receive(&mut channel, &self.dir, &job.target)?
            }
        };
        self.channel = Some(channel);
        Ok(digest)
    }

    fn hang_up(&mut self) {
        self.channel = None;
    }
}

fn request(direction: u8, name: &str) -> Result<Vec<u8>> {
    let len = u16::try_from(name.len())?;
    Ok([&[direction], &len.to_le_bytes()[..], name.as_bytes()].concat())
}

/// Sends a file and its digest.
fn send(channel: &mut impl Write, path: &Path) -> Result<Digest> {
    let source = Source::open_local(path)?;
    let size = source.meta().size;
    channel.write_all(&size.to_le_bytes())?;
    let digest = pipeline::send(&source, size, channel)?;
    channel.write_all(&digest.0)?;
    channel.flush()?;
    Ok(digest)
}

/// Receives a file as fulmar does: staged, its space reserved, compared by digest, durable, then under its name.
fn receive(channel: &mut impl Read, dir: &Path, name: &str) -> Result<Digest> {
    let mut size = [0; 8];
    channel.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    let dir = Dir::open_ambient(dir)?;
    let staging = Staging::create(&dir, &format!(".part-{name}"), Some(size))?;
    let digest = pipeline::receive(channel, size, &staging)?;
    let mut sent = [0; 32];
    channel.read_exact(&mut sent)?;
    ensure!(sent == digest.0, "other bytes have arrived than were sent");
    publish(staging.sync()?, &dir, name, Replace::Never)?;
    Ok(digest)
}
