//! A link as data.
//!
//! A profile is a TOML file: what it is, and either `[both]` directions or `[up]` (client to server) and `[down]`. Every
//! setting has a default, and the defaults make a perfect wire.
//!
//! ```
//! let profile = fulmar_netsim::Profile::parse(
//!     r#"
//!     description = "a long path that loses every tenth packet in bursts of five"
//!     [both]
//!     rate_mbit_per_s = 50
//!     delay_ms = 75
//!     queue = { bdp = 0.5 }
//!     loss_after_queue = { ratio = 0.1, mean_burst_packets = 5 }
//!     [[both.changes]]
//!     at_s = 10
//!     rate_mbit_per_s = 25
//!     "#,
//! )?;
//! assert_eq!(profile.up.delay_ms + profile.down.delay_ms, 150.0);
//! # Ok::<(), fulmar_netsim::ProfileError>(())
//! ```

mod builtin;
mod check;
mod loss;

use serde::{Deserialize, Serialize};

pub use loss::{Bursts, Loss, Spells};

use crate::link::Way;

/// How much of a full packet is file bytes: a datagram of 1,452 bytes over IPv4 and Ethernet, without the headers of IP,
/// UDP, QUIC, its stream frames and its seal.
pub const PAYLOAD_SHARE: f64 = 0.957;

/// The shortest queue that is sized by the path, in bytes: ten full packets.
pub(crate) const LEAST_BDP_QUEUE_BYTES: u64 = 15_000;

/// A named link: two directions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// What to call it.
    pub name: String,
    /// What it stands for, in a line.
    pub description: String,
    /// From the client to the server.
    pub up: Direction,
    /// From the server to the client.
    pub down: Direction,
}

/// One direction of a link. The default is a perfect wire.
///
/// A packet meets, in this order: MTU, loss before the queue, the queue and the rate, blackouts, loss after the queue,
/// delay and jitter, duplication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Direction {
    /// What the bottleneck carries, in IP packets; none where there is no bottleneck, and then no queue. 0.001 to 1,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_mbit_per_s: Option<f64>,
    /// How much waits before the bottleneck; what does not fit is dropped.
    pub queue: Queue,
    /// The propagation delay, one way, in milliseconds. Up to 60,000.
    pub delay_ms: f64,
    /// How far the delay of single packets lies around that, uniformly, in milliseconds. At most `delay_ms`.
    pub jitter_ms: f64,
    /// Whether jitter lets packets overtake each other. If not, a packet waits for those before it.
    pub reordering: bool,
    /// Loss of packets before they use the bottleneck, as by a policer or by netem with a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_before_queue: Option<Loss>,
    /// Loss of packets that have used the bottleneck, as on a radio link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_after_queue: Option<Loss>,
    /// The ratio of packets that arrive twice.
    pub duplication: f64,
    /// IP packets that are longer vanish; none where all pass. At least 576 (RFC 791).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu_bytes: Option<u32>,
    /// Times at which nothing comes through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Blackout>,
    /// What changes, and when; in ascending order of time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// The size of a drop-tail queue.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Queue {
    /// In products of the first rate and the round trip without queues; at least ten full packets. Up to 1,000.
    Bdp(f64),
    /// In bytes. At least 1,500.
    Bytes(u64),
}

impl Default for Queue {
    fn default() -> Self {
        Self::Bdp(1.0)
    }
}

/// A time at which nothing comes through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blackout {
    /// When it begins, in seconds after the start.
    pub from_s: f64,
    /// How long it lasts, in seconds.
    pub for_s: f64,
    /// How long from one beginning to the next, in seconds; longer than it lasts. Without it there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<f64>,
    /// What becomes of the packets.
    #[serde(default)]
    pub packets: During,
}

/// What becomes of packets in a blackout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum During {
    /// What leaves the queue while it lasts is lost: the sender's radio does not notice.
    #[default]
    Drop,
    /// Nothing leaves the queue, which fills up: the radio waits.
    Hold,
}

/// Settings that change at some time. What is not named stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When, in seconds after the start.
    pub at_s: f64,
    /// The new rate; only where there is one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_mbit_per_s: Option<f64>,
    /// The new delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
    /// The new loss before the queue; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_before_queue: Option<Loss>,
    /// The new loss after the queue; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_after_queue: Option<Loss>,
    /// The new MTU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu_bytes: Option<u32>,
}

/// Why something is not a profile. Whoever wrote it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// It is not TOML, or a setting is unknown, missing or of another type.
    #[error("{0}")]
    Syntax(String),
    /// It has neither `[both]` nor `[up]` and `[down]`, or all of them.
    #[error("a profile has either [both] or [up] and [down]")]
    Directions,
    /// A setting is outside of its range.
    #[error("{setting} is out of range: {allowed}")]
    Range {
        /// Which setting, with the direction before it.
        setting: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// A profile as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    #[serde(default)]
    description: String,
    both: Option<Direction>,
    up: Option<Direction>,
    down: Option<Direction>,
}

impl Profile {
    /// Reads a profile from TOML. One without a name is called `custom`.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let written: Written = toml::from_str(text).map_err(|error| syntax(&error, text))?;
        let (up, down) = match (written.both, written.up, written.down) {
            (Some(both), None, None) => (both.clone(), both),
            (None, Some(up), Some(down)) => (up, down),
            _ => return Err(ProfileError::Directions),
        };
        let name = written.name.unwrap_or_else(|| "custom".to_owned());
        let profile = Self { name, description: written.description, up, down };
        profile.check()?;
        Ok(profile)
    }

    /// A profile that is the same both ways.
    #[must_use]
    pub fn symmetric(name: &str, both: Direction) -> Self {
        Self { name: name.to_owned(), description: String::new(), up: both.clone(), down: both }
    }

    /// One of the built-in profiles.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        builtin::find(name)
    }

    /// The names of the built-in profiles, from good to bad.
    pub fn names() -> impl Iterator<Item = &'static str> {
        builtin::names()
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`ProfileError::Range`] with the first that is outside.
    pub fn check(&self) -> Result<(), ProfileError> {
        check::direction("up", &self.up)?;
        check::direction("down", &self.down)
    }

    /// One of the directions.
    #[must_use]
    pub fn direction(&self, way: Way) -> &Direction {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    /// The round trip without queues and jitter, in milliseconds, as it is at the start.
    #[must_use]
    pub fn rtt_ms(&self) -> f64 {
        self.up.delay_ms + self.down.delay_ms
    }

    /// The most file bytes per second that one way can carry, as it is at the start: rate x [`PAYLOAD_SHARE`] x (1 - loss) when
    /// packets are lost after they have used the bottleneck. None without a bottleneck.
    #[must_use]
    pub fn limit_bytes_per_s(&self, way: Way) -> Option<f64> {
        let direction = self.direction(way);
        let kept = 1.0 - direction.loss_after_queue.as_ref().map_or(0.0, Loss::ratio);
        direction.rate_mbit_per_s.map(|rate| rate * 125_000.0 * PAYLOAD_SHARE * kept)
    }
}

/// The parser's message in one line, with the place.
fn syntax(error: &toml::de::Error, text: &str) -> ProfileError {
    let at = error.span().map(|span| text.get(..span.start).unwrap_or(text).matches('\n').count() + 1);
    let message = error.message().replace('\n', " ");
    ProfileError::Syntax(match at {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    })
}

#[cfg(test)]
mod tests;
