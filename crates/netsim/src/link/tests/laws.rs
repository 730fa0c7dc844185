//! What holds for every link, every seed and any traffic.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::profile::{Blackout, Change, During, Loss, Profile, Queue};

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        (0.0..=1.0).prop_map(Loss::Bernoulli),
        (0.0..0.5, 1.0..20.0).prop_map(|(ratio, length)| Loss::bursts(ratio, length)),
        (0.0..0.9, 0.1..500.0).prop_map(|(ratio, length)| Loss::spells(ratio, length)),
    ]
}

prop_compose! {
    fn blackout()(from_s in 0.0..3.0, for_s in 0.001..0.5, pause_s in option::of(1.5..3.0), hold in any::<bool>()) -> Blackout {
        let packets = if hold { During::Hold } else { During::Drop };
        Blackout { from_s, for_s, every_s: pause_s.map(|pause: f64| for_s + pause), packets }
    }
}

prop_compose! {
    fn change(with_rate: bool)(
        at_s in 0.0..3.0,
        rate in option::of(0.1..1000.0),
        delay_ms in option::of(40.0..200.0),
        loss_before_queue in option::of(loss()),
        loss_after_queue in option::of(loss()),
        mtu_bytes in option::of(576_u32..9000),
    ) -> Change {
        let rate_mbit_per_s = if with_rate { rate } else { None };
        Change { at_s, rate_mbit_per_s, delay_ms, loss_before_queue, loss_after_queue, mtu_bytes }
    }
}

prop_compose! {
    fn direction()(rate in option::of(0.1..1000.0))(
        rate_mbit_per_s in Just(rate),
        queue in prop_oneof![(0.0..4.0).prop_map(Queue::Bdp), (1500_u64..100_000).prop_map(Queue::Bytes)],
        delay_ms in 40.0..200.0,
        jitter_ms in prop_oneof![Just(0.0), 0.0..40.0],
        reordering in any::<bool>(),
        losses in (option::of(loss()), option::of(loss())),
        duplication in prop_oneof![Just(0.0), 0.0..=1.0],
        mtu_bytes in option::of(576_u32..9000),
        blackouts in vec(blackout(), 0..2),
        mut changes in vec(change(rate.is_some()), 0..4),
    ) -> Direction {
        changes.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        let (loss_before_queue, loss_after_queue) = losses;
        Direction {
            rate_mbit_per_s, queue, delay_ms, jitter_ms, reordering, loss_before_queue, loss_after_queue,
            duplication, mtu_bytes, blackouts, changes,
        }
    }
}

/// Gaps in microseconds and lengths in bytes, some back to back.
fn traffic() -> impl Strategy<Value = Vec<(u64, u32)>> {
    vec((prop_oneof![Just(0_u64), 0_u64..20_000], 40_u32..9500), 1..400)
}

fn run(channel: &mut Channel, traffic: &[(u64, u32)]) -> Vec<(Duration, Passage)> {
    let mut now = Duration::ZERO;
    let one = |(gap_us, bytes): &(u64, u32)| {
        now += Duration::from_micros(*gap_us);
        (now, channel.send(now, *bytes))
    };
    traffic.iter().map(one).collect()
}

