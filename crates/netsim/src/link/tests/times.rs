//! Single packets at exact times.

use super::*;
use crate::profile::{Blackout, Change, During, Loss, Queue};

/// 12 Mbit/s: a packet of 1,500 bytes takes a millisecond.
const RATE: Option<f64> = Some(12.0);

fn at_rate() -> Direction {
    Direction { rate_mbit_per_s: RATE, delay_ms: 20.0, ..Direction::default() }
}

#[test]
fn a_perfect_wire_delivers_at_once_and_everything() {
    let mut channel = channel(&Direction::default());
    for n in 0..1000_u32 {
        let now = ms(f64::from(n));
        assert_eq!(arrival(channel.send(now, 65_535)), now);
    }
    let counters = channel.counters(ms(1000.0));
    assert_eq!((counters.delivered_packets, counters.lost_packets()), (1000, 0));
    assert_eq!(counters.delivered_bytes, 65_535_000);
    assert_eq!(counters.utilisation, 0.0);
}

#[test]
fn packets_leave_one_after_another_at_the_rate() {
    let mut channel = channel(&at_rate());
    for n in 0..10 {
        let passage = channel.send(ms(5.0), 1500);
        assert_eq!(passage.queue_wait, ms(f64::from(n)));
        assert_eq!(arrival(passage), ms(5.0 + f64::from(n) + 1.0 + 20.0));
    }
    // The link was idle again, and a short packet takes less time.
    assert_eq!(arrival(channel.send(ms(30.0), 150)), ms(50.1));
}

#[test]
fn a_queue_holds_what_fits_and_drops_the_rest() {
    let mut channel = channel(&Direction { queue: Queue::Bytes(4500), ..at_rate() });
    let fates: Vec<_> = (0..5).map(|_| channel.send(ms(0.0), 1500).fate).collect();
    assert!(matches!(fates[2], Fate::Delivered { .. }), "{fates:?}");
    assert_eq!(fates[3..], [Fate::Lost(Cause::QueueFull); 2]);
    // The packet on the wire counts until it has left, and then there is room for one.
    assert_eq!(channel.send(ms(0.999_999), 1500).fate, Fate::Lost(Cause::QueueFull));
    assert!(matches!(channel.send(ms(1.0), 1500).fate, Fate::Delivered { .. }));
    let state = channel.queue(ms(1.0));
    assert_eq!((state.packets, state.bytes, state.bytes_limit), (3, 4500, Some(4500)));
    assert_eq!(state.wait, ms(3.0));
    let counters = channel.counters(ms(4.0));
    assert_eq!((counters.lost_queue_full_packets, counters.queue_peak_bytes), (3, 4500));
    assert_eq!(counters.queue_wait_max_ms, 2.0);
}

#[test]
fn a_queue_by_the_path_is_a_share_of_the_product() {
    // 12 Mbit/s x 100 ms are 150,000 bytes.
    for (share, bytes) in [(1.0, 150_000), (0.5, 75_000), (0.01, 15_000), (0.0, 15_000)] {
        let mut channel = channel(&Direction { queue: Queue::Bdp(share), ..at_rate() });
        assert_eq!(channel.queue(ms(0.0)).bytes_limit, Some(bytes));
    }
}

#[test]
fn a_change_of_rate_meets_the_packets_that_wait() {
    let change = Change { at_s: 0.002, rate_mbit_per_s: Some(6.0), ..Change::default() };
    let mut channel = channel(&Direction { changes: vec![change], ..at_rate() });
    let arrivals: Vec<_> = (0..4).map(|_| arrival(channel.send(ms(0.5), 1500))).collect();
    // The first leaves at 1.5 ms; the second has half of its bits out at 2 ms and needs another millisecond for the rest.
    assert_eq!(arrivals, [21.5, 23.0, 25.0, 27.0].map(ms));
}

#[test]
fn a_change_of_delay_meets_the_packets_that_set_out_later() {
    let change = Change { at_s: 1.0, delay_ms: Some(5.0), ..Change::default() };
    let mut channel = channel(&Direction { delay_ms: 20.0, changes: vec![change], ..Direction::default() });
    assert_eq!(arrival(channel.send(ms(999.0), 100)), ms(1019.0));
    // It may not overtake the one before it.
    assert_eq!(arrival(channel.send(ms(1000.0), 100)), ms(1019.0));
    assert_eq!(arrival(channel.send(ms(1015.0), 100)), ms(1020.0));
}

