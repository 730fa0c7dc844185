//! One network namespace, held by a descriptor.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    thread,
};

use nix::sched::{CloneFlags, setns, unshare};

use super::TunError;

/// The namespace of whoever opens it.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace. It lives as long as this value, a process in it or somebody else's descriptor of it.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
    inode: u64,
}

impl Namespace {
    /// A fresh one, with nothing in it but a loopback device that is down.
    pub(super) fn create() -> Result<Self, TunError> {
        let made = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok(OwnedFd::from(fs::File::open(OWN)?))
        });
        let fd = made.map_err(TunError::refused("make a network namespace"))?;
        let inode = rustix::fs::fstat(&fd)
            .map_err(io::Error::from)
            .map_err(TunError::failed("look at a network namespace"))?
            .st_ino;
        Ok(Self { fd, inode })
    }

    /// Does something on a thread inside of the namespace. Sockets that are made there stay there.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or what `work` returns.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_a_thread(|| {
            Self::enter(self.fd.as_fd())?;
            work()
        })
    }

    /// Moves the calling thread into the namespace behind a descriptor.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn enter(fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(setns(fd, CloneFlags::CLONE_NEWNET)?)
    }

    /// Moves the calling thread into the user namespace behind a descriptor. The process must have no other thread.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn enter_user(fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(setns(fd, CloneFlags::CLONE_NEWUSER)?)
    }

    /// The descriptor itself.
    pub(super) fn borrow(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The descriptor's number in this process: `/proc/PID/fd/N` leads others to the namespace.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// What `/proc/PID/ns/net` shows for processes in it. Another namespace has the number only after this one's end.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }
}

/// Namespaces are per thread, so whatever changes one does so on a thread that ends with it.
fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let panicked = |_| io::Error::other("a thread in a namespace panicked");
        scope.spawn(work).join().unwrap_or_else(|panic| Err(panicked(panic)))
    })
}
