//! What is simulated: the link, the flows, both ends of each.

use std::{fmt, sync::Arc, time::Duration};

use quinn_proto::congestion::ControllerFactory;

use super::{Egress, Straight, Transport};
use crate::{Direction, Profile, ProfileError, Queue, Way};

/// The most samples of a series: 16 MB for each flow.
const MAX_SAMPLES: u128 = 2_000_000;

/// How many products of rate and round trip the windows of a connection hold: under loss, data waits for its gaps through
/// several round trips.
const WINDOW_BDPS: f64 = 8.0;

/// Flows over one link.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The link that all share.
    pub profile: Profile,
    /// The flows, in the order of the outcome.
    pub flows: Vec<FlowSpec>,
    /// When the simulation ends, unless all flows are done before.
    pub duration: Duration,
    /// How exact the clocks of the hosts are.
    pub granularity: Granularity,
    /// How long from one sample of the series to the next.
    pub sample_every: Duration,
}

/// One flow: a connection over which one end sends bulk data to the other.
#[derive(Clone, Debug)]
pub struct FlowSpec {
    /// What to call it.
    pub name: String,
    /// When the client dials.
    pub start: Duration,
    /// How much is sent; without an amount the sender never runs dry.
    pub amount_bytes: Option<u64>,
    /// Which way the data goes: up, from the client, or down, from the server.
    pub way: Way,
    /// What the flow's own path between the sender and the shared link adds to the delay, each way.
    pub near_delay: Duration,
    /// The same between the shared link and the receiver.
    pub far_delay: Duration,
    /// What the receiver's packets go through instead of the shared link; they see the own delays in any case.
    pub own_return: Option<Direction>,
    /// The end that sends the data.
    pub sender: EndSpec,
    /// The end that receives it. Its controller matters too: quinn holds acknowledgements back while other frames of the
    /// receiver wait for its window.
    pub receiver: EndSpec,
}

/// One end of a flow.
#[derive(Clone)]
pub struct EndSpec {
    /// Its transport parameters.
    pub transport: Transport,
    /// Makes what its connection has of its own.
    pub make: MakeOwn,
}

/// Makes what one connection has of its own, so that runs of one scenario share nothing.
pub type MakeOwn = Arc<dyn Fn() -> Own + Send + Sync>;

/// What a connection has of its own.
pub struct Own {
    /// Makes its congestion controller.
    pub controller: Arc<dyn ControllerFactory + Send + Sync>,
    /// What its datagrams pass on their way out.
    pub egress: Box<dyn Egress>,
}

/// How exact the clocks of the hosts are. The default is perfectly exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granularity {
    /// Timers fire at multiples of this; zero for exact ones. tokio's are multiples of a millisecond.
    pub timers: Duration,
    /// Datagrams reach the connection at multiples of this; zero for at once. Interrupts that cover several packets, and
    /// aggregation by the kernel, bunch them so.
    pub arrivals: Duration,
}

