//! Walking remote trees: several directories are listed at a time, depth first, and no further ahead than there is use for.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use fulmar_proto::listing::{Cursor, Entry, EntryKind, EntryName};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::{Directory, Downloading, RemoteFile};
use crate::{
    commands::Listing,
    error::Error,
    tree::{course::Walk, shown_below},
};

/// How many directories are listed at a time. The window leaves room for these commands.
const MAX_LISTINGS: usize = 8;

/// While so much waits to be taken up, no further directories are listed.
const SOME_FOUND: usize = 4 * 1024;

/// When so much waits, those that are being listed are given up, to be taken up again where they were. They are never just
/// left unread: what the server has sent by then would keep everything else from coming.
const MUCH_FOUND: usize = 16 * 1024;

/// While so many directories wait to be listed, those that are being listed are not read on but taken up again later: each
/// of them may hold as many. What their pages hold already comes on top.
const MAX_WAITING: usize = 128 * 1024;

/// What a walk finds. A directory is there before what is in it is found.
#[derive(Debug)]
pub(super) enum Found {
    Directory(Arc<Directory>),
    File(RemoteFile),
    PassedOver(String, EntryKind),
    Failed(String, Error),
}

/// A directory that waits.
enum Waiting {
    /// It was named.
    Root(Arc<Directory>),
    /// It was found in this one, by this name. Very many of these may wait.
    Below(Arc<Directory>, Box<str>),
    /// It has been listed up to here.
    Rest(Arc<Directory>, Cursor),
}

/// The entries that came, and the listing that they came from; none at its end.
type Page = Option<(Vec<Entry>, Box<Listing>)>;

/// What a task came to.
struct Step {
    directory: Arc<Directory>,
    /// The directory itself was found now.
    is_new: bool,
    result: Result<Page, Error>,
}

type Steps<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Step> + Send + 'a>>>;

pub(super) struct RemoteWalk<'a> {
    downloading: &'a Downloading<'a>,
    found: VecDeque<Found>,
    /// The last one is next.
    waiting: Vec<Waiting>,
    steps: Steps<'a>,
}

impl<'a> RemoteWalk<'a> {
    pub(super) fn new(downloading: &'a Downloading<'a>) -> Self {
        Self { downloading, found: VecDeque::new(), waiting: Vec::new(), steps: FuturesUnordered::new() }
    }

    /// A file that was named.
    pub(super) fn add_file(&mut self, file: RemoteFile) {
        self.downloading.course.found(file.bytes);
        self.found.push_back(Found::File(file));
    }

    /// A directory that was named. The one that was named first is walked first.
    pub(super) fn add_directory(&mut self, directory: Arc<Directory>) {
        self.waiting.insert(0, Waiting::Root(directory));
    }

    /// Has as many directories listed as may be.
    fn start(&mut self) {
        while self.found.len() < SOME_FOUND && self.steps.len() < MAX_LISTINGS {
            let Some(waiting) = self.waiting.pop() else { return };
            let downloading = self.downloading;
            let directory = match waiting {
                Waiting::Rest(directory, cursor) => {
                    self.steps.push(Box::pin(list_rest(downloading, directory, cursor)));
                    continue;
                }
                Waiting::Root(directory) => directory,
                Waiting::Below(above, name) => match above.below(&name) {
                    Ok(directory) => Arc::new(directory),
                    Err(error) => {
                        let shown = shown_below(&above.shown, &name);
                        self.found.push_back(Found::Failed(shown, Error::Path(error)));
                        continue;
                    }
                },
            };
            self.steps.push(Box::pin(begin(downloading, directory)));
        }
    }

    fn take(&mut self, step: Step) {
        let Step { directory, is_new, result } = step;
        let (entries, listing) = match result {
            Err(error) => return self.found.push_back(Found::Failed(directory.shown.clone(), error)),
            Ok(page) => {
                if is_new {
                    self.found.push_back(Found::Directory(Arc::clone(&directory)));
                }
                let Some(page) = page else { return };
                page
            }
        };
        if let Some(cursor) = listing.cursor() {
            if self.found.len() >= MUCH_FOUND || self.waiting.len() >= MAX_WAITING {
                // Below its own directories, which come first then.
                self.waiting.push(Waiting::Rest(Arc::clone(&directory), cursor.clone()));
            } else {
                self.steps.push(Box::pin(go_on(Arc::clone(&directory), listing)));
            }
        }
        self.take_page(&directory, entries);
    }

