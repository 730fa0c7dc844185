//! Every option does what it says.

use super::super::{Egress, FlowsError, Offer, Own, Pass};
use super::*;
use crate::{Blackout, Change, During, Way};

/// When the handshake of a flow without rivals is complete.
fn connected(change: impl Fn(&mut Scenario)) -> Duration {
    let mut scenario = scenario(link(100.0, 40.0, 0.0), vec![flow(cubic)], 4);
    change(&mut scenario);
    play(&scenario, 1).flows[0].connected.expect("connected")
}

fn assert_about(actual: Duration, expected_ms: u64) {
    let (least, most) = (millis(expected_ms), millis(expected_ms + 2));
    assert!((least..most).contains(&actual), "{actual:?} instead of {expected_ms} ms");
}

#[test]
fn own_delays_lengthen_the_round_trip_on_either_side_of_the_link() {
    assert_about(connected(|_| {}), 40);
    assert_about(connected(|scenario| scenario.flows[0].near_delay = millis(10)), 60);
    assert_about(connected(|scenario| scenario.flows[0].far_delay = millis(15)), 70);
    let mut both = scenario(link(100.0, 40.0, 0.0), vec![flow(cubic)], 1);
    both.flows[0].near_delay = millis(1);
    both.flows[0].far_delay = millis(2);
    assert_eq!(both.rtt(&both.flows[0]), millis(46));
}

#[test]
fn a_flow_starts_when_it_is_told_to() {
    assert_about(connected(|scenario| scenario.flows[0].start = millis(1500)), 1540);
}

#[test]
fn a_flow_with_a_return_path_of_its_own_leaves_the_shared_one_alone() {
    let own = Direction { delay_ms: 90.0, ..Direction::default() };
    let alone = FlowSpec { own_return: Some(own), ..flow(cubic) };
    let outcome = play(&scenario(link(10.0, 40.0, 0.0), vec![alone], 2), 1);
    assert_about(outcome.flows[0].connected.expect("connected"), 110);
    assert_eq!(outcome.down.offered_packets, 0);
    assert!(outcome.flows[0].back.packets > 100 && outcome.flows[0].received_bytes > 0);
}

#[test]
fn arrivals_are_bunched_to_the_grid() {
    assert_about(connected(|scenario| scenario.granularity.arrivals = millis(30)), 60);
}

#[test]
fn timers_fire_at_the_grid() {
    // What is sent first is lost; it is sent again after three times the first guess of 100 ms.
    let blackout = Blackout { from_s: 0.0, for_s: 0.1, every_s: None, packets: During::Drop };
    let with = |timers| {
        connected(|scenario| {
            scenario.profile.up.blackouts = vec![blackout];
            scenario.flows[0].sender.transport.initial_rtt_ms = 100.0;
            scenario.granularity.timers = timers;
        })
    };
    assert_about(with(Duration::ZERO), 340);
    assert_about(with(millis(400)), 440);
}

/// Lets datagrams out at a given rate.
struct Metered {
    bytes_per_s: f64,
    free_at: Duration,
}

impl Egress for Metered {
    fn max_datagrams(&self) -> usize {
        2
    }

    fn offer(&mut self, now: Duration, offer: Offer) -> Pass {
        assert!(offer.datagrams <= 2 && offer.bytes <= 2 * 1452, "{offer:?}");
        if now < self.free_at {
            return Pass::At(self.free_at);
        }
        self.free_at = now + Duration::from_secs_f64(offer.bytes as f64 / self.bytes_per_s);
        Pass::Now
    }
}

#[test]
fn what_stands_before_the_network_can_hold_datagrams_back() {
    let mut metered = flow(cubic);
    let own = || Own {
        controller: (cubic().make)().controller,
        egress: Box::new(Metered { bytes_per_s: 4.0 * MBIT, free_at: Duration::ZERO }),
    };
    metered.sender.make = Arc::new(own);
    let outcome = play(&scenario(link(20.0, 40.0, 0.0), vec![metered], 8), 1);
    let share = outcome.goodput_bytes_per_s(0, seconds(3, 8)) / (4.0 * MBIT);
    assert!((0.94..0.99).contains(&share), "{share}");
    assert_eq!(outcome.flows[0].data.drops.total(), 0);
    assert!(outcome.series.queue(Way::Up, seconds(3, 8)).max_ms < 1.3);
}

