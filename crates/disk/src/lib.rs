//! Both receivers' hands: what a server and a client do with files, directories and disks.
//!
//! * [`Offload`] runs blocking work away from the async runtime, or inline in simulations.
//! * [`Root`] confines operations by path to one directory; [`Dir`] acts on single names in one open directory.
//! * [`Staging`] takes a file in, [`publish()`] gives it its name, [`journal`] remembers how far it got.
//! * [`Source`] is the reading side, [`Buffers`] the memory for it.
//!
//! Everything here blocks, and nothing here is async but [`Offload::run`].
//!
//! # Other systems
//!
//! This crate is written for Linux. Another system needs: a confined resolver (`resolve.rs`; [`Resolver::Walk`] uses
//! only POSIX calls), a rename that never replaces (`dir.rs`; the fall-back by link and unlink is POSIX), a way to read
//! a directory from a position (`list.rs`), and what `fsync` means there (`F_FULLFSYNC` on macOS).

mod buffers;
mod dir;
mod error;
mod executor;
pub mod journal;
mod list;
mod meta;
mod publish;
mod resolve;
mod root;
mod source;
mod staging;
#[cfg(test)]
mod testing;
mod tree;
mod umask;

pub use buffers::{Buffer, Buffers};
pub use dir::{Dir, Lock, MAX_LEAF_BYTES, Replace};
pub use error::DiskError;
pub use executor::{Executor, Inline, Job, MAX_THREADS, Offload, ThreadPool};
pub use list::{DirCursor, DirEntry, DirReader};
pub use meta::{Kind, Meta};
pub use publish::{PublishError, publish, publish_unsynced};
pub use resolve::Resolver;
pub use root::{PRIVATE_DIR, Root};
pub use source::{MAX_PIECE_BYTES, Source, file_unchanged, read_hashed, read_piece};
pub use staging::{Staging, SyncedStaging};
pub use tree::{MAX_TREE_DEPTH, Removed};
