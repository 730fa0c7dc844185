//! Publishing files in groups: one durable transaction and one sync per directory for all that have gathered.
//!
//! There is no task and no timer. Whoever finds nobody leading leads, in one job, until nothing waits; what gathers
//! while a group is on its way to the disk is the next group. A lone commit waits for nobody.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fulmar_disk::{Dir, DiskError, Meta, PublishError, Replace, SyncedStaging, publish_unsynced};
use fulmar_proto::{
    path::RelPath,
    upload::{OnExists, Stored},
    version::{FileId, Version},
};
use tokio::sync::oneshot;

use super::{CrashPoint, Shared, UploadArea, errors::refused, place::Place, slot::Slot};
use crate::{
    CommitUpload, StoreError,
    catalog::{Durability, Intent, Settlement, StagingFile, UploadRow, UploadState, random_id},
    registry::Turn,
};

/// The most files of one group.
const MAX_GROUP: usize = 256;

/// What a commit came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Stored(Stored),
    /// The name was free at the first look and is not any more. The upload is open again.
    NameTaken,
}

pub(super) type Answer = Result<Outcome, StoreError>;

/// A durable staged file that waits for its name.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) turn: Turn<Slot>,
    pub(super) synced: SyncedStaging,
    pub(super) commit: CommitUpload,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The commits that wait, and whether somebody leads.
#[derive(Debug, Default)]
pub(super) struct Group {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Item>,
    led: bool,
}

impl Group {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a commit, and says whether the caller has to lead.
    pub(super) fn push(&self, item: Item) -> bool {
        let mut queue = self.lock();
        queue.waiting.push_back(item);
        !std::mem::replace(&mut queue.led, true)
    }

    /// The next group; the leader's work is over when there is none.
    fn next(&self) -> Option<Vec<Item>> {
        let mut queue = self.lock();
        let len = queue.waiting.len().min(MAX_GROUP);
        if len == 0 {
            queue.led = false;
            return None;
        }
        Some(queue.waiting.drain(..len).collect())
    }
}

/// Lets go of the lead when a group panics: its commits are answered with an unknown outcome, later ones are led anew.
struct Lead<'a>(&'a Group);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.lock();
            queue.led = false;
            let waiting = std::mem::take(&mut queue.waiting);
            drop(queue);
            drop(waiting);
        }
    }
}

/// Publishes groups until nothing waits.
pub(super) fn lead(shared: &Arc<Shared>) {
    let Ok(area) = shared.area() else { return };
    let lead = Lead(&area.group);
    while let Some(items) = lead.0.next() {
        Publication { shared, area, settlement: Settlement::default(), reopened: Vec::new() }.run(items);
    }
}

/// A commit whose name is chosen and whose intent is in the ledger.
struct Intended {
    item: Item,
    row: UploadRow,
    place: Place,
    stored: Stored,
}

/// A file that has its name.
struct Named {
    turn: Turn<Slot>,
    answer: oneshot::Sender<Answer>,
    row: UploadRow,
    dir: Dir,
    stored: Stored,
    version: Option<Version>,
}

/// One group on its way.
struct Publication<'a> {
    shared: &'a Shared,
    area: &'a UploadArea,
    settlement: Settlement,
    /// To be answered once the ledger knows that these uploads are open again.
    reopened: Vec<(Turn<Slot>, oneshot::Sender<Answer>, Answer)>,
}

