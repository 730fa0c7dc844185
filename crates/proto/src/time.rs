//! Points in time as they cross the wire.

use serde::{Deserialize, Serialize};

/// A point in time: seconds and nanoseconds since 1970-01-01T00:00:00Z, as file systems keep them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(i64, u32)", into = "(i64, u32)")]
pub struct Timestamp {
    secs: i64,
    nanos: u32,
}

/// A timestamp's nanoseconds were not below one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a timestamp's nanoseconds must be below 1000000000")]
pub struct TimestampError;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self { secs: 0, nanos: 0 };

    /// The point `nanos` nanoseconds (0..1 000 000 000) after the second `secs`.
    ///
    /// # Errors
    /// [`TimestampError`] when `nanos` is a second or more.
    pub fn new(secs: i64, nanos: u32) -> Result<Self, TimestampError> {
        if nanos >= 1_000_000_000 {
            return Err(TimestampError);
        }
        Ok(Self { secs, nanos })
    }

    /// Whole seconds since 1970-01-01T00:00:00Z; negative before it.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds after [`Timestamp::secs`], 0..1 000 000 000.
    #[must_use]
    pub fn nanos(self) -> u32 {
        self.nanos
    }
}

impl TryFrom<(i64, u32)> for Timestamp {
    type Error = TimestampError;

    fn try_from((secs, nanos): (i64, u32)) -> Result<Self, TimestampError> {
        Self::new(secs, nanos)
    }
}

impl From<Timestamp> for (i64, u32) {
    fn from(time: Timestamp) -> Self {
        (time.secs, time.nanos)
    }
}
