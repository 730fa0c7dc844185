//! The controller that quinn is given: it decides nothing itself, but lets the controller decide that is wanted now.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use fulmar_congestion::{LrcConfig, Mode};
use quinn::congestion::{
    BbrConfig, Controller, ControllerFactory, ControllerMetrics, CubicConfig, NewRenoConfig,
};
use quinn_proto::RttEstimator;

use super::{Algorithm, Lane, patience::PatientConfig};

/// Makes the controllers of one connection.
pub(crate) struct GovernorConfig {
    wanted: AtomicU8,
    lane: Arc<Lane>,
}

impl GovernorConfig {
    pub(crate) fn new(algorithm: Algorithm, lane: Arc<Lane>) -> Self {
        Self { wanted: AtomicU8::new(algorithm as u8), lane }
    }

    /// Has the connection follow another controller, which begins anew with what it finds.
    pub(crate) fn set(&self, algorithm: Algorithm) {
        self.wanted.store(algorithm as u8, Ordering::Relaxed);
    }

    pub(crate) fn wanted(&self) -> Algorithm {
        let wanted = self.wanted.load(Ordering::Relaxed);
        let all = [Algorithm::Lrc, Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr];
        all.into_iter().find(|algorithm| *algorithm as u8 == wanted).unwrap_or_default()
    }

    fn controller(&self, algorithm: Algorithm, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        self.lane.begin_path(now);
        let patient = match algorithm {
            Algorithm::Lrc => {
                PatientConfig::new(LrcConfig::with_signals(Mode::Paced, self.lane.signals().clone()))
            }
            Algorithm::Cubic => PatientConfig::new(CubicConfig::default()),
            Algorithm::NewReno => PatientConfig::new(NewRenoConfig::default()),
            Algorithm::Bbr => PatientConfig::new(BbrConfig::default()),
        };
        Arc::new(patient).build(now, current_mtu)
    }
}

impl fmt::Debug for GovernorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernorConfig").field("wanted", &self.wanted()).finish_non_exhaustive()
    }
}

impl ControllerFactory for GovernorConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let algorithm = self.wanted();
        let inner = self.controller(algorithm, now, current_mtu);
        Box::new(Governor { config: self, algorithm, inner, mtu: current_mtu, rtt: None })
    }
}

struct Governor {
    config: Arc<GovernorConfig>,
    algorithm: Algorithm,
    inner: Box<dyn Controller>,
    mtu: u16,
    rtt: Option<Duration>,
}

impl Governor {
    fn follow(&mut self, now: Instant) {
        let wanted = self.config.wanted();
        if wanted != self.algorithm {
            self.algorithm = wanted;
            self.inner = self.config.controller(wanted, now, self.mtu);
        }
    }
}

impl Controller for Governor {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.follow(now);
        self.config.lane.tail().note_sent(now, bytes);
        self.config.lane.usage().note_sent(now, bytes);
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.rtt = Some(rtt.get());
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.follow(now);
        self.config.lane.tail().note_acked(in_flight, self.rtt);
        self.config.lane.usage().note_acked(in_flight, self.rtt);
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu;
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { config: self.config.clone(), inner: self.inner.clone_box(), ..*self })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.inner.into_any()
    }
}

#[cfg(test)]
mod tests {
    use fulmar_congestion::Lrc;
    use quinn::congestion::{Bbr, Cubic, NewReno};

    use super::*;

    fn governor() -> (Arc<GovernorConfig>, Box<dyn Controller>, Instant) {
        let now = Instant::now();
        let config = Arc::new(GovernorConfig::new(Algorithm::Lrc, Arc::new(Lane::new(quinn::Side::Client))));
        let controller = config.clone().build(now, 1200);
        (config, controller, now)
    }

    fn is<T: 'static>(controller: &dyn Controller) -> bool {
        controller.clone_box().into_any().is::<T>()
    }

    #[test]
    fn the_controller_that_is_wanted_takes_over_with_the_next_packet() {
        let (config, mut controller, now) = governor();
        assert!(is::<Lrc>(&*controller));
        assert!(config.lane.signals().pace_bytes_per_s() > 0);
        type IsIt = fn(&dyn Controller) -> bool;
        let takes_over: [(Algorithm, IsIt); 4] = [
            (Algorithm::Cubic, is::<Cubic>),
            (Algorithm::NewReno, is::<NewReno>),
            (Algorithm::Bbr, is::<Bbr>),
            (Algorithm::Lrc, is::<Lrc>),
        ];
        for (algorithm, is_it) in takes_over {
            config.set(algorithm);
            assert!(!is_it(&*controller), "not before");
            controller.on_sent(now, 1200, 1);
            assert!(is_it(&*controller), "{algorithm:?}");
            assert_eq!(config.lane.signals().pace_bytes_per_s() > 0, algorithm == Algorithm::Lrc);
        }
    }

    #[test]
    fn what_is_in_flight_is_known_under_every_controller() {
        for algorithm in [Algorithm::Lrc, Algorithm::Cubic] {
            let (config, mut controller, now) = governor();
            config.set(algorithm);
            controller.on_sent(now, 5000, 1);
            controller.on_end_acks(now, 1000, true, Some(0));
            controller.on_sent(now, 3000, 2);
            assert_eq!(config.lane.usage().most_bytes(), 5000, "{algorithm:?}");
            controller.on_sent(now, 2000, 3);
            assert_eq!(config.lane.usage().most_bytes(), 6000, "{algorithm:?}");
        }
    }

    #[test]
    fn a_new_path_does_not_wait_for_what_has_left_on_the_old_one() {
        let (config, _, now) = governor();
        config.lane.note_sent(now, &[0x40; 60_000], Some(1200));
        assert!(config.lane.not_before(now).is_some());
        let _new_path = config.clone().build(now, 1200);
        assert_eq!(config.lane.not_before(now), None);
    }

    #[test]
    fn a_controller_that_takes_over_knows_the_size_of_packets() {
        let (config, mut controller, now) = governor();
        let initial_window = controller.initial_window();
        config.set(Algorithm::Cubic);
        controller.on_sent(now, 1200, 1);
        controller.on_mtu_update(6000);
        config.set(Algorithm::Lrc);
        controller.on_sent(now, 6000, 2);
        assert_eq!(controller.initial_window(), 5 * initial_window);
    }
}
