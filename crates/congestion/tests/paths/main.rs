//! The controller on simulated links: what it makes of loss, of queues, of changes, and of others. Virtual time, with seeds.

mod alone;
mod changes;
mod others;
mod rig;
mod traps;
