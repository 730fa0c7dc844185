//! What the last connection to a peer has found, for the start of the next one.

use std::time::Duration;

use crate::signals::{Phase, Snapshot};

/// The round trip must be within these of the remembered one, or it is another path.
const LEAST_RTTS: f64 = 0.7;
const MOST_RTTS: f64 = 1.5;

/// Start-up begins with this share of the remembered capacity: on a path that has become ten times slower the first round trip then
/// sends three and a half times what it carries, and that is all.
const SHARE: f64 = 0.35;

/// A path as it was. RFC 9040 tells what connections may share, and draft-ietf-tsvwg-careful-resume how to start from it: with less than
/// there was, on the same round trip only, and for no longer than until the first acknowledgements tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remembered {
    /// What the path carried, in bytes per second as they are sent.
    pub capacity_bytes_per_s: f64,
    /// The round trip without queues.
    pub base_rtt: Duration,
    /// The ratio of packets that the path lost at random.
    pub loss_floor: f64,
}

impl Remembered {
    /// What is worth remembering of a connection; nothing before it has found out what the path carries.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Option<Self> {
        let known = snapshot.phase != Phase::Startup
            && snapshot.capacity_bytes_per_s > 0.0
            && snapshot.base_rtt > Duration::ZERO;
        known.then_some(Self {
            capacity_bytes_per_s: snapshot.capacity_bytes_per_s,
            base_rtt: snapshot.base_rtt,
            loss_floor: snapshot.loss_floor,
        })
    }

    /// Whether a path with this base round trip may be the same.
    #[must_use]
    pub fn is_path_of(&self, base_rtt: Duration) -> bool {
        let ratio = base_rtt.as_secs_f64() / self.base_rtt.as_secs_f64().max(0.0005);
        (LEAST_RTTS..=MOST_RTTS).contains(&ratio)
    }

    /// The rate to begin with on a path with this base round trip in seconds, if it may be the same.
    pub(crate) fn first_rate(&self, base_rtt: f64) -> Option<f64> {
        let rate = SHARE * self.capacity_bytes_per_s;
        let base_rtt = Duration::try_from_secs_f64(base_rtt).ok()?;
        (rate.is_finite() && self.is_path_of(base_rtt)).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            capacity_bytes_per_s: 1e6,
            loss_floor: 0.1,
            base_rtt: Duration::from_millis(100),
            phase: Phase::Cruise,
            ..Snapshot::default()
        }
    }

    #[test]
    fn what_is_not_known_yet_is_not_remembered() {
        let known = Remembered::of(&snapshot()).expect("known");
        assert_eq!((known.capacity_bytes_per_s, known.loss_floor), (1e6, 0.1));
        for unknown in [
            Snapshot { phase: Phase::Startup, ..snapshot() },
            Snapshot { capacity_bytes_per_s: 0.0, ..snapshot() },
            Snapshot { base_rtt: Duration::ZERO, ..snapshot() },
        ] {
            assert_eq!(Remembered::of(&unknown), None);
        }
    }

    #[test]
    fn a_part_of_it_is_the_start_and_only_on_the_same_round_trip() {
        let known = Remembered::of(&snapshot()).expect("known");
        for (rtt, rate) in [(0.069, None), (0.071, Some(3.5e5)), (0.149, Some(3.5e5)), (0.151, None)] {
            assert_eq!(known.first_rate(rtt), rate, "{rtt}");
        }
        let nonsense = Remembered { capacity_bytes_per_s: f64::NAN, ..known };
        assert_eq!(nonsense.first_rate(0.1), None);
    }
}
