//! What a run comes to.

use std::{ops::Range, time::Duration};

use fulmar_netsim::{
    Counters, Way,
    flows::{Drops, FlowOutcome, FlowSpec, Outcome},
};
use serde::{Deserialize, Serialize};

use super::{limit, plan::Case};

/// The shortest window over which a rate must hold to count as reached; on long paths it is two round trips.
const LEAST_WINDOW: Duration = Duration::from_millis(200);

/// The share of its fair share that a flow has to reach.
const REACHED: f64 = 0.9;

/// A figure that can be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    GoodputMbitPerS,
    Share,
    RateShare,
    QueueMeanMs,
    QueueP95Ms,
    Overflow,
    Jain,
    ReachedS,
    FinishedS,
    Deaths,
    BlackHoles,
}

/// One run: a case with one seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) seed: u64,
    /// Of all flows together.
    pub(crate) goodput_mbit_per_s: f64,
    /// The same as a share of the most that the link could have carried.
    pub(crate) share: f64,
    /// The same as a share of the bottleneck's rate.
    pub(crate) rate_share: f64,
    pub(crate) queue_mean_ms: f64,
    pub(crate) queue_p95_ms: f64,
    /// The ratio of packets that the queue had no room for.
    pub(crate) overflow: f64,
    /// Jain's index, where there are several flows and any of them got something.
    pub(crate) jain: Option<f64>,
    /// How long the slowest flow took to 90 % of its fair share, if all did.
    pub(crate) reached_s: Option<f64>,
    /// When the last amount had arrived, if all did; after the start of its flow.
    pub(crate) finished_s: Option<f64>,
    pub(crate) flows: Vec<FlowRow>,
    /// Of the shared link, over the whole run.
    pub(crate) up: Counters,
    pub(crate) down: Counters,
}

/// What one flow did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FlowRow {
    pub(crate) name: String,
    pub(crate) goodput_mbit_per_s: f64,
    /// Of its fair share: an equal part of what the link could have carried its way.
    pub(crate) share: f64,
    pub(crate) rate_share: f64,
    pub(crate) reached_s: Option<f64>,
    pub(crate) finished_s: Option<f64>,
    /// When and why its connection died.
    pub(crate) died_s: Option<f64>,
    pub(crate) died_of: Option<String>,
    pub(crate) sent_packets: u64,
    pub(crate) lost_packets: u64,
    /// What the link did not deliver of its packets.
    pub(crate) drops: Drops,
    pub(crate) mtu_bytes: u16,
    pub(crate) black_holes: u64,
    pub(crate) rtt_ms: f64,
}

impl Figure {
    /// Its name in a plan.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::GoodputMbitPerS => "goodput_mbit_per_s",
            Self::Share => "share",
            Self::RateShare => "rate_share",
            Self::QueueMeanMs => "queue_mean_ms",
            Self::QueueP95Ms => "queue_p95_ms",
            Self::Overflow => "overflow",
            Self::Jain => "jain",
            Self::ReachedS => "reached_s",
            Self::FinishedS => "finished_s",
            Self::Deaths => "deaths",
            Self::BlackHoles => "black_holes",
        }
    }

    /// Whether a single flow has it.
    pub(crate) fn is_of_a_flow(self) -> bool {
        !matches!(self, Self::QueueMeanMs | Self::QueueP95Ms | Self::Overflow | Self::Jain)
    }
}

