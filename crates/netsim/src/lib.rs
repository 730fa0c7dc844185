//! One seeded model of a bad link, and what drives it.
//!
//! * [`link`]: the model. A pure function of packets and time: no clock, no IO, no randomness but the seed's.
//! * [`profile`]: a link as data; the named ones are TOML files in `profiles/`.
//! * [`random`]: repeatable randomness, one independent stream for each purpose.
#![cfg_attr(
    feature = "flows",
    doc = "* [`flows`]: connections of quinn-proto over one bottleneck, in virtual time."
)]
#![cfg_attr(
    all(feature = "tun", target_os = "linux"),
    doc = "* [`tun`]: real programs in network namespaces, in real time."
)]
#![cfg_attr(
    feature = "virtual-net",
    doc = "* [`virtual_net`]: quinn on virtual time, for tests of whole systems."
)]
//!
//! Time is a [`Duration`](std::time::Duration) since the start of the experiment. Sizes are those of IP packets: what UDP
//! carries plus [`UDP_OVER_IPV4_BYTES`] or [`UDP_OVER_IPV6_BYTES`].

#[cfg(feature = "flows")]
pub mod flows;
pub mod link;
pub mod profile;
pub mod random;
#[cfg(all(feature = "tun", target_os = "linux"))]
pub mod tun;
#[cfg(feature = "virtual-net")]
pub mod virtual_net;

pub use link::{Cause, Channel, Counters, Fate, Link, Passage, QueueState, Way};
pub use profile::{Blackout, Bursts, Change, Direction, During, Loss, Profile, ProfileError, Queue, Spells};
pub use random::Stream;

/// What IPv4 (RFC 791) and UDP (RFC 768) add to a datagram's payload, in bytes.
pub const UDP_OVER_IPV4_BYTES: u32 = 28;

/// What IPv6 (RFC 8200) and UDP (RFC 768) add to a datagram's payload, in bytes.
pub const UDP_OVER_IPV6_BYTES: u32 = 48;
