//! Links that change.

use fulmar_congestion::Mode;
use fulmar_netsim::{Blackout, Change, Direction, During};

use crate::rig::{link, lrc, play};

fn with_rate(at_s: f64, rate_mbit_per_s: f64, link: Direction) -> Direction {
    let change = Change { at_s, rate_mbit_per_s: Some(rate_mbit_per_s), ..Change::default() };
    Direction { changes: vec![change], ..link }
}

#[test]
fn after_a_blackout_the_link_is_full_again_soon() {
    for (loss, seed) in [(0.0, 1), (0.1, 2)] {
        let dark = Blackout { from_s: 8.0, for_s: 3.0, every_s: None, packets: During::Drop };
        let link = Direction { blackouts: vec![dark], ..link(20.0, 50.0, loss) };
        let result = play(&link, vec![lrc(Mode::Paced)], 18.0, seed);
        // Two seconds and four round trips after its end.
        let share = result.share(0, 13.2..18.0);
        assert!(share >= 0.9, "{loss}: {share}");
    }
}

#[test]
fn when_the_rate_halves_the_queue_goes_within_ten_round_trips() {
    for (loss, seed) in [(0.0, 3), (0.1, 4)] {
        let link = with_rate(8.0, 10.0, link(20.0, 100.0, loss));
        let result = play(&link, vec![lrc(Mode::Paced)], 16.0, seed);
        let queue_ms = result.queue_ms(9.0..9.5);
        assert!(queue_ms <= 15.0, "{loss}: {queue_ms} ms");
        let share = 2.0 * result.share(0, 9.0..16.0);
        assert!(share >= 0.9, "{loss}: {share}");
    }
}

#[test]
fn when_the_rate_doubles_it_is_found() {
    for (loss, seed) in [(0.0, 5), (0.1, 6)] {
        let link = with_rate(8.0, 40.0, link(20.0, 50.0, loss));
        let result = play(&link, vec![lrc(Mode::Paced)], 16.0, seed);
        // Three seconds and ten round trips later.
        let share = result.share(0, 11.5..16.0) / 2.0;
        assert!(share >= 0.9, "{loss}: {share}");
    }
}
