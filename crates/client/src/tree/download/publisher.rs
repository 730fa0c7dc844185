//! Giving files their names in groups: one sync per directory for all that have gathered.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fulmar_disk::{Dir, DiskError, SyncedStaging};
use fulmar_proto::upload::OnExists;
use tokio::sync::oneshot;

use crate::{
    error::Error,
    local::{LocalTarget, Named},
};

/// The most files of one group.
const MAX_GROUP: usize = 256;

type Answer = Result<PathBuf, Error>;

/// A durable file that waits for its name.
struct Item {
    target: LocalTarget,
    staging: SyncedStaging,
    on_exists: OnExists,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Item>,
    /// Somebody gives names out.
    led: bool,
}

/// Publishes files. There is no task and no timer: whoever finds nobody leading leads, in one job, until nothing waits; what
/// gathers meanwhile is the next group. A lone file waits for nobody.
#[derive(Default)]
pub(super) struct Publisher {
    queue: Arc<Mutex<Queue>>,
}

impl Publisher {
    /// Gives the file its name, durably; `run` has a job done. Returns where it is then.
    pub(super) async fn publish<F: Future<Output = Option<()>>>(
        &self,
        target: LocalTarget,
        staging: SyncedStaging,
        on_exists: OnExists,
        run: impl FnOnce(Box<dyn FnOnce() + Send>) -> F,
    ) -> Result<PathBuf, Error> {
        let (answer, answered) = oneshot::channel();
        let must_lead = {
            let mut queue = lock(&self.queue);
            queue.waiting.push_back(Item { target, staging, on_exists, answer });
            !std::mem::replace(&mut queue.led, true)
        };
        if must_lead {
            let queue = Arc::clone(&self.queue);
            // That it was not done shows in the answer.
            let _ = run(Box::new(move || lead(&queue))).await;
        }
        answered.await.unwrap_or(Err(Error::UnexpectedReply("not published")))
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Publishes one group after the other until nothing waits. Blocks.
fn lead(queue: &Mutex<Queue>) {
    loop {
        let group: Vec<Item> = {
            let mut queue = lock(queue);
            let len = queue.waiting.len().min(MAX_GROUP);
            if len == 0 {
                queue.led = false;
                return;
            }
            queue.waiting.drain(..len).collect()
        };
        publish(group);
    }
}

fn publish(group: Vec<Item>) {
    let mut synced: HashMap<(u64, u64), Result<(), DiskError>> = HashMap::new();
    let named: Vec<(Result<Named, Error>, oneshot::Sender<Answer>)> = group
        .into_iter()
        .map(|item| (item.target.publish_unsynced(item.staging, item.on_exists), item.answer))
        .collect();
    for (named, answer) in named {
        let published = named.and_then(|named| {
            let sync = sync_once(&mut synced, &named.dir);
            sync.map(|()| named.path.clone()).map_err(|error| Error::LocalUnknown { path: named.path, error })
        });
        // Whoever does not wait any more has its file all the same.
        let _ = answer.send(published);
    }
}

/// Syncs a directory unless that has been done for this group.
fn sync_once(synced: &mut HashMap<(u64, u64), Result<(), DiskError>>, dir: &Dir) -> Result<(), DiskError> {
    let meta = dir.meta()?;
    synced.entry((meta.device, meta.inode)).or_insert_with(|| dir.sync()).clone()
}
