//! The loop over everything.

use std::time::Duration;

use super::{
    EndSpec, FlowOutcome, FlowSpec, FlowsError, Outcome, Own, Scenario,
    agenda::{Agenda, Datagram, EndId, Event},
    bulk::Bulk,
    end::{Clock, End, Parts},
    identity::{Tls, tls},
    network::{Network, receiver_of, sender_of},
    series::Recorder,
};
use crate::{Stream, Way};

/// Simulates a scenario. The same scenario and seed give the same outcome.
///
/// # Errors
/// [`FlowsError`] when the scenario is out of range.
pub fn run(scenario: &Scenario, seed: u64) -> Result<Outcome, FlowsError> {
    scenario.check()?;
    let mut simulation = Simulation::new(scenario, seed)?;
    let ended = simulation.play();
    Ok(simulation.outcome(ended))
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    network: Network,
    ends: Vec<Seat>,
    agenda: Agenda,
    recorder: Recorder,
    /// The ends that something happened to in this instant, and what they send.
    touched: Vec<EndId>,
    out: Vec<Datagram>,
}

/// An end and its alarm.
struct Seat {
    end: End,
    /// When it wants to be driven.
    due: Option<Duration>,
    /// For when its next alarm is in the agenda; never later than `due`.
    alarm: Option<Duration>,
}

impl<'a> Simulation<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> Result<Self, FlowsError> {
        let (clock, tls) = (Clock::start(), tls()?);
        let mut simulation = Self {
            scenario,
            network: Network::new(scenario, seed)?,
            ends: Vec::new(),
            agenda: Agenda::default(),
            recorder: Recorder::new(scenario.flows.len(), scenario.sample_every, scenario.duration),
            touched: Vec::new(),
            out: Vec::new(),
        };
        for (index, flow) in scenario.flows.iter().enumerate() {
            let [client, server] = ends(scenario, flow, index, seed, clock, &tls)?;
            simulation.ends.extend([client, server].map(|end| Seat { end, due: None, alarm: None }));
            simulation.schedule(2 * index, Some(flow.start));
        }
        Ok(simulation)
    }

    /// Runs to the end, and returns when that was.
    fn play(&mut self) -> Duration {
        while let Some(now) = self.agenda.next_at().filter(|now| *now <= self.scenario.duration) {
            self.record_until(now);
            while let Some(event) = self.agenda.take_due(now) {
                self.handle(now, event);
            }
            let mut touched = std::mem::take(&mut self.touched);
            for end in touched.drain(..) {
                self.drive(now, end);
            }
            self.touched = touched;
            if self.is_done() {
                self.record_until(now + Duration::from_nanos(1));
                return now;
            }
        }
        self.record_until(self.scenario.duration + Duration::from_nanos(1));
        self.scenario.duration
    }

    fn record_until(&mut self, now: Duration) {
        let Self { recorder, network, ends, scenario, .. } = self;
        recorder.catch_up(now, network, |flow| received_bytes(ends, scenario, flow));
    }

    /// All that arrives in one instant arrives before anybody acts on it.
    fn handle(&mut self, now: Duration, event: Event) {
        match event {
            Event::Enter(from, datagram) => self.network.enter(now, from, datagram, &mut self.agenda),
            Event::Arrive(end, datagram) => {
                self.ends[end].end.receive(now, datagram, &mut self.out);
                self.send(now, end);
                self.touch(end);
            }
            Event::Wake(end) => {
                let seat = &mut self.ends[end];
                // Alarms are not taken back when a timer moves: one that rings early is set again.
                if seat.alarm == Some(now) {
                    seat.alarm = None;
                    if seat.due.is_some_and(|due| due <= now) {
                        self.touch(end);
                    } else {
                        let due = seat.due;
                        self.schedule(end, due);
                    }
                }
            }
        }
    }

    fn touch(&mut self, end: EndId) {
        if !self.touched.contains(&end) {
            self.touched.push(end);
        }
    }

    fn drive(&mut self, now: Duration, end: EndId) {
        let due = self.ends[end].end.drive(now, &mut self.out);
        self.send(now, end);
        self.schedule(end, due);
    }

    /// Sends what an end has made.
    fn send(&mut self, now: Duration, end: EndId) {
        for datagram in self.out.drain(..) {
            self.network.send(now, end, datagram, &mut self.agenda);
        }
    }

    fn schedule(&mut self, end: EndId, due: Option<Duration>) {
        let seat = &mut self.ends[end];
        seat.due = due;
        if let Some(due) = due.filter(|due| seat.alarm.is_none_or(|alarm| *due < alarm)) {
            seat.alarm = Some(due);
            self.agenda.add(due, Event::Wake(end));
        }
    }

    /// Whether every flow has an amount, and all of it has arrived.
    fn is_done(&self) -> bool {
        let mut flows = self.scenario.flows.iter().enumerate();
        flows.all(|(index, flow)| self.ends[receiver_of(index, flow.way)].end.bulk().finished().is_some())
    }

    fn outcome(self, ended: Duration) -> Outcome {
        let Self { scenario, network, ends, agenda, recorder, .. } = self;
        let flows = scenario.flows.iter().enumerate();
        let totals = flows.clone().map(|(index, _)| received_bytes(&ends, scenario, index)).collect();
        Outcome {
            flows: flows.map(|(index, flow)| flow_outcome(&ends, &network, index, flow)).collect(),
            series: recorder.finish(ended, totals),
            up: network.counters(Way::Up, ended),
            down: network.counters(Way::Down, ended),
            events: agenda.added(),
        }
    }
}