/// The least time that a packet can take: that of the highest rate and the shortest delay.
fn fastest(direction: &Direction, bytes: u32) -> Duration {
    let rates = direction.changes.iter().filter_map(|change| change.rate_mbit_per_s);
    let rate = rates.chain(direction.rate_mbit_per_s).fold(0.0, f64::max);
    let delays = direction.changes.iter().filter_map(|change| change.delay_ms);
    let delay_ms = delays.fold(direction.delay_ms, f64::min) - direction.jitter_ms;
    let wire_ms = if rate > 0.0 { f64::from(bytes) * 8e-3 / rate } else { 0.0 };
    // Times are whole nanoseconds.
    ms(delay_ms + wire_ms).saturating_sub(Duration::from_nanos(2))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_packet_is_early_and_none_overtakes_without_leave(direction in direction(), traffic in traffic(), seed: u64) {
        let mut channel = Channel::new(&direction, ms(100.0), seed).expect("in range");
        let mut latest = Duration::ZERO;
        for ((_, bytes), (now, passage)) in traffic.iter().zip(run(&mut channel, &traffic)) {
            let Fate::Delivered { at, copy_at } = passage.fate else { continue };
            prop_assert!(at >= now + fastest(&direction, *bytes), "{at:?} is early, sent at {now:?}");
            prop_assert!(at >= now + passage.queue_wait);
            prop_assert!(copy_at.is_none_or(|copy_at| copy_at >= at));
            prop_assert!(direction.reordering || at >= latest, "{at:?} overtakes {latest:?}");
            latest = latest.max(copy_at.unwrap_or(at));
        }
    }

    #[test]
    fn every_packet_is_accounted_for(direction in direction(), traffic in traffic(), seed: u64) {
        let mut channel = Channel::new(&direction, ms(100.0), seed).expect("in range");
        let passages = run(&mut channel, &traffic);
        let counters = channel.counters(passages.last().expect("some traffic").0);
        let count = |is: fn(&Fate) -> bool| passages.iter().filter(|(_, passage)| is(&passage.fate)).count() as u64;
        prop_assert_eq!(counters.offered_packets, traffic.len() as u64);
        prop_assert_eq!(counters.offered_packets, counters.delivered_packets + counters.lost_packets());
        prop_assert_eq!(counters.delivered_packets, count(|fate| matches!(fate, Fate::Delivered { .. })));
        prop_assert_eq!(counters.duplicated_packets, count(|fate| matches!(fate, Fate::Delivered { copy_at: Some(_), .. })));
        prop_assert_eq!(counters.lost_queue_full_packets, count(|fate| matches!(fate, Fate::Lost(Cause::QueueFull))));
        prop_assert_eq!(counters.lost_blackout_packets, count(|fate| matches!(fate, Fate::Lost(Cause::Blackout))));
        prop_assert!((0.0..=1.0 + 1e-9).contains(&counters.utilisation), "{}", counters.utilisation);
        prop_assert!(counters.queue_wait_p95_ms <= counters.queue_wait_p99_ms);
    }

    #[test]
    fn a_queue_never_exceeds_its_bound(direction in direction(), traffic in traffic(), seed: u64) {
        let mut channel = Channel::new(&direction, ms(100.0), seed).expect("in range");
        let mut now = Duration::ZERO;
        for (gap_us, bytes) in traffic {
            now += Duration::from_micros(gap_us);
            channel.send(now, bytes);
            let state = channel.queue(now);
            prop_assert!(state.bytes_limit.is_none_or(|limit| state.bytes <= limit), "{state:?}");
            prop_assert_eq!(state.packets == 0, state.bytes == 0);
        }
        let limit = channel.queue(now).bytes_limit;
        prop_assert!(limit.is_none_or(|limit| channel.counters(now).queue_peak_bytes <= limit));
    }

    #[test]
    fn a_seed_repeats_everything_and_the_other_way_changes_nothing(
        up in direction(), down in direction(), traffic in traffic(), other in traffic(), seed: u64,
    ) {
        let profile = Profile { up, ..Profile::symmetric("any", down) };
        let (mut busy, mut quiet) = (Link::new(&profile, seed).expect("fine"), Link::new(&profile, seed).expect("fine"));
        run(busy.channel(Way::Down), &other);
        prop_assert_eq!(run(busy.channel(Way::Up), &traffic), run(quiet.channel(Way::Up), &traffic));
    }

    #[test]
    fn the_nth_packet_is_lost_whenever_it_comes(ratio in 0.0..1.0, traffic in traffic(), other in traffic(), seed: u64) {
        let direction = Direction { loss_after_queue: Some(Loss::Bernoulli(ratio)), ..Direction::default() };
        let lost = |traffic: &[(u64, u32)]| {
            let mut channel = Channel::new(&direction, ms(100.0), seed).expect("in range");
            let passages = run(&mut channel, traffic);
            passages.into_iter().map(|(_, passage)| matches!(passage.fate, Fate::Lost(_))).collect::<Vec<_>>()
        };
        let shared = traffic.len().min(other.len());
        prop_assert_eq!(&lost(&traffic)[..shared], &lost(&other)[..shared]);
    }
}