#[test]
fn a_change_of_loss_and_of_mtu_take_effect_at_their_time() {
    let all = Some(Loss::Bernoulli(1.0));
    let changes = vec![
        Change { at_s: 1.0, loss_after_queue: all, ..Change::default() },
        Change {
            at_s: 2.0,
            loss_after_queue: Some(Loss::Bernoulli(0.0)),
            mtu_bytes: Some(1400),
            ..Change::default()
        },
        Change { at_s: 3.0, loss_before_queue: all, ..Change::default() },
    ];
    let mut channel = channel(&Direction { changes, ..Direction::default() });
    let mut fate = |at_ms, bytes| channel.send(ms(at_ms), bytes).fate;
    assert!(matches!(fate(999.0, 1500), Fate::Delivered { .. }));
    assert_eq!(fate(1000.0, 1500), Fate::Lost(Cause::AfterQueue));
    assert_eq!(fate(2000.0, 1401), Fate::Lost(Cause::TooBig));
    assert!(matches!(fate(2000.0, 1400), Fate::Delivered { .. }));
    assert_eq!(fate(3000.0, 1400), Fate::Lost(Cause::BeforeQueue));
}

#[test]
fn what_leaves_during_a_blackout_is_lost() {
    let blackouts = vec![Blackout { from_s: 0.002, for_s: 0.002, every_s: None, packets: During::Drop }];
    let mut channel = channel(&Direction { blackouts, ..at_rate() });
    let fates: Vec<_> = (0..5).map(|_| channel.send(ms(0.0), 1500).fate).collect();
    assert_eq!(fates[0], Fate::Delivered { at: ms(21.0), copy_at: None });
    assert_eq!(fates[1..3], [Fate::Lost(Cause::Blackout); 2]);
    assert_eq!(fates[3], Fate::Delivered { at: ms(24.0), copy_at: None });
    assert_eq!(channel.counters(ms(5.0)).lost_blackout_packets, 2);
}

#[test]
fn a_blackout_that_holds_lets_packets_wait() {
    let blackouts = vec![Blackout { from_s: 0.0015, for_s: 1.0, every_s: Some(2.0), packets: During::Hold }];
    let mut channel = channel(&Direction { blackouts: blackouts.clone(), ..at_rate() });
    let arrivals: Vec<_> = (0..3).map(|_| arrival(channel.send(ms(0.0), 1500))).collect();
    // The second is half out when it begins.
    assert_eq!(arrivals, [21.0, 1022.0, 1023.0].map(ms));
    // Without a rate it is the same, but for the time on the wire.
    let mut wire = super::channel(&Direction { blackouts, delay_ms: 20.0, ..Direction::default() });
    assert_eq!(arrival(wire.send(ms(1.0), 1500)), ms(21.0));
    assert_eq!(arrival(wire.send(ms(2.0), 1500)), ms(1021.5));
    assert_eq!(arrival(wire.send(ms(2001.5), 1500)), ms(3021.5));
}

#[test]
fn utilisation_is_the_share_of_what_could_have_been_carried() {
    let blackouts = vec![Blackout { from_s: 0.5, for_s: 0.25, every_s: None, packets: During::Hold }];
    let change = Change { at_s: 1.0, rate_mbit_per_s: Some(24.0), ..Change::default() };
    let queue = Queue::Bytes(1_000_000);
    let direction = Direction { blackouts, changes: vec![change], queue, ..at_rate() };
    let mut channel = channel(&direction);
    // 0.75 s at 1.5 MB/s and 1 s at 3 MB/s could carry 4.125 MB.
    for n in 0..1375 {
        let now = ms(f64::from(n) / 1375.0 * 2000.0);
        assert!(matches!(channel.send(now, 1500).fate, Fate::Delivered { .. }));
    }
    let utilisation = channel.counters(ms(2000.0)).utilisation;
    assert!((utilisation - 0.5).abs() < 0.001, "{utilisation}");
    assert!(channel.counters(ms(4000.0)).utilisation < 0.21);
}

#[test]
fn time_does_not_go_back() {
    let mut channel = channel(&Direction::default());
    assert_eq!(arrival(channel.send(ms(10.0), 100)), ms(10.0));
    assert_eq!(arrival(channel.send(ms(9.0), 100)), ms(10.0));
}
