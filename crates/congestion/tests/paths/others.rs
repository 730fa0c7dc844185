//! Several flows on one link.

use std::time::Duration;

use fulmar_congestion::Mode;
use fulmar_netsim::flows::FlowSpec;

use crate::rig::{buffer, cubic, from, link, lrc, play};

#[test]
fn two_flows_share_evenly_whoever_comes_first() {
    for (share, least, start_s, seed) in [(1.0, 0.97, 0.3, 1), (0.1, 0.95, 0.3, 2), (1.0, 0.97, 8.0, 3)] {
        let link = buffer(share, link(30.0, 50.0, 0.0));
        let flows = vec![lrc(Mode::Paced), from(start_s, lrc(Mode::Paced))];
        let jain = play(&link, flows, 35.0, seed).jain(18.0..35.0);
        assert!(jain >= least, "buffer {share}, from {start_s} s: {jain}");
    }
}

/// Equal shares do not depend on equal distances.
#[test]
fn a_near_and_a_far_flow_both_get_a_share() {
    let far = FlowSpec { near_delay: Duration::from_millis(40), ..from(0.3, lrc(Mode::Paced)) };
    let result = play(&link(30.0, 20.0, 0.0), vec![lrc(Mode::Paced), far], 35.0, 4);
    let shares = [0, 1].map(|flow| result.share(flow, 18.0..35.0));
    assert!(shares.iter().all(|share| *share >= 0.3), "{shares:?}");
}

/// What a CUBIC flow gets beside this one, of what it gets beside another CUBIC flow.
#[test]
fn a_cubic_flow_keeps_its_share() {
    for (share, least, seed) in [(1.0, 0.7, 5), (4.0, 0.7, 6), (0.1, 0.4, 7)] {
        let link = buffer(share, link(50.0, 50.0, 0.0));
        let beside = |other: FlowSpec| {
            let flows = vec![other, from(3.0, cubic())];
            play(&link, flows, 45.0, seed).share(1, 15.0..45.0)
        };
        let (ours, theirs) = (beside(lrc(Mode::Paced)), beside(cubic()));
        assert!(ours >= least * theirs, "buffer {share}: {ours} beside us, {theirs} beside another");
    }
}

/// And we keep ours, also where its queue is there before we are.
#[test]
fn a_cubic_flow_does_not_starve_us() {
    for (share, seed) in [(1.0, 8), (4.0, 9)] {
        let link = buffer(share, link(30.0, 50.0, 0.0));
        let result = play(&link, vec![cubic(), from(5.0, lrc(Mode::Paced))], 45.0, seed);
        let ours = result.share(1, 20.0..45.0);
        assert!(ours >= 0.2, "buffer {share}: {ours}");
    }
}
