//! Flows of the controller over one link.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use fulmar_congestion::{LrcConfig, Mode, Pacer, Signals};
use fulmar_netsim::{
    Direction, Loss, Profile, Queue, Way,
    flows::{
        Egress, EndSpec, FlowOutcome, FlowSpec, Offer, Outcome, Own, Pass, Scenario, Straight, Transport, run,
    },
};
use quinn_proto::congestion::CubicConfig;

/// A socket that keeps the controller's pace.
pub(crate) struct PacedSocket {
    pacer: Pacer,
    start: Instant,
}

impl PacedSocket {
    pub(crate) fn new(signals: Arc<Signals>) -> Self {
        Self { pacer: Pacer::new(signals), start: Instant::now() }
    }
}

impl Egress for PacedSocket {
    fn max_datagrams(&self) -> usize {
        self.pacer.max_datagrams(1452).clamp(1, 10)
    }

    fn offer(&mut self, now: Duration, offer: Offer) -> Pass {
        match self.pacer.offer(self.start + now, offer.bytes) {
            Ok(()) => Pass::Now,
            Err(next) => Pass::At(next - self.start),
        }
    }
}

/// The transport parameters that the controller asks for; `traps` tells why.
pub(crate) fn transport() -> Transport {
    Transport {
        packet_threshold: 128,
        time_threshold: 1.25,
        initial_rtt_ms: 50.0,
        black_hole_cooldown_s: 5.0,
        ..Transport::default()
    }
}

pub(crate) fn end(mode: Mode) -> EndSpec {
    let own = move || {
        let config = LrcConfig::new(mode);
        let egress: Box<dyn Egress> = match mode {
            Mode::Paced => Box::new(PacedSocket::new(config.signals().clone())),
            Mode::Window => Box::new(Straight),
        };
        Own { controller: Arc::new(config), egress }
    };
    EndSpec { transport: transport(), make: Arc::new(own) }
}

/// A flow of this controller.
pub(crate) fn lrc(mode: Mode) -> FlowSpec {
    FlowSpec::new("lrc", end(mode), end(Mode::Window))
}

/// A flow of the controller that most of the Internet uses.
pub(crate) fn cubic() -> FlowSpec {
    let end = || EndSpec::new(Arc::new(CubicConfig::default()));
    FlowSpec::new("cubic", end(), end())
}

/// A flow that joins later.
pub(crate) fn from(start_s: f64, flow: FlowSpec) -> FlowSpec {
    FlowSpec { start: Duration::from_secs_f64(start_s), ..flow }
}

/// A link with a buffer of one product of rate and round trip.
pub(crate) fn link(rate_mbit_per_s: f64, rtt_ms: f64, loss: f64) -> Direction {
    Direction {
        rate_mbit_per_s: Some(rate_mbit_per_s),
        delay_ms: rtt_ms / 2.0,
        loss_after_queue: (loss > 0.0).then_some(Loss::Bernoulli(loss)),
        ..Direction::default()
    }
}

pub(crate) fn buffer(share: f64, link: Direction) -> Direction {
    // Below ten packets too.
    let rtt_ms = 2.0 * link.delay_ms;
    let bytes = share * link.rate_mbit_per_s.unwrap_or(0.0) * 125.0 * rtt_ms;
    Direction { queue: Queue::Bytes((bytes as u64).max(1500)), ..link }
}

/// What became of flows over a link that is the same both ways.
pub(crate) struct Result {
    outcome: Outcome,
    limit_bytes_per_s: f64,
}

pub(crate) fn play(link: &Direction, flows: Vec<FlowSpec>, duration_s: f64, seed: u64) -> Result {
    let profile = Profile::symmetric("test", link.clone());
    let limit_bytes_per_s = profile.limit_bytes_per_s(Way::Up).expect("a rate");
    let scenario = Scenario::new(profile, flows, Duration::from_secs_f64(duration_s));
    println!("seed {seed}");
    let outcome = run(&scenario, seed).expect("a sound scenario");
    for flow in &outcome.flows {
        assert!(flow.died.is_none(), "{} died: {:?} (seed {seed})", flow.name, flow.died);
    }
    Result { outcome, limit_bytes_per_s }
}

fn seconds(during: Range<f64>) -> Range<Duration> {
    Duration::from_secs_f64(during.start)..Duration::from_secs_f64(during.end)
}

impl Result {
    /// A flow's share of the link's limit at the start.
    pub(crate) fn share(&self, flow: usize, during: Range<f64>) -> f64 {
        self.outcome.goodput_bytes_per_s(flow, seconds(during)) / self.limit_bytes_per_s
    }

    pub(crate) fn queue_ms(&self, during: Range<f64>) -> f64 {
        self.outcome.series.queue(Way::Up, seconds(during)).mean_ms
    }

    /// What became of one flow.
    pub(crate) fn flow(&self, flow: usize) -> &FlowOutcome {
        &self.outcome.flows[flow]
    }

    /// The share of packets that found the queue full.
    pub(crate) fn overflow(&self, during: Range<f64>) -> f64 {
        self.outcome.series.overflow(Way::Up, seconds(during))
    }

    pub(crate) fn jain(&self, during: Range<f64>) -> f64 {
        self.outcome.jain(seconds(during)).expect("flows")
    }
}
