//! Flows of QUIC in virtual time: any number of connections of quinn-proto, each with a given congestion controller, over one
//! bottleneck.
//!
//! ```text
//! scenario     what is simulated: the link, the flows, both ends of each
//! transport    the transport parameters of an end
//! identity     the certificate and the TLS settings of all ends
//! agenda       what is to happen, in the order of time
//! network      the shared link, and what a flow has of its own around it
//! end          one end of a flow: endpoint, connection, timers
//! bulk         what the ends do: ask for data, send it, receive it
//! egress       where an end's datagrams pass on their way out
//! simulation   the loop over all this
//! series       what is recorded on the way
//! outcome      what came of it
//! ```
//!
//! quinn-proto does no IO and reads no clock, so there is nothing between it and the model of the link: the same scenario
//! and seed give the same outcome, and half a minute at 50 Mbit/s takes about half a second of processor time.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use fulmar_netsim::{Direction, Profile, flows::{EndSpec, FlowSpec, Scenario, run}};
//! use quinn_proto::congestion::CubicConfig;
//!
//! let link = Direction { rate_mbit_per_s: Some(10.0), delay_ms: 10.0, ..Direction::default() };
//! let cubic = || EndSpec::new(Arc::new(CubicConfig::default()));
//! let flow = FlowSpec::new("cubic", cubic(), cubic());
//! let scenario = Scenario::new(Profile::symmetric("example", link), vec![flow], Duration::from_secs(3));
//! let outcome = run(&scenario, 1)?;
//! let goodput = outcome.goodput_bytes_per_s(0, Duration::from_secs(1)..Duration::from_secs(3));
//! assert!(goodput > 0.9 * 10e6 / 8.0);
//! # Ok::<(), fulmar_netsim::flows::FlowsError>(())
//! ```

mod agenda;
mod bulk;
mod egress;
mod end;
mod identity;
mod network;
mod outcome;
mod scenario;
mod series;
mod simulation;
mod transport;

pub use egress::{Egress, Offer, Pass, Straight};
pub use outcome::{Death, Drops, FlowOutcome, Outcome, Traffic};
pub use scenario::{EndSpec, FlowSpec, FlowsError, Granularity, MakeOwn, Own, Scenario};
pub use series::{QueueFigures, Series};
pub use simulation::run;
pub use transport::Transport;

#[cfg(test)]
mod tests;
