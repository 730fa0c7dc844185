//! The commands that are one question and one answer.

use fulmar_proto::{
    digest::Digest,
    listing::{Cursor, Entry, EntryKind},
    path::{DirPath, RelPath},
    reply::Reply,
    request::Request,
    upload::{Destination, OnExists},
};

use crate::{
    call::{Call, ask, ask_watching},
    error::Error,
    session::Session,
    transfer::{Event, Observer},
};

/// The sum over a file or a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What was summed.
    pub kind: EntryKind,
    /// The bytes of all regular files.
    pub bytes: u64,
    /// How many regular files.
    pub files: u64,
    /// How many directories, the summed one not counted.
    pub directories: u64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Files, links and other things that are not directories.
    pub files: u64,
    /// Directories.
    pub directories: u64,
}

/// What a rename came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The name that it has now, or the target that was in the way.
    pub path: RelPath,
    /// Nothing was done, because the target exists and the caller said to skip then.
    pub skipped: bool,
}

/// A listing that arrives page by page. The server reads no further ahead than flow control lets it.
#[derive(Debug)]
pub struct Listing {
    call: Call,
    done: bool,
    /// Where the listing would go on if it was asked for anew.
    next: Option<Cursor>,
}

impl Listing {
    /// Where a new listing would go on behind the page that came last; none when that was the last one.
    pub(crate) fn cursor(&self) -> Option<&Cursor> {
        self.next.as_ref()
    }

    /// The next page, in the server's order; none at the end.
    ///
    /// # Errors
    /// Any [`Error`] of the server or the connection.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Entry>>, Error> {
        if self.done {
            return Ok(None);
        }
        match self.call.reply(|_, _| {}).await? {
            Reply::Page(page) => {
                let (entries, next): (_, Option<Cursor>) = page.into_parts();
                self.done = next.is_none();
                self.next = next;
                Ok(Some(entries))
            }
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }
}

impl Session {
    /// Lists a directory, with versions and catalog entries when `details` are wanted.
    ///
    /// # Errors
    /// Any [`Error`] of the connection; those of the directory come with the first page.
    pub async fn list(&self, directory: &DirPath, details: bool) -> Result<Listing, Error> {
        self.list_from(directory, None, details).await
    }

    /// As [`Session::list`], from where an earlier listing ended.
    pub(crate) async fn list_from(
        &self,
        directory: &DirPath,
        cursor: Option<Cursor>,
        details: bool,
    ) -> Result<Listing, Error> {
        let request = Request::List { directory: directory.clone(), cursor, details };
        Ok(Listing { call: Call::open(self.line(), &request).await?, done: false, next: None })
    }

    /// Describes a file or directory.
    ///
    /// # Errors
    /// Any [`Error`] of the server or the connection; so for all methods here.
    pub async fn stat(&self, path: &DirPath) -> Result<Entry, Error> {
        match ask(self.line(), &Request::Stat { path: path.clone() }).await? {
            Reply::Entry(entry) => Ok(entry),
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }

    /// Sums a file or a tree.
    ///
    /// # Errors
    /// As [`Session::stat`].
    pub async fn measure(&self, path: &DirPath) -> Result<Measured, Error> {
        match ask(self.line(), &Request::Measure { path: path.clone() }).await? {
            Reply::Measured { kind, bytes, files, directories } => {
                Ok(Measured { kind, bytes, files, directories })
            }
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }

    /// A file's length in bytes and its digest; with `reread` the server reads the bytes again even when it knows the
    /// digest. Progress comes as [`Event::Hashing`].
    ///
    /// # Errors
    /// As [`Session::stat`].
    pub async fn hash(
        &self,
        path: &RelPath,
        reread: bool,
        observer: &dyn Observer,
    ) -> Result<(u64, Digest), Error> {
        let request = Request::Hash { path: path.clone(), reread };
        let working = |done, total| observer.on(Event::Hashing { done, total });
        match ask_watching(self.line(), &request, working).await? {
            Reply::Hashed { size, root } => Ok((size, root)),
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }

    /// Makes a directory, with `parents` also those above it, and says whether anything had to be made.
    ///
    /// # Errors
    /// As [`Session::stat`].
    pub async fn make_directory(&self, path: &RelPath, parents: bool) -> Result<bool, Error> {
        let request = Request::MakeDirectory { path: path.clone(), parents };
        match ask(self.line(), &request).await? {
            Reply::DirectoryMade { created } => Ok(created),
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }

    /// Removes a file or an empty directory, with `recursive` also a tree. When the connection is lost before the
    /// answer, it may or may not have happened.
    ///
    /// # Errors
    /// As [`Session::stat`].
    pub async fn remove(&self, path: &RelPath, recursive: bool) -> Result<Removed, Error> {
        let request = Request::Remove { path: path.clone(), recursive };
        match ask(self.line(), &request).await? {
            Reply::Removed { files, directories } => Ok(Removed { files, directories }),
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }

    /// Renames a file or directory. When the connection is lost before the answer, it may or may not have happened.
    ///
    /// # Errors
    /// As [`Session::stat`].
    pub async fn rename(
        &self,
        from: &RelPath,
        to: &Destination,
        on_exists: OnExists,
    ) -> Result<Renamed, Error> {
        let request = Request::Rename { from: from.clone(), to: to.clone(), on_exists };
        match ask(self.line(), &request).await? {
            Reply::Renamed { path, skipped } => Ok(Renamed { path, skipped }),
            other => Err(Error::UnexpectedReply(other.name())),
        }
    }
}
