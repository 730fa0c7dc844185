//! What is between two hosts: a link, partitions, corruption.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    time::Duration,
};

use crate::{
    link::{Counters, Fate, Link, Way},
    profile::{Profile, ProfileError},
    random::Stream,
};

/// An ordered pair of hosts: who sends, who receives.
type Direction = (IpAddr, IpAddr);

/// The most bits that one corrupted packet has flipped.
const MAX_FLIPPED_BITS: u64 = 3;

/// A link in its place.
#[derive(Debug)]
struct Path {
    link: Link,
    /// When it was put there: its own time begins then.
    since: Duration,
}

/// Flips bits in a share of the packets.
#[derive(Debug)]
struct Corruption {
    ratio: f64,
    stream: Stream,
}

/// Copies of the last packets of one direction.
#[derive(Debug, Default)]
struct Tap {
    most: usize,
    payloads: VecDeque<Box<[u8]>>,
}

/// All links by the pair of hosts that they join, below first.
#[derive(Debug)]
pub(super) struct Paths {
    seed: u64,
    /// How many links there have been: each has a seed of its own, also one that takes the place of another.
    links: u64,
    paths: BTreeMap<(IpAddr, IpAddr), Path>,
    default: Option<Profile>,
    blocked: BTreeSet<Direction>,
    corruptions: BTreeMap<Direction, Corruption>,
    taps: BTreeMap<Direction, Tap>,
}

impl Paths {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            links: 0,
            paths: BTreeMap::new(),
            default: None,
            blocked: BTreeSet::new(),
            corruptions: BTreeMap::new(),
            taps: BTreeMap::new(),
        }
    }

    /// Puts a link between two hosts, in the place of the one that is there.
    pub(super) fn join(
        &mut self,
        below: IpAddr,
        above: IpAddr,
        profile: &Profile,
        now: Duration,
    ) -> Result<(), ProfileError> {
        let number = self.links + 1;
        let seed = Stream::new(self.seed, &format!("link {number} {below} {above}")).number();
        let link = Link::new(profile, seed)?;
        self.links = number;
        self.paths.remove(&(above, below));
        self.paths.insert((below, above), Path { link, since: now });
        Ok(())
    }

    /// The profile of pairs that were not joined. The one who sends first is below.
    pub(super) fn set_default(&mut self, profile: &Profile) -> Result<(), ProfileError> {
        profile.check()?;
        self.default = Some(profile.clone());
        Ok(())
    }

    fn path(&mut self, from: IpAddr, to: IpAddr, now: Duration) -> Option<(&mut Path, Way)> {
        if !self.paths.contains_key(&(from, to)) && !self.paths.contains_key(&(to, from)) {
            let profile = self.default.clone().filter(|_| from != to)?;
            self.join(from, to, &profile, now).ok()?;
        }
        let (pair, way) = match self.paths.contains_key(&(from, to)) {
            true => ((from, to), Way::Up),
            false => ((to, from), Way::Down),
        };
        self.paths.get_mut(&pair).map(|path| (path, way))
    }

    /// Offers an IP packet to the link between two hosts; none when there is no link. Delivery times are the network's.
    pub(super) fn send(
        &mut self,
        from: IpAddr,
        to: IpAddr,
        now: Duration,
        packet_bytes: u32,
    ) -> Option<Fate> {
        let (path, way) = self.path(from, to, now)?;
        let since = path.since;
        let fate = match path.link.send(way, now.saturating_sub(since), packet_bytes).fate {
            Fate::Delivered { at, copy_at } => {
                Fate::Delivered { at: since + at, copy_at: copy_at.map(|at| since + at) }
            }
            lost => lost,
        };
        Some(fate)
    }

    /// What the link between two hosts has counted, upward and downward.
    pub(super) fn counters(
        &self,
        below: IpAddr,
        above: IpAddr,
        now: Duration,
    ) -> Option<(Counters, Counters)> {
        let path = self.paths.get(&(below, above))?;
        let now = now.saturating_sub(path.since);
        Some((path.link.counters(Way::Up, now), path.link.counters(Way::Down, now)))
    }

    pub(super) fn block(&mut self, from: IpAddr, to: IpAddr) {
        self.blocked.insert((from, to));
    }

    pub(super) fn unblock(&mut self, from: IpAddr, to: IpAddr) {
        self.blocked.remove(&(from, to));
    }

    pub(super) fn is_blocked(&self, from: IpAddr, to: IpAddr) -> bool {
        self.blocked.contains(&(from, to))
    }

    pub(super) fn corrupt(&mut self, from: IpAddr, to: IpAddr, ratio: f64) {
        let stream = Stream::new(self.seed, &format!("corruption {from} {to}"));
        self.corruptions.entry((from, to)).or_insert(Corruption { ratio, stream }).ratio = ratio;
    }

    /// Flips bits of `payload` when its turn has come.
    pub(super) fn maybe_corrupt(&mut self, from: IpAddr, to: IpAddr, payload: &mut [u8]) -> bool {
        let Some(corruption) = self.corruptions.get_mut(&(from, to)) else { return false };
        let stream = &mut corruption.stream;
        if payload.is_empty() || !stream.chance(corruption.ratio) {
            return false;
        }
        // Different bits, so that none is flipped back.
        let bits = payload.len() as u64 * 8;
        let (first, count) = (stream.below(bits), 1 + stream.below(MAX_FLIPPED_BITS));
        for step in 0..count {
            let bit = (first + step * bits / MAX_FLIPPED_BITS) % bits;
            let byte = usize::try_from(bit / 8).unwrap_or_default();
            payload[byte] ^= 1 << (bit % 8);
        }
        true
    }

    pub(super) fn tap(&mut self, from: IpAddr, to: IpAddr, most: usize) {
        self.taps.entry((from, to)).or_default().most = most;
    }

    /// Keeps a copy of a packet where somebody listens.
    pub(super) fn overhear(&mut self, from: IpAddr, to: IpAddr, payload: &[u8]) {
        let Some(tap) = self.taps.get_mut(&(from, to)) else { return };
        tap.payloads.push_back(payload.into());
        while tap.payloads.len() > tap.most {
            tap.payloads.pop_front();
        }
    }

    pub(super) fn overheard(&self, from: IpAddr, to: IpAddr) -> Vec<Vec<u8>> {
        let Some(tap) = self.taps.get(&(from, to)) else { return Vec::new() };
        tap.payloads.iter().map(|payload| payload.to_vec()).collect()
    }
}
