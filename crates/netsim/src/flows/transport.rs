//! The transport parameters of an end.

use std::{sync::Arc, time::Duration};

use quinn_proto::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt, congestion::ControllerFactory};
use serde::{Deserialize, Serialize};

use super::FlowsError;

/// Streams that an end may open at the same time: with 1 MiB on each, more than any window holds.
const MAX_STREAMS: u32 = 4096;

/// The credit of one stream, in bytes: all that is ever sent on one.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;

/// The least that a window is, in bytes.
pub(super) const LEAST_WINDOW_BYTES: u64 = 64 << 20;

/// What of a connection's settings matters for its speed. The default is quinn's, but for the windows, which never limit,
/// and for the idle timeout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transport {
    /// Packets that may overtake another before it counts as lost. At least 3 (RFC 9002 section 6.1.1).
    pub packet_threshold: u32,
    /// Round trips after which a packet counts as lost once later ones arrived. 1 to 10.
    pub time_threshold: f32,
    /// The first guess of the round-trip time, in milliseconds. 1 to 10,000.
    pub initial_rtt_ms: f64,
    /// The first length of datagrams, in bytes of UDP payload. 1,200 to 65,000.
    pub initial_mtu_bytes: u16,
    /// The length that every path is taken to carry, in bytes of UDP payload. 1,200 to `initial_mtu_bytes`.
    pub min_mtu_bytes: u16,
    /// The greatest length that is tried, in bytes of UDP payload. 1,200 to 65,000.
    pub max_mtu_bytes: u16,
    /// How long after a supposed black hole greater lengths are tried again, in seconds. 0 to 3,600.
    pub black_hole_cooldown_s: f64,
    /// Silence after which a connection counts as lost, in seconds. 1 to 3,600.
    pub idle_timeout_s: f64,
    /// The windows of a connection, of the receiver and of the sender, in bytes; if there is none, eight times what the path
    /// and its queue hold, at least 64 MiB.
    pub window_bytes: Option<u64>,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            packet_threshold: 3,
            time_threshold: 9.0 / 8.0,
            initial_rtt_ms: 333.0,
            initial_mtu_bytes: 1200,
            min_mtu_bytes: 1200,
            max_mtu_bytes: 1452,
            black_hole_cooldown_s: 60.0,
            idle_timeout_s: 60.0,
            window_bytes: None,
        }
    }
}

impl Transport {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`FlowsError::Transport`] with the first that is outside.
    pub fn check(&self) -> Result<(), FlowsError> {
        let lengths = 1200..=65_000;
        let checks = [
            ((3..=1_000_000).contains(&self.packet_threshold), "packet_threshold", "3 to 1,000,000"),
            ((1.0..=10.0).contains(&self.time_threshold), "time_threshold", "1 to 10"),
            ((1.0..=10_000.0).contains(&self.initial_rtt_ms), "initial_rtt_ms", "1 to 10,000"),
            (lengths.contains(&self.initial_mtu_bytes), "initial_mtu_bytes", "1,200 to 65,000"),
            (
                (1200..=self.initial_mtu_bytes).contains(&self.min_mtu_bytes),
                "min_mtu_bytes",
                "1,200 to initial_mtu_bytes",
            ),
            (lengths.contains(&self.max_mtu_bytes), "max_mtu_bytes", "1,200 to 65,000"),
            ((0.0..=3600.0).contains(&self.black_hole_cooldown_s), "black_hole_cooldown_s", "0 to 3,600"),
            ((1.0..=3600.0).contains(&self.idle_timeout_s), "idle_timeout_s", "1 to 3,600"),
            (
                self.window_bytes.is_none_or(|bytes| (65_536..=1 << 40).contains(&bytes)),
                "window_bytes",
                "65,536 to 2^40",
            ),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, allowed)) => Err(FlowsError::Transport { setting, allowed }),
            None => Ok(()),
        }
    }

    /// The settings as quinn takes them, for a path that asks for windows of `path_window_bytes`.
    pub(super) fn config(
        &self,
        controller: Arc<dyn ControllerFactory + Send + Sync>,
        path_window_bytes: u64,
    ) -> TransportConfig {
        let window = self.window_bytes.unwrap_or(path_window_bytes.max(LEAST_WINDOW_BYTES));
        let mut discovery = MtuDiscoveryConfig::default();
        discovery
            .upper_bound(self.max_mtu_bytes)
            .black_hole_cooldown(Duration::from_secs_f64(self.black_hole_cooldown_s));
        let idle = IdleTimeout::try_from(Duration::from_secs_f64(self.idle_timeout_s)).ok();
        let mut config = TransportConfig::default();
        config
            .congestion_controller_factory(controller)
            .stream_receive_window(STREAM_WINDOW_BYTES.into())
            .receive_window(VarInt::from_u64(window).unwrap_or(VarInt::MAX))
            .send_window(window)
            .max_concurrent_uni_streams(MAX_STREAMS.into())
            .packet_threshold(self.packet_threshold)
            .time_threshold(self.time_threshold)
            .initial_rtt(Duration::from_secs_f64(self.initial_rtt_ms / 1e3))
            .initial_mtu(self.initial_mtu_bytes)
            .min_mtu(self.min_mtu_bytes)
            .mtu_discovery_config(Some(discovery))
            .max_idle_timeout(idle);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_quinns_and_within_its_ranges() {
        assert_eq!(Transport::default().check(), Ok(()));
        let ours = format!("{:?}", Transport::default());
        assert!(ours.contains("packet_threshold: 3") && ours.contains("time_threshold: 1.125"), "{ours}");
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let with = |change: fn(&mut Transport)| {
            let mut transport = Transport::default();
            change(&mut transport);
            transport.check().expect_err("out of range").to_string()
        };
        assert!(with(|t| t.packet_threshold = 2).starts_with("packet_threshold is out of range: 3"));
        assert!(with(|t| t.time_threshold = f32::NAN).starts_with("time_threshold"));
        assert!(with(|t| t.initial_rtt_ms = 0.0).starts_with("initial_rtt_ms"));
        assert!(with(|t| t.initial_mtu_bytes = 1199).starts_with("initial_mtu_bytes"));
        assert!(with(|t| t.min_mtu_bytes = 1201).starts_with("min_mtu_bytes"));
        assert!(with(|t| t.max_mtu_bytes = 65_001).starts_with("max_mtu_bytes"));
        assert!(with(|t| t.idle_timeout_s = f64::INFINITY).starts_with("idle_timeout_s"));
        assert!(with(|t| t.black_hole_cooldown_s = -1.0).starts_with("black_hole_cooldown_s"));
        assert!(with(|t| t.window_bytes = Some(1)).starts_with("window_bytes"));
    }
}
