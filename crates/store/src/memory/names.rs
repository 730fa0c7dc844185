//! The names of a store in memory, and which of them the device has.

use std::{collections::VecDeque, ops::Deref, sync::Arc};

use fulmar_proto::{
    path::{DirPath, RelPath},
    time::Timestamp,
    version::Version,
};

use super::{
    power_cut::Chance,
    tree::{File, Node, Tree},
};
use crate::{Removed, StoreError};

/// One change of names, as it can be repeated on a tree that is in the state it began from.
#[derive(Clone, Debug)]
enum Change {
    Put(RelPath, Arc<File>),
    MakeDirectory(RelPath),
    Remove(RelPath),
    Rename { from: RelPath, to: RelPath },
}

impl Change {
    /// Whether it changes a name in `directory`.
    fn is_in(&self, directory: &DirPath) -> bool {
        match self {
            Self::Put(path, _) | Self::MakeDirectory(path) | Self::Remove(path) => {
                path.parent() == *directory
            }
            Self::Rename { from, to } => from.parent() == *directory || to.parent() == *directory,
        }
    }

    fn repeat(self, tree: &mut Tree, now: Timestamp) {
        let repeated = match self {
            Self::Put(path, file) => tree.put(&path, Node::File(file), now),
            Self::MakeDirectory(path) => tree.make_directory(&path, now),
            Self::Remove(path) => tree.remove(&path, true, now).map(drop),
            Self::Rename { from, to } => tree.rename(&from, &to, now),
        };
        repeated.expect("what succeeded once succeeds again in the same order");
    }
}

/// What the device has of the names.
#[derive(Debug)]
struct Journal {
    durable: Tree,
    /// The changes that are not durable yet, in the order in which they were made.
    pending: VecDeque<(Change, Timestamp)>,
}

impl Journal {
    fn advance(&mut self, changes: usize) {
        for (change, at) in self.pending.drain(..changes) {
            change.repeat(&mut self.durable, at);
        }
    }
}

/// The tree as everybody sees it and, where a device is modelled, as far as it would survive. It is read as a [`Tree`];
/// it is changed only here, so that no change goes past the device.
#[derive(Debug)]
pub(super) struct Names {
    seen: Tree,
    journal: Option<Journal>,
}

impl Deref for Names {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.seen
    }
}

impl Names {
    /// Of a store that nothing ever happens to.
    pub(super) fn new(tree: Tree) -> Self {
        Self { seen: tree, journal: None }
    }

    /// On a device that has all of `tree`.
    pub(super) fn on_device(tree: Tree) -> Self {
        let journal = Journal { durable: tree.clone(), pending: VecDeque::new() };
        Self { seen: tree, journal: Some(journal) }
    }

    fn note(&mut self, change: Change, now: Timestamp) {
        if let Some(journal) = &mut self.journal {
            journal.pending.push_back((change, now));
        }
    }

    pub(super) fn new_version(&mut self) -> Version {
        self.seen.new_version()
    }

    /// Gives a file the name, whatever had it before.
    pub(super) fn put(&mut self, path: &RelPath, file: Arc<File>, now: Timestamp) -> Result<(), StoreError> {
        self.seen.put(path, Node::File(Arc::clone(&file)), now)?;
        self.note(Change::Put(path.clone(), file), now);
        Ok(())
    }

    pub(super) fn make_directory(&mut self, path: &RelPath, now: Timestamp) -> Result<(), StoreError> {
        self.seen.make_directory(path, now)?;
        self.note(Change::MakeDirectory(path.clone()), now);
        Ok(())
    }

    pub(super) fn remove(
        &mut self,
        path: &RelPath,
        recursive: bool,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        let removed = self.seen.remove(path, recursive, now)?;
        self.note(Change::Remove(path.clone()), now);
        Ok(removed)
    }

    pub(super) fn rename(&mut self, from: &RelPath, to: &RelPath, now: Timestamp) -> Result<(), StoreError> {
        self.seen.rename(from, to, now)?;
        self.note(Change::Rename { from: from.clone(), to: to.clone() }, now);
        Ok(())
    }

    /// Makes the names in `directory` durable. As on a file system with a journal, what was changed before them, wherever
    /// that was, becomes durable with them; what was changed after them does not.
    pub(super) fn sync(&mut self, directory: &DirPath) {
        let Some(journal) = &mut self.journal else { return };
        if let Some(last) = journal.pending.iter().rposition(|(change, _)| change.is_in(directory)) {
            journal.advance(last + 1);
        }
    }

    /// The tree after a power cut: what is durable, and of the other changes as many as chance had on the device, the
    /// earliest first. None without a device.
    pub(super) fn after_power_cut(&self, chance: &mut Chance) -> Option<Tree> {
        let journal = self.journal.as_ref()?;
        let mut tree = journal.durable.clone();
        let survive = chance.up_to(journal.pending.len());
        for (change, at) in journal.pending.iter().take(survive) {
            change.clone().repeat(&mut tree, *at);
        }
        // Versions and places in listings must stay unlike all that have been seen.
        tree.count_on_from(&self.seen);
        Some(tree)
    }
}
