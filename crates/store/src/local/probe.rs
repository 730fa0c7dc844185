//! Where a test may stop the store as if the power had gone.

use std::fmt;

/// The moments of a commit that recovery has a rule for, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// The staged files are durable, nothing is in the ledger.
    BeforeIntent,
    /// The ledger says durably what is about to happen.
    AfterIntent,
    /// The files have their names, not durably.
    AfterRename,
    /// The names are durable.
    AfterDirectorySync,
    /// The ledger says that it has happened; nobody has been told.
    AfterSettlement,
}

/// Decides where to stop. A store without one never stops.
pub trait Probe: Send + Sync + fmt::Debug {
    /// Whether everything ends here.
    fn stops_at(&self, point: CrashPoint) -> bool;
}
