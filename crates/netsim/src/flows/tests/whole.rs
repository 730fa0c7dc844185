//! What holds whatever the settings.

use proptest::prelude::*;

use super::*;
use crate::{Blackout, During, Way};

/// Everything that a link can do to packets.
fn bad_link() -> Direction {
    Direction {
        jitter_ms: 4.0,
        reordering: true,
        duplication: 0.05,
        loss_before_queue: Some(Loss::bursts(0.02, 3.0)),
        ..link(5.0, 30.0, 0.03)
    }
}

fn of_amount(bytes: u64, way: Way) -> FlowSpec {
    FlowSpec { amount_bytes: Some(bytes), way, ..flow(newreno) }
}

#[test]
fn the_same_seed_gives_the_same_outcome_and_another_one_another() {
    let second = FlowSpec { start: millis(700), near_delay: millis(9), ..of_amount(60_000, Way::Down) };
    let mut scenario = scenario(bad_link(), vec![flow(bbr), second], 6);
    scenario.granularity.timers = millis(1);
    scenario.granularity.arrivals = Duration::from_micros(250);
    let outcome = play(&scenario, 7);
    assert!(outcome.flows[0].received_bytes > 0 && outcome.flows[1].finished.is_some());
    assert_eq!(outcome, play(&scenario, 7));
    assert_ne!(outcome.events, play(&scenario, 8).events);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_byte_arrives_once_whatever_the_link_does(bytes in 1u64..600_000, seed: u64, down: bool, after in 0.0f64..0.15, jitter in 0.0f64..10.0) {
        let way = if down { Way::Down } else { Way::Up };
        let link = Direction { loss_after_queue: Some(Loss::Bernoulli(after)), jitter_ms: jitter, ..bad_link() };
        let outcome = play(&scenario(link, vec![of_amount(bytes, way)], 120), seed);
        let flow = &outcome.flows[0];
        prop_assert_eq!((flow.received_bytes, &flow.died), (bytes, &None));
        let finished = flow.finished.expect("two minutes are enough");
        prop_assert_eq!(outcome.series.ended(), finished);
        prop_assert_eq!(outcome.series.received_bytes(0, finished), bytes as f64);
        prop_assert!(flow.connected.expect("connected") > Duration::ZERO);
    }
}

#[test]
fn every_packet_is_counted_once_by_its_flow_and_by_the_link() {
    let flows =
        vec![flow(cubic), of_amount(200_000, Way::Down), FlowSpec { start: millis(500), ..flow(bbr) }];
    let link = Direction { mtu_bytes: Some(1400), ..bad_link() };
    let outcome = play(&scenario(link, flows, 3), 3);
    for way in [Way::Up, Way::Down] {
        let mut packets = 0;
        let mut drops = super::super::Drops::default();
        for flow in &outcome.flows {
            let traffic = if flow.way == way { flow.data } else { flow.back };
            packets += traffic.packets;
            drops.too_big += traffic.drops.too_big;
            drops.before_queue += traffic.drops.before_queue;
            drops.queue_full += traffic.drops.queue_full;
            drops.after_queue += traffic.drops.after_queue;
        }
        let counters = outcome.counters(way);
        assert_eq!(packets, counters.offered_packets);
        assert_eq!(drops.too_big, counters.lost_too_big_packets);
        assert_eq!(drops.before_queue, counters.lost_before_queue_packets);
        assert_eq!(drops.queue_full, counters.lost_queue_full_packets);
        assert_eq!(drops.after_queue, counters.lost_after_queue_packets);
        assert!(drops.total() > 0 && counters.duplicated_packets > 0);
    }
    assert!(outcome.flows.iter().all(|flow| flow.mtu_bytes <= 1400 - 28));
    assert!(outcome.flows[0].data.drops.too_big > 0, "path discovery tries more than 1,372 bytes");
}

#[test]
fn a_silence_longer_than_the_idle_timeout_kills_and_a_shorter_one_does_not() {
    let died = |for_s: f64| {
        let blackout = Blackout { from_s: 2.0, for_s, every_s: None, packets: During::Drop };
        let link = Direction { blackouts: vec![blackout], ..link(2.0, 20.0, 0.0) };
        let mut flow = flow(cubic);
        flow.sender.transport.idle_timeout_s = 8.0;
        flow.receiver.transport.idle_timeout_s = 8.0;
        play(&scenario(link, vec![flow], 30), 1).flows.remove(0).died
    };
    assert_eq!(died(3.0), None);
    let death = died(12.0).expect("dead");
    assert_eq!(death.reason, "timed out");
    assert!((9.5..14.0).contains(&death.at.as_secs_f64()), "{death:?}");
}

#[test]
fn the_first_packets_need_1228_bytes() {
    let outcome = |mtu_bytes| {
        let link = Direction { mtu_bytes: Some(mtu_bytes), ..link(2.0, 20.0, 0.0) };
        play(&scenario(link, vec![of_amount(10_000, Way::Up)], 100), 1).flows.remove(0)
    };
    assert!(outcome(1228).finished.is_some());
    let dead = outcome(1227);
    assert_eq!((dead.connected, dead.finished, dead.received_bytes), (None, None, 0));
    assert!(dead.died.is_some() && dead.data.drops.too_big == dead.data.packets, "{dead:?}");
}

#[test]
fn two_flows_of_one_kind_share_the_link() {
    let outcome = play(&scenario(link(10.0, 40.0, 0.0), vec![flow(newreno), flow(newreno)], 40), 1);
    let during = seconds(10, 40);
    assert!(outcome.jain(during.clone()) > Some(0.9), "{:?}", outcome.jain(during.clone()));
    let sum: f64 = (0..2).map(|flow| outcome.goodput_bytes_per_s(flow, during.clone())).sum();
    assert!(sum / (10.0 * MBIT) > 0.93, "{sum}");
    assert!(outcome.up.utilisation > 0.93 && outcome.up.utilisation <= 1.0, "{}", outcome.up.utilisation);
    let overflow = outcome.series.overflow(Way::Up, during);
    assert!(overflow > 0.0 && overflow < 0.02, "{overflow}");
}

#[test]
fn what_is_recorded_is_what_happened() {
    let outcome = play(&scenario(link(5.0, 30.0, 0.01), vec![flow(cubic)], 5), 1);
    let series = &outcome.series;
    assert_eq!(series.ended(), Duration::from_secs(5));
    assert_eq!(series.received_bytes(0, Duration::ZERO), 0.0);
    assert_eq!(series.received_bytes(0, Duration::from_secs(5)), outcome.flows[0].received_bytes as f64);
    let bins = series.bins(0, Way::Up, millis(100));
    assert_eq!(bins.len(), 50);
    let sum: f64 = bins.iter().map(|(_, rate, _)| rate * 0.1).sum();
    assert!((sum - outcome.flows[0].received_bytes as f64).abs() < 1.0);
    // Nothing arrives before the handshake, half a round trip for the request, and half a one for the data.
    assert_eq!(series.received_bytes(0, millis(60)), 0.0);
    assert!(series.time_to(0, 0.9 * 5.0 * MBIT, Duration::ZERO, millis(200)) > Some(millis(260)));
}
