mod laws;
mod times;

use std::time::Duration;

use super::*;
use crate::profile::Direction;

/// What a test says of time.
fn ms(ms: f64) -> Duration {
    Duration::from_nanos((ms * 1e6).round() as u64)
}

/// A channel of this direction whose queue refers to a round trip of 100 ms.
fn channel(direction: &Direction) -> Channel {
    Channel::new(direction, ms(100.0), 1).expect("in range")
}

/// When a packet arrives that must arrive once.
fn arrival(passage: Passage) -> Duration {
    match passage.fate {
        Fate::Delivered { at, copy_at: None } => at,
        fate => panic!("{fate:?}"),
    }
}
