//! Long work that can be watched and stopped.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::StoreError;

/// The progress of one long operation, shared between whoever does it and whoever waits for it.
#[derive(Clone, Debug, Default)]
pub struct Work(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    done: AtomicU64,
    total: AtomicU64,
    stopped: AtomicBool,
}

impl Work {
    /// Says that `amount` more is done, in the operation's own unit (bytes hashed, files removed).
    pub fn advance(&self, amount: u64) {
        self.0.done.fetch_add(amount, Ordering::Relaxed);
    }

    /// Says how much there is to do; 0 while that is unknown.
    pub fn set_total(&self, total: u64) {
        self.0.total.store(total, Ordering::Relaxed);
    }

    /// How much is done, out of how much (0: unknown).
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.0.done.load(Ordering::Relaxed), self.0.total.load(Ordering::Relaxed))
    }

    /// Asks the operation to stop soon. It then ends in `StoreError::Stopped`, with what it had done by then done.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it should stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }

    /// The flag behind [`Work::is_stopped`], for code that takes nothing else.
    pub(crate) fn stop_flag(&self) -> &AtomicBool {
        &self.0.stopped
    }

    /// Fails when the operation should stop.
    pub(crate) fn go_on(&self) -> Result<(), StoreError> {
        if self.is_stopped() { Err(StoreError::Stopped) } else { Ok(()) }
    }
}
