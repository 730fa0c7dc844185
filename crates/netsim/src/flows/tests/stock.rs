//! Figures of quinn's own controllers that are known from elsewhere.

use super::*;

/// The mean goodput over some seeds, as a share of the rate.
fn share(end: fn() -> EndSpec, rate: f64, rtt_ms: f64, loss: f64, seeds: u64) -> f64 {
    let scenario = scenario(link(rate, rtt_ms, loss), vec![flow(end)], 30);
    let one = |seed| play(&scenario, seed).goodput_bytes_per_s(0, seconds(10, 30)) / (rate * MBIT);
    (1..=seeds).map(one).sum::<f64>() / seeds as f64
}

#[test]
fn alone_and_without_loss_cubic_reaches_95_per_cent_of_the_rate() {
    let share = share(cubic, 10.0, 40.0, 0.0, 1);
    // 1,416 to 1,420 of the 1,480 bytes of a full packet are file bytes.
    assert!((0.95..0.9595).contains(&share), "{share}");
}

#[test]
fn at_10_per_cent_loss_cubic_gets_four_per_cent_at_20_ms_and_nothing_at_300_ms() {
    let near = share(cubic, 50.0, 20.0, 0.1, 4);
    assert!((0.030..0.046).contains(&near), "{near}");
    let far = share(cubic, 50.0, 300.0, 0.1, 8);
    assert!((0.0012..0.0032).contains(&far), "{far}");
}

#[test]
fn at_10_per_cent_loss_quinns_bbr_fills_the_link_and_the_queue() {
    let scenario = scenario(link(10.0, 100.0, 0.1), vec![flow(bbr)], 20);
    let outcome = play(&scenario, 1);
    let share = outcome.goodput_bytes_per_s(0, seconds(10, 20)) / (10.0 * MBIT);
    // The limit is 0.957 x 0.9 = 0.861.
    assert!((0.80..0.862).contains(&share), "{share}");
    let queue = outcome.series.queue(crate::Way::Up, seconds(10, 20));
    assert!(queue.mean_ms > 70.0 && queue.max_ms <= 101.5, "{queue:?}");
}
