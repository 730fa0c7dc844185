//! What is expected of fulmar on each link.

use serde::Serialize;

use super::plan::Spot;

/// What fulmar's goodput is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Of {
    /// What the link carries at most.
    Limit,
    /// The better of TCP BBR and TCP CUBIC in the same round.
    BetterTcp,
    Bbr,
    Cubic,
}

impl Of {
    pub(super) const ALL: [Self; 4] = [Self::Limit, Self::BetterTcp, Self::Bbr, Self::Cubic];

    /// The name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Limit => "of the limit",
            Self::BetterTcp => "of the better TCP",
            Self::Bbr => "of BBR",
            Self::Cubic => "of CUBIC",
        }
    }
}

/// The least that a median ratio has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Target {
    pub(super) of: Of,
    pub(super) at_least: f64,
}

/// The targets for one link.
pub(super) fn targets(spot: &Spot) -> Vec<Target> {
    let Spot { rate_mbit_per_s, rtt_ms, loss_percent, .. } = *spot;
    let target = |of, at_least| Target { of, at_least };
    let mut targets = vec![target(Of::Limit, 0.9)];
    if rate_mbit_per_s != 100 {
        return targets;
    }
    match loss_percent {
        0 => targets.push(target(Of::BetterTcp, 0.97)),
        1..=10 => targets.push(target(Of::BetterTcp, 1.0)),
        _ => {}
    }
    if rtt_ms == 100 {
        match loss_percent {
            5 => targets.push(target(Of::Bbr, 1.15)),
            10 => targets.push(target(Of::Bbr, 1.4)),
            _ => {}
        }
        if (1..=10).contains(&loss_percent) {
            targets.push(target(Of::Cubic, 20.0));
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::cc::plan::testing::plan;

    #[test]
    fn every_link_has_the_targets_that_were_set_for_it() {
        let plan = plan(&[]).expect("a plan");
        let of = |name: &str| {
            let spot = plan.spots().iter().find(|spot| spot.link.name == name).expect("there");
            targets(spot).into_iter().map(|target| (target.of, target.at_least)).collect::<Vec<_>>()
        };
        let limit = (Of::Limit, 0.9);
        assert_eq!(of("100M 20ms 0%"), [limit, (Of::BetterTcp, 0.97)]);
        assert_eq!(of("100M 20ms 10%"), [limit, (Of::BetterTcp, 1.0)]);
        assert_eq!(of("100M 100ms 0%"), [limit, (Of::BetterTcp, 0.97)]);
        assert_eq!(of("100M 100ms 1%"), [limit, (Of::BetterTcp, 1.0), (Of::Cubic, 20.0)]);
        assert_eq!(of("100M 100ms 5%"), [limit, (Of::BetterTcp, 1.0), (Of::Bbr, 1.15), (Of::Cubic, 20.0)]);
        assert_eq!(of("100M 100ms 10%"), [limit, (Of::BetterTcp, 1.0), (Of::Bbr, 1.4), (Of::Cubic, 20.0)]);
        for name in ["100M 20ms 20%", "100M 100ms 20%", "300M 100ms 0%", "300M 100ms 5%"] {
            assert_eq!(of(name), [limit], "{name}");
        }
    }
}
