//! Connections over simulated paths, on virtual time: the pace of each connection, and what a path may do to one.

mod pace;
mod rig;
mod streams;
mod tail;
