//! What kept a measurement from being faster, and what to do about it.
//!
//! What is certain comes first: what this machine dropped or had no time for, and what it was told not to exceed. Then what the
//! controller knows of the path. What is left when the path would carry more is the other end.

use std::time::Duration;

use fulmar_client::{Algorithm, Phase};
use fulmar_transport::tuning;
use serde_json::json;

use super::{
    report::Finding,
    run::{Run, Way},
};
use crate::output::{hint::Hint, objects::path::controller_word, units};

/// Of the datagrams that arrived, one in so many may be dropped here before it counts.
const DROPS_THAT_COUNT: u64 = 1000;

/// What packets carry at least, to tell how many there were from their bytes.
const PACKET_BYTES: u64 = 1200;

/// A connection is driven by one task: with nearly one whole processor busy it can get no faster.
const BUSY_PROCESSORS: f64 = 0.9;

/// Whoever has so large a share of a processor while all are busy would use more.
const BUSY_SHARE: f64 = 0.3;

/// Processors that are idle for less than this are busy, all together.
const BUSY_MACHINE: f64 = 0.95;

/// A rate that is this near to a bound is bounded by it.
const NEAR: f64 = 0.8;

/// Loss above the path's own that is more than chance.
const EXCESS_LOSS: f64 = 0.02;

/// The shortest measurement that says something.
const SHORTEST: Duration = Duration::from_millis(500);

/// How many round trips it takes until the rate is found.
const SHORTEST_ROUND_TRIPS: u32 = 20;

/// A round trip that is longer than the least one by so much, and by a fiftieth, has a queue in it.
const QUEUE: Duration = Duration::from_millis(1);

/// What kept it from being faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Nothing got through.
    Nothing,
    /// This machine's socket dropped what arrived.
    SocketDrops,
    /// This machine's processors.
    Processor,
    /// The rate that was asked for.
    RateCap,
    /// It ended before it had found its rate.
    TooShort,
    /// Another flow that fills the buffers on the path.
    Rival,
    /// Losses above those that the path always has.
    ExcessLoss,
    /// The path carries no more.
    Path,
    /// A controller that takes every loss for congestion.
    Controller,
    /// What the receiver lets be under way.
    Window,
    /// The server stores no faster.
    Receiver,
    /// The server sends no faster, or does not get it through.
    FarSide,
}

/// Decides. Pure: everything that was seen is in `run`.
pub(super) fn judge(run: &Run) -> Limit {
    if has_moved_nothing(run) {
        Limit::Nothing
    } else if has_dropped(run) {
        Limit::SocketDrops
    } else if is_near(run.steady_bytes_per_s, run.last.max_rate_bytes_per_s.map(|rate| rate as f64)) {
        Limit::RateCap
    } else if is_busy(run) {
        Limit::Processor
    } else if run.elapsed < SHORTEST {
        Limit::TooShort
    } else {
        match run.way {
            Way::Up => judge_upload(run),
            Way::Down => judge_download(run),
        }
    }
}

fn judge_upload(run: &Run) -> Limit {
    let is_starting = run.phase().is_none_or(|phase| phase == Phase::Startup);
    let knows_path = run.last.algorithm == Algorithm::Lrc && !is_starting;
    let floor = run.loss_floor();
    if run.has_rival {
        Limit::Rival
    } else if knows_path && run.steady_loss > floor * 1.5 + EXCESS_LOSS {
        Limit::ExcessLoss
    } else if knows_path
        && !run.is_underfed
        && is_near(run.steady_bytes_per_s, run.last.path.map(|path| path.capacity_bytes_per_s))
    {
        Limit::Path
    } else if run.last.algorithm != Algorithm::Lrc && fills(run, run.last.congestion_window_bytes) {
        if run.lost_packets > 0 { Limit::Controller } else { Limit::Path }
    } else if fills(run, tuning::RECEIVE_WINDOW_AFTER_ADMISSION.into()) {
        Limit::Window
    } else if is_starting && run.elapsed < run.last.rtt * SHORTEST_ROUND_TRIPS {
        Limit::TooShort
    } else {
        Limit::Receiver
    }
}

fn judge_download(run: &Run) -> Limit {
    if fills(run, tuning::CLIENT_RECEIVE_WINDOW.into()) {
        Limit::Window
    } else if run.queue > QUEUE.max(run.last.min_rtt / 50) {
        Limit::Path
    } else {
        Limit::FarSide
    }
}

