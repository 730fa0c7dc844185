//! A congestion controller that lets one packet pass after a long silence.
//!
//! quinn-proto 0.11 decides for a whole packet whether it may be sent. When data waits behind a full window it sends
//! nothing, not even the acknowledgement that would have been in the same packet. After an outage that is fatal: the
//! window is full of what was lost, the probes are minutes apart, and the pings of the other side, which arrive, are
//! never answered, so that in the end both sides take the other for dead. Here a window that has been full for a second
//! opens by one packet. That packet carries the acknowledgement, and its own acknowledgement ends the silence.

use std::{any::Any, fmt, sync::Arc, time::Duration, time::Instant};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

/// After such a silence a packet may pass. One packet a second harms no path, and an outage that is over is noticed at
/// the next ping.
const SILENCE: Duration = Duration::from_secs(1);

/// Makes patient controllers of those that `inner` makes.
pub(crate) struct PatientConfig {
    inner: Arc<dyn ControllerFactory + Send + Sync>,
    clock: fn() -> Instant,
}

impl PatientConfig {
    /// Around the controllers of `inner`, by tokio's clock, which is also that of the endpoints.
    pub(crate) fn new(inner: impl ControllerFactory + Send + Sync + 'static) -> Self {
        Self { inner: Arc::new(inner), clock: || tokio::time::Instant::now().into_std() }
    }
}

impl fmt::Debug for PatientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatientConfig").finish_non_exhaustive()
    }
}

impl ControllerFactory for PatientConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = self.inner.clone().build(now, current_mtu);
        let (mtu, clock) = (current_mtu.into(), self.clock);
        Box::new(Patient { inner, in_flight: 0, last_sent: now, mtu, clock })
    }
}

/// A controller whose window is that of another one, and a little more after a silence.
struct Patient {
    inner: Box<dyn Controller>,
    /// What the last acknowledgements said, and what was sent since. Too much when nothing but acknowledgements was sent,
    /// and then the window is not full.
    in_flight: u64,
    last_sent: Instant,
    mtu: u64,
    clock: fn() -> Instant,
}

impl Controller for Patient {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.in_flight = self.in_flight.saturating_add(bytes);
        self.last_sent = now;
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.in_flight = in_flight;
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(lost_bytes);
        self.inner.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu.into();
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        let window = self.inner.window();
        if (self.clock)().saturating_duration_since(self.last_sent) < SILENCE {
            return window;
        }
        // quinn sends while what is in flight and the next packet are less than the window.
        window.max(self.in_flight.saturating_add(2 * self.mtu))
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), ..*self })
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
    use quinn::congestion::CubicConfig;
    use tokio::time::advance;

    use super::*;

    const MTU: u64 = 1200;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn controller() -> Box<dyn Controller> {
        Arc::new(PatientConfig::new(CubicConfig::default())).build(now(), 1200)
    }

    /// How many packets of the full size quinn would send now, which asks after each of them.
    fn packets_that_pass(controller: &mut dyn Controller, in_flight: u64) -> u64 {
        let mut passed = 0;
        while in_flight + passed * MTU + MTU < controller.window() {
            passed += 1;
        }
        if passed > 0 {
            controller.on_sent(now(), passed * MTU, 0);
        }
        passed
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_window_opens_by_one_packet_a_second() {
        let mut controller = controller();
        let full = controller.initial_window();
        controller.on_sent(now(), full, 0);
        assert_eq!(packets_that_pass(&mut *controller, full), 0);
        advance(SILENCE - Duration::from_millis(1)).await;
        assert_eq!(packets_that_pass(&mut *controller, full), 0);
        advance(Duration::from_millis(1)).await;
        assert_eq!(packets_that_pass(&mut *controller, full), 1);
        assert_eq!(packets_that_pass(&mut *controller, full + MTU), 0);
        advance(SILENCE).await;
        assert_eq!(packets_that_pass(&mut *controller, full + MTU), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_is_not_full_is_that_of_the_controller_within() {
        let mut controller = controller();
        controller.on_sent(now(), MTU, 0);
        advance(10 * SILENCE).await;
        assert_eq!(controller.window(), controller.initial_window());
        assert_eq!(controller.clone_box().window(), controller.initial_window());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_is_known_from_acknowledgements_and_losses() {
        let mut controller = controller();
        let full = controller.initial_window();
        controller.on_sent(now(), 3 * full, 0);
        controller.on_end_acks(now(), full, false, Some(0));
        let sent = now();
        advance(SILENCE).await;
        assert_eq!(packets_that_pass(&mut *controller, full), 1);
        controller.on_congestion_event(now(), sent, false, MTU);
        advance(SILENCE).await;
        assert_eq!(packets_that_pass(&mut *controller, full), 1);
    }
}
