//! A device under a store in memory: what would survive a power cut, as opposed to what everybody sees.
//!
//! As on a disk, a file's bytes and its name become durable each by a step of its own, and nothing else makes them so:
//!
//! | | survives a power cut |
//! |---|---|
//! | bytes after [`Device::sync`] | as they are |
//! | bytes before it | as zeros, cut off, or in part: chance decides |
//! | names after [`Device::sync_directory`] | as they are |
//! | changes of names before it | the earliest of them, as many as chance decides |
//! | uploads that are open | not at all: their clients begin anew |
//!
//! Each step may take time, of tokio's clock, so that a simulation can cut the power between any two of them. A store
//! that was not made for this has no device and takes no time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fulmar_proto::path::DirPath;

use super::Shared;

/// How long the steps of a modelled device take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceLatency {
    /// Until a file's bytes are durable.
    pub sync: Duration,
    /// Until a name is given, changed or taken away.
    pub name: Duration,
    /// Until the names of a directory are durable.
    pub directory_sync: Duration,
}

/// The bytes of one file, and whether the device has them.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Bytes,
    synced: AtomicBool,
}

impl Content {
    /// Bytes that the device does not have yet.
    pub(super) fn new(bytes: Bytes) -> Arc<Self> {
        Arc::new(Self { bytes, synced: AtomicBool::new(false) })
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same bytes, as the device has them.
    pub(super) fn on_device(bytes: Bytes) -> Arc<Self> {
        Arc::new(Self { bytes, synced: AtomicBool::new(true) })
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Relaxed)
    }
}

/// The steps that make things durable.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Device {
    pub(super) latency: DeviceLatency,
}

impl Device {
    /// Makes bytes durable.
    pub(super) async fn sync(self, content: &Content) {
        pause(self.latency.sync).await;
        content.synced.store(true, Ordering::Relaxed);
    }

    /// Waits as long as changing a name takes; the caller changes it then.
    pub(super) async fn before_name(self) {
        pause(self.latency.name).await;
    }

    /// Makes the names of a directory durable.
    pub(super) async fn sync_directory(self, shared: &Shared, directory: &DirPath) {
        pause(self.latency.directory_sync).await;
        shared.names().sync(directory);
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
