//! What every store promises, tried on each of them; and what only a directory on a disk can get wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod catalog;
mod commit;
mod listing;
mod local_cancel;
mod local_files;
mod local_hostile;
mod local_open;
mod local_recovery;
mod local_resume;
mod names;
mod reading;
mod uploads;
