//! One commit, up to the group that publishes it.

use std::sync::Arc;

use fulmar_disk::{Staging, SyncedStaging};
use fulmar_proto::{
    fingerprint::Fingerprint,
    upload::{Mode, Stored},
};
use tokio::sync::oneshot;

use super::{LocalStore, Shared, errors::refused, group, slot::Slot};
use crate::{
    CommitUpload, StoreError, UploadKey,
    catalog::{Durability, UploadRow, UploadState},
    registry::{Claim, Ended, Turn, Upload},
};

/// So often a commit starts over when its name is taken between the look and the move, and free again at the next look.
const MAX_TRIES: usize = 16;

/// What the preparation of a commit came to.
enum Prepared {
    /// The same bytes are there already.
    Done(Stored),
    /// The staged file is durable and waits for its name.
    Ready(Box<group::Item>, oneshot::Receiver<group::Answer>),
}

impl Shared {
    /// The answer to a commit of an upload that is no longer open.
    fn remembered(&self, key: &UploadKey) -> Result<Stored, StoreError> {
        let row = self.area()?.ledger.upload(key.upload_id)?;
        let Some(row) = row.filter(|row| is_of(row, &key.client)) else {
            return Err(StoreError::UnknownUpload);
        };
        if row.generation != key.generation {
            return Err(StoreError::StaleGeneration);
        }
        match row.state {
            UploadState::Stored(stored) => Ok(stored),
            // Its directory could not be made durable; the next start finds out.
            UploadState::Committing(_) => Err(StoreError::UnknownOutcome),
            UploadState::Open(_) => Err(StoreError::UnknownUpload),
        }
    }

    /// Checks a commit and makes the staged file durable. A file that can never be stored is removed.
    fn prepare(self: &Arc<Self>, turn: Turn<Slot>, commit: CommitUpload) -> Result<Prepared, StoreError> {
        let upload = Arc::clone(turn.upload());
        upload.wake(self)?;
        let wanted = commit.permitted(&upload.lock().upload);
        let checked =
            turn.check(commit.size, commit.root).and_then(|()| self.already_there(&wanted, &commit));
        match checked {
            Ok(None) => {}
            Ok(Some(stored)) => {
                self.sync_file(&stored.path)?;
                return self.settle_alone(turn, stored).map(Prepared::Done);
            }
            Err(error @ (StoreError::DigestMismatch | StoreError::Exists { .. })) => {
                self.discard(turn)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        match self.make_durable(&upload, &commit) {
            Ok(synced) => {
                let (answer, receiver) = oneshot::channel();
                let item = group::Item { turn, synced, commit, answer };
                Ok(Prepared::Ready(Box::new(item), receiver))
            }
            // Nobody else holds the file while we have the turn; this is a commit that was cut off just now.
            Err(StoreError::Busy) => Err(StoreError::Busy),
            Err(error) => {
                // After a failed sync nobody knows what is on the disk, and a second one would lie.
                self.discard(turn)?;
                Err(error)
            }
        }
    }

    fn make_durable(
        &self,
        upload: &Upload<Slot>,
        commit: &CommitUpload,
    ) -> Result<SyncedStaging, StoreError> {
        let staging = upload.slot.take_staging(self.area()?)?;
        let wanted = upload.lock().upload.clone();
        self.finish_file(&staging, commit.size).map_err(refused)?;
        staging.set_modified(wanted.modified.unwrap_or_else(|| self.environment.clock.now()));
        staging.set_executable(wanted.mode.is_some_and(Mode::executable));
        staging.sync().map_err(refused)
    }

    /// A range that was begun and never finished may have left bytes behind the end.
    fn finish_file(&self, staging: &Staging, size: u64) -> Result<(), fulmar_disk::DiskError> {
        if staging.meta()?.size == size { Ok(()) } else { staging.set_len(size) }
    }

    /// Ends an upload whose bytes are there already.
    fn settle_alone(&self, turn: Turn<Slot>, stored: Stored) -> Result<Stored, StoreError> {
        let area = self.area()?;
        let upload = Arc::clone(turn.upload());
        if upload.lasting {
            let state = UploadState::Stored(stored.clone());
            let touched = self.environment.clock.now();
            let row = UploadRow { state, touched, ..upload.row() };
            area.ledger.put_uploads(&[row], Durability::Later)?;
        }
        upload.slot.discard(area);
        area.registry.retire(turn, Some(stored.clone()));
        Ok(stored)
    }
}

fn is_of(row: &UploadRow, client: &Fingerprint) -> bool {
    row.upload.client == *client
}

impl LocalStore {
    pub(super) async fn commit_upload(&self, commit: CommitUpload) -> Result<Stored, StoreError> {
        for _ in 0..MAX_TRIES {
            match self.try_commit(commit).await? {
                group::Outcome::Stored(stored) => return Ok(stored),
                group::Outcome::NameTaken => {}
            }
        }
        Err(StoreError::Busy)
    }

    async fn try_commit(&self, commit: CommitUpload) -> Result<group::Outcome, StoreError> {
        let Some(upload) = self.area()?.registry.get(&commit.key) else {
            let stored = self.job(move |shared| shared.remembered(&commit.key)).await?;
            return Ok(group::Outcome::Stored(stored));
        };
        let turn = match upload.turn(Claim::Generation(commit.key.generation)).await {
            Ok(turn) => turn,
            Err(Ended::Stored(stored)) => return Ok(group::Outcome::Stored(stored)),
            Err(ended) => return Err(ended.into()),
        };
        match self.job(move |shared| shared.prepare(turn, commit)).await? {
            Prepared::Done(stored) => Ok(group::Outcome::Stored(stored)),
            Prepared::Ready(item, answer) => self.publish(*item, answer).await,
        }
    }

    /// Hands a prepared commit to the group and waits for its answer. Whoever finds no leader leads: that is one job,
    /// which goes on to its end when this future is dropped.
    async fn publish(
        &self,
        item: group::Item,
        mut answer: oneshot::Receiver<group::Answer>,
    ) -> Result<group::Outcome, StoreError> {
        let leads = self.area()?.group.push(item);
        if leads {
            // No await lies between becoming the leader and the first poll, which starts the job.
            let lead = self.job(group::lead);
            tokio::pin!(lead);
            tokio::select! {
                biased;
                () = &mut lead => {}
                // Others may keep the leader busy; its own answer need not wait for theirs.
                answered = &mut answer => return answered.unwrap_or(Err(StoreError::UnknownOutcome)),
            }
        }
        answer.await.unwrap_or(Err(StoreError::UnknownOutcome))
    }
}
