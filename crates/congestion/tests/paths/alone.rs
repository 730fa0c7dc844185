//! One flow.

use fulmar_congestion::Mode;
use fulmar_netsim::{Direction, Loss};

use crate::rig::{buffer, link, lrc, play};

#[test]
fn random_loss_costs_what_it_takes_and_no_more() {
    for mode in [Mode::Paced, Mode::Window] {
        for (rtt_ms, loss) in [(20.0, 0.0), (20.0, 0.1), (100.0, 0.0), (100.0, 0.1), (100.0, 0.2)] {
            let result = play(&link(20.0, rtt_ms, loss), vec![lrc(mode)], 20.0, 1);
            let (share, queue_ms) = (result.share(0, 8.0..20.0), result.queue_ms(8.0..20.0));
            assert!(share >= 0.97, "{mode:?} {rtt_ms} ms {loss}: {share}");
            assert!(queue_ms <= f64::max(6.0, 0.1 * rtt_ms), "{mode:?} {rtt_ms} ms {loss}: {queue_ms} ms");
        }
    }
}

#[test]
fn loss_before_the_bottleneck_costs_nothing() {
    let lossy = link(20.0, 50.0, 0.1);
    let before = Direction { loss_before_queue: lossy.loss_after_queue, loss_after_queue: None, ..lossy };
    let share = play(&before, vec![lrc(Mode::Paced)], 20.0, 2).share(0, 8.0..20.0);
    assert!(share >= 0.97, "{share}");
}

/// On a slow link a few packets are a long queue, and each that is lost before it leaves a gap: what of that is luck must not move the
/// estimate, nor the queue that it makes stay.
#[test]
fn loss_before_a_slow_bottleneck_makes_no_long_queue() {
    for (rtt_ms, loss) in [(5.0, 0.05), (30.0, 0.2)] {
        let lossy = Direction { loss_before_queue: Some(Loss::Bernoulli(loss)), ..link(10.0, rtt_ms, 0.0) };
        let result = play(&lossy, vec![lrc(Mode::Paced)], 30.0, 1);
        let (share, queue_ms) = (result.share(0, 10.0..30.0), result.queue_ms(10.0..30.0));
        assert!(share >= 0.97 && queue_ms <= 5.0, "{rtt_ms} ms {loss}: {share}, {queue_ms} ms");
    }
}

#[test]
fn bursts_and_jitter_are_not_congestion() {
    let bursts = Direction { loss_after_queue: Some(Loss::bursts(0.05, 5.0)), ..link(20.0, 50.0, 0.05) };
    let jitter = Direction { jitter_ms: 5.0, reordering: true, ..link(20.0, 50.0, 0.0) };
    for (name, link) in [("bursts", bursts), ("jitter", jitter)] {
        let share = play(&link, vec![lrc(Mode::Paced)], 20.0, 3).share(0, 8.0..20.0);
        assert!(share >= 0.95, "{name}: {share}");
    }
}

/// A queue that cannot be seen: what is too much is lost in it at once, as if at random.
#[test]
fn a_buffer_of_a_few_packets_is_not_flooded() {
    for (loss, seed) in [(0.0, 4), (0.1, 5)] {
        let shallow = buffer(0.01, link(100.0, 100.0, loss));
        let result = play(&shallow, vec![lrc(Mode::Paced)], 20.0, seed);
        let (share, overflow) = (result.share(0, 8.0..20.0), result.overflow(8.0..20.0));
        assert!(share >= 0.9 && overflow <= 0.05, "{loss}: {share}, {overflow} lost in the buffer");
    }
}

#[test]
fn a_slow_link_is_filled_too() {
    for loss in [0.0, 0.05] {
        let share = play(&link(1.0, 100.0, loss), vec![lrc(Mode::Paced)], 30.0, 6).share(0, 10.0..30.0);
        assert!(share >= 0.95, "{loss}: {share}");
    }
}

#[test]
fn a_seed_repeats_everything() {
    let run = || {
        let result = play(&link(20.0, 50.0, 0.1), vec![lrc(Mode::Paced)], 5.0, 7);
        (result.share(0, 0.0..5.0).to_bits(), result.queue_ms(0.0..5.0).to_bits())
    };
    assert_eq!(run(), run());
}
