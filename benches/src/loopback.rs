//! One file from a source to a staged, hashed, synced, published file over the loopback interface: plain TCP, TLS 1.3
//! over TCP, and fulmar.
//!
//! ```text
//! plan         which transfers, in which order
//! run          the measurement itself
//! ```

mod plan;
mod run;

pub(crate) use run::{Row, run};