    fn take_page(&mut self, directory: &Arc<Directory>, entries: Vec<Entry>) {
        let before = self.waiting.len();
        for entry in entries {
            if let Some(found) = self.look_at(directory, &entry) {
                if let Found::File(file) = &found {
                    self.downloading.course.found(file.bytes);
                }
                self.found.push_back(found);
            }
        }
        // The first is walked first.
        self.waiting[before..].reverse();
    }

    fn look_at(&mut self, above: &Arc<Directory>, entry: &Entry) -> Option<Found> {
        let exclude = &self.downloading.options.exclude;
        let is_directory = entry.kind == EntryKind::Directory;
        let name = match &entry.name {
            EntryName::Servable(name) => name.as_str(),
            EntryName::Unservable(text) => {
                let name = text.as_str();
                let excluded = exclude.matches(&above.local_path_of(name), name, is_directory);
                let failed = || Found::Failed(shown_below(&above.shown, name), Error::UnservableName);
                return (!excluded).then(failed);
            }
        };
        if exclude.matches(&above.local_path_of(name), name, is_directory) {
            return None;
        }
        let shown = shown_below(&above.shown, name);
        match entry.kind {
            EntryKind::Directory => {
                self.waiting.push(Waiting::Below(Arc::clone(above), name.into()));
                None
            }
            EntryKind::File => match above.remote.join(name) {
                Ok(path) => Some(Found::File(RemoteFile::found(above, path, shown, entry.size))),
                Err(error) => Some(Found::Failed(shown, Error::Path(error))),
            },
            kind @ (EntryKind::Link | EntryKind::Other) => Some(Found::PassedOver(shown, kind)),
        }
    }
}

impl Walk for RemoteWalk<'_> {
    type Found = Found;

    async fn next(&mut self) -> Option<Found> {
        loop {
            self.start();
            if let Some(found) = self.found.pop_front() {
                return Some(found);
            }
            let step = self.steps.next().await?;
            self.take(step);
        }
    }

    /// Reads what comes, so that it is not in the way of the files.
    async fn go_on(&mut self) {
        while let Some(step) = self.steps.next().await {
            self.take(step);
        }
        std::future::pending::<()>().await;
    }
}

/// Makes the local directory and asks for the first page.
async fn begin(downloading: &Downloading<'_>, directory: Arc<Directory>) -> Step {
    let made = downloading.make(&directory).await;
    let result = match made {
        Ok(()) => list(downloading, &directory, None).await,
        Err(error) => Err(error),
    };
    Step { directory, is_new: true, result }
}

/// Waits for the next page.
async fn go_on(directory: Arc<Directory>, listing: Box<Listing>) -> Step {
    Step { directory, is_new: false, result: next_page(listing).await }
}

/// Asks for the page behind those that have come.
async fn list_rest(downloading: &Downloading<'_>, directory: Arc<Directory>, cursor: Cursor) -> Step {
    let result = list(downloading, &directory, Some(cursor)).await;
    Step { directory, is_new: false, result }
}

async fn list(
    downloading: &Downloading<'_>,
    directory: &Directory,
    cursor: Option<Cursor>,
) -> Result<Page, Error> {
    let listing = downloading.session.list_from(&directory.remote, cursor, false).await?;
    next_page(Box::new(listing)).await
}

async fn next_page(mut listing: Box<Listing>) -> Result<Page, Error> {
    let Some(entries) = listing.next_page().await? else { return Ok(None) };
    // A server that announces another page after an empty one could do so for ever.
    if entries.is_empty() && listing.cursor().is_some() {
        return Err(Error::UnexpectedReply("an empty page that is not the last"));
    }
    Ok(Some((entries, listing)))
}
