//! A plan as it is written.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fulmar_congestion::Remembered;
use fulmar_netsim::{
    Direction, Profile, Way,
    flows::{EndSpec, FlowSpec, Granularity, Scenario, Transport},
};
use serde::Deserialize;

use super::{Case, PlanError, controller::Controller, time};
use crate::flows::figures::Figure;

/// The longest simulation, in seconds.
const LONGEST_S: f64 = 1800.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default = "three")]
    pub(super) seeds: u32,
    /// What the names of the cases have in them that a quick look takes.
    #[serde(default)]
    pub(super) quick: Vec<String>,
    /// The transport parameters of all flows that do not say otherwise.
    #[serde(default)]
    pub(super) transport: Transport,
    /// The timing of all cases that do not say otherwise.
    #[serde(default)]
    timing: Timing,
    pub(super) sets: BTreeMap<String, Vec<Flow>>,
    #[serde(default)]
    pub(super) matrix: Vec<Matrix>,
    #[serde(default)]
    pub(super) scenario: Vec<Single>,
    #[serde(default)]
    pub(super) expect: Vec<Expectation>,
}

fn three() -> u32 {
    3
}

/// One flow of a set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flow {
    controller: Controller,
    /// The receiver's; if there is none, the same.
    receiver: Option<Controller>,
    #[serde(default)]
    start_s: f64,
    amount_bytes: Option<u64>,
    #[serde(default)]
    way: FlowWay,
    /// What its own path adds to the round trip.
    #[serde(default)]
    own_rtt_ms: f64,
    /// What its acknowledgements go through instead of the shared link.
    own_return: Option<Direction>,
    /// Its transport parameters.
    transport: Option<Transport>,
    /// What a connection before it has found; only `lrc` makes use of it.
    memory: Option<Memory>,
}

/// A path as it was.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    rate_mbit_per_s: f64,
    rtt_ms: f64,
    #[serde(default)]
    loss: f64,
}

impl Memory {
    fn remembered(self) -> Result<Remembered, PlanError> {
        Ok(Remembered {
            capacity_bytes_per_s: self.rate_mbit_per_s * 125_000.0,
            base_rtt: millis("memory.rtt_ms", self.rtt_ms)?,
            loss_floor: self.loss,
        })
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FlowWay {
    #[default]
    Up,
    Down,
}

/// When to begin, measure and end.
#[derive(Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Timing {
    duration_s: f64,
    warm_up_s: f64,
    /// The end of what is measured, if not the end.
    measured_to_s: Option<f64>,
    /// From when on the time to 90 % is counted, if not from the start of each flow.
    reached_from_s: Option<f64>,
    /// What timers are multiples of; 0 for exact ones.
    timers_ms: f64,
    /// What arrivals are multiples of; 0 for exact ones.
    arrivals_ms: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration_s: 30.0,
            warm_up_s: 10.0,
            measured_to_s: None,
            reached_from_s: None,
            timers_ms: 0.0,
            arrivals_ms: 0.0,
        }
    }
}

/// Links crossed with sets of flows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matrix {
    /// What the names of its cases begin with.
    #[serde(default)]
    pub(super) name: String,
    pub(super) rates_mbit_per_s: Vec<f64>,
    pub(super) rtts_ms: Vec<f64>,
    #[serde(default = "no_loss")]
    pub(super) losses: Vec<f64>,
    #[serde(default = "after")]
    pub(super) places: Vec<Place>,
    #[serde(default = "one_bdp")]
    pub(super) buffers_bdp: Vec<f64>,
    pub(super) sets: Vec<String>,
    pub(super) timing: Option<Timing>,
}

/// Where packets get lost.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    /// Before they use the bottleneck.
    Before,
    /// After that.
    After,
}

fn no_loss() -> Vec<f64> {
    vec![0.0]
}

fn after() -> Vec<Place> {
    vec![Place::After]
}

fn one_bdp() -> Vec<f64> {
    vec![1.0]
}

/// A case by itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Single {
    name: String,
    set: String,
    /// A named profile, or a link right here.
    profile: Option<String>,
    both: Option<Direction>,
    up: Option<Direction>,
    down: Option<Direction>,
    timing: Option<Timing>,
}

/// Bounds on figures of all cases with a word in their names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// What the names have in them; all do if it is empty.
    #[serde(default)]
    pub(crate) of: String,
    /// Whose figures, if not those of all flows together.
    pub(crate) flow: Option<String>,
    pub(crate) bounds: BTreeMap<Figure, Bound>,
}

