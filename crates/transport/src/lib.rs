//! QUIC as fulmar uses it: identities, pins, endpoints, and streams of frames.
//!
//! The layers, from the bottom up:
//!
//! * [`private_file`]: small files that only their owner may read or change, replaced atomically.
//! * [`identity`]: an Ed25519 key pair and the self-signed certificate around it.
//! * [`known_hosts`]: the server keys that a client has accepted.
//! * [`paths`]: what connections have found out about paths.
//! * [`tls`]: TLS 1.3 with pinned keys on both sides; no resumption, no early data.
//! * [`socket`]: UDP sockets with large buffers.
//! * [`sending`]: which congestion controller decides, and a socket that keeps the pace of each connection.
//! * [`tuning`]: every transport parameter, with its reason.
//! * [`endpoint`]: [`Listener`] accepts connections, [`Dialer`] makes them.
//! * [`connection`] and [`stream`]: one authenticated connection and the frames and bodies on its streams.
//!
//! TLS proves who holds which key. Whether that key may do anything is decided by the application's Hello.

pub mod connection;
pub mod endpoint;
pub mod identity;
pub mod known_hosts;
pub mod paths;
pub mod pool;
pub mod private_file;
pub mod sending;
pub mod socket;
pub mod stream;
pub mod tls;
pub mod tuning;

pub use connection::{Connection, ConnectionLost, Progress, Stalled, Stats};
pub use endpoint::{
    AcceptError, BindError, DialError, Dialer, EndpointSeed, Incoming, Listener, ResolveError, resolve,
};
pub use fulmar_congestion::{Limit, Phase, Remembered, Snapshot};
pub use identity::{Identity, IdentityError, Role};
pub use known_hosts::{AddMode, KnownHost, KnownHosts, KnownHostsError};
pub use paths::{PathKey, Paths};
pub use pool::{BytePool, Lease};
pub use sending::{Algorithm, Sending};
pub use socket::{SocketBuffers, SocketWatch};
pub use stream::{FrameReceiver, FrameSender, StreamError};
pub use tls::ServerTrust;
