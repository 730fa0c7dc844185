//! What is known of the path of a connection, and of the socket at this end of it.

use fulmar_client::{Algorithm, Limit, Phase, SocketBuffers, Stats};
use serde::{Serialize, Serializer};

use super::units;

/// The controller that decides how fast this side sends, what it knows of the path, and the socket.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Path {
    /// As `--congestion` names it.
    pub(crate) controller: &'static str,
    /// What the controller is doing; none while it has learnt nothing, and of controllers that do not tell.
    #[serde(serialize_with = "phase_word")]
    pub(crate) phase: Option<Phase>,
    pub(crate) min_rtt_ns: u64,
    /// How much of the round trip is a queue on the path.
    pub(crate) queue_ns: Option<u64>,
    /// What the path carries.
    pub(crate) rate_bytes_per_s: Option<u64>,
    /// The ratio of packets that the path loses whatever is sent.
    pub(crate) loss_floor: Option<f64>,
    /// The ratio of packets that were lost lately.
    pub(crate) loss: Option<f64>,
    /// How much round trips vary.
    pub(crate) jitter_ns: Option<u64>,
    /// What keeps this side from sending faster.
    #[serde(serialize_with = "limit_word")]
    pub(crate) limit: Option<Limit>,
    pub(crate) max_rate_bytes_per_s: Option<u64>,
    /// How often the path seemed to have stopped carrying large packets.
    pub(crate) black_holes: u64,
    pub(crate) receive_buffer_bytes: Option<u64>,
    pub(crate) send_buffer_bytes: Option<u64>,
    /// What the kernel dropped because the receive buffer was full.
    pub(crate) dropped_datagrams: Option<u64>,
}

impl Path {
    pub(crate) fn new(stats: &Stats, buffers: Option<SocketBuffers>, dropped_datagrams: Option<u64>) -> Self {
        let path = stats.path;
        let bytes = |of: fn(SocketBuffers) -> usize| buffers.map(|buffers| of(buffers) as u64);
        Self {
            controller: controller_word(stats.algorithm),
            phase: path.map(|path| path.phase),
            min_rtt_ns: units::nanos(stats.min_rtt),
            queue_ns: path.map(|path| units::nanos(path.queue)),
            rate_bytes_per_s: path.map(|path| path.capacity_bytes_per_s as u64),
            loss_floor: path.map(|path| path.loss_floor),
            loss: path.map(|path| path.loss),
            jitter_ns: path.map(|path| units::nanos(path.jitter)),
            limit: path.map(|path| path.limit),
            max_rate_bytes_per_s: stats.max_rate_bytes_per_s,
            black_holes: stats.black_holes,
            receive_buffer_bytes: bytes(|buffers| buffers.receive_bytes),
            send_buffer_bytes: bytes(|buffers| buffers.send_bytes),
            dropped_datagrams,
        }
    }
}

/// The controller, as an option would name it.
pub(crate) fn controller_word(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Lrc => "lrc",
        Algorithm::Cubic => "cubic",
        Algorithm::NewReno => "newreno",
        Algorithm::Bbr => "bbr",
    }
}

fn limit_word<S: Serializer>(limit: &Option<Limit>, serializer: S) -> Result<S::Ok, S::Error> {
    let word = limit.map(|limit| match limit {
        Limit::Startup => "startup",
        Limit::Path => "path",
        Limit::Application => "application",
        Limit::RateCap => "rate-cap",
        Limit::Rival => "rival",
    });
    word.serialize(serializer)
}

fn phase_word<S: Serializer>(phase: &Option<Phase>, serializer: S) -> Result<S::Ok, S::Error> {
    let word = phase.map(|phase| match phase {
        Phase::Startup => "startup",
        Phase::Cruise => "cruise",
        Phase::Probe => "probe",
        Phase::Rival => "rival",
    });
    word.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_client::Snapshot;
    use std::time::Duration;

    #[test]
    fn a_path_of_which_nothing_is_known_yet_has_its_keys_all_the_same() {
        let fresh = Path::new(&Stats::default(), None, None);
        assert_eq!(
            serde_json::to_string(&fresh).expect("encodes"),
            r#"{"controller":"lrc","phase":null,"min_rtt_ns":0,"queue_ns":null,"rate_bytes_per_s":null,"loss_floor":null,"loss":null,"jitter_ns":null,"limit":null,"max_rate_bytes_per_s":null,"black_holes":0,"receive_buffer_bytes":null,"send_buffer_bytes":null,"dropped_datagrams":null}"#
        );
    }

    #[test]
    fn what_the_controller_knows_is_told() {
        let snapshot = Snapshot {
            capacity_bytes_per_s: 12_500_000.7,
            loss_floor: 0.01,
            queue: Duration::from_millis(2),
            phase: Phase::Rival,
            loss: 0.02,
            jitter: Duration::from_micros(300),
            limit: Limit::RateCap,
            ..Snapshot::default()
        };
        let stats = Stats { path: Some(snapshot), algorithm: Algorithm::Bbr, ..Stats::default() };
        let buffers = SocketBuffers { receive_bytes: 5, send_bytes: 6 };
        let path = Path::new(&stats, Some(buffers), Some(7));
        assert_eq!((path.controller, path.phase), ("bbr", Some(Phase::Rival)));
        assert_eq!((path.rate_bytes_per_s, path.queue_ns), (Some(12_500_000), Some(2_000_000)));
        assert!(serde_json::to_string(&path).expect("encodes").contains(r#""phase":"rival""#));
        assert!(serde_json::to_string(&path).expect("encodes").contains(r#""limit":"rate-cap""#));
        assert_eq!((path.loss, path.jitter_ns), (Some(0.02), Some(300_000)));
        assert_eq!((path.receive_buffer_bytes, path.send_buffer_bytes), (Some(5), Some(6)));
        assert_eq!((path.loss_floor, path.dropped_datagrams), (Some(0.01), Some(7)));
    }
}
