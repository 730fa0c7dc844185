//! All golden frames, for the tests that hold for every frame.

use crate::{frame::Golden, hello, later, reply, request, transfer};

/// Frames that this version sends.
pub(crate) fn frames() -> Vec<Golden> {
    let mut frames = hello::frames();
    frames.extend(request::frames());
    frames.extend(reply::frames());
    frames.extend(transfer::frames());
    frames
}

/// The same, and frames of a later minor version that this one reads.
pub(crate) fn readable() -> Vec<Golden> {
    let mut all = frames();
    all.extend(later::frames());
    all
}
