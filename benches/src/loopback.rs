//! One file from a source to a staged, hashed, synced, published file over the loopback interface: plain TCP, TLS 1.3
//! over TCP, and fulmar.
//!
//! ```text
//! plan         which transfers, in which order
//! scene        the directories, the source files, the space for them
//! side         a process that plays the server or the client of one contender
//!   contenders/   what they do
//! run          the measurement itself
//! ```
//!
//! Every transfer is timed in the client's process: from before connecting until the client knows that the file is
//! durable under its final name and that both sides computed the same digest.

mod contenders;
mod plan;
mod run;
mod scene;
mod side;

pub(crate) use plan::{Cell, Contender, Direction, Size};
#[cfg(test)]
pub(crate) use run::Share;
pub(crate) use run::{Row, run};
pub(crate) use side::{Part, serve as serve_side};
