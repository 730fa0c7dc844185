use fulmar_client::{Snapshot, Stats};

use super::*;
use crate::verbs::doctor::{
    report::Verdict,
    run::{Machine, Sample},
};

const MS: Duration = Duration::from_millis(1);

/// Ten seconds over a path of 50 ms that carries 10 MB/s and loses 1 %, all of which is used.
fn upload() -> Run {
    let path = Snapshot {
        capacity_bytes_per_s: 1e7,
        loss_floor: 0.01,
        base_rtt: 50 * MS,
        phase: Phase::Cruise,
        ..Snapshot::default()
    };
    let stats = Stats {
        rtt: 52 * MS,
        min_rtt: 50 * MS,
        congestion_window_bytes: 1_000_000,
        path: Some(path),
        ..Stats::default()
    };
    let ends = [(0, Stats::default()), (10_000, stats)];
    let samples = ends.map(|(at, stats)| Sample { at: at * MS, stats });
    Run {
        sent_packets: 80_000,
        lost_packets: 800,
        received_bytes: 2_000_000,
        steady_bytes_per_s: 9.8e6,
        steady_loss: 0.01,
        ..Run::new(Way::Up, 95_000_000, &samples, Machine::default())
    }
}

fn download() -> Run {
    Run { way: Way::Down, queue: 3 * MS, received_bytes: 98_000_000, ..upload() }
}

fn with_stats(run: Run, change: impl FnOnce(&mut Stats)) -> Run {
    let mut last = run.last;
    change(&mut last);
    Run { last, ..run }
}

fn with_path(run: Run, change: impl FnOnce(&mut Snapshot)) -> Run {
    let mut path = run.last.path.expect("a path");
    change(&mut path);
    with_stats(run, |stats| stats.path = Some(path))
}

#[test]
fn a_path_that_is_full_is_the_limit_and_no_fault() {
    assert_eq!(judge(&upload()), Limit::Path);
    assert_eq!(judge(&Run { steady_bytes_per_s: 8.0e6, ..upload() }), Limit::Path);
    assert_eq!(judge(&Run { steady_bytes_per_s: 7.9e6, ..upload() }), Limit::Receiver);
    // What a path carries is known no better than what is sent on it.
    assert_eq!(judge(&Run { is_underfed: true, ..upload() }), Limit::Receiver);
    let finding = Limit::Path.finding(&upload(), "");
    assert_eq!(
        (finding.verdict, finding.message.as_str()),
        (Verdict::Good, "the path: it carries 10.0 MB/s and was full")
    );
}

#[test]
fn losses_above_the_paths_own_are_something_else() {
    assert_eq!(judge(&Run { steady_loss: 0.034, ..upload() }), Limit::Path);
    assert_eq!(judge(&Run { steady_loss: 0.036, ..upload() }), Limit::ExcessLoss);
    let lossy = with_path(Run { steady_loss: 0.2, ..upload() }, |path| path.loss_floor = 0.19);
    assert_eq!(judge(&lossy), Limit::Path);
}

#[test]
fn a_rival_on_the_path_is_named() {
    assert_eq!(judge(&Run { has_rival: true, ..upload() }), Limit::Rival);
}

#[test]
fn nothing_is_said_of_a_path_that_was_not_found_yet() {
    let starting = |elapsed| with_path(Run { elapsed, ..upload() }, |path| path.phase = Phase::Startup);
    assert_eq!(judge(&starting(1039 * MS)), Limit::TooShort);
    // It goes on looking for as long as the other end takes less than the path carries.
    assert_eq!(judge(&starting(1041 * MS)), Limit::Receiver);
    assert_eq!(judge(&Run { elapsed: 499 * MS, ..upload() }), Limit::TooShort);
    let again = Limit::TooShort.finding(&upload(), "doctor lab --seconds 30");
    assert_eq!(again.verdict, Verdict::Skipped);
    assert_eq!(again.hint, Some(Hint::run("doctor lab --seconds 30")));
}

#[test]
fn what_this_machine_does_comes_before_the_path() {
    let machine = |machine| judge(&Run { machine, ..upload() });
    let idle = Machine { own_processors: 0.2, busy: Some(0.99), dropped_datagrams: 1 };
    assert_eq!(machine(idle), Limit::Path);
    assert_eq!(machine(Machine { own_processors: 0.9, ..idle }), Limit::Processor);
    assert_eq!(machine(Machine { own_processors: 0.3, ..idle }), Limit::Processor);
    assert_eq!(machine(Machine { own_processors: 0.3, busy: Some(0.94), ..idle }), Limit::Path);
    assert_eq!(machine(Machine { own_processors: 0.3, busy: None, ..idle }), Limit::Path);
    // Of 1,666 datagrams that arrived one may be dropped.
    assert_eq!(machine(Machine { dropped_datagrams: 2, ..idle }), Limit::SocketDrops);
    let finding = Limit::SocketDrops.finding(&Run { machine: idle, ..upload() }, "");
    assert!(finding.message.contains("dropped 1 datagram "), "{finding:?}");
}

