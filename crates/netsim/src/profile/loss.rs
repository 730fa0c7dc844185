//! How packets get lost.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Random loss. Written as a number (the ratio), or as a table with `ratio` and `mean_burst_packets`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Loss {
    /// Each packet by itself, with this probability.
    Bernoulli(f64),
    /// In bursts: a link that is now good, now bad (Gilbert 1960, Elliott 1963).
    GilbertElliott(Bursts),
}

/// Loss in bursts: a Markov chain of two states that takes one step per packet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// The ratio of packets that are lost in the long run.
    pub ratio: f64,
    /// How many packets a bad time lasts on average. At least 1.
    pub mean_burst_packets: f64,
    /// The probability of loss in a good time.
    #[serde(default)]
    pub loss_in_good: f64,
    /// The probability of loss in a bad time.
    #[serde(default = "one")]
    pub loss_in_bad: f64,
}

fn one() -> f64 {
    1.0
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

    /// The ratio of packets that are lost in the long run.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        match self {
            Self::Bernoulli(ratio) => *ratio,
            Self::GilbertElliott(bursts) => bursts.ratio,
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
        f.write_str("a ratio, or a table with ratio and mean_burst_packets")
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
        Bursts::deserialize(MapAccessDeserializer::new(map)).map(Loss::GilbertElliott)
    }
}
