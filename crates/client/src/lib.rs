//! The fulmar client as a library.
//!
//! A [`Client`] has an identity and a memory of servers. [`Client::connect`] gives a [`Session`]: one authenticated and
//! admitted connection on which any number of commands and transfers run side by side.
//!
//! ```no_run
//! use fulmar_client::{Client, ClientConfig, NoObserver, TransferOptions, Trust, UploadSource};
//!
//! # async fn example() -> Result<(), fulmar_client::Error> {
//! let client = Client::new(ClientConfig::new("state".into()))?;
//! let endpoint = "lab.example:4433".parse().expect("an endpoint");
//! let session = client.connect(&endpoint, &Trust::KnownOnly).await?;
//! let source = UploadSource::File("picture.jpg".into());
//! let done = session.upload(source, &"inbox".parse()?, &TransferOptions::default(), &NoObserver).await?;
//! println!("{} bytes, blake3 {}", done.bytes, done.root);
//! session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Promises
//!
//! * A transfer that returns success is durable on the receiving side, and its bytes have been compared by BLAKE3.
//! * A transfer that fails, is cancelled (its future dropped) or dies with the process leaves nothing under the final
//!   name and never touches what was there before; but a file that had its name already is whole, and stays. On this side
//!   that is known when the future has been dropped; on the server it may be decided a moment later.
//! * Progress counts bytes that the other side has acknowledged, not bytes that were handed to the network.

mod admission;
mod call;
mod client;
mod commands;
mod diagnosis;
mod endpoint;
mod error;
mod local;
mod session;
mod transfer;
mod tree;

pub use client::{Client, ClientConfig, MAX_MEMORY_BYTES, Trust};
pub use commands::{Listing, Measured, Removed, Renamed};
pub use diagnosis::Knocked;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Error, ErrorKind, Pin};
pub use fulmar_disk::DiskError;
pub use fulmar_transport::{Algorithm, KnownHost, Limit, Phase, Snapshot, SocketBuffers, Stats};
pub use session::Session;
pub use transfer::{
    DownloadTarget, Event, NoObserver, Observer, Outcome, TransferOptions, Transferred, UploadSource,
};
pub use tree::{
    Action, BadPattern, Exclude, LocalSource, RemoteSource, TreeDone, TreeEvent, TreeObserver, TreeOptions,
};