/// Whether no range is whole, and what was sent may all be under way still.
fn has_moved_nothing(run: &Run) -> bool {
    let under_way = match run.way {
        Way::Up => run.last.congestion_window_bytes,
        Way::Down => 0,
    };
    run.bytes == 0 && run.carried_bytes <= under_way
}

fn has_dropped(run: &Run) -> bool {
    let arrived = run.received_bytes / PACKET_BYTES;
    run.machine.dropped_datagrams > arrived / DROPS_THAT_COUNT
}

fn is_busy(run: &Run) -> bool {
    let own = run.machine.own_processors;
    own >= BUSY_PROCESSORS || (own >= BUSY_SHARE && run.machine.busy.is_some_and(|busy| busy >= BUSY_MACHINE))
}

fn is_near(value: f64, bound: Option<f64>) -> bool {
    bound.is_some_and(|bound| bound > 0.0 && value >= NEAR * bound)
}

/// Whether so much is under way that a window of this size is full most of the time.
fn fills(run: &Run, window_bytes: u64) -> bool {
    is_near(run.steady_bytes_per_s * run.last.rtt.as_secs_f64(), Some(window_bytes as f64))
}

impl Limit {
    /// For scripts.
    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SocketDrops => "socket-drops",
            Self::Processor => "processor",
            Self::RateCap => "rate-cap",
            Self::TooShort => "too-short",
            Self::Rival => "rival",
            Self::ExcessLoss => "excess-loss",
            Self::Path => "path",
            Self::Controller => "controller",
            Self::Window => "window",
            Self::Receiver => "receiver",
            Self::FarSide => "far-side",
        }
    }

    /// In plain words, with what to do about it. `again` is this command, of longer measurements.
    pub(super) fn finding(self, run: &Run, again: &str) -> Finding {
        let rate = |bytes_per_s: f64| units::rate(bytes_per_s as u64, Duration::from_secs(1));
        let steady = rate(run.steady_bytes_per_s);
        let finding = match self {
            Self::Nothing => Finding::warning(format!("nothing got through in {}", units::duration(run.elapsed)))
                .hint("small packets pass and large ones do not? docs/TUNING.md says how to find out where they stay"),
            Self::SocketDrops => {
                let dropped = units::counted(run.machine.dropped_datagrams, "datagram", "datagrams");
                let bytes = fulmar_transport::socket::REQUESTED_BUFFER_BYTES;
                Finding::warning(format!("this machine: its socket dropped {dropped} that were not read in time"))
                    .hint(Hint::system("more room for them", &format!("sysctl -w net.core.rmem_max={bytes}")))
            }
            Self::Processor => Finding::warning("this machine: its processors were busy")
                .hint(Hint::system("with what", "top")),
            Self::RateCap => Finding::good("the rate that was asked for: it was kept"),
            Self::TooShort => Finding::skipped("too short to tell").hint(Hint::run(again)),
            Self::Rival => {
                Finding::warning("another flow on the path, which fills its buffers: both share what it carries")
                    .hint("once the other one has ended it will be faster; docs/TUNING.md says how the two share")
            }
            Self::ExcessLoss => Finding::warning("losses above those that the path always has: something drops what comes too fast")
                .hint(format!("a rate cap a little below {steady} may lose less (docs/TUNING.md)")),
            Self::Path => Finding::good(match (run.way, run.last.path) {
                (Way::Up, Some(path)) => format!("the path: it carries {} and was full", rate(path.capacity_bytes_per_s)),
                _ => format!("the path: it was full at {steady}"),
            }),
            Self::Controller => {
                let word = controller_word(run.last.algorithm);
                Finding::warning(format!("the controller {word}, which slows down at every loss"))
                    .hint("lrc, the default, does not (docs/TUNING.md)")
            }
            Self::Window => Finding::warning("the receiver lets no more be under way than that, and a path so long holds more")
                .hint("its windows grow with its memory: serve --max-memory there (docs/TUNING.md)"),
            Self::Receiver => Finding::warning("the server: it stores no faster, the path would carry more")
                .hint("look there what is slow, its disk or its processors: iostat -x 1, top"),
            Self::FarSide => Finding::good("the server or the path: no queue was seen and nothing was dropped here")
                .hint("only the sending side sees which: compare with the upload"),
        };
        let way = match run.way {
            Way::Up => "upload",
            Way::Down => "download",
        };
        finding.values(json!({ "of": way, "limit": self.word() }))
    }
}

#[cfg(test)]
mod tests;