#[test]
fn the_two_ways_lose_different_packets() {
    let both = Direction { loss_after_queue: Some(Loss::Bernoulli(0.5)), ..Direction::default() };
    let mut link = Link::new(&Profile::symmetric("both", both), 1).expect("in range");
    let mut lost =
        |way| (0..64).map(|_| matches!(link.send(way, ms(0.0), 100).fate, Fate::Lost(_))).collect::<Vec<_>>();
    assert_ne!(lost(Way::Up), lost(Way::Down));
}

#[test]
fn loss_duplication_and_their_places_have_their_ratios() {
    let n = 200_000.0;
    let direction = Direction {
        loss_before_queue: Some(Loss::Bernoulli(0.1)),
        loss_after_queue: Some(Loss::Bernoulli(0.2)),
        duplication: 0.05,
        ..Direction::default()
    };
    let mut channel = channel(&direction);
    for _ in 0..n as u32 {
        channel.send(ms(0.0), 100);
    }
    let counters = channel.counters(ms(0.0));
    let within = |count: u64, p: f64| {
        // Five standard deviations of a binomial count.
        let bound = 5.0 * (n * p * (1.0 - p)).sqrt();
        assert!((count as f64 - n * p).abs() < bound, "{count} is not {} +- {bound}", n * p);
    };
    within(counters.lost_before_queue_packets, 0.1);
    within(counters.lost_after_queue_packets, 0.9 * 0.2);
    within(counters.duplicated_packets, 0.9 * 0.8 * 0.05);
}

#[test]
fn jitter_reorders_where_it_may_and_only_there() {
    for reordering in [false, true] {
        let jittery = Direction { delay_ms: 20.0, jitter_ms: 5.0, reordering, ..Direction::default() };
        let mut channel = channel(&jittery);
        let arrivals: Vec<_> =
            (0..1000).map(|n| arrival(channel.send(ms(f64::from(n)), 100)) - ms(f64::from(n))).collect();
        let overtaken = arrivals.windows(2).filter(|pair| pair[1] + ms(1.0) < pair[0]).count();
        assert_eq!(overtaken > 100, reordering, "{overtaken}");
        if reordering {
            let mean_ms = arrivals.iter().sum::<Duration>().as_secs_f64();
            // Uniform in 15 to 25 ms: five standard errors are 0.46 ms.
            assert!((mean_ms - 20.0).abs() < 0.46, "{mean_ms}");
            assert!(arrivals.iter().all(|delay| (ms(15.0)..=ms(25.0)).contains(delay)));
        }
    }
}

#[test]
fn a_saturated_link_carries_its_rate_exactly() {
    // A rate at which no packet takes a whole number of nanoseconds: rounding must not add up.
    let odd = Direction { rate_mbit_per_s: Some(97.3), queue: Queue::Bytes(30_000), ..Direction::default() };
    let mut channel = channel(&odd);
    let mut now = Duration::ZERO;
    while now < ms(10_000.0) {
        channel.send(now, 1480);
        now += Duration::from_micros(100);
    }
    let counters = channel.counters(now);
    let carried = counters.delivered_bytes as f64 - channel.queue(now).bytes as f64;
    let expected = 97.3 * 125_000.0 * now.as_secs_f64();
    assert!((carried / expected - 1.0).abs() < 1e-3, "{carried} of {expected}");
    assert!((counters.utilisation - 1.0).abs() < 1e-3, "{}", counters.utilisation);
}