impl Row {
    /// Of one run of a case.
    pub(crate) fn of(case: &Case, seed: u64, outcome: &Outcome) -> Self {
        let specs = &case.scenario.flows;
        let places: Vec<Place<'_>> = (0..specs.len()).map(|flow| Place::of(case, outcome, flow)).collect();
        let flows: Vec<FlowRow> = places.iter().map(Place::row).collect();
        let sum = |of: fn(&Place<'_>) -> f64| places.iter().map(of).sum::<f64>();
        let goodput = sum(|place| place.goodput);
        let ways = [Way::Up, Way::Down].into_iter().filter(|way| specs.iter().any(|spec| spec.way == *way));
        let queues = ways.clone().map(|way| outcome.series.queue(way, case.measured.clone()));
        let queue = queues.max_by(|a, b| a.mean_ms.total_cmp(&b.mean_ms)).unwrap_or_default();
        let overflow =
            ways.map(|way| outcome.series.overflow(way, case.measured.clone())).fold(0.0, f64::max);
        let slowest = |of: fn(&FlowRow) -> Option<f64>| {
            flows.iter().map(of).try_fold(0.0, |slowest: f64, one| Some(slowest.max(one?)))
        };
        Self {
            case: case.name.clone(),
            seed,
            goodput_mbit_per_s: goodput / 125_000.0,
            share: ratio(goodput, sum(|place| place.fair)),
            rate_share: ratio(goodput, sum(|place| place.fair_rate)),
            queue_mean_ms: queue.mean_ms,
            queue_p95_ms: queue.p95_ms,
            overflow,
            jain: (specs.len() > 1).then(|| outcome.jain(case.measured.clone())).flatten(),
            reached_s: slowest(|flow| flow.reached_s),
            finished_s: slowest(|flow| flow.finished_s),
            flows,
            up: outcome.up.clone(),
            down: outcome.down.clone(),
        }
    }

    /// A figure, of all flows together or of one of them; none where it has no value.
    pub(crate) fn value(&self, figure: Figure, flow: Option<&str>) -> Option<f64> {
        if let Some(name) = flow {
            return self.flows.iter().find(|flow| flow.name == name)?.value(figure);
        }
        match figure {
            Figure::GoodputMbitPerS => Some(self.goodput_mbit_per_s),
            Figure::Share => Some(self.share),
            Figure::RateShare => Some(self.rate_share),
            Figure::QueueMeanMs => Some(self.queue_mean_ms),
            Figure::QueueP95Ms => Some(self.queue_p95_ms),
            Figure::Overflow => Some(self.overflow),
            Figure::Jain => self.jain,
            Figure::ReachedS => self.reached_s,
            Figure::FinishedS => self.finished_s,
            Figure::Deaths | Figure::BlackHoles => {
                Some(self.flows.iter().filter_map(|flow| flow.value(figure)).sum())
            }
        }
    }
}

impl FlowRow {
    fn value(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::GoodputMbitPerS => Some(self.goodput_mbit_per_s),
            Figure::Share => Some(self.share),
            Figure::RateShare => Some(self.rate_share),
            Figure::ReachedS => self.reached_s,
            Figure::FinishedS => self.finished_s,
            Figure::Deaths => Some(f64::from(u8::from(self.died_of.is_some()))),
            Figure::BlackHoles => Some(self.black_holes as f64),
            Figure::QueueMeanMs | Figure::QueueP95Ms | Figure::Overflow | Figure::Jain => None,
        }
    }
}

/// One flow among the others.
struct Place<'a> {
    outcome: &'a FlowOutcome,
    /// All in bytes per second: what it got, its part of what its way could have carried, and of the rate.
    goodput: f64,
    fair: f64,
    fair_rate: f64,
    reached: Option<Duration>,
}

impl<'a> Place<'a> {
    fn of(case: &Case, outcome: &'a Outcome, flow: usize) -> Self {
        let (spec, one) = (&case.scenario.flows[flow], &outcome.flows[flow]);
        let rivals = case.scenario.flows.iter().filter(|other| other.way == spec.way).count() as f64;
        let direction = case.scenario.profile.direction(spec.way);
        let (goodput, during) = goodput(case, outcome, flow);
        let from = case.reached_from.unwrap_or(spec.start);
        let target = REACHED * limit::bytes_per_s(direction, &(from..case.measured.end)) / rivals;
        let window = LEAST_WINDOW.max(2 * case.scenario.rtt(spec));
        Self {
            outcome: one,
            goodput,
            fair: limit::bytes_per_s(direction, &during) / rivals,
            fair_rate: limit::rate_bytes_per_s(direction, &during) / rivals,
            reached: outcome.series.time_to(flow, target, from, window),
        }
    }

    fn row(&self) -> FlowRow {
        let Self { outcome, goodput, fair, fair_rate, reached } = self;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        FlowRow {
            name: outcome.name.clone(),
            goodput_mbit_per_s: goodput / 125_000.0,
            share: ratio(*goodput, *fair),
            rate_share: ratio(*goodput, *fair_rate),
            reached_s: seconds(*reached),
            finished_s: seconds(outcome.finished.map(|at| at - outcome.start)),
            died_s: seconds(outcome.died.as_ref().map(|death| death.at)),
            died_of: outcome.died.as_ref().map(|death| death.reason.clone()),
            sent_packets: outcome.sent_packets,
            lost_packets: outcome.lost_packets,
            drops: outcome.data.drops,
            mtu_bytes: outcome.mtu_bytes,
            black_holes: outcome.black_holes,
            rtt_ms: outcome.rtt.as_secs_f64() * 1e3,
        }
    }
}

