//! One file per connection over a byte stream, whatever carries it.
//!
//! ```text
//! client: direction, length of the name, name
//! sender: length of the file, the file, its BLAKE3
//! server, after an upload: the BLAKE3 of what it has stored
//! ```

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use fulmar_disk::{Dir, Replace, Source, Staging, publish};
use fulmar_proto::digest::Digest;

use super::{Client, Job, Received, Server, pipeline, tcp};
use crate::contest::{Congestion, Direction};

const UPLOAD: u8 = 0;
const DOWNLOAD: u8 = 1;

/// Makes a channel for the bytes out of a connected socket.
pub(super) trait Wrap: Send + Sync + 'static {
    type Channel: Read + Write + Send;

    fn wrap(&self, socket: TcpStream) -> Result<Self::Channel>;
}

/// What both ends of a connection do alike.
#[derive(Debug)]
pub(super) struct Manner<W> {
    pub(super) wrap: W,
    /// Where results go.
    pub(super) dir: PathBuf,
    /// None leaves it to the system.
    pub(super) congestion: Option<Congestion>,
    pub(super) received: Received,
}

impl<W: Wrap> Manner<W> {
    fn channel(&self, socket: TcpStream) -> Result<W::Channel> {
        socket.set_nodelay(true)?;
        if let Some(congestion) = self.congestion {
            tcp::control(&socket, congestion)?;
        }
        self.wrap.wrap(socket)
    }
}

/// Serves one directory, a thread for each connection.
#[derive(Debug)]
pub(super) struct StreamServer {
    address: SocketAddr,
}

impl StreamServer {
    pub(super) fn start(manner: Manner<impl Wrap>, listen: IpAddr) -> Result<Self> {
        let listener = TcpListener::bind((listen, 0)).context("cannot listen")?;
        let address = listener.local_addr()?;
        let manner = Arc::new(manner);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let manner = Arc::clone(&manner);
                thread::spawn(move || {
                    let served = socket.map_err(Into::into).and_then(|socket| serve(&manner, socket));
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

fn serve(manner: &Manner<impl Wrap>, socket: TcpStream) -> Result<()> {
    let mut channel = manner.channel(socket)?;
    let mut head = [0; 3];
    channel.read_exact(&mut head)?;
    let [direction, len @ ..] = head;
    let mut name = vec![0; usize::from(u16::from_le_bytes(len))];
    channel.read_exact(&mut name)?;
    let name = String::from_utf8(name)?;
    match direction {
        UPLOAD => {
            let digest = receive(&mut channel, &manner.dir, &name, &manner.received)?;
            channel.write_all(&digest.0)?;
            channel.flush()?;
        }
        DOWNLOAD => drop(send(&mut channel, &manner.dir.join(name))?),
        _ => bail!("neither an upload nor a download"),
    }
    Ok(())
}

/// A client of a [`StreamServer`].
#[derive(Debug)]
pub(super) struct StreamClient<W: Wrap> {
    manner: Manner<W>,
    server: SocketAddr,
    /// Kept open until the time is taken.
    channel: Option<W::Channel>,
}

impl<W: Wrap> StreamClient<W> {
    pub(super) fn new(manner: Manner<W>, server: &str) -> Result<Self> {
        Ok(Self { manner, server: server.parse()?, channel: None })
    }
}

impl<W: Wrap> Client for StreamClient<W> {
    fn transfer(&mut self, job: &Job) -> Result<Digest> {
        let mut channel = self.manner.channel(TcpStream::connect(self.server)?)?;
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
                receive(&mut channel, &self.manner.dir, &job.target, &self.manner.received)?
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
fn receive(channel: &mut impl Read, dir: &Path, name: &str, received: &Received) -> Result<Digest> {
    let mut size = [0; 8];
    channel.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    let dir = Dir::open_ambient(dir)?;
    let staging = Staging::create(&dir, &format!(".part-{name}"), Some(size))?;
    received.set(0);
    let digest = pipeline::receive(&mut Counted { channel: &mut *channel, received }, size, &staging)?;
    let mut sent = [0; 32];
    channel.read_exact(&mut sent)?;
    ensure!(sent == digest.0, "other bytes have arrived than were sent");
    publish(staging.sync()?, &dir, name, Replace::Never)?;
    Ok(digest)
}

/// A channel of which every byte that comes out is counted.
struct Counted<'a, C> {
    channel: &'a mut C,
    received: &'a Received,
}

impl<C: Read> Read for Counted<'_, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.channel.read(buffer)?;
        self.received.add(len as u64);
        Ok(len)
    }
}