/// What the median over the seeds, and the worst of them, must be.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Bound {
    pub(crate) median_at_least: Option<f64>,
    pub(crate) worst_at_least: Option<f64>,
    pub(crate) median_at_most: Option<f64>,
    pub(crate) worst_at_most: Option<f64>,
}

impl Plan {
    /// A case of this name, link and flows.
    pub(super) fn case(
        &self,
        name: String,
        profile: Profile,
        set: &str,
        timing: Option<Timing>,
    ) -> Result<Case, PlanError> {
        timing.unwrap_or(self.timing).case(name, profile, self.flows(set)?)
    }

    /// The flows of a set.
    fn flows(&self, set: &str) -> Result<Vec<FlowSpec>, PlanError> {
        let flows = self.sets.get(set).ok_or_else(|| PlanError(format!("there is no set {set:?}")))?;
        let mut specs = Vec::new();
        for flow in flows {
            let name = flow.controller.word();
            let like = flows.iter().filter(|other| other.controller == flow.controller).count();
            let number = specs.iter().filter(|spec: &&FlowSpec| spec.name.starts_with(name)).count() + 1;
            let name = if like > 1 { format!("{name}-{number}") } else { name.to_owned() };
            specs.push(flow.spec(&name, &self.transport)?);
        }
        Ok(specs)
    }
}

impl Flow {
    fn spec(&self, name: &str, transport: &Transport) -> Result<FlowSpec, PlanError> {
        let own = self.controller.transport();
        let transport = self.transport.as_ref().or(own.as_ref()).unwrap_or(transport);
        let end = |controller: Controller, memory: Option<Remembered>| EndSpec {
            transport: transport.clone(),
            make: Arc::new(move || controller.own(memory)),
        };
        let memory = self.memory.map(Memory::remembered).transpose()?;
        let receiver = self.receiver.unwrap_or(self.controller.receiver());
        let way = match self.way {
            FlowWay::Up => Way::Up,
            FlowWay::Down => Way::Down,
        };
        Ok(FlowSpec {
            start: time("start_s", self.start_s, 0.0..LONGEST_S)?,
            amount_bytes: self.amount_bytes,
            way,
            far_delay: time("own_rtt_ms", self.own_rtt_ms, 0.0..60_000.0)? / 2000,
            own_return: self.own_return.clone(),
            ..FlowSpec::new(name, end(self.controller, memory), end(receiver, None))
        })
    }
}

impl Timing {
    fn case(self, name: String, profile: Profile, flows: Vec<FlowSpec>) -> Result<Case, PlanError> {
        let duration = time("duration_s", self.duration_s, 0.001..LONGEST_S)?;
        let to =
            time("measured_to_s", self.measured_to_s.unwrap_or(self.duration_s), 0.001..self.duration_s)?;
        let from = time("warm_up_s", self.warm_up_s, 0.0..to.as_secs_f64())?;
        if from >= to {
            return Err(PlanError(format!("{name}: nothing is measured after warm_up_s")));
        }
        if let Some(flow) = flows.iter().find(|flow| flow.start >= duration) {
            return Err(PlanError(format!("{name}: the flow {} starts after the end", flow.name)));
        }
        let reached_from =
            self.reached_from_s.map(|at| time("reached_from_s", at, 0.0..self.duration_s)).transpose()?;
        let granularity = Granularity {
            timers: millis("timers_ms", self.timers_ms)?,
            arrivals: millis("arrivals_ms", self.arrivals_ms)?,
        };
        let scenario = Scenario { granularity, ..Scenario::new(profile, flows, duration) };
        Ok(Case { name, scenario, measured: from..to, reached_from })
    }
}

fn millis(setting: &str, ms: f64) -> Result<Duration, PlanError> {
    Ok(time(setting, ms, 0.0..1000.0)? / 1000)
}

impl Single {
    pub(super) fn case(&self, plan: &Plan) -> Result<Case, PlanError> {
        plan.case(self.name.clone(), self.link()?, &self.set, self.timing)
    }

    fn link(&self) -> Result<Profile, PlanError> {
        let (name, description) = (self.name.clone(), String::new());
        match (&self.profile, &self.both, &self.up, &self.down) {
            (Some(profile), None, None, None) => Profile::named(profile)
                .ok_or_else(|| PlanError(format!("{name}: there is no profile {profile:?}"))),
            (None, Some(both), None, None) => Ok(Profile::symmetric(&name, both.clone())),
            (None, None, Some(up), Some(down)) => {
                Ok(Profile { name, description, up: up.clone(), down: down.clone() })
            }
            _ => Err(PlanError(format!("{name}: a scenario has a profile, or `both`, or `up` and `down`"))),
        }
    }
}
