//! Where files live.
//!
//! [`Store`] is what exists: listing, reading, removing, renaming. [`Uploads`] is how new files come to exist: staged,
//! verified, published atomically. [`Catalog`] is what a store knows about files beyond the file system. Nothing here
//! lets a caller assume a file system: no host paths, no file handles, no inode numbers.
//!
//! Two implementations share one conformance suite: [`memory`] for simulations and [`local`], a directory.

pub mod catalog;
mod environment;
mod error;
pub mod local;
pub mod memory;
mod numbered;
mod registry;
mod store;
mod uploads;
mod work;

pub use catalog::{Catalog, CatalogError};
pub use environment::{Clock, Entropy, Environment, SystemClock, SystemEntropy};
pub use error::StoreError;
pub use local::{LocalOptions, LocalStore, OpenError};
pub use memory::{DeviceLatency, MemoryStore};
pub use store::{Measured, Object, ObjectInfo, Removed, Renamed, Store, Target};
pub use uploads::{CommitUpload, NewUpload, OpenUpload, RangeWriter, UploadKey, Uploads};
pub use work::Work;