/// What a flow got, and over which interval: a given amount from the dial to the last byte, handshake and tail included;
/// otherwise whatever came while it was measured.
fn goodput(case: &Case, outcome: &Outcome, flow: usize) -> (f64, Range<Duration>) {
    let spec: &FlowSpec = &case.scenario.flows[flow];
    let during = match (spec.amount_bytes, outcome.flows[flow].finished) {
        (Some(_), Some(finished)) => spec.start..finished,
        _ => case.measured.clone(),
    };
    (outcome.goodput_bytes_per_s(flow, during.clone()), during)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::flows::plan::Plan;

    /// Two flows on a slow link for two seconds.
    pub(in crate::flows) fn case() -> Case {
        let text = "
            name = 'test'
            timing = { duration_s = 2, warm_up_s = 1 }
            sets.two = [{ controller = 'cubic' }, { controller = 'bbr' }]
            [[scenario]]
            name = 'test case'
            set = 'two'
            both = { rate_mbit_per_s = 4, delay_ms = 10 }
        ";
        Plan::parse(text).expect("a plan").cases.remove(0)
    }

    /// A run of that case: cubic got a quarter of its fair share, and bbr three quarters.
    pub(in crate::flows) fn row() -> Row {
        let flow = |name: &str, share: f64| FlowRow {
            name: name.to_owned(),
            goodput_mbit_per_s: 4.0 * share,
            share,
            rate_share: share,
            reached_s: None,
            finished_s: None,
            died_s: None,
            died_of: None,
            sent_packets: 100,
            lost_packets: 10,
            drops: Drops::default(),
            mtu_bytes: 1452,
            black_holes: 0,
            rtt_ms: 20.0,
        };
        Row {
            case: "test case".to_owned(),
            seed: 1,
            goodput_mbit_per_s: 4.0,
            share: 0.5,
            rate_share: 0.48,
            queue_mean_ms: 3.0,
            queue_p95_ms: 5.0,
            overflow: 0.01,
            jain: Some(0.8),
            reached_s: None,
            finished_s: None,
            flows: vec![flow("cubic", 0.25), flow("bbr", 0.75)],
            up: Counters::default(),
            down: Counters::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use fulmar_netsim::flows::run;

    use super::{testing::case, *};
    use crate::flows::plan::Plan;

    fn row_of(case: &Case) -> (Row, Outcome) {
        let outcome = run(&case.scenario, 1).expect("a sound scenario");
        (Row::of(case, 1, &outcome), outcome)
    }

    #[test]
    fn shares_are_of_the_limit_and_a_flows_of_its_equal_part() {
        let (row, outcome) = row_of(&case());
        let goodput =
            |flow| outcome.goodput_bytes_per_s(flow, Duration::from_secs(1)..Duration::from_secs(2));
        assert!((row.goodput_mbit_per_s - (goodput(0) + goodput(1)) / 125_000.0).abs() < 1e-9);
        assert!((row.rate_share - row.goodput_mbit_per_s / 4.0).abs() < 1e-9);
        assert!((row.share - row.rate_share / 0.957).abs() < 1e-9);
        assert!((row.flows[0].rate_share - goodput(0) / 250_000.0).abs() < 1e-9);
        assert!(((row.flows[0].share + row.flows[1].share) / 2.0 - row.share).abs() < 1e-9);
        assert_eq!((row.jain, row.finished_s), (outcome.jain(case().measured), None));
        assert_eq!(row.value(Figure::Share, Some("bbr")), Some(row.flows[1].share));
        assert_eq!(
            (row.value(Figure::Share, Some("newreno")), row.value(Figure::Jain, Some("bbr"))),
            (None, None)
        );
    }

    #[test]
    fn an_amount_counts_from_the_dial_to_its_last_byte() {
        let text = "
            name = 'test'
            timing = { duration_s = 5, warm_up_s = 1 }
            sets.file = [{ controller = 'cubic', amount_bytes = 400_000, start_s = 0.5, way = 'down' }]
            [[scenario]]
            name = 'file'
            set = 'file'
            both = { rate_mbit_per_s = 4, delay_ms = 10, changes = [{ at_s = 4, rate_mbit_per_s = 100 }] }
        ";
        let (row, outcome) = row_of(&Plan::parse(text).expect("a plan").cases[0]);
        let seconds = (outcome.flows[0].finished.expect("done") - Duration::from_millis(500)).as_secs_f64();
        assert!((0.8..1.5).contains(&seconds), "{seconds}");
        assert_eq!(row.finished_s, Some(seconds));
        assert!((row.goodput_mbit_per_s - 0.4 * 8.0 / seconds).abs() < 1e-6);
        // What the link becomes afterwards does not matter.
        assert!((row.rate_share - row.goodput_mbit_per_s / 4.0).abs() < 1e-6);
        assert_eq!((row.jain, row.value(Figure::Deaths, None)), (None, Some(0.0)));
    }

    #[test]
    fn a_share_is_reached_from_the_start_of_the_flow_or_from_the_time_named() {
        let mut case = case();
        case.scenario.flows.truncate(1);
        case.scenario.flows[0].start = Duration::from_millis(300);
        let from_start = row_of(&case).0.reached_s.expect("reached");
        assert!((0.2..0.7).contains(&from_start), "{from_start}");
        case.reached_from = Some(Duration::from_secs(1));
        assert_eq!(row_of(&case).0.reached_s, Some(0.2));
        case.scenario.profile.up.loss_after_queue = Some(fulmar_netsim::Loss::Bernoulli(0.6));
        assert_eq!(row_of(&case).0.reached_s, None);
    }
}
