//! The contenders and what they do, wherever they meet: over loopback or over an emulated link.
//!
//! ```text
//! cell         who moves what, and which way
//! scene        the directories, the source files, the space for them
//! side         a process that plays the server or the client of one contender
//!   contenders/   what they do
//! pair         both sides of a contender: a transfer, and the check of what has come of it
//! ```
//!
//! Every transfer is timed in the client's process: from before connecting until the client knows that the file is
//! durable under its final name and that both sides computed the same digest.

mod cell;
mod contenders;
mod pair;
mod scene;
mod side;

pub(crate) use cell::{Cell, Congestion, Contender, Direction, Size};
pub(crate) use pair::{End, Moved, Pair, Share};
pub(crate) use scene::{Scene, Stage};
use side::Ended;
pub(crate) use side::{Part, Venue, serve as serve_side};