#[test]
fn a_rate_that_was_asked_for_is_the_limit_when_it_is_reached() {
    let capped = |rate| with_stats(upload(), |stats| stats.max_rate_bytes_per_s = Some(rate));
    assert_eq!(judge(&capped(10_000_000)), Limit::RateCap);
    assert_eq!(judge(&capped(20_000_000)), Limit::Path);
    let busy = Machine { own_processors: 1.0, ..Machine::default() };
    assert_eq!(judge(&Run { machine: busy, ..capped(10_000_000) }), Limit::RateCap);
}

#[test]
fn a_window_that_is_full_all_the_time_is_the_limit_of_a_long_path() {
    let long = |rtt| {
        let run = with_path(upload(), |path| path.capacity_bytes_per_s = 1e8);
        judge(&with_stats(Run { steady_bytes_per_s: 2e7, ..run }, |stats| stats.rtt = rtt))
    };
    // 0.8 of 8 MiB are 6.7 MB, at 20 MB/s those of 336 ms.
    assert_eq!(long(336 * MS), Limit::Window);
    assert_eq!(long(335 * MS), Limit::Receiver);
    let client = with_stats(download(), |stats| stats.rtt = 2800 * MS);
    assert_eq!(judge(&client), Limit::Window);
}

#[test]
fn a_controller_that_obeys_every_loss_is_named() {
    let other = |steady_bytes_per_s, lost_packets| {
        let run = Run { steady_bytes_per_s, lost_packets, ..upload() };
        judge(&with_stats(run, |stats| {
            stats.path = None;
            stats.algorithm = Algorithm::Cubic;
        }))
    };
    assert_eq!(other(1.6e7, 1), Limit::Controller);
    assert_eq!(other(1.6e7, 0), Limit::Path);
    assert_eq!(other(1.5e7, 1), Limit::Receiver);
}

#[test]
fn a_download_is_judged_by_what_this_side_sees() {
    assert_eq!(judge(&download()), Limit::Path);
    assert_eq!(judge(&Run { queue: MS, ..download() }), Limit::FarSide);
    let dropping = Machine { dropped_datagrams: 82, ..Machine::default() };
    assert_eq!(judge(&Run { machine: dropping, ..download() }), Limit::SocketDrops);
    let few = Machine { dropped_datagrams: 81, ..Machine::default() };
    assert_eq!(judge(&Run { machine: few, ..download() }), Limit::Path);
}

#[test]
fn nothing_at_all_is_its_own_case() {
    // The window is 1 MB: that may be under way for ever.
    let stuck = |carried_bytes| judge(&Run { bytes: 0, carried_bytes, ..upload() });
    assert_eq!(stuck(1_000_000), Limit::Nothing);
    assert_eq!(stuck(1_000_001), Limit::Path, "a slow path has carried something, though no range is whole");
    assert_eq!(judge(&Run { bytes: 0, carried_bytes: 0, ..download() }), Limit::Nothing);
    assert_eq!(judge(&Run { bytes: 0, carried_bytes: 1, ..download() }), Limit::Path);
}

#[test]
fn every_limit_has_a_word_of_its_own_and_what_can_be_mended_a_hint() {
    let all = [
        Limit::Nothing,
        Limit::SocketDrops,
        Limit::Processor,
        Limit::RateCap,
        Limit::TooShort,
        Limit::Rival,
        Limit::ExcessLoss,
        Limit::Path,
        Limit::Controller,
        Limit::Window,
        Limit::Receiver,
        Limit::FarSide,
    ];
    let words: std::collections::HashSet<_> = all.iter().map(|limit| limit.word()).collect();
    assert_eq!(words.len(), all.len());
    for limit in all {
        for run in [upload(), download()] {
            let finding = limit.finding(&run, "doctor lab");
            assert!(finding.hint.is_some() || finding.verdict == Verdict::Good, "{limit:?}");
            assert_eq!(finding.values["limit"], limit.word());
            assert_eq!(finding.message.lines().count(), 1);
        }
    }
}
