//! The uploads that one connection has under way.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fulmar_proto::{path::RelPath, upload::HaveNode, version::UploadId};
use tokio::sync::Notify;

/// The uploads that one connection has under way: for the log, which says what their ranges belong to; for draining,
/// which waits for them also while no range is on its way; and for commits that come before the last ranges.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadsUnderWay(Arc<Shared>);

/// An upload and the generation of its attempt.
pub(crate) type Attempt = (UploadId, u32);

#[derive(Debug, Default)]
struct Shared {
    uploads: Mutex<BTreeMap<UploadId, UnderWay>>,
    changed: Notify,
}

#[derive(Debug)]
struct UnderWay {
    path: RelPath,
    generation: u32,
    /// What is there of it, as far as this connection has seen.
    there_bytes: u64,
}

impl UploadsUnderWay {
    /// More uploads than this are not remembered; the log then shows their identifiers.
    const MAX: usize = 1024;

    /// An upload has begun, of which this is there already.
    pub(crate) fn remember(&self, (upload_id, generation): Attempt, path: &RelPath, have: &[HaveNode]) {
        let mut uploads = self.uploads();
        if uploads.len() < Self::MAX {
            let there_bytes = have.iter().map(|node| node.len).sum();
            uploads.insert(upload_id, UnderWay { path: path.clone(), generation, there_bytes });
        }
        // Whoever waits for an earlier attempt waits in vain.
        self.0.changed.notify_waiters();
    }

    /// A range of an upload is there.
    pub(crate) fn add(&self, (upload_id, generation): Attempt, bytes: u64) {
        let mut uploads = self.uploads();
        if let Some(upload) = uploads.get_mut(&upload_id).filter(|upload| upload.generation == generation) {
            upload.there_bytes = upload.there_bytes.saturating_add(bytes);
        }
        self.0.changed.notify_waiters();
    }

    /// An attempt is over. What is heard of it late does not touch a newer one.
    pub(crate) fn forget(&self, (upload_id, generation): Attempt) {
        let mut uploads = self.uploads();
        if uploads.get(&upload_id).is_some_and(|upload| upload.generation == generation) {
            uploads.remove(&upload_id);
        }
        self.0.changed.notify_waiters();
    }

    /// Waits until so many bytes of an upload are there, or nothing is known of it.
    pub(crate) async fn complete(&self, (upload_id, generation): Attempt, bytes: u64) {
        loop {
            // Registered before looking, so that a change in between is not missed.
            let changed = self.0.changed.notified();
            let is_awaited =
                |upload: &UnderWay| upload.generation == generation && upload.there_bytes < bytes;
            if !self.uploads().get(&upload_id).is_some_and(is_awaited) {
                return;
            }
            changed.await;
        }
    }

    /// Whether none is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.uploads().is_empty()
    }

    /// The name, or the identifier of an upload that was begun on another connection.
    pub(crate) fn name(&self, upload_id: UploadId) -> String {
        let uploads = self.uploads();
        uploads
            .get(&upload_id)
            .map_or_else(|| format!("upload:{upload_id}"), |upload| upload.path.as_str().to_owned())
    }

    fn uploads(&self) -> MutexGuard<'_, BTreeMap<UploadId, UnderWay>> {
        self.0.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a future has nothing to wait for.
    async fn is_ready(future: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = future => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn an_upload_is_complete_when_all_of_it_is_there_or_nobody_knows_of_it() {
        let (uploads, path) = (UploadsUnderWay::default(), "a".parse().expect("a path"));
        let (one, other) = ((UploadId([1; 16]), 1), (UploadId([1; 16]), 2));
        assert!(is_ready(uploads.complete(one, 10)).await);
        uploads.remember(one, &path, &[]);
        uploads.add(one, 9);
        uploads.add(other, 9);
        assert!(!is_ready(uploads.complete(one, 10)).await);
        tokio::join!(uploads.complete(one, 10), async { uploads.add(one, 1) });
        tokio::join!(uploads.complete(one, 11), async { uploads.remember(other, &path, &[]) });
        uploads.forget(one);
        assert!(!is_ready(uploads.complete(other, 1)).await, "a late word on the earlier attempt");
        tokio::join!(uploads.complete(other, 1), async { uploads.forget(other) });
        assert!(uploads.is_empty());
    }
}