impl Publication<'_> {
    fn run(mut self, items: Vec<Item>) {
        if self.shared.stops_at(CrashPoint::BeforeIntent) {
            return leave(items.iter().map(|item| &item.synced));
        }
        let intended = self.intend(items);
        if self.shared.stops_at(CrashPoint::AfterIntent) {
            return leave(intended.iter().map(|intended| &intended.item.synced));
        }
        let named: Vec<Named> =
            intended.into_iter().filter_map(|intended| self.give_name(intended)).collect();
        if self.shared.stops_at(CrashPoint::AfterRename) {
            return;
        }
        let named = self.sync_directories(named);
        if self.shared.stops_at(CrashPoint::AfterDirectorySync) {
            return;
        }
        self.settle(named);
    }

    /// Chooses the names and writes durably what is about to happen.
    fn intend(&mut self, items: Vec<Item>) -> Vec<Intended> {
        let (mut taken, mut ids, mut intended) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
        for item in items {
            match self.choose(&item, &taken, &mut ids) {
                Ok((row, place, stored)) => {
                    taken.insert(place.path.clone());
                    intended.push(Intended { item, row, place, stored });
                }
                Err(error) => self.reopen(item, Err(error)),
            }
        }
        let rows: Vec<UploadRow> = intended.iter().map(|intended| intended.row.clone()).collect();
        match self.area.ledger.put_uploads(&rows, Durability::Now) {
            Ok(()) => intended,
            Err(error) => {
                let error = StoreError::from(error);
                intended.into_iter().for_each(|intended| self.reopen(intended.item, Err(error.clone())));
                Vec::new()
            }
        }
    }

    fn choose(
        &self,
        item: &Item,
        taken: &BTreeSet<RelPath>,
        ids: &mut BTreeMap<RelPath, FileId>,
    ) -> Result<(UploadRow, Place, Stored), StoreError> {
        let upload = item.turn.upload();
        let wanted = item.commit.permitted(&upload.lock().upload);
        let place = self.shared.place(&wanted, taken)?;
        let known = match ids.get(&place.path) {
            Some(id) => Some(*id),
            None => self.shared.catalog.id(&place.path)?,
        };
        let id = known.unwrap_or_else(|| random_id(&*self.shared.environment.entropy));
        ids.insert(place.path.clone(), id);
        let meta = item.synced.meta().map_err(refused)?;
        let stored = Stored {
            path: place.path.clone(),
            id,
            size: item.commit.size,
            root: item.commit.root,
            already_there: false,
        };
        let touched = self.shared.environment.clock.now();
        let row = UploadRow { state: intent(&meta, &stored), touched, ..upload.row() };
        Ok((row, place, stored))
    }

    /// Moves a staged file to its name.
    fn give_name(&mut self, intended: Intended) -> Option<Named> {
        let Intended { item, mut row, mut place, mut stored } = intended;
        let Item { turn, mut synced, commit, answer } = item;
        loop {
            match publish_unsynced(synced, &place.dir, place.path.name(), place.replace) {
                Ok(meta) => {
                    let version = Some(meta.version());
                    return Some(Named { turn, answer, row, dir: place.dir, stored, version });
                }
                Err(PublishError::Unknown { meta, .. }) => {
                    let version = meta.map(|meta| meta.version());
                    return Some(Named { turn, answer, row, dir: place.dir, stored, version });
                }
                Err(PublishError::Refused { staging, error }) => {
                    synced = *staging;
                    let other = matches!(error, DiskError::AlreadyExists)
                        .then(|| self.other_name(&row, &synced, &stored))
                        .flatten();
                    if let Some(next) = other {
                        (row, place, stored) = next;
                        continue;
                    }
                    let outcome = refusal(error, place.replace);
                    self.reopen(Item { turn, synced, commit, answer }, outcome);
                    return None;
                }
            }
        }
    }

    /// Another number, when somebody has just taken the name of a file that may be numbered. The ledger learns of it
    /// before the name does.
    fn other_name(
        &self,
        row: &UploadRow,
        synced: &SyncedStaging,
        stored: &Stored,
    ) -> Option<(UploadRow, Place, Stored)> {
        if row.upload.on_exists != OnExists::Rename {
            return None;
        }
        let place = self.shared.place(&row.upload, &BTreeSet::new()).ok()?;
        let meta = synced.meta().ok()?;
        let id = random_id(&*self.shared.environment.entropy);
        let stored = Stored { path: place.path.clone(), id, ..stored.clone() };
        let row = UploadRow { state: intent(&meta, &stored), ..row.clone() };
        self.area.ledger.put_uploads(std::slice::from_ref(&row), Durability::Now).ok()?;
        Some((row, place, stored))
    }

    /// Makes the names durable, each directory once. Where that fails nobody knows whether the name survives.
    fn sync_directories(&mut self, named: Vec<Named>) -> Vec<Named> {
        let mut synced: BTreeMap<(u64, u64), bool> = BTreeMap::new();
        let mut sync = |dir: &Dir| match dir.meta() {
            Ok(meta) => *synced.entry((meta.device, meta.inode)).or_insert_with(|| dir.sync().is_ok()),
            Err(_) => false,
        };
        let (durable, unknown): (Vec<_>, Vec<_>) = named.into_iter().partition(|named| sync(&named.dir));
        for named in unknown {
            // The intent stays in the ledger, so the next start finds out.
            self.area.registry.retire(named.turn, None);
            drop(named.answer.send(Err(StoreError::UnknownOutcome)));
        }
        durable
    }

    /// Writes what has happened into the ledger, then tells everybody.
    fn settle(mut self, named: Vec<Named>) {
        let mut answers = Vec::new();
        for Named { turn, answer, row, stored, version, .. } in named {
            self.settlement.stored(row, stored.clone(), version);
            answers.push((turn, answer, stored));
        }
        if let Err(error) = self.area.ledger.settle(&self.settlement) {
            // The files are stored, and the intents, which are durable, say so.
            tracing::warn!(%error, "the catalog could not record a group of uploads");
        }
        if self.shared.stops_at(CrashPoint::AfterSettlement) {
            return;
        }
        for (turn, answer, stored) in answers {
            turn.upload().slot.remove_journal(self.area);
            self.area.registry.retire(turn, Some(stored.clone()));
            // A caller who has gone asks again by the upload's id.
            drop(answer.send(Ok(Outcome::Stored(stored))));
        }
        for (turn, answer, outcome) in self.reopened {
            drop(turn);
            drop(answer.send(outcome));
        }
    }

    /// Notes that an upload stays open; its staged file is opened again when it is needed.
    fn reopen(&mut self, item: Item, outcome: Answer) {
        let Item { turn, synced, commit, answer } = item;
        synced.keep();
        drop(synced);
        // What was verified and made durable need not be proven again.
        turn.upload().lock().verified = Some((commit.size, commit.root));
        self.settlement.reopened(turn.upload().row());
        self.reopened.push((turn, answer, outcome));
    }
}

fn intent(meta: &Meta, stored: &Stored) -> UploadState {
    let staging = StagingFile { device: meta.device, inode: meta.inode, modified: meta.modified };
    UploadState::Committing(Intent { staging, stored: stored.clone() })
}

/// Why a file did not get its name.
fn refusal(error: DiskError, replace: Replace) -> Answer {
    match (error, replace) {
        (DiskError::AlreadyExists, Replace::Never) => Ok(Outcome::NameTaken),
        // The directory was there when the name was chosen.
        (DiskError::NotFound, _) => Err(StoreError::NoParent),
        (error, _) => Err(refused(error)),
    }
}

/// Leaves staged files where they are, as a power cut would.
fn leave<'a>(staged: impl Iterator<Item = &'a SyncedStaging>) {
    staged.for_each(SyncedStaging::keep);
}
