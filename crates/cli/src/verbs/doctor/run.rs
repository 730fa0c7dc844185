//! What a measurement has seen, summed up.

use std::time::Duration;

use fulmar_client::{Algorithm, Limit, Phase, Stats};
use serde_json::{Value, json};

use super::findings::span;
use crate::output::{objects::path::Path, units};

/// Which way the bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// What was seen at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) stats: Stats,
}

/// What this machine did meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Machine {
    /// How many processors this process kept busy, on average.
    pub(super) own_processors: f64,
    /// The share of all processors' time that was not idle; none where the system does not tell.
    pub(super) busy: Option<f64>,
    /// What the socket dropped.
    pub(super) dropped_datagrams: u64,
}

/// A measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) way: Way,
    pub(super) elapsed: Duration,
    /// Of the file, as far as the receiver has whole ranges of it.
    pub(super) bytes: u64,
    /// UDP payload that arrived. On a slow path that is much more than the ranges that are whole already.
    pub(super) carried_bytes: u64,
    /// Packets that this side sent.
    pub(super) sent_packets: u64,
    pub(super) lost_packets: u64,
    /// UDP payload that this side received.
    pub(super) received_bytes: u64,
    /// In the second half, when the controller knows the path: UDP payload per second, the way of the bytes.
    pub(super) steady_bytes_per_s: f64,
    /// The ratio of packets lost in the second half.
    pub(super) steady_loss: f64,
    /// How much of the round trip was a queue in the second half, on average; of a download how far the round trip lay above the
    /// least.
    pub(super) queue: Duration,
    /// Another flow was there for most of the second half.
    pub(super) has_rival: bool,
    /// For most of the second half the controller would have sent more, had there been more or had the receiver taken it.
    pub(super) is_underfed: bool,
    /// At the end.
    pub(super) last: Stats,
    pub(super) machine: Machine,
}

impl Run {
    /// Sums up `samples`, the first one at the beginning and the last one at the end.
    pub(super) fn new(way: Way, bytes: u64, samples: &[Sample], machine: Machine) -> Self {
        let first = samples.first().copied().unwrap_or_default();
        let last = samples.last().copied().unwrap_or_default();
        let elapsed = last.at.saturating_sub(first.at);
        let middle = samples.partition_point(|sample| sample.at < first.at + elapsed / 2);
        let steady = samples.get(middle..).unwrap_or_default();
        let from = steady.first().copied().unwrap_or_default();
        let seconds = (last.at - from.at).as_secs_f64();
        let carried = moved(way, &last.stats).saturating_sub(moved(way, &from.stats));
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let between = |of: fn(&Stats) -> u64, from: &Stats| of(&last.stats).saturating_sub(of(from));
        let (sent, lost) = (|stats: &Stats| stats.sent_packets, |stats: &Stats| stats.lost_packets);
        let mostly = |holds: fn(&Stats) -> bool| {
            2 * steady.iter().filter(|sample| holds(&sample.stats)).count() > steady.len()
        };
        let queues: Duration = steady.iter().map(|sample| queue(way, &sample.stats)).sum();
        let (sent_packets, lost_packets) = (between(sent, &first.stats), between(lost, &first.stats));
        let moved_bytes = moved(way, &last.stats).saturating_sub(moved(way, &first.stats));
        let arrived = match way {
            Way::Up => 1.0 - ratio(lost_packets, sent_packets).min(1.0),
            Way::Down => 1.0,
        };
        Self {
            way,
            elapsed,
            bytes,
            carried_bytes: (moved_bytes as f64 * arrived) as u64,
            sent_packets,
            lost_packets,
            received_bytes: between(|stats| stats.received_bytes, &first.stats),
            steady_bytes_per_s: if seconds > 0.0 { carried as f64 / seconds } else { 0.0 },
            steady_loss: ratio(between(lost, &from.stats), between(sent, &from.stats)),
            queue: queues / u32::try_from(steady.len()).unwrap_or(u32::MAX).max(1),
            has_rival: mostly(|stats| phase(stats) == Some(Phase::Rival)),
            is_underfed: mostly(|stats| stats.path.is_some_and(|path| path.limit == Limit::Application)),
            last: last.stats,
            machine,
        }
    }

    /// What the controller is doing at the end, if it tells.
    pub(super) fn phase(&self) -> Option<Phase> {
        phase(&self.last)
    }

    /// The ratio of packets that the path loses whatever is sent, as far as the controller knows.
    pub(super) fn loss_floor(&self) -> f64 {
        self.last.path.map_or(0.0, |path| path.loss_floor)
    }

    /// What is said about the measurement.
    pub(super) fn message(&self) -> String {
        let rate = units::rate(self.carried_bytes, self.elapsed);
        let mut text =
            format!("{} in {}, {rate}", units::size(self.carried_bytes), units::duration(self.elapsed));
        // Of the other way, this side sees neither the losses nor the sender's controller.
        if self.way == Way::Up {
            text.push_str(&self.sending());
        }
        text.push_str(&format!("; queue {}, round trip {}", span(self.queue), span(self.last.rtt)));
        text
    }

