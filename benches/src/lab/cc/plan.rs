//! Which links there are, and which transfers are made over them, in which order.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use fulmar_netsim::{Direction as Way, Loss, Profile};
use fulmar_proto::text::Escaped;

use super::args::CcArgs;
use crate::{
    contest::{Cell, Direction, Size},
    lab::table::{Entrant, Planned},
};

/// Who meets on every link.
pub(super) const ENTRANTS: [Entrant; 3] = [Entrant::Fulmar, Entrant::TcpBbr, Entrant::TcpCubic];

/// After how long a contender is stopped: what has arrived by then is what is compared.
#[derive(Clone, Copy, Debug)]
struct Limits {
    fulmar_s: u64,
    bbr_s: u64,
    cubic_s: u64,
}

/// CUBIC crawls wherever something is lost, BBR where every fifth packet is; the slowest link takes 30 s when it is full.
const LIMITS: Limits = Limits { fulmar_s: 180, bbr_s: 90, cubic_s: 30 };
const QUICK_LIMITS: Limits = Limits { fulmar_s: 180, bbr_s: 30, cubic_s: 8 };

const MB: u64 = 1_000_000;

/// The file of a quick look.
const QUICK_SIZE: Size = Size(25 * MB);

/// Links that are crossed.
struct Matrix {
    rate_mbit_per_s: u32,
    rtts_ms: &'static [u32],
    loss_percents: &'static [u32],
    size: Size,
}

const MATRICES: [Matrix; 2] = [
    Matrix {
        rate_mbit_per_s: 100,
        rtts_ms: &[20, 100],
        loss_percents: &[0, 1, 5, 10, 20],
        size: Size(100 * MB),
    },
    Matrix { rate_mbit_per_s: 300, rtts_ms: &[100], loss_percents: &[0, 1, 5], size: Size(1000 * MB) },
];

/// A link, and the file that goes over it. Its queue holds one product of rate and round trip, and what it loses it loses both ways,
/// after the bottleneck.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) rate_mbit_per_s: u32,
    pub(super) rtt_ms: u32,
    pub(super) loss_percent: u32,
    pub(super) size: Size,
    pub(super) link: Profile,
}

impl Spot {
    fn new(rate_mbit_per_s: u32, rtt_ms: u32, loss_percent: u32, size: Size) -> Self {
        let ratio = f64::from(loss_percent) / 100.0;
        let both = Way {
            rate_mbit_per_s: Some(rate_mbit_per_s.into()),
            delay_ms: f64::from(rtt_ms) / 2.0,
            loss_after_queue: Some(Loss::Bernoulli(ratio)).filter(|_| loss_percent > 0),
            ..Way::default()
        };
        let link = Profile::symmetric(&format!("{rate_mbit_per_s}M {rtt_ms}ms {loss_percent}%"), both);
        Self { rate_mbit_per_s, rtt_ms, loss_percent, size, link }
    }
}

/// The order of everything. In each round every contender runs once over each link, one right after the other, so that whatever else the
/// machine does meets all of them alike. Who begins changes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    spots: Vec<Spot>,
    directions: &'static [Direction],
    rounds: u32,
    seed: u64,
    limits: Limits,
}

impl Plan {
    pub(super) fn new(args: &CcArgs) -> Result<Self> {
        let only = args.only.as_deref().unwrap_or_default();
        let mut spots = all_spots();
        spots.retain(|spot| spot.link.name.contains(only));
        ensure!(!spots.is_empty(), "no link has {} in its name; there is {}", Escaped(only), all_names());
        if args.quick {
            spots.iter_mut().for_each(|spot| spot.size = QUICK_SIZE);
        }
        let (rounds, limits) = if args.quick { (1, QUICK_LIMITS) } else { (3, LIMITS) };
        Ok(Self {
            spots,
            directions: args.direction.directions(),
            rounds: args.measuring.rounds.unwrap_or(rounds),
            seed: args.measuring.seed,
            limits,
        })
    }

    pub(super) fn spots(&self) -> &[Spot] {
        &self.spots
    }

