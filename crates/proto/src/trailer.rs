//! What every body ends in.

use serde::{Deserialize, Serialize};

use crate::{codec::Growing, digest::RangeDigest, error::Failure};

/// The frame behind a body's last byte. Only it says that the body is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trailer {
    /// The body was a range of a file; this is its digest.
    Range(RangeDigest),
    /// The body had no bytes.
    Empty,
    /// The bytes before this frame must not be used: the sender could not complete the body. The body is filled up to
    /// its declared length first, so that the receiver finds this frame.
    Failed(Failure),
}

impl Growing for Trailer {
    const VARIANTS: u32 = 3;
}
