//! Uploads to a directory: beginning, taking over, giving up.

use std::sync::Arc;

use async_trait::async_trait;
use fulmar_disk::Staging;
use fulmar_proto::{
    fingerprint::Fingerprint,
    range::{MAX_RANGE_BYTES, Range},
    upload::Stored,
    version::UploadId,
};

use super::{
    LocalStore, Shared, UploadArea,
    errors::{not_created, refused},
    slot::Slot,
    transfer,
};
use crate::{
    CommitUpload, NewUpload, OpenUpload, RangeWriter, StoreError, UploadKey, Uploads,
    catalog::{Durability, UploadRow, UploadState},
    registry::{Claim, Ended, Refused, Turn, Upload, have},
};

/// What a try to begin came to.
enum Begun {
    Open(OpenUpload),
    /// Somebody else has begun the same upload at this moment.
    Taken,
}

impl Shared {
    /// Begins an upload that nobody has begun before.
    fn create(&self, upload: &NewUpload) -> Result<Begun, StoreError> {
        let area = self.area()?;
        area.registry.check_limit(&upload.client)?;
        self.root.parent(&upload.path).map_err(not_created(&upload.path))?;
        let (id, now) = (UploadId(self.environment.random()), self.environment.clock.now());
        let leaf = id.to_string();
        let staging = Staging::create(&area.partial, &leaf, upload.size).map_err(refused)?;
        let slot = Slot::new(leaf, staging, now);
        let open = Arc::new(Upload::new(id, upload.clone(), 0, None, now, slot));
        match area.registry.insert(Arc::clone(&open)) {
            Ok(()) => {}
            // The staged file goes with the slot.
            Err(Refused::Taken) => return Ok(Begun::Taken),
            Err(Refused::OverLimit) => return Err(StoreError::OverLimit),
        }
        if upload.lasting {
            open.slot.staging(area)?.keep();
            area.ledger.put_uploads(&[open.row()], Durability::Later)?;
        }
        Ok(Begun::Open(open.describe()))
    }

    /// Hands an upload to whoever has taken it over. What has arrived is made durable first, so that it can be reported.
    fn resume(&self, turn: &Turn<Slot>) -> Result<OpenUpload, StoreError> {
        let (area, upload) = (self.area()?, turn.upload());
        area.ledger.put_uploads(&[upload.row()], Durability::Later)?;
        upload.reload(self)?;
        upload.slot.flush(area, upload.id, self.environment.clock.now())?;
        Ok(upload.describe())
    }

    /// Removes an upload and everything of it.
    pub(super) fn discard(&self, turn: Turn<Slot>) -> Result<(), StoreError> {
        let area = self.area()?;
        let upload = Arc::clone(turn.upload());
        upload.slot.discard(area);
        let forgotten = if upload.lasting { area.ledger.delete_uploads(&[upload.id]) } else { Ok(()) };
        area.registry.retire(turn, None);
        Ok(forgotten?)
    }
}

impl Upload<Slot> {
    /// The upload as the ledger keeps it while it is open.
    pub(super) fn row(&self) -> UploadRow {
        let inner = self.lock();
        UploadRow {
            id: self.id,
            upload: inner.upload.clone(),
            generation: inner.generation,
            state: UploadState::Open(inner.verified),
            touched: inner.touched,
        }
    }

    fn describe(&self) -> OpenUpload {
        let inner = self.lock();
        OpenUpload {
            upload_id: self.id,
            generation: inner.generation,
            unit_bytes: MAX_RANGE_BYTES,
            have: have(&inner.tree),
        }
    }
}

impl LocalStore {
    pub(super) fn area(&self) -> Result<&UploadArea, StoreError> {
        self.shared.area()
    }

    /// Makes way for another upload of the same client when those that nobody comes back to fill its limit.
    async fn make_room(&self, client: &Fingerprint) -> Result<(), StoreError> {
        let area = self.area()?;
        if area.registry.check_limit(client).is_ok() {
            return Ok(());
        }
        for upload in area.registry.given_up(client, self.shared.environment.clock.now()) {
            if let Ok(turn) = upload.turn(Claim::Newer).await {
                self.job(move |shared| shared.discard(turn)).await?;
            }
        }
        area.registry.check_limit(client)
    }
}

#[async_trait]
impl Uploads for LocalStore {
    async fn begin(&self, upload: NewUpload) -> Result<OpenUpload, StoreError> {
        loop {
            let Some(open) = self.area()?.registry.find(&upload) else {
                self.make_room(&upload.client).await?;
                let new = upload.clone();
                match self.job(move |shared| shared.create(&new)).await? {
                    Begun::Open(open) => return Ok(open),
                    Begun::Taken => continue,
                }
            };
            let turn = match open.turn(Claim::Newer).await {
                Ok(turn) => turn,
                Err(Ended::Stale) => return Err(StoreError::OverLimit),
                Err(Ended::Stored(_) | Ended::Gone) => continue,
            };
            if turn.adopt(&upload, self.shared.environment.clock.now()) {
                return self.job(move |shared| shared.resume(&turn)).await;
            }
            // Another file under the same token: nothing of what is there is of use.
            self.job(move |shared| shared.discard(turn)).await?;
        }
    }

    async fn open_range(&self, key: &UploadKey, range: Range) -> Result<Box<dyn RangeWriter>, StoreError> {
        let upload = self.area()?.registry.get(key).ok_or(StoreError::UnknownUpload)?;
        if upload.slot.is_asleep() {
            let sleeping = Arc::clone(&upload);
            self.job(move |shared| sleeping.wake(shared)).await?;
        }
        let reservation = upload.reserve(key.generation, range)?;
        Ok(transfer::writer(Arc::clone(&self.shared), reservation))
    }

    async fn commit(&self, commit: CommitUpload) -> Result<Stored, StoreError> {
        self.commit_upload(commit).await
    }

    async fn abandon(&self, key: &UploadKey) -> Result<(), StoreError> {
        let Some(upload) = self.area()?.registry.get(key) else { return Ok(()) };
        match upload.turn(Claim::Generation(key.generation)).await {
            Ok(turn) => self.job(move |shared| shared.discard(turn)).await,
            Err(Ended::Stale) => Err(StoreError::StaleGeneration),
            Err(Ended::Stored(_) | Ended::Gone) => Ok(()),
        }
    }
}
