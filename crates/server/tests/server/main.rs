//! The server as its peers see it: real QUIC on loopback, a store in memory, and clients that speak frames by hand, so
//! that they can also say what no client of ours would.

mod admission;
mod authorization;
mod bodies;
mod downloads;
mod drain;
mod existing;
mod invites;
mod listings;
mod minor;
mod peer;
mod policies;
mod requests;
mod revocation;
mod rig;
mod silence;
mod slow_store;
mod tight;
mod uploads;
mod working;
