//! quinn on virtual time: any number of hosts in one process, joined by modelled links.
//!
//! ```text
//! Network        joins hosts, hands out sockets, breaks things on request
//!   Socket         what a quinn endpoint sends and receives on
//!   VirtualRuntime what drives it: tokio's clock, which a paused runtime moves on
//!   pump           one task that hands every packet over when the link says so
//! ```
//!
//! Run it under [`run`]: tokio's clock is paused and jumps to the next timer whenever nothing is left to do, so that a
//! minute of a bad link costs milliseconds, and everything happens on one thread in an order that the seed decides. No
//! other thread may take part, because the clock runs on while one works.
//!
//! A host is an IP address. Under [`run`] time moves in tokio's steps of 1 ms: a packet is never early, and up to 1 ms late, as
//! behind an interrupt that waits for company. Under [`run_exactly`] it is on time.
//!
//! ```
//! use fulmar_netsim::{Profile, virtual_net::{self, Network}};
//!
//! virtual_net::run(async {
//!     let network = Network::new(1);
//!     let (laptop, server) = ("10.0.0.2:0".parse().unwrap(), "10.0.0.1:4433".parse().unwrap());
//!     network.join_others(&Profile::named("wifi").unwrap()).unwrap();
//!     // Each goes to `quinn::Endpoint::new_with_abstract_socket`, with `virtual_net::VirtualRuntime`.
//!     let sockets = (network.bind(laptop).unwrap(), network.bind(server).unwrap());
//!     # drop(sockets);
//! });
//! ```

mod clock;
mod hosts;
mod network;
mod paths;
mod pump;
mod runtime;
mod socket;
mod state;
mod trace;

pub use network::Network;
pub use runtime::{VirtualRuntime, run, run_exactly};
pub use socket::Socket;
pub use trace::{PacketFate, PacketRecord, Tallies, Trace};
