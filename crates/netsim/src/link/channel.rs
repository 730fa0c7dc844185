//! One direction: a chain of stages.

use std::time::Duration;

use super::{
    Cause, Counters, Fate, Passage, QueueState,
    blackout::Blackouts,
    counters::Tally,
    delay::Delay,
    loss::Lossy,
    queue::Bottleneck,
    schedule::{Schedule, nanos},
};
use crate::{
    profile::{Change, Direction, During, LEAST_BDP_QUEUE_BYTES, Loss, Profile, ProfileError, Queue},
    random::Stream,
};

/// One direction of a link.
#[derive(Clone, Debug)]
pub struct Channel {
    mtu_bytes: Schedule<Option<u32>>,
    before_queue: Lossy,
    bottleneck: Bottleneck,
    fades: Blackouts,
    after_queue: Lossy,
    delay: Delay,
    duplication: f64,
    copies: Stream,
    latest_ns: u64,
    tally: Tally,
}

/// What is known of a packet that came through, or why it did not.
type Crossing = Result<(u64, Option<u64>), Cause>;

impl Channel {
    /// One direction alone. `rtt` is what a queue in bandwidth-delay products refers to.
    ///
    /// # Errors
    /// [`ProfileError`] when a setting is out of range; the messages call the direction `up`.
    pub fn new(direction: &Direction, rtt: Duration, seed: u64) -> Result<Self, ProfileError> {
        Profile { up: direction.clone(), ..Profile::symmetric("", Direction::default()) }.check()?;
        Ok(Self::unchecked(direction, rtt.as_secs_f64() * 1e3, seed, ""))
    }

    /// As [`Channel::new`] for a direction that was checked. The label tells its randomness from that of others.
    pub(super) fn unchecked(direction: &Direction, rtt_ms: f64, seed: u64, label: &str) -> Self {
        let stream = |stage: &str| Stream::new(seed, &format!("{label}/{stage}"));
        let changes = &direction.changes;
        let before = losses(direction.loss_before_queue, changes, |change| change.loss_before_queue);
        let after = losses(direction.loss_after_queue, changes, |change| change.loss_after_queue);
        let later_mtu = changes.iter().filter_map(|change| Some((change.at_s, Some(change.mtu_bytes?))));
        Self {
            mtu_bytes: Schedule::new(direction.mtu_bytes, later_mtu),
            before_queue: Lossy::new(before, stream("before queue")),
            bottleneck: bottleneck(direction, rtt_ms),
            fades: Blackouts::of_kind(During::Drop, &direction.blackouts),
            after_queue: Lossy::new(after, stream("after queue")),
            delay: delay(direction, stream("jitter")),
            duplication: direction.duplication,
            copies: stream("duplication"),
            latest_ns: 0,
            tally: Tally::new(),
        }
    }

    /// As [`Link::send`](super::Link::send).
    pub fn send(&mut self, now: Duration, packet_bytes: u32) -> Passage {
        let now_ns = nanos(now).max(self.latest_ns);
        self.latest_ns = now_ns;
        let (wait_ns, crossing) = self.cross(now_ns, packet_bytes);
        let fate = match crossing {
            Ok((at, copy_at)) => {
                Fate::Delivered { at: Duration::from_nanos(at), copy_at: copy_at.map(Duration::from_nanos) }
            }
            Err(cause) => Fate::Lost(cause),
        };
        let passage = Passage { queue_wait: Duration::from_nanos(wait_ns), fate };
        self.tally.note(packet_bytes, passage);
        passage
    }

    fn cross(&mut self, now_ns: u64, bytes: u32) -> (u64, Crossing) {
        // Both are drawn for every packet, so that what happens to one changes nothing for the next.
        let lost_before = self.before_queue.takes(now_ns);
        if self.mtu_bytes.at(now_ns).is_some_and(|mtu| bytes > mtu) {
            return (0, Err(Cause::TooBig));
        }
        if lost_before {
            return (0, Err(Cause::BeforeQueue));
        }
        let Some(served) = self.bottleneck.take(now_ns, bytes) else {
            let (_, _, wait_ns) = self.bottleneck.waiting(now_ns);
            return (wait_ns, Err(Cause::QueueFull));
        };
        self.tally.note_wait(served.wait_ns, self.bottleneck.waiting_bytes());
        (served.wait_ns, self.propagate(served.departure_ns))
    }

    fn propagate(&mut self, departure_ns: u64) -> Crossing {
        let lost = self.after_queue.takes(departure_ns);
        let twice = self.copies.chance(self.duplication);
        let arrival_ns = self.delay.arrival(departure_ns);
        if self.fades.end(departure_ns).is_some() {
            return Err(Cause::Blackout);
        }
        if lost {
            return Err(Cause::AfterQueue);
        }
        Ok((arrival_ns, twice.then(|| self.delay.arrival(departure_ns).max(arrival_ns))))
    }

    /// As [`Link::counters`](super::Link::counters).
    #[must_use]
    pub fn counters(&self, now: Duration) -> Counters {
        self.tally.counters(self.bottleneck.utilisation(nanos(now)))
    }

    /// As [`Link::queue`](super::Link::queue).
    pub fn queue(&mut self, now: Duration) -> QueueState {
        let (packets, bytes, wait_ns) = self.bottleneck.waiting(nanos(now).max(self.latest_ns));
        let wait = Duration::from_nanos(wait_ns);
        QueueState { packets, bytes, bytes_limit: self.bottleneck.limit_bytes(), wait }
    }
}

fn losses(
    first: Option<Loss>,
    changes: &[Change],
    of: impl Fn(&Change) -> Option<Loss>,
) -> Schedule<Option<Loss>> {
    Schedule::new(first, changes.iter().filter_map(|change| Some((change.at_s, Some(of(change)?)))))
}

fn bottleneck(direction: &Direction, rtt_ms: f64) -> Bottleneck {
    // 1 Mbit/s is 125 bytes per millisecond.
    let bytes_per_ns = |mbit_per_s: f64| mbit_per_s * 125e-6;
    let first = direction.rate_mbit_per_s.map(bytes_per_ns);
    let later = direction
        .changes
        .iter()
        .filter_map(|change| Some((change.at_s, Some(bytes_per_ns(change.rate_mbit_per_s?)))));
    let limit_bytes = match (direction.queue, first) {
        (Queue::Bytes(bytes), _) => Some(bytes),
        (Queue::Bdp(share), Some(rate)) => {
            let bytes = (share * rate * rtt_ms * 1e6).round() as u64;
            Some(bytes.max(LEAST_BDP_QUEUE_BYTES))
        }
        (Queue::Bdp(_), None) => None,
    };
    let holds = Blackouts::of_kind(During::Hold, &direction.blackouts);
    Bottleneck::new(Schedule::new(first, later), holds, limit_bytes)
}

fn delay(direction: &Direction, stream: Stream) -> Delay {
    let nanos = |ms: f64| (ms * 1e6).round() as u64;
    let later = direction.changes.iter().filter_map(|change| Some((change.at_s, nanos(change.delay_ms?))));
    let delay_ns = Schedule::new(nanos(direction.delay_ms), later);
    Delay::new(delay_ns, direction.jitter_ms * 1e6, direction.reordering, stream)
}
