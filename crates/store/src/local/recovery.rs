//! Putting in order what an earlier server left. The rules are in the table of [`super`].

use std::{collections::BTreeSet, sync::Arc};

use fulmar_disk::{Dir, DiskError, Meta};
use fulmar_proto::{time::Timestamp, upload::Stored};

use super::{OpenError, Shared, UploadArea, slot::Slot};
use crate::{
    catalog::{Intent, Settlement, UploadRow, UploadState},
    registry::Upload,
};

/// For so many seconds the answer to a commit is kept: a day.
const STORED_S: i64 = 24 * 60 * 60;

/// For so many seconds an upload that nobody goes on with is kept: a week.
const OPEN_S: i64 = 7 * 24 * 60 * 60;

/// What the files say about an interrupted commit.
enum Found {
    /// The staged file has not got its name.
    Staged,
    /// It has, and is still there.
    Published(Meta, Dir),
    /// It had, and something has become of it since.
    Gone,
}

/// Brings ledger and files back together, and puts the lasting uploads among the open ones.
pub(super) fn recover(shared: &Shared) -> Result<(), OpenError> {
    let Some(area) = &shared.uploads else { return Ok(()) };
    let now = shared.environment.clock.now();
    let mut settlement = Settlement::default();
    let mut open = Vec::new();
    for row in area.ledger.uploads()? {
        match row.state {
            UploadState::Open(_) => open.push(row),
            UploadState::Stored(_) if is_older(row.touched, STORED_S, now) => settlement.done.push(row.id),
            UploadState::Stored(_) => {}
            UploadState::Committing(ref intent) => match find(shared, area, &row, intent)? {
                Found::Staged => {
                    let verified = Some((intent.stored.size, intent.stored.root));
                    let row = UploadRow { state: UploadState::Open(verified), ..row };
                    settlement.reopened(row.clone());
                    open.push(row);
                }
                Found::Published(meta, dir) => {
                    dir.sync().map_err(OpenError::Root)?;
                    let stored = stored(intent);
                    settlement.stored(row, stored, Some(meta.version()));
                }
                Found::Gone => {
                    let stored = stored(intent);
                    settlement.stored(row, stored, None);
                }
            },
        }
    }
    let kept = keep_open(area, open, now, &mut settlement)?;
    area.ledger.settle(&settlement)?;
    sweep(&area.partial, &kept)?;
    sweep(&area.journal, &kept)
}

fn stored(intent: &Intent) -> Stored {
    intent.stored.clone()
}

fn is_older(time: Timestamp, secs: i64, now: Timestamp) -> bool {
    time.secs() < now.secs().saturating_sub(secs)
}

/// Looks what became of a commit.
fn find(shared: &Shared, area: &UploadArea, row: &UploadRow, intent: &Intent) -> Result<Found, OpenError> {
    let is_ours = |meta: &Meta| {
        let staging = &intent.staging;
        (meta.device, meta.inode, meta.modified, meta.size)
            == (staging.device, staging.inode, staging.modified, intent.stored.size)
    };
    let path = &intent.stored.path;
    let named = match shared.root.parent(path) {
        Ok(dir) => if_there(dir.stat_leaf(path.name()))?.filter(is_ours).map(|meta| (meta, dir)),
        Err(DiskError::NotFound | DiskError::NotADirectory | DiskError::Symlink) => None,
        Err(error) => return Err(OpenError::Root(error)),
    };
    let leaf = row.id.to_string();
    let staged = if_there(area.partial.stat_leaf(&leaf))?.is_some_and(|meta| is_ours(&meta));
    match (named, staged) {
        (None, true) => Ok(Found::Staged),
        (None, false) => Ok(Found::Gone),
        (Some((meta, dir)), false) => Ok(Found::Published(meta, dir)),
        (Some((_, dir)), true) => {
            // Linked under both names. Taking one away changes the file's version.
            area.partial.remove_file_leaf(&leaf).map_err(OpenError::Private)?;
            let meta = dir.stat_leaf(path.name()).map_err(OpenError::Root)?;
            Ok(Found::Published(meta, dir))
        }
    }
}

fn if_there(meta: Result<Meta, DiskError>) -> Result<Option<Meta>, OpenError> {
    match meta {
        Ok(meta) => Ok(Some(meta)),
        Err(DiskError::NotFound) => Ok(None),
        Err(error) => Err(OpenError::Root(error)),
    }
}

/// Puts the lasting uploads that are worth it among the open ones; gives the names of their files.
fn keep_open(
    area: &UploadArea,
    rows: Vec<UploadRow>,
    now: Timestamp,
    settlement: &mut Settlement,
) -> Result<BTreeSet<Vec<u8>>, OpenError> {
    let mut kept = BTreeSet::new();
    // The latest first: of two for the same source it is the one that counts.
    for row in rows.into_iter().rev() {
        let leaf = row.id.to_string();
        let is_there = if_there(area.partial.stat_leaf(&leaf))?.is_some();
        let UploadState::Open(verified) = row.state else { continue };
        let worth = row.upload.lasting && is_there && !is_older(row.touched, OPEN_S, now);
        let slot = Slot::asleep(leaf.clone(), now);
        let upload = Arc::new(Upload::new(row.id, row.upload, row.generation, verified, row.touched, slot));
        if worth && area.registry.insert(upload).is_ok() {
            kept.insert(leaf.into_bytes());
        } else {
            settlement.rows.retain(|settled| settled.id != row.id);
            settlement.done.push(row.id);
        }
    }
    Ok(kept)
}

/// Removes the files that belong to no open upload.
fn sweep(dir: &Dir, kept: &BTreeSet<Vec<u8>>) -> Result<(), OpenError> {
    for entry in dir.read_dir(None).map_err(OpenError::Private)? {
        let entry = entry.map_err(OpenError::Private)?;
        if kept.contains(&entry.name) {
            continue;
        }
        match dir.remove_file_leaf(&entry.name) {
            // A directory is not of our making; it is left alone.
            Ok(()) | Err(DiskError::NotFound | DiskError::IsADirectory) => {}
            Err(error) => return Err(OpenError::Private(error)),
        }
    }
    Ok(())
}