#[test]
fn a_small_window_limits_and_the_default_one_never_does() {
    let goodput = |window_bytes| {
        let mut flow = flow(cubic);
        flow.sender.transport.window_bytes = window_bytes;
        flow.receiver.transport.window_bytes = window_bytes;
        let outcome = play(&scenario(link(10.0, 200.0, 0.0), vec![flow], 12), 1);
        outcome.goodput_bytes_per_s(0, seconds(6, 12))
    };
    let limited = goodput(Some(100_000));
    assert!(limited <= 100_000.0 / 0.2, "{limited}");
    assert!(goodput(None) > 1.8 * limited);
}

#[test]
fn windows_grow_with_the_greatest_rate_and_delay_that_the_link_ever_has() {
    let mut fast = link(100.0, 200.0, 0.0);
    let window = |link: &Direction| {
        let scenario = scenario(link.clone(), vec![flow(cubic)], 1);
        scenario.window_bytes(&scenario.flows[0])
    };
    let bdp = 2_500_000;
    assert_eq!(window(&fast), 8 * (bdp + bdp));
    fast.changes = vec![
        Change { at_s: 1.0, rate_mbit_per_s: Some(200.0), ..Change::default() },
        Change { at_s: 2.0, rate_mbit_per_s: Some(50.0), delay_ms: Some(150.0), ..Change::default() },
    ];
    assert_eq!(window(&fast), 8 * 2 * (3 * bdp));
}

#[test]
fn datagrams_grow_to_the_greatest_length_that_is_tried() {
    let mtu = |initial, most| {
        let mut flow = flow(cubic);
        flow.sender.transport.initial_mtu_bytes = initial;
        flow.sender.transport.max_mtu_bytes = most;
        play(&scenario(link(5.0, 20.0, 0.0), vec![flow], 3), 1).flows[0].mtu_bytes
    };
    assert_eq!((mtu(1200, 1452), mtu(1200, 1300), mtu(1400, 1400)), (1452, 1300, 1400));
}

#[test]
fn the_packet_threshold_decides_what_jitter_costs() {
    let lost = |packet_threshold| {
        let mut flow = flow(cubic);
        flow.sender.transport.packet_threshold = packet_threshold;
        flow.sender.transport.time_threshold = 1.25;
        let link = Direction { jitter_ms: 5.0, reordering: true, ..link(20.0, 50.0, 0.0) };
        let flow = play(&scenario(link, vec![flow], 6), 1).flows.remove(0);
        (flow.lost_packets - flow.data.drops.total().min(flow.lost_packets)) as f64 / flow.sent_packets as f64
    };
    let (few, many) = (lost(3), lost(128));
    assert!(few > 0.02 && many < 0.005, "late packets taken for lost: {few} at 3, {many} at 128");
}

#[test]
fn the_rate_can_change_on_the_way() {
    let change = Change { at_s: 5.0, rate_mbit_per_s: Some(2.0), ..Change::default() };
    let link = Direction { changes: vec![change], ..link(8.0, 30.0, 0.0) };
    let outcome = play(&scenario(link, vec![flow(cubic)], 12), 1);
    let rate = |from, to| outcome.goodput_bytes_per_s(0, seconds(from, to)) / MBIT;
    assert!(
        (7.0..7.7).contains(&rate(2, 5)) && (1.6..1.93).contains(&rate(7, 12)),
        "{} {}",
        rate(2, 5),
        rate(7, 12)
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let refused = |change: &dyn Fn(&mut Scenario)| {
        let mut scenario = scenario(link(10.0, 20.0, 0.0), vec![flow(cubic)], 1);
        change(&mut scenario);
        run(&scenario, 1).expect_err("refused")
    };
    assert_eq!(refused(&|s| s.flows.clear()), FlowsError::NoFlows);
    assert_eq!(refused(&|s| s.profile.up.rate_mbit_per_s = None), FlowsError::NoBottleneck(Way::Up));
    assert_eq!(refused(&|s| s.duration = Duration::ZERO), FlowsError::Samples);
    assert_eq!(refused(&|s| s.sample_every = Duration::ZERO), FlowsError::Samples);
    assert_eq!(refused(&|s| s.duration = Duration::from_secs(2001)), FlowsError::Samples);
    assert_eq!(refused(&|s| s.flows[0].amount_bytes = Some(0)), FlowsError::Amount("flow".to_owned()));
    let range = refused(&|s| s.flows[0].receiver.transport.packet_threshold = 0);
    assert_eq!(range.to_string(), "packet_threshold is out of range: 3 to 1,000,000");
    let link = refused(&|s| s.profile.down.duplication = 2.0);
    assert!(link.to_string().starts_with("the link: down.duplication is out of range"), "{link}");
    let own = Direction { delay_ms: -1.0, ..Direction::default() };
    assert!(matches!(refused(&|s| s.flows[0].own_return = Some(own.clone())), FlowsError::Profile(_)));
}
