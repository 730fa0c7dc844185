//! The real binary, started as a user would start it, in a tree of its own: exit codes, standard output, standard
//! error, and what is on both disks afterwards.
//!
//! Nothing here waits for time to pass. What has to happen in the middle of a transfer happens while a relay between
//! the two sides lets nothing through, or while a pipe is held open.

mod harness;

mod breakage;
mod browse;
mod catalog;
mod changing;
mod clients;
mod config;
mod connect;
mod crowd;
mod doctor;
mod documents;
mod editor;
mod globs;
mod help;
mod hints;
mod hosts;
mod huge;
mod log;
mod many;
mod output;
mod plain;
mod policy;
mod progress;
mod sending;
mod serve;
mod several;
mod shell;
mod sizes;
mod status;
mod transfer;
mod tree_failures;
mod trees;
mod trust;