/// Why a scenario cannot be simulated. Whoever wrote it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowsError {
    /// The link is out of range.
    #[error("the link: {0}")]
    Profile(#[from] ProfileError),
    /// There is nothing to simulate.
    #[error("a scenario needs at least one flow")]
    NoFlows,
    /// Data would arrive infinitely fast.
    #[error("the link has no rate on the way of the data ({})", .0.word())]
    NoBottleneck(Way),
    /// The duration is zero, or the samples are too many or none.
    #[error("a scenario lasts for one to two million samples")]
    Samples,
    /// Nothing can be sent.
    #[error("the amount of flow {0} is zero")]
    Amount(String),
    /// A transport parameter is out of range.
    #[error("{setting} is out of range: {allowed}")]
    Transport {
        /// Which.
        setting: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Keys or TLS settings could not be made.
    #[error("no TLS: {0}")]
    Tls(String),
    /// quinn refuses to dial.
    #[error("cannot dial: {0}")]
    Dial(String),
}

impl Scenario {
    /// A scenario with exact clocks and a sample every millisecond.
    #[must_use]
    pub fn new(profile: Profile, flows: Vec<FlowSpec>, duration: Duration) -> Self {
        let sample_every = Duration::from_millis(1);
        Self { profile, flows, duration, granularity: Granularity::default(), sample_every }
    }

    /// Whether it can be simulated.
    ///
    /// # Errors
    /// [`FlowsError`].
    pub fn check(&self) -> Result<(), FlowsError> {
        self.profile.check()?;
        if self.flows.is_empty() {
            return Err(FlowsError::NoFlows);
        }
        let samples = self.duration.as_nanos().checked_div(self.sample_every.as_nanos()).unwrap_or(0);
        if !(1..=MAX_SAMPLES).contains(&samples) {
            return Err(FlowsError::Samples);
        }
        for flow in &self.flows {
            if self.profile.direction(flow.way).rate_mbit_per_s.is_none() {
                return Err(FlowsError::NoBottleneck(flow.way));
            }
            if flow.amount_bytes == Some(0) {
                return Err(FlowsError::Amount(flow.name.clone()));
            }
            if let Some(own) = &flow.own_return {
                Profile::symmetric("own return", own.clone()).check()?;
            }
            flow.sender.transport.check()?;
            flow.receiver.transport.check()?;
        }
        Ok(())
    }

    /// The round trip of a flow without queues and jitter, as it is at the start.
    #[must_use]
    pub fn rtt(&self, flow: &FlowSpec) -> Duration {
        let back_ms = match &flow.own_return {
            Some(own) => own.delay_ms,
            None => self.profile.direction(flow.way.back()).delay_ms,
        };
        let shared_ms = self.profile.direction(flow.way).delay_ms + back_ms;
        Duration::from_secs_f64(shared_ms / 1e3) + 2 * (flow.near_delay + flow.far_delay)
    }

    /// What a flow's windows must hold so that they never limit it: several times what its path and the queue hold at the
    /// greatest rate and delay that the link ever has.
    pub(super) fn window_bytes(&self, flow: &FlowSpec) -> u64 {
        let direction = self.profile.direction(flow.way);
        let rates = direction.changes.iter().filter_map(|change| change.rate_mbit_per_s);
        let rate = rates.chain(direction.rate_mbit_per_s).fold(0.0, f64::max) * 125_000.0;
        let growth = |direction: &Direction| {
            let delays = direction.changes.iter().filter_map(|change| change.delay_ms);
            (delays.fold(direction.delay_ms, f64::max) - direction.delay_ms) / 1e3
        };
        let rtt_s = self.rtt(flow).as_secs_f64()
            + growth(direction)
            + growth(self.profile.direction(flow.way.back()));
        let bdp = rate * rtt_s;
        let queue = match direction.queue {
            Queue::Bdp(bdps) => bdps * bdp,
            Queue::Bytes(bytes) => bytes as f64,
        };
        (WINDOW_BDPS * (bdp + queue)) as u64
    }
}

impl FlowSpec {
    /// A flow from the client, from the start on and without end, with nothing of its own on the path.
    #[must_use]
    pub fn new(name: &str, sender: EndSpec, receiver: EndSpec) -> Self {
        Self {
            name: name.to_owned(),
            start: Duration::ZERO,
            amount_bytes: None,
            way: Way::Up,
            near_delay: Duration::ZERO,
            far_delay: Duration::ZERO,
            own_return: None,
            sender,
            receiver,
        }
    }
}

impl EndSpec {
    /// An end with quinn's own transport parameters and a socket that is always ready.
    #[must_use]
    pub fn new(controller: Arc<dyn ControllerFactory + Send + Sync>) -> Self {
        let own = move || Own { controller: controller.clone(), egress: Box::new(Straight) };
        Self { transport: Transport::default(), make: Arc::new(own) }
    }
}

impl fmt::Debug for EndSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndSpec").field("transport", &self.transport).finish_non_exhaustive()
    }
}
