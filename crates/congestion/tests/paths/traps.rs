//! Traps of quinn 0.11 around the controller, each with its remedy and, beside it, without.

use std::{any::Any, sync::Arc, time::Instant};

use fulmar_congestion::{LrcConfig, Mode};
use fulmar_netsim::{
    Direction,
    flows::{EndSpec, FlowOutcome, FlowSpec, Own, Transport},
};
use quinn_proto::{
    RttEstimator,
    congestion::{Controller, ControllerFactory, ControllerMetrics},
};

use crate::rig::{PacedSocket, end, link, lrc, play, transport};

/// A flow whose sender has these transport parameters.
fn with(transport: Transport) -> FlowSpec {
    let spec = lrc(Mode::Paced);
    FlowSpec { sender: EndSpec { transport, ..spec.sender }, ..spec }
}

fn run(link: &Direction, flow: FlowSpec, duration_s: f64, seed: u64) -> FlowOutcome {
    play(link, vec![flow], duration_s, seed).flow(0).clone()
}

/// The share of packets that counted as lost although they were not.
fn falsely_lost(flow: &FlowOutcome) -> f64 {
    let drops = flow.data.drops;
    let lost = drops.queue_full + drops.before_queue + drops.after_queue;
    (flow.lost_packets as f64 - lost as f64) / flow.sent_packets as f64
}

/// 5 ms each way on 50 ms.
fn jitter() -> Direction {
    Direction { jitter_ms: 5.0, reordering: true, ..link(50.0, 50.0, 0.0) }
}

/// A packet counts as lost once three later ones have arrived, as a rule. Where packets overtake each other that is no sign of loss.
#[test]
fn what_is_overtaken_by_three_packets_is_not_lost() {
    let ours = falsely_lost(&run(&jitter(), lrc(Mode::Paced), 6.0, 1));
    let quinns = Transport { packet_threshold: 3, ..transport() };
    let theirs = falsely_lost(&run(&jitter(), with(quinns), 6.0, 1));
    assert!(ours < 0.02 && theirs > 0.2, "{ours} at 128, {theirs} at 3");
}

/// Nor is what comes later than 9/8 of a round trip after a later one: quinn takes the round trip from the largest packet that is
/// acknowledged, which with reordering is an early one.
#[test]
fn what_is_late_by_the_jitter_is_not_lost() {
    let ours = falsely_lost(&run(&jitter(), lrc(Mode::Paced), 6.0, 2));
    let quinns = Transport { time_threshold: 9.0 / 8.0, ..transport() };
    let theirs = falsely_lost(&run(&jitter(), with(quinns), 6.0, 2));
    assert!(ours < 0.02 && theirs > 0.1, "{ours} at 1.25, {theirs} at 9/8");
}

/// quinn takes some patterns of loss for a path that carries no large packets any more, random ones too, and then stays at 1,200 bytes
/// for a minute.
#[test]
fn a_false_black_hole_is_soon_forgotten() {
    let quinns = Transport { black_hole_cooldown_s: 60.0, ..transport() };
    let link = link(20.0, 20.0, 0.2);
    // About one run in ten meets such a pattern.
    let mut unlucky = 0;
    for seed in 1..=60 {
        let theirs = run(&link, with(quinns.clone()), 10.0, seed);
        if theirs.black_holes > 0 {
            assert!(theirs.mtu_bytes == 1200, "{} bytes in a minute's time (seed {seed})", theirs.mtu_bytes);
            // The same controller meets the same pattern.
            let ours = run(&link, lrc(Mode::Paced), 10.0, seed);
            assert!(ours.black_holes > 0, "nothing was taken for one (seed {seed})");
            assert!(ours.mtu_bytes == 1452, "{} bytes in five seconds' time (seed {seed})", ours.mtu_bytes);
            unlucky += 1;
        }
        if unlucky == 2 {
            return;
        }
    }
    panic!("nothing was taken for one more than {unlucky} times");
}

/// The controller, but for a window that never binds.
struct Boundless(Box<dyn Controller>);

struct BoundlessConfig(Arc<LrcConfig>);

impl ControllerFactory for BoundlessConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Boundless(self.0.clone().build(now, current_mtu)))
    }
}

impl Controller for Boundless {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.0.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.0.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.0.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.0.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        1 << 40
    }

    fn metrics(&self) -> ControllerMetrics {
        self.0.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self(self.0.clone_box()))
    }

    fn initial_window(&self) -> u64 {
        self.0.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// quinn probes for larger packets only when it has nothing else to send. Behind a socket that keeps the pace that is never, unless
/// the window binds now and then.
#[test]
fn larger_packets_are_found_behind_a_pace() {
    let ours = run(&link(20.0, 50.0, 0.0), lrc(Mode::Paced), 10.0, 5).mtu_bytes;
    let boundless = || {
        let config = LrcConfig::new(Mode::Paced);
        let egress = Box::new(PacedSocket::new(config.signals().clone()));
        Own { controller: Arc::new(BoundlessConfig(Arc::new(config))), egress }
    };
    let sender = EndSpec { transport: transport(), make: Arc::new(boundless) };
    let flow = FlowSpec::new("boundless", sender, end(Mode::Window));
    let theirs = run(&link(20.0, 50.0, 0.0), flow, 10.0, 5).mtu_bytes;
    assert!(ours == 1452 && theirs < 1452, "{ours} bytes, {theirs} with a window that never binds");
}
