//! The driver as a whole: known figures, deaths, repeatability, and that every option does what it says.

mod options;
mod stock;
mod whole;

use std::{ops::Range, sync::Arc, time::Duration};

use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};

use super::{EndSpec, FlowSpec, Outcome, Scenario, run};
use crate::{Direction, Loss, Profile};

const MBIT: f64 = 125_000.0;

fn cubic() -> EndSpec {
    EndSpec::new(Arc::new(CubicConfig::default()))
}

fn newreno() -> EndSpec {
    EndSpec::new(Arc::new(NewRenoConfig::default()))
}

fn bbr() -> EndSpec {
    let bbr: Arc<dyn ControllerFactory + Send + Sync> = Arc::new(BbrConfig::default());
    EndSpec::new(bbr)
}

/// A flow with the same controller at both ends.
fn flow(end: fn() -> EndSpec) -> FlowSpec {
    FlowSpec::new("flow", end(), end())
}

/// Both directions alike: this rate, half the round trip, a queue of one BDP, and loss after it.
fn link(rate_mbit_per_s: f64, rtt_ms: f64, loss: f64) -> Direction {
    Direction {
        rate_mbit_per_s: Some(rate_mbit_per_s),
        delay_ms: rtt_ms / 2.0,
        loss_after_queue: (loss > 0.0).then_some(Loss::Bernoulli(loss)),
        ..Direction::default()
    }
}

fn scenario(link: Direction, flows: Vec<FlowSpec>, seconds: u64) -> Scenario {
    Scenario::new(Profile::symmetric("test", link), flows, Duration::from_secs(seconds))
}

fn play(scenario: &Scenario, seed: u64) -> Outcome {
    run(scenario, seed).expect("a sound scenario")
}

fn seconds(from: u64, to: u64) -> Range<Duration> {
    Duration::from_secs(from)..Duration::from_secs(to)
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
