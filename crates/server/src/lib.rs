//! The server: who may come in, what they may do, and one handler per command.
//!
//! ```text
//! server      accepts connections, drains them at the end
//!   connection   Hello, admission, the command loop of one client
//!     command       one request: decode, check grants and policies, run, answer, log
//!       handlers/      one file per command
//! ```
//!
//! Decisions that need no waiting are functions of their own ([`grants`], [`policy`], `admission`), so that they can be
//! tested exhaustively. The server trusts nothing that it has not checked on this very request: grants are looked up for
//! every command, so that a client whose line disappears from `authorized_clients` loses its rights at once.

mod admission;
mod audit;
mod body;
mod command;
mod config;
mod connection;
mod error;
mod exchange;
pub mod grants;
mod handlers;
pub mod policy;
mod server;
mod trust;
mod under_way;

pub use audit::{Audit, AuditKind, AuditRecord, NoAudit};
pub use config::{Limits, ServerConfig};
pub use error::ServeError;
pub use server::Server;
pub use trust::{Client, TrustError, TrustStore};
