//! Downloads of trees.

mod directories;
mod file;
mod passes;
mod publisher;
mod walk;

use std::{path::Path, sync::Arc};

use fulmar_proto::listing::{Entry, EntryKind};
use futures_util::stream::{self, StreamExt as _};

pub(super) use self::{directories::Directory, file::RemoteFile};
use self::{
    directories::Place,
    passes::Passes,
    publisher::Publisher,
    walk::{Found, RemoteWalk},
};
use super::{
    RemoteSource, TreeDone, TreeObserver, TreeOptions,
    course::{Course, drive},
    plan,
    window::Window,
};
use crate::{error::Error, session::Session};

/// How many of the sources are looked at together: each takes a round trip.
const MAX_LOOKS: usize = 64;

/// What everything in one download of trees shares.
pub(super) struct Downloading<'a> {
    pub(super) session: &'a Session,
    pub(super) options: &'a TreeOptions,
    pub(super) course: Course<'a>,
    pub(super) window: Window,
    publisher: Publisher,
    passes: Passes,
    /// What the user has named as the target.
    pub(super) target: &'a Path,
    pub(super) must_be_directory: bool,
}

impl Session {
    /// Downloads files and directories, with all that is in them. One directory goes into `target` when that is an existing
    /// directory, and else becomes it; several sources need one that exists. Nothing that the server lists leads out of it:
    /// names are checked, links on either side are never followed, and a tree has no more levels than a path has. Links and
    /// special files are passed over; directories that exist are used as they are. One failure does not stop the others,
    /// unless it would be that of all. Dropping the future cancels what is under way; what was done stays.
    ///
    /// # Errors
    /// Any [`Error`] of the target, before anything is fetched. Whatever fails later is told to `observer` and counted.
    pub async fn download_tree(
        &self,
        sources: &[RemoteSource],
        target: &Path,
        must_be_directory: bool,
        options: &TreeOptions,
        observer: &dyn TreeObserver,
    ) -> Result<TreeDone, Error> {
        let downloading = Downloading {
            session: self,
            options,
            course: Course::new(self, observer),
            window: Window::new(&self.welcome().await?.limits),
            publisher: Publisher::default(),
            passes: Passes::default(),
            target,
            must_be_directory: must_be_directory || sources.len() > 1,
        };
        let mut walk = RemoteWalk::new(&downloading);
        let mut place = None;
        // In the order in which they were named.
        let mut looked_at =
            stream::iter(sources.iter().map(|source| self.look_at(source))).buffered(MAX_LOOKS);
        while let Some((source, looked)) = looked_at.next().await {
            if downloading.course.is_broken_off() {
                break;
            }
            match looked {
                Ok(entry) if entry.kind == EntryKind::Directory => {
                    let found = match place.take() {
                        Some(place) => place,
                        None => downloading.place().await?,
                    };
                    match downloading.root_directory(source, &found).await {
                        Ok(directory) => walk.add_directory(directory),
                        Err(error) => downloading.course.failed(&source.shown, &error),
                    }
                    place = Some(found);
                }
                // Whatever else it is: opening it says what is wrong with it.
                Ok(entry) => match source.path.to_rel() {
                    Some(path) => walk.add_file(RemoteFile::named(path, source, entry.size)),
                    None => downloading.course.failed(&source.shown, &Error::UnservableName),
                },
                Err(error) => downloading.course.failed(&source.shown, &error),
            }
        }
        drive(&downloading.course, &mut walk, |found| downloading.take(found)).await;
        Ok(downloading.course.finish())
    }

    async fn look_at<'a>(&self, source: &'a RemoteSource) -> (&'a RemoteSource, Result<Entry, Error>) {
        (source, self.stat(&source.path).await)
    }
}

impl Downloading<'_> {
    /// Does what there is to do with something that was found.
    async fn take(&self, found: Found) {
        match found {
            Found::Directory(directory) => {
                if self.options.dry_run && directory.is_fresh() {
                    plan::download_directory(self, &directory);
                } else {
                    self.course.directory_there();
                }
            }
            Found::File(file) if self.options.dry_run => plan::download_file(self, &file).await,
            Found::File(file) => self.fetch(&file).await,
            Found::PassedOver(shown, kind) => self.course.passed_over(&shown, kind),
            Found::Failed(shown, error) => self.course.failed(&shown, &error),
        }
    }

    /// A directory that the user has named, and where it goes.
    async fn root_directory(&self, source: &RemoteSource, place: &Place) -> Result<Arc<Directory>, Error> {
        let name = source.path.to_rel().filter(|_| !source.contents);
        let (place, name) = (place.clone(), name.map(|path| path.name().to_owned()));
        let dry_run = self.options.dry_run;
        let enter = move || place.enter(name.as_deref(), dry_run);
        let root = self.session.offload().run(enter).await?;
        Ok(Arc::new(Directory::root(root, source)))
    }
}