/// The client and the server of a flow.
fn ends(
    scenario: &Scenario,
    flow: &FlowSpec,
    index: usize,
    seed: u64,
    clock: Clock,
    tls: &Tls,
) -> Result<[End; 2], FlowsError> {
    let window_bytes = scenario.window_bytes(flow);
    let parts = |part: &str, spec: &EndSpec, bulk| {
        let Own { controller, egress } = (spec.make)();
        Parts {
            clock,
            seed: bytes_of(&mut Stream::new(seed, &format!("flow {index} {part}"))),
            transport: spec.transport.config(controller, window_bytes),
            bulk,
            egress,
            timer_step: scenario.granularity.timers,
        }
    };
    let sender = parts("sender", &flow.sender, Bulk::source(flow.amount_bytes));
    let receiver = parts("receiver", &flow.receiver, Bulk::sink(flow.amount_bytes));
    let (client, server) = match flow.way {
        Way::Up => (sender, receiver),
        Way::Down => (receiver, sender),
    };
    Ok([End::client(client, tls, flow.start)?, End::server(server, tls)])
}

fn bytes_of(stream: &mut Stream) -> [u8; 32] {
    std::array::from_fn(|_| u8::try_from(stream.below(256)).unwrap_or(u8::MAX))
}

fn received_bytes(ends: &[Seat], scenario: &Scenario, flow: usize) -> u64 {
    ends[receiver_of(flow, scenario.flows[flow].way)].end.bulk().received_bytes()
}

fn flow_outcome(ends: &[Seat], network: &Network, index: usize, flow: &FlowSpec) -> FlowOutcome {
    let sender = &ends[sender_of(index, flow.way)].end;
    let receiver = &ends[receiver_of(index, flow.way)].end;
    let finished = receiver.bulk().finished();
    let deaths = sender.death().into_iter().chain(receiver.death());
    let path = sender.connection().map(|connection| connection.stats().path).unwrap_or_default();
    let [data, back] = network.traffic(index);
    FlowOutcome {
        name: flow.name.clone(),
        way: flow.way,
        start: flow.start,
        connected: sender.connected(),
        finished,
        died: deaths.min_by_key(|death| death.at).filter(|_| finished.is_none()).cloned(),
        received_bytes: receiver.bulk().received_bytes(),
        sent_packets: path.sent_packets,
        lost_packets: path.lost_packets,
        congestion_events: path.congestion_events,
        black_holes: path.black_holes_detected,
        mtu_bytes: path.current_mtu,
        rtt: path.rtt,
        window_bytes: path.cwnd,
        data,
        back,
    }
}
