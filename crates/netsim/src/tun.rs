//! The driver for real processes: two network namespaces, a TUN device in each, and one thread that carries IP packets
//! between them through a [`Link`](crate::Link).
//!
//! The devices are opened without `IFF_VNET_HDR`, so that the kernel cuts what TCP and `UDP_SEGMENT` hand down into packets
//! of the MTU before they reach the link, and each of them meets queue and loss by itself.
//!
//! * [`Access::obtain`] finds a way in: the rights of root, or a user namespace.
//! * [`Lab::start`] makes both namespaces and joins them; [`Namespace::run`] does something inside of one.
//! * [`Wire::start`] joins two of them by a pair of the kernel's Ethernet devices instead, with nothing in between.
//! * [`Report`] says what the link did and whether it did so in time; a run for which it did not is spoilt.
//!
//! Nothing is mounted and no name outlives the process: namespaces and devices live as long as somebody holds them.

mod access;
mod emulator;
mod error;
mod lab;
mod lateness;
mod namespace;
mod netlink;
mod observed;
mod pending;
mod report;
mod settings;
mod wire;

pub use access::Access;
pub use error::TunError;
pub use lab::{Congestion, Lab, Plan, Side};
pub use namespace::Namespace;
pub use report::{Carried, Device, Emulation, Lateness, Machine, Report};
pub use wire::Wire;

/// Of the devices. What a profile says of packets' lengths is beyond them.
const MTU_BYTES: u32 = 1500;