    pub(super) fn directions(&self) -> &'static [Direction] {
        self.directions
    }

    pub(super) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// After how long a contender is stopped.
    pub(super) fn limit_s(&self, entrant: Entrant) -> u64 {
        match entrant {
            Entrant::Fulmar => self.limits.fulmar_s,
            Entrant::TcpBbr | Entrant::TlsBbr => self.limits.bbr_s,
            Entrant::TcpCubic | Entrant::TlsCubic => self.limits.cubic_s,
        }
    }

    /// The kinds of processes and files that are needed.
    pub(super) fn cells(&self) -> BTreeSet<Cell> {
        self.round(0).map(|planned| planned.cell()).collect()
    }

    /// All transfers, in order.
    pub(super) fn transfers(&self) -> impl Iterator<Item = Planned> {
        (0..self.rounds).flat_map(|round| self.round(round))
    }

    fn round(&self, round: u32) -> impl Iterator<Item = Planned> {
        let seed = self.seed + u64::from(round);
        let turn = usize::try_from(round).unwrap_or(0);
        let places = (0..self.spots.len())
            .flat_map(|link| self.directions.iter().map(move |direction| (link, *direction)));
        places.flat_map(move |(link, direction)| {
            let size = self.spots[link].size;
            (0..ENTRANTS.len()).map(move |place| {
                let entrant = ENTRANTS[(place + turn) % ENTRANTS.len()];
                let limit_s = self.limit_s(entrant);
                Planned { round, link, direction, entrant, size, seed, limit_s }
            })
        })
    }
}

fn all_spots() -> Vec<Spot> {
    let mut spots = Vec::new();
    for Matrix { rate_mbit_per_s, rtts_ms, loss_percents, size } in &MATRICES {
        for rtt_ms in *rtts_ms {
            spots.extend(loss_percents.iter().map(|loss| Spot::new(*rate_mbit_per_s, *rtt_ms, *loss, *size)));
        }
    }
    spots
}

fn all_names() -> String {
    all_spots().iter().map(|spot| spot.link.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) mod testing {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CcArgs,
    }

    /// What these words make.
    pub(in super::super) fn plan(words: &[&str]) -> Result<Plan> {
        Plan::new(&Line::parse_from(std::iter::once(&"cc").chain(words)).args)
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::plan, *};

    #[test]
    fn thirteen_links_meet_three_contenders_three_times() {
        let plan = plan(&[]).expect("a plan");
        let all: Vec<Planned> = plan.transfers().collect();
        assert_eq!((plan.spots().len(), all.len()), (13, 13 * 3 * 3));
        assert!(all.iter().all(|planned| planned.direction == Direction::Upload));
        assert_eq!(BTreeSet::from_iter(&all).len(), all.len());
        for meeting in all.chunks(3) {
            assert!(meeting.iter().all(|one| (one.round, one.link, one.seed)
                == (meeting[0].round, meeting[0].link, 1 + u64::from(meeting[0].round))));
            assert_eq!(meeting[0].entrant, ENTRANTS[meeting[0].round as usize % 3], "who begins changes");
            assert_eq!(meeting.iter().map(|one| one.entrant).collect::<BTreeSet<_>>().len(), 3);
        }
    }

    #[test]
    fn a_link_is_what_it_is_called() {
        let plan = plan(&[]).expect("a plan");
        let spot = plan.spots().iter().find(|spot| spot.link.name == "100M 100ms 5%").expect("there");
        assert_eq!(spot.link.up, spot.link.down);
        assert_eq!((spot.link.up.rate_mbit_per_s, spot.link.rtt_ms()), (Some(100.0), 100.0));
        assert_eq!(spot.link.up.loss_after_queue, Some(Loss::Bernoulli(0.05)));
        assert_eq!(spot.link.up.queue, fulmar_netsim::Queue::Bdp(1.0));
        for spot in plan.spots() {
            spot.link.check().expect("in range");
            assert_eq!(spot.link.up.loss_after_queue.is_none(), spot.link.name.ends_with(" 0%"));
            assert_eq!(spot.size.0, if spot.rate_mbit_per_s == 300 { 1000 * MB } else { 100 * MB });
        }
    }

    #[test]
    fn who_crawls_is_stopped_early_and_a_quick_look_is_short() {
        let whole = plan(&[]).expect("a plan");
        let limits = |plan: &Plan| ENTRANTS.map(|entrant| plan.limit_s(entrant));
        assert_eq!(limits(&whole), [180, 90, 30]);
        assert!(whole.transfers().all(|planned| planned.limit_s == whole.limit_s(planned.entrant)));
        let quick = plan(&["--quick"]).expect("a plan");
        assert_eq!((quick.rounds(), limits(&quick)), (1, [180, 30, 8]));
        assert!(quick.transfers().all(|planned| planned.size == QUICK_SIZE));
    }

    #[test]
    fn ways_and_links_can_be_chosen() {
        let both = plan(&["--direction", "both", "--only", "300M", "--rounds", "1"]).expect("a plan");
        assert_eq!(both.transfers().count(), 3 * 2 * 3);
        // Two sizes of process: TCP, whatever its congestion control, and fulmar.
        assert_eq!(both.cells().len(), 2 * 2);
        let down = plan(&["--direction", "down"]).expect("a plan");
        assert_eq!(down.directions(), [Direction::Download]);
        let error = plan(&["--only", "400M"]).expect_err("none").to_string();
        assert!(error.contains("400M") && error.contains("300M 100ms 5%"), "{error}");
    }
}
