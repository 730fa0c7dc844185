//! Links that several tests use.

use fulmar_netsim::{Blackout, Change, Direction, During, Loss, Profile};

/// 20 Mbit/s and 20 ms each way: a mebibyte takes about half a second.
pub(crate) fn wire() -> Direction {
    Direction { rate_mbit_per_s: Some(20.0), delay_ms: 20.0, ..Direction::default() }
}

/// [`wire`] in both directions.
pub(crate) fn clean() -> Profile {
    Profile::symmetric("clean", wire())
}

/// [`clean`], losing this ratio of packets in either direction.
pub(crate) fn lossy(ratio: f64) -> Profile {
    let loss_after_queue = (ratio > 0.0).then_some(Loss::Bernoulli(ratio));
    Profile::symmetric(&format!("loss of {ratio}"), Direction { loss_after_queue, ..wire() })
}

/// [`clean`], losing packets in bursts.
pub(crate) fn bursty(loss: Loss) -> Profile {
    Profile::symmetric("bursts", Direction { loss_after_queue: Some(loss), ..wire() })
}

/// A link with a time without any packet.
pub(crate) fn dark(link: &Profile, from_s: f64, for_s: f64, packets: During) -> Profile {
    let blackouts = vec![Blackout { from_s, for_s, every_s: None, packets }];
    let dark = |way: &Direction| Direction { blackouts: blackouts.clone(), ..way.clone() };
    Profile { up: dark(&link.up), down: dark(&link.down), ..link.clone() }
}

/// [`clean`] with a greatest packet, from the start or only from some time on.
pub(crate) fn narrow(mtu_bytes: u32, from_s: Option<f64>) -> Profile {
    let way = match from_s {
        None => Direction { mtu_bytes: Some(mtu_bytes), ..wire() },
        Some(at_s) => {
            let change = Change { at_s, mtu_bytes: Some(mtu_bytes), ..Change::default() };
            Direction { changes: vec![change], ..wire() }
        }
    };
    Profile::symmetric(&format!("MTU {mtu_bytes}"), way)
}
