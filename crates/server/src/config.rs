//! What a server is told, and the limits that it keeps to.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use fulmar_proto::{grants::Grants, hello::Policies, range::MAX_RANGE_BYTES};
use fulmar_transport::tuning::STREAMS_AFTER_ADMISSION;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address to listen on; port 0 takes any free one. The wildcard `[::]` takes IPv4 as well, and alone where
    /// IPv6 is off.
    pub listen: SocketAddr,
    /// The folder of the identity, the authorised clients and the invites. Never under the served directory.
    pub state_dir: PathBuf,
    /// What the server calls itself in Welcome.
    pub name: String,
    /// What it demands of every client.
    pub policies: Policies,
    /// What a client whose key is not enrolled may do; none: it is refused.
    pub anonymous: Grants,
    /// The most connections at once.
    pub max_connections: u32,
    /// The most bytes of bodies held in memory at once, over all connections.
    pub max_memory_bytes: u64,
    /// Whether a connection begins with what the last one of the same client has found out about the path.
    pub remember_paths: bool,
}

/// Every bound of the server that is not a setting, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the handshake, and from it to a complete Hello. Time-outs double while packets get lost, so on a link that loses every
    /// fifth one handshake in a thousand takes more than ten seconds.
    pub hello_timeout: Duration,
    /// Until a request frame is complete, while nothing moves on the client's other streams either. A stream that is opened
    /// opens those before it, whose requests may be among the packets that an outage took: as long as a connection survives.
    pub request_timeout: Duration,
    /// A body without a byte of progress for this long is given up, while nothing moves on the client's other streams
    /// either: on a slow link they wait for each other.
    pub stall_timeout: Duration,
    /// The longest body. 2 MiB on one ordered stream can never open more gaps than stream reassembly bears.
    pub max_body_bytes: u32,
    /// Commands in flight on one connection: hundreds of small files at once, yet bounded memory.
    pub max_commands: u32,
    /// How much of a body is held in memory at once. Large enough that a job's overhead vanishes in its copying and
    /// hashing, small enough that hundreds fit the pool.
    pub piece_bytes: u32,
    /// How long a piece of a body may hold memory while its peer neither sends nor takes anything. Much longer than a
    /// round trip, and short enough that silent peers cannot keep memory from others.
    pub hold_time: Duration,
    /// Between two `Working` frames. Rare enough to cost nothing, often enough to keep a person informed.
    pub working_interval: Duration,
    /// Handshakes under way at once; each costs a signature and keys before its peer has proven anything.
    pub max_handshakes: usize,
    /// How long running commands may take to end once the server is asked to stop.
    pub drain_timeout: Duration,
    /// A draining connection is closed after being without a command for this long: longer than the gap between the
    /// last range of an upload and its commit on a slow path.
    pub drain_linger: Duration,
    /// How often the list of authorised clients is looked at for changes.
    pub trust_interval: Duration,
    /// Entries of one page. A page is one frame of at most 64 KiB.
    pub page_entries: usize,
    /// Bytes of one page, leaving room for its cursor and lengths.
    pub page_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hello_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            max_body_bytes: MAX_RANGE_BYTES,
            max_commands: STREAMS_AFTER_ADMISSION,
            piece_bytes: 256 * 1024,
            hold_time: Duration::from_secs(1),
            working_interval: Duration::from_secs(1),
            max_handshakes: 192,
            drain_timeout: Duration::from_secs(30),
            drain_linger: Duration::from_millis(500),
            trust_interval: Duration::from_secs(1),
            page_entries: 1000,
            page_bytes: 60 * 1024,
        }
    }
}
