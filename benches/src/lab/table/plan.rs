//! Which transfers are made, and in which order.

use std::collections::BTreeSet;

use clap::ValueEnum;
use fulmar_netsim::{Profile, Way};
use serde::Serialize;

use super::TableArgs;
use crate::contest::{Cell, Congestion, Contender, Direction, Size};

const MIB: u64 = 1 << 20;

/// The longest file that is chosen for a link, and the one for a link without a bottleneck.
const MAX_SIZE: Size = Size(1024 * MIB);
const UNLIMITED_SIZE: Size = Size(256 * MIB);

/// A contender, with what TCP sends by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(in crate::lab) enum Entrant {
    TcpCubic,
    TcpBbr,
    TlsCubic,
    TlsBbr,
    Fulmar,
}

impl Entrant {
    pub(in crate::lab) fn contender(self) -> Contender {
        match self {
            Self::TcpCubic | Self::TcpBbr => Contender::Tcp,
            Self::TlsCubic | Self::TlsBbr => Contender::Tls,
            Self::Fulmar => Contender::Fulmar,
        }
    }

    pub(in crate::lab) fn congestion(self) -> Option<Congestion> {
        match self {
            Self::TcpCubic | Self::TlsCubic => Some(Congestion::Cubic),
            Self::TcpBbr | Self::TlsBbr => Some(Congestion::Bbr),
            Self::Fulmar => None,
        }
    }

    /// The name for people.
    pub(in crate::lab) fn title(self) -> &'static str {
        match self {
            Self::TcpCubic => "TCP CUBIC",
            Self::TcpBbr => "TCP BBR",
            Self::TlsCubic => "TLS, TCP CUBIC",
            Self::TlsBbr => "TLS, TCP BBR",
            Self::Fulmar => "fulmar",
        }
    }
}

/// One transfer that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lab) struct Planned {
    pub(in crate::lab) round: u32,
    /// Its place among the links.
    pub(in crate::lab) link: usize,
    pub(in crate::lab) direction: Direction,
    pub(in crate::lab) entrant: Entrant,
    pub(in crate::lab) size: Size,
    /// What the link's chance comes from: the same for everything in a round.
    pub(in crate::lab) seed: u64,
    /// After how long it is stopped.
    pub(in crate::lab) limit_s: u64,
}

impl Planned {
    /// What the processes that make it have in common with others.
    pub(in crate::lab) fn cell(&self) -> Cell {
        Cell { size: self.size, direction: self.direction, contender: self.entrant.contender() }
    }
}

/// The order of everything. In each round every contender runs once on each link in both directions, one right after the
/// other, so that whatever else the machine does meets all of them alike. Who begins changes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    links: Vec<Profile>,
    directions: Vec<Direction>,
    entrants: Vec<Entrant>,
    size: Option<Size>,
    /// How long a link that is full takes for a file that is chosen for it, at most.
    seconds: f64,
    rounds: u32,
    seed: u64,
    limit_s: u64,
}

impl Plan {
    pub(super) fn new(links: Vec<Profile>, args: &TableArgs) -> Self {
        let (rounds, seconds, limit_s) = if args.quick { (1, 2.0, 8) } else { (3, 8.0, 30) };
        Self {
            links,
            directions: in_order(&args.directions),
            entrants: in_order(&args.contenders),
            size: args.size,
            seconds,
            rounds: args.measuring.rounds.unwrap_or(rounds),
            seed: args.measuring.seed,
            limit_s: args.limit_s.unwrap_or(limit_s),
        }
    }

    pub(super) fn links(&self) -> &[Profile] {
        &self.links
    }

    pub(super) fn directions(&self) -> &[Direction] {
        &self.directions
    }

    pub(super) fn entrants(&self) -> &[Entrant] {
        &self.entrants
    }

    pub(super) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// After how long a transfer is stopped.
    pub(super) fn limit_s(&self) -> u64 {
        self.limit_s
    }

    /// All transfers, in order.
    pub(super) fn transfers(&self) -> impl Iterator<Item = Planned> {
        (0..self.rounds).flat_map(move |round| self.round(round))
    }

    /// The kinds of processes and files that are needed.
    pub(super) fn cells(&self) -> BTreeSet<Cell> {
        self.round(0).map(|planned| planned.cell()).collect()
    }

    /// The length of the file that is moved one way over a link.
    pub(super) fn size(&self, link: usize, direction: Direction) -> Size {
        self.size.unwrap_or_else(|| match limit_bytes_per_s(&self.links[link], direction) {
            Some(bytes_per_s) => suitable(bytes_per_s * self.seconds),
            None => UNLIMITED_SIZE,
        })
    }

    fn round(&self, round: u32) -> impl Iterator<Item = Planned> {
        let seed = self.seed + u64::from(round);
        let count = self.entrants.len();
        let turn = usize::try_from(round).unwrap_or(0);
        let pairs = (0..self.links.len())
            .flat_map(move |link| self.directions.iter().map(move |direction| (link, *direction)));
        pairs.flat_map(move |(link, direction)| {
            let size = self.size(link, direction);
            (0..count).map(move |place| {
                let entrant = self.entrants[(place + turn) % count];
                Planned { round, link, direction, entrant, size, seed, limit_s: self.limit_s }
            })
        })
    }
}