    fn sending(&self) -> String {
        let loss = percent(self.lost_packets as f64 / self.sent_packets.max(1) as f64);
        let window = units::size(self.last.congestion_window_bytes);
        match self.last.path {
            Some(path) => format!(
                "; loss {loss}, of which the path's own {}; rate found {}, window {window}",
                percent(path.loss_floor),
                units::rate(path.capacity_bytes_per_s as u64, Duration::from_secs(1)),
            ),
            None => format!("; loss {loss}, window {window}"),
        }
    }

    /// The same as numbers.
    pub(super) fn values(&self) -> Value {
        let path = Path::new(&self.last, None, None);
        json!({
            "bytes": self.bytes,
            "carried_bytes": self.carried_bytes,
            "elapsed_ns": units::nanos(self.elapsed),
            "sent_packets": self.sent_packets,
            "lost_packets": self.lost_packets,
            "controller": path.controller,
            "rate_bytes_per_s": path.rate_bytes_per_s,
            "loss_floor": path.loss_floor,
            "queue_ns": units::nanos(self.queue),
            "rtt_ns": units::nanos(self.last.rtt),
            "min_rtt_ns": path.min_rtt_ns,
            "congestion_window_bytes": self.last.congestion_window_bytes,
            "path_mtu_bytes": self.last.path_mtu_bytes,
            "dropped_datagrams": self.machine.dropped_datagrams,
        })
    }
}

fn percent(ratio: f64) -> String {
    crate::verbs::status::ratio_percent(ratio)
}

fn moved(way: Way, stats: &Stats) -> u64 {
    match way {
        Way::Up => stats.sent_bytes,
        Way::Down => stats.received_bytes,
    }
}

fn queue(way: Way, stats: &Stats) -> Duration {
    match (way, stats.path) {
        (Way::Up, Some(path)) if stats.algorithm == Algorithm::Lrc => path.queue,
        _ => stats.rtt.saturating_sub(stats.min_rtt),
    }
}

fn phase(stats: &Stats) -> Option<Phase> {
    stats.path.map(|path| path.phase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_client::Snapshot;

    fn sample(at_s: u64, sent_packets: u64, lost_packets: u64, phase: Phase) -> Sample {
        let path = Snapshot {
            phase,
            queue: Duration::from_millis(at_s),
            capacity_bytes_per_s: 1e6,
            loss_floor: 0.01,
            ..Snapshot::default()
        };
        let stats = Stats {
            sent_packets,
            lost_packets,
            sent_bytes: sent_packets * 1000,
            received_bytes: sent_packets * 10,
            path: Some(path),
            rtt: Duration::from_millis(30),
            min_rtt: Duration::from_millis(20),
            congestion_window_bytes: 42_000,
            ..Stats::default()
        };
        Sample { at: Duration::from_secs(at_s), stats }
    }

    #[test]
    fn what_holds_for_most_of_the_second_half_counts() {
        let underfed = |from: usize| {
            let mut samples = samples();
            for sample in &mut samples[from..] {
                sample.stats.path =
                    sample.stats.path.map(|path| Snapshot { limit: Limit::Application, ..path });
            }
            Run::new(Way::Up, 1, &samples, Machine::default()).is_underfed
        };
        // The second half are the last three.
        assert!(underfed(3) && !underfed(4) && !underfed(5));
    }

    fn samples() -> [Sample; 5] {
        let rows = [(0, 100, 10), (1, 1100, 110), (2, 2100, 210), (3, 3100, 220), (4, 4100, 230)];
        let phase = |at| if at < 3 { Phase::Startup } else { Phase::Rival };
        rows.map(|(at, sent, lost)| sample(at, sent, lost, phase(at)))
    }

    #[test]
    fn the_whole_counts_from_the_first_sample_and_the_steady_part_from_the_middle() {
        let run = Run::new(Way::Up, 3_500_000, &samples(), Machine::default());
        assert_eq!((run.elapsed, run.sent_packets, run.lost_packets), (Duration::from_secs(4), 4000, 220));
        assert_eq!((run.steady_bytes_per_s, run.steady_loss), (1e6, 0.01));
        assert_eq!((run.queue, run.has_rival), (Duration::from_millis(3), true));
        assert_eq!(
            run.message(),
            "3.78 MB in 4.0 s, 0.945 MB/s; loss 5.50 %, of which the path's own 1.00 %; rate found 1.0 MB/s, window 42.00 kB; queue 3.000 ms, round trip 30.000 ms"
        );
        assert_eq!((run.bytes, run.carried_bytes), (3_500_000, 3_780_000));
        assert_eq!(run.values()["lost_packets"], 220);
    }

    #[test]
    fn of_a_download_this_side_sees_what_arrives_and_how_the_round_trip_grows() {
        let run = Run::new(Way::Down, 1_000, &samples(), Machine::default());
        assert_eq!((run.steady_bytes_per_s, run.queue), (1e4, Duration::from_millis(10)));
        assert_eq!(run.message(), "40.00 kB in 4.0 s, 0.010 MB/s; queue 10.000 ms, round trip 30.000 ms");
    }

    #[test]
    fn nothing_seen_is_nothing_divided_by() {
        for samples in [&[][..], &samples()[..1]] {
            let run = Run::new(Way::Up, 0, samples, Machine::default());
            assert_eq!((run.steady_bytes_per_s, run.steady_loss), (0.0, 0.0));
            assert_eq!(run.elapsed, Duration::ZERO);
        }
    }
}
