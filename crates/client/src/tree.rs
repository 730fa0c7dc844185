//! Trees: any number of files and directories going one way, in one command.
//!
//! A walk finds what there is while the first files are on their way already; what it has found and nobody has taken up yet
//! waits in a queue of bounded length, so that a million files cost neither side memory. Every file is a transfer of its
//! own, with all that [`Session::upload`](crate::Session::upload) and [`Session::download`](crate::Session::download)
//! promise; hundreds of small ones are in flight together, and large ones few at a time.

mod course;
mod download;
mod exclude;
mod plan;
mod upload;
mod window;

use std::{path::PathBuf, time::Duration};

use fulmar_proto::{listing::EntryKind, path::DirPath};

pub use exclude::{BadPattern, Exclude};

use crate::{
    error::Error,
    transfer::{TransferOptions, Transferred},
};

/// A local file or directory that is to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSource {
    /// Where it is. Links are followed here: the path is the user's own.
    pub path: PathBuf,
    /// How it is called in events; empty: what is in it is named from there.
    pub shown: String,
    /// What is in the directory is meant, and not the directory itself.
    pub contents: bool,
}

/// A remote file or directory that is to be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSource {
    /// Where it is.
    pub path: DirPath,
    /// How it is called in events; empty: what is in it is named from there.
    pub shown: String,
    /// What is in the directory is meant, and not the directory itself.
    pub contents: bool,
}

/// How trees are to be transferred.
#[derive(Clone, Debug, Default)]
pub struct TreeOptions {
    /// How each file is.
    pub transfer: TransferOptions,
    /// What is left out.
    pub exclude: Exclude,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// What became of all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeDone {
    /// Files that were stored.
    pub stored: u64,
    /// Their length in bytes.
    pub stored_bytes: u64,
    /// Files whose targets held the same bytes already.
    pub already_there: u64,
    /// Files whose targets exist and were to be skipped then.
    pub skipped: u64,
    /// Links, devices and the like.
    pub passed_over: u64,
    /// Files and directories that failed.
    pub failed: u64,
    /// Directories that are there now, whoever made them.
    pub directories: u64,
    /// Files that were found and not tried, or broken off, because of what failed before them.
    pub not_tried: u64,
    /// Nothing more could be done, so that not everything has been looked at.
    pub broken_off: bool,
    /// From the call to the end.
    pub elapsed: Duration,
}

/// What would be done with a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It would be stored under a new name.
    Store,
    /// It would replace what is there.
    Replace,
    /// It would be stored under a number beside what is there.
    Number,
    /// The same bytes are there already.
    AlreadyThere,
    /// What is there would be left.
    Skip,
    /// The directory would be made.
    MakeDirectory,
}

/// What happens during the transfer of trees. Names are not escaped. Files under way are told apart by numbers.
#[derive(Clone, Copy, Debug)]
pub enum TreeEvent<'a> {
    /// There is one more file, this long.
    Found {
        /// Its length in bytes as the walk has seen it.
        bytes: u64,
    },
    /// All files have been found.
    WalkEnded,
    /// Something was passed over because it is neither a file nor a directory.
    PassedOver {
        /// What.
        source: &'a str,
        /// What it is.
        kind: EntryKind,
    },
    /// The transfer of a file has begun.
    Started {
        /// The file's number.
        file: u64,
        /// The file.
        source: &'a str,
        /// Its length in bytes as the walk has seen it.
        bytes: u64,
    },
    /// The receiver has this many bytes of a file by now.
    Moved {
        /// The file's number.
        file: u64,
        /// All bytes of it so far.
        bytes: u64,
    },
    /// A file is done.
    Done {
        /// The file's number.
        file: u64,
        /// The file.
        source: &'a str,
        /// What became of it.
        transferred: &'a Transferred,
    },
    /// A file or a directory has failed; what is in a directory then is not tried.
    Failed {
        /// The file's number, if it had begun.
        file: Option<u64>,
        /// The file or directory.
        source: &'a str,
        /// Why.
        error: &'a Error,
    },
    /// What would be done, where only that was asked for.
    Planned {
        /// The file or directory.
        source: &'a str,
        /// Where it would go.
        destination: &'a str,
        /// Its length in bytes; 0 for a directory.
        bytes: u64,
        /// What would be done.
        action: Action,
    },
}

/// Is told what happens during the transfer of trees.
pub trait TreeObserver: Send + Sync {
    /// Takes note of an event. Must not block.
    fn on(&self, event: TreeEvent<'_>);
}

impl TreeObserver for crate::NoObserver {
    fn on(&self, _event: TreeEvent<'_>) {}
}

/// How something in a directory that is called `above` is called itself.
fn shown_below(above: &str, name: &str) -> String {
    match above {
        "" => name.to_owned(),
        above if above.ends_with('/') => format!("{above}{name}"),
        above => format!("{above}/{name}"),
    }
}