/// Which way of a link carries the file.
fn way(direction: Direction) -> Way {
    match direction {
        Direction::Upload => Way::Up,
        Direction::Download => Way::Down,
    }
}

/// The most file bytes per second that a link carries one way; none without a bottleneck.
pub(super) fn limit_bytes_per_s(link: &Profile, direction: Direction) -> Option<f64> {
    link.limit_bytes_per_s(way(direction))
}

/// The largest power of two, in MiB, that is not more.
fn suitable(bytes: f64) -> Size {
    // Positive, since rates are; what is beyond the range of the type becomes its end.
    let mib = (bytes / MIB as f64) as u64;
    Size(mib.checked_ilog2().map_or(MIB, |power| MIB << power.min(20))).min(MAX_SIZE)
}

/// The items in their own order, each once.
fn in_order<T: Copy + Ord>(items: &[T]) -> Vec<T> {
    let items: BTreeSet<T> = items.iter().copied().collect();
    items.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TableArgs,
    }

    fn plan(words: &[&str]) -> Plan {
        let args = Line::parse_from(std::iter::once(&"table").chain(words)).args;
        let links = args.links.iter().map(|name| Profile::named(name).expect("a name")).collect();
        Plan::new(links, &args)
    }

    #[test]
    fn by_default_four_contenders_meet_three_times_both_ways_on_six_links() {
        let plan = plan(&[]);
        let all: Vec<Planned> = plan.transfers().collect();
        assert_eq!(all.len(), 3 * 6 * 2 * 4);
        assert_eq!((plan.rounds(), plan.limit_s()), (3, 30));
        let once: BTreeSet<&Planned> = all.iter().collect();
        assert_eq!(once.len(), all.len());
    }

    #[test]
    fn files_suit_the_link_and_the_direction() {
        let plan = plan(&["--links", "wan,lossy-10,intercontinental,satellite"]);
        let mib = |link, direction| plan.size(link, direction).0 / MIB;
        let (up, down) = (Direction::Upload, Direction::Download);
        assert_eq!([mib(0, up), mib(1, up), mib(2, down)], [64, 64, 128]);
        assert_eq!([mib(3, up), mib(3, down)], [8, 32]);
        let sizes: BTreeSet<u64> = plan.cells().iter().map(|cell| cell.size.0 / MIB).collect();
        assert_eq!(Vec::from_iter(sizes), [8, 32, 64, 128]);
        // By each size and way that there is: TCP, TLS and fulmar.
        assert_eq!(plan.cells().len(), 3 * (2 + 2 + 1 + 1));
    }

    #[test]
    fn a_size_is_the_largest_power_of_two_on_both_sides_of_one() {
        let mib = MIB as f64;
        assert_eq!(suitable(64.0 * mib), Size(64 * MIB));
        assert_eq!(suitable(63.99 * mib), Size(32 * MIB));
        assert_eq!([suitable(1.0), suitable(mib), suitable(f64::MAX)], [Size(MIB), Size(MIB), MAX_SIZE]);
    }

    #[test]
    fn a_quick_look_is_short_and_what_is_said_counts() {
        let quick = plan(&["--quick"]);
        assert_eq!((quick.rounds(), quick.limit_s()), (1, 8));
        assert!(quick.size(0, Direction::Upload) < plan(&[]).size(0, Direction::Upload));
        let said = plan(&["--quick", "--rounds", "2", "--limit-s", "5", "--size", "3MiB"]);
        assert_eq!((said.rounds(), said.limit_s()), (2, 5));
        assert!(said.transfers().all(|planned| planned.size == Size(3 * MIB)));
    }

    #[test]
    fn a_contender_is_what_it_is_called() {
        for entrant in Entrant::value_variants() {
            let word = entrant.to_possible_value().expect("one").get_name().to_owned();
            let parts = [Some(entrant.contender().word()), entrant.congestion().map(Congestion::word)];
            assert_eq!(word, parts.into_iter().flatten().collect::<Vec<_>>().join("-"));
            assert_eq!(serde_json::to_value(entrant).expect("text"), word.as_str());
        }
    }

    proptest! {
        #[test]
        fn whoever_meets_in_a_round_meets_the_same_link_and_who_begins_changes(rounds in 1u32..9, seed in 0u64..1000) {
            let plan = plan(&["--rounds", &rounds.to_string(), "--seed", &seed.to_string()]);
            let all: Vec<Planned> = plan.transfers().collect();
            for (index, meeting) in all.chunks(4).enumerate() {
                let round = meeting[0].round;
                prop_assert!(meeting.iter().all(|one| (one.round, one.link, one.direction, one.size)
                    == (round, meeting[0].link, meeting[0].direction, meeting[0].size)));
                prop_assert!(meeting.iter().all(|one| one.seed == seed + u64::from(round)));
                let entrants: BTreeSet<Entrant> = meeting.iter().map(|one| one.entrant).collect();
                prop_assert_eq!(entrants.len(), 4, "meeting {}", index);
                prop_assert_eq!(meeting[0].entrant, plan.entrants()[round as usize % 4]);
            }
        }
    }
}
