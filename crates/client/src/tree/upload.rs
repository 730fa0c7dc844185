//! Uploads of trees.

mod directories;
mod file;
mod walk;

use std::{fs, sync::Arc};

use fulmar_disk::{Dir, DiskError};
use fulmar_proto::{path::Name, upload::Destination};

use self::{
    directories::Target,
    walk::{Found, LocalWalk},
};
pub(super) use self::{
    directories::{Directory, State},
    file::FoundFile,
};
use super::{
    LocalSource, TreeDone, TreeObserver, TreeOptions,
    course::{Course, drive},
    plan,
    window::Window,
};
use crate::{error::Error, session::Session, transfer::source::SourcePlace};

/// What everything in one upload of trees shares.
pub(super) struct Uploading<'a> {
    pub(super) session: &'a Session,
    pub(super) options: &'a TreeOptions,
    pub(super) destination: Destination,
    pub(super) course: Course<'a>,
    pub(super) window: Window,
    /// What the server takes in one piece.
    pub(super) max_body_bytes: u32,
}

/// What one of the sources is.
enum Root {
    Directory(Dir, Option<Name>),
    File(u64),
}

impl Session {
    /// Uploads files and directories, with all that is in them. One directory goes into `destination` when that is an
    /// existing directory, and else becomes it; several sources need one that exists. Links and special files in the trees
    /// are passed over; directories that exist are used as they are. One failure does not stop the others, unless it
    /// would be that of all. Dropping the future cancels what is under way; what was done stays.
    ///
    /// Directories do not keep their modification times: the protocol cannot tell them.
    ///
    /// # Errors
    /// Any [`Error`] of the destination, before anything is sent. Whatever fails later is told to `observer` and counted.
    pub async fn upload_tree(
        &self,
        sources: &[LocalSource],
        destination: &Destination,
        options: &TreeOptions,
        observer: &dyn TreeObserver,
    ) -> Result<TreeDone, Error> {
        let welcome = self.welcome().await?;
        if options.dry_run {
            plan::check_upload(welcome, options.transfer.on_exists)?;
        }
        let must_be_directory = destination.must_be_directory || sources.len() > 1;
        let uploading = Uploading {
            session: self,
            options,
            destination: Destination { must_be_directory, ..destination.clone() },
            course: Course::new(self, observer),
            window: Window::new(&welcome.limits),
            max_body_bytes: welcome.limits.max_body_bytes,
        };
        let mut walk = LocalWalk::new(self.offload(), options.exclude.clone(), &uploading.course);
        let mut target = None;
        for source in sources {
            match uploading.look_at(source).await {
                Ok(Root::File(bytes)) => walk.add_file(uploading.root_file(source, bytes)),
                Ok(Root::Directory(base, name)) => {
                    let found = match target.take() {
                        Some(target) => target,
                        None => uploading.target().await?,
                    };
                    match uploading.root_directory(source, &found, base, name.as_ref()) {
                        Ok(directory) => walk.add_directory(directory),
                        Err(error) => uploading.course.failed(&source.shown, &error),
                    }
                    target = Some(found);
                }
                Err(error) => uploading.course.failed(&source.shown, &error),
            }
        }
        drive(&uploading.course, &mut walk, |found| uploading.take(found)).await;
        Ok(uploading.course.finish())
    }
}

impl Uploading<'_> {
    /// What the user has named. Links are followed here.
    async fn look_at(&self, source: &LocalSource) -> Result<Root, Error> {
        let path = source.path.clone();
        let look = move || {
            let metadata = fs::metadata(&path).map_err(|error| DiskError::from_io("stat", error))?;
            if !metadata.is_dir() {
                return Ok((None, metadata.len()));
            }
            Ok((Some(Dir::open_ambient(&path)?), 0))
        };
        let looked: Result<(Option<Dir>, u64), DiskError> = self.session.offload().run(look).await;
        let path = source.path.clone();
        let (dir, bytes) = looked.map_err(|error| Error::Local { path, error })?;
        let Some(dir) = dir else { return Ok(Root::File(bytes)) };
        let name = match source.path.file_name().filter(|_| !source.contents) {
            None => None,
            Some(name) => {
                let name = name.to_str().ok_or(fulmar_proto::path::PathError::NotUtf8);
                Some(name.and_then(Name::parse).map_err(Error::LocalName)?)
            }
        };
        Ok(Root::Directory(dir, name))
    }

    /// A file that the user has named. The server finds out where it goes.
    fn root_file(&self, source: &LocalSource, bytes: u64) -> FoundFile {
        let place = SourcePlace::Path(source.path.clone());
        FoundFile { directory: None, place, shown: source.shown.clone(), bytes, to: self.destination.clone() }
    }

    /// A directory that the user has named, and where it goes.
    fn root_directory(
        &self,
        source: &LocalSource,
        target: &Target,
        base: Dir,
        name: Option<&Name>,
    ) -> Result<Arc<Directory>, Error> {
        let (remote, state) = target.of(name).map_err(Error::LocalName)?;
        Ok(Arc::new(Directory::root(base, source, remote, state)))
    }

    /// Does what there is to do with something that was found.
    async fn take(&self, found: Found) {
        match found {
            Found::Directory(directory) if self.options.dry_run => {
                plan::upload_directory(self, &directory).await;
            }
            Found::Directory(directory) => self.make(&directory).await,
            Found::File(file) => {
                if let Some(directory) = &file.directory
                    && !directory.is_there_in_the_end().await
                {
                    // That was told, and once is enough.
                    return;
                }
                if self.options.dry_run {
                    plan::upload_file(self, &file).await;
                } else {
                    self.send(&file).await;
                }
            }
            Found::PassedOver(shown, kind) => self.course.passed_over(&shown, kind),
            Found::Failed(shown, error) => self.course.failed(&shown, &error),
        }
    }
}
