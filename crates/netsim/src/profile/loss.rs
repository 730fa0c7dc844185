//! How packets get lost.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Random loss. Written as a number (the ratio), or as a table with `ratio` and `mean_burst_packets` or `mean_burst_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Loss {
    /// Each packet by itself, with this probability.
    Bernoulli(f64),
    /// In bursts of packets: a link that is now good, now bad (Gilbert 1960, Elliott 1963).
    GilbertElliott(Bursts),
    /// In bursts of time.
    Spells(Spells),
}

/// Loss in bursts: a Markov chain of two states that takes one step per packet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bursts {
    /// The ratio of packets that are lost in the long run.
    pub ratio: f64,
    /// How many packets a bad time lasts on average. At least 1.
    pub mean_burst_packets: f64,
    /// The probability of loss in a good time.
    pub loss_in_good: f64,
    /// The probability of loss in a bad time.
    pub loss_in_bad: f64,
}

/// Loss in bursts of time: the same chain, but it moves on while nothing is sent. So a sender that tries again later and later
/// does not meet the same burst for minutes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spells {
    /// The ratio of time in which everything is lost; what is lost of packets that come evenly. Less than 1.
    pub ratio: f64,
    /// How long a bad time lasts on average, in milliseconds. 0.001 to 60,000.
    pub mean_burst_ms: f64,
}

impl Spells {
    /// The probability that the time is bad `elapsed_ms` after a time that was (or was not).
    pub(crate) fn bad_after(&self, was_bad: bool, elapsed_ms: f64) -> f64 {
        // Good times are longer than bad ones by the odds. The memory fades at the sum of both rates of change.
        let rate = 1.0 / self.mean_burst_ms / (1.0 - self.ratio);
        let memory = (-elapsed_ms * rate).exp();
        let before = if was_bad { 1.0 } else { 0.0 };
        self.ratio + (before - self.ratio) * memory
    }
}

impl Bursts {
    /// The probabilities of going bad and of getting better with each packet.
    pub(crate) fn transitions(&self) -> (f64, f64) {
        let leave = 1.0 / self.mean_burst_packets;
        let span = self.loss_in_bad - self.loss_in_good;
        let bad_share = if span > 0.0 { (self.ratio - self.loss_in_good) / span } else { 0.0 };
        (leave * bad_share / (1.0 - bad_share), leave)
    }
}

impl Loss {
    /// Loss in bursts of this mean length, in which everything is lost, and none between them.
    #[must_use]
    pub fn bursts(ratio: f64, mean_burst_packets: f64) -> Self {
        Self::GilbertElliott(Bursts { ratio, mean_burst_packets, loss_in_good: 0.0, loss_in_bad: 1.0 })
    }

    /// Loss in bursts that last so long on average, in milliseconds.
    #[must_use]
    pub fn spells(ratio: f64, mean_burst_ms: f64) -> Self {
        Self::Spells(Spells { ratio, mean_burst_ms })
    }

    /// The ratio of packets that are lost in the long run.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        match self {
            Self::Bernoulli(ratio) => *ratio,
            Self::GilbertElliott(bursts) => bursts.ratio,
            Self::Spells(spells) => spells.ratio,
        }
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LossVisitor)
    }
}

/// Tells a number from a table, so that what is wrong in the table is said as such.
struct LossVisitor;

impl<'de> Visitor<'de> for LossVisitor {
    type Value = Loss;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ratio, or a table with ratio and mean_burst_packets or mean_burst_ms")
    }

    fn visit_f64<E>(self, ratio: f64) -> Result<Loss, E> {
        Ok(Loss::Bernoulli(ratio))
    }

    fn visit_i64<E>(self, ratio: i64) -> Result<Loss, E> {
        Ok(Loss::Bernoulli(ratio as f64))
    }

    fn visit_u64<E>(self, ratio: u64) -> Result<Loss, E> {
        Ok(Loss::Bernoulli(ratio as f64))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loss, A::Error> {
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        let Written { ratio, mean_burst_packets, mean_burst_ms, loss_in_good, loss_in_bad } = written;
        match (mean_burst_packets, mean_burst_ms) {
            (Some(mean_burst_packets), None) => Ok(Loss::GilbertElliott(Bursts {
                ratio,
                mean_burst_packets,
                loss_in_good: loss_in_good.unwrap_or(0.0),
                loss_in_bad: loss_in_bad.unwrap_or(1.0),
            })),
            (None, Some(mean_burst_ms)) if loss_in_good.is_none() && loss_in_bad.is_none() => {
                Ok(Loss::Spells(Spells { ratio, mean_burst_ms }))
            }
            (None, Some(_)) => {
                Err(A::Error::custom("loss_in_good and loss_in_bad go with mean_burst_packets"))
            }
            _ => Err(A::Error::custom("bursts have either mean_burst_packets or mean_burst_ms")),
        }
    }
}

/// A table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    ratio: f64,
    mean_burst_packets: Option<f64>,
    mean_burst_ms: Option<f64>,
    loss_in_good: Option<f64>,
    loss_in_bad: Option<f64>,
}
