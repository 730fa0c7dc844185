//! The virtual network under plain quinn endpoints, and under bare sockets.

mod exact;
mod faults;
mod packets;
mod rig;
mod traces;
mod transfers;
