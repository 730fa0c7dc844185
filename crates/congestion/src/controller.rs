//! The controller: what quinn tells, put together; and window and pace, worked out.

use std::{
    any::Any,
    time::{Duration, Instant},
};

use quinn_proto::{
    RttEstimator,
    congestion::{Controller, ControllerMetrics},
};

use crate::{
    capacity::Capacity,
    config::{LrcConfig, Mode},
    cycle::{Cycle, View},
    loss::{LossModel, Queued},
    path::{Path, QuarterQueue},
    place::Place,
    rival::{Rival, Sight},
    round::{Round, RoundLength, Totals},
    sent::{Departure, Departures, Stamp},
    signals::{Limit, Phase, Snapshot},
    startup::{INITIAL_PACKETS, Look, Startup},
    state::State,
};

/// So many packets leave back to back at most: quinn hands no more to a socket at once.
const MOST_BACK_TO_BACK: f64 = 10.0;

/// How much may leave at once after start-up, in seconds of the pace.
const QUANTUM_S: f64 = 0.001;

/// How much more than a round trip's worth may be in flight beside a pacing socket, for acknowledgements that come late, in seconds.
const ACK_SLACK_S: f64 = 0.004;

/// A loss ratio above which the tail of a transfer is worth repeating.
const LOSSY: f64 = 0.004;

/// Before so many packets have arrived, what is remembered tells whether the path loses packets.
const KNOWN_AFTER_PACKETS: u64 = 200;

/// Below so many packets in flight the tail is worth repeating twice.
const LAST_PACKETS: u64 = 24;

/// With a larger window than 2^32 bytes quinn's own pacer does nothing.
const UNPACED_WINDOW: u64 = 1 << 33;

/// The shortest round trip, in seconds.
const LEAST_RTT_S: f64 = 1e-5;

/// The slowest pace, in bytes per second.
const LEAST_PACE: f64 = 10_000.0;

/// Loss-resilient rate control for one path of one connection.
#[derive(Clone, Debug)]
pub struct Lrc {
    config: LrcConfig,
    mtu: f64,
    departures: Departures,
    in_flight: u64,
    totals: Totals,
    round: Round,
    path: Path,
    capacity: Capacity,
    loss: LossModel,
    place: Place,
    /// By how much random loss makes what reaches the bottleneck in a round vary, as a share of it.
    arrival_noise: f64,
    rival: Rival,
    startup: Startup,
    /// Whether the last connection is known to have lost packets on this path.
    was_lossy: bool,
    cycle: Cycle,
    /// Whether the application limited the last round.
    idled: bool,
    /// What was sent until this many bytes are delivered was limited by the application.
    app_limited_until: u64,
    /// Of the running batch of acknowledgements: what left last, and the least round trip in seconds.
    newest: Option<Departure>,
    batch_rtt: f64,
    last_ack: Instant,
    /// In bytes.
    window: f64,
    /// In bytes per second.
    pace: f64,
}

impl Lrc {
    /// A controller for a path of which nothing is known.
    #[must_use]
    pub fn new(config: LrcConfig, now: Instant, mtu_bytes: u16) -> Self {
        let mtu = f64::from(mtu_bytes);
        let lrc = Self {
            mtu,
            departures: Departures::default(),
            in_flight: 0,
            totals: Totals::default(),
            round: Round::new(now),
            path: Path::new(now),
            capacity: Capacity::default(),
            loss: LossModel::new(now),
            place: Place::default(),
            arrival_noise: 0.0,
            rival: Rival::new(now),
            startup: Startup::new(mtu),
            was_lossy: false,
            cycle: Cycle::new(now),
            idled: true,
            app_limited_until: 0,
            newest: None,
            batch_rtt: f64::MAX,
            last_ack: now,
            window: INITIAL_PACKETS * mtu,
            pace: INITIAL_PACKETS * mtu / 0.1,
            config,
        };
        lrc.publish();
        lrc
    }

    fn paces(&self) -> bool {
        self.config.mode() == Mode::Paced
    }

    fn state(&self) -> State {
        self.cycle.state()
    }

    /// Takes stock of a round that has ended.
    fn end_round(&mut self, now: Instant) {
        let number = self.round.number;
        let ended = self.round.end(now, self.totals);
        self.idled = ended.app_limited;
        let base_rtt = self.path.base_rtt();
        self.path.note_round(ended.min_rtt, ended.slowed);
        self.loss.note_round(&ended);
        let queued = Queued {
            least: self.path.queue,
            mean: ended.mean_rtt - base_rtt,
            most: ended.max_rtt - base_rtt,
            target: self.queue_target(),
            base_rtt,
        };
        if !ended.silent && ended.acked_bytes > 0.0 && ended.duration > 0.0 {
            self.note_capacity(number + 1, &ended, &queued);
        }
        if let Some(factor) = self.loss.judge(now, &queued, self.mtu) {
            self.capacity.scale(factor, ended.duration);
        }
        self.loss.open_phase(self.state(), self.cycle.is_deep(), &queued);
        self.rival.note_round(&Sight {
            now,
            round: self.round.number,
            queue: queued.least,
            queue_target: self.free_queue_target(),
            base_rtt,
            capacity: self.capacity.bytes_per_s(),
            duration: ended.duration,
            gain: self.cycle.gain(),
            own_queue: matches!(self.state(), State::Startup | State::Drain),
            excess: self.loss.is_excessive(),
            mtu: self.mtu,
        });
        self.cycle.note_idle(queued.least < 0.4 * queued.target && !ended.app_limited);
    }

    /// Begins with what is remembered of the path, once there is a round trip to recognise it by: who remembers learns only in the
    /// handshake whose connection this is.
    fn recall(&mut self) {
        if self.state() != State::Startup || self.path.base_rtt() == f64::MAX {
            return;
        }
        let Some(memory) = self.config.signals().take_memory() else { return };
        if self.startup.recall(&memory, self.path.base_rtt()) {
            self.was_lossy = memory.loss_floor > LOSSY;
            self.control();
            self.publish();
        }
    }

    fn step_startup(&mut self, now: Instant, freed_bytes: f64, round_began: bool) {
        self.startup.grow(freed_bytes);
        let most = self.quantum().max(MOST_BACK_TO_BACK * self.mtu);
        let held_s = if self.paces() { most / self.pace } else { 0.0 };
        let look = Look {
            round: self.round.number,
            round_began,
            app_limited: self.idled,
            capacity: self.capacity.bytes_per_s(),
            held_s,
        };
        if self.startup.step(look, &self.path) {
            // The running round knows more than those before it.
            let soon = self.round.so_far(now, self.totals);
            if soon.duration > 0.3 * self.path.base_rtt() {
                let carried_bytes = self.loss.early_carried(soon.acked_bytes, soon.lost_bytes, self.mtu);
                self.capacity.raise(carried_bytes / soon.duration);
            }
            self.cycle.drain(now, self.round.number);
            // What comes too late is not for the controller of a later path.
            self.config.signals().recall(None);
            self.loss.relabel_phase(State::Drain, false);
        }
    }

    fn step_cycle(&mut self, now: Instant, round_began: bool, quarter_queue: Option<QuarterQueue>) {
        let before = self.state();
        self.cycle.step(&View {
            now,
            round: self.round.number,
            round_began,
            quarter_queue,
            queue: self.path.queue,
            queue_target: self.queue_target(),
            base_rtt: self.path.base_rtt(),
            capacity: self.capacity.bytes_per_s(),
            dispersion: self.startup.dispersion(),
            in_flight: self.in_flight as f64,
            congested: self.loss.is_congested(),
            rival: self.rival.is_active(),
            test_due: self.loss.wants_test(now),
            noise: self.arrival_noise,
            lost_before: self.place.before(),
            paced: self.paces(),
        });
        if before != self.state() {
            // The phase was opened with the round, just before the change.
            self.loss.relabel_phase(self.state(), self.cycle.is_deep());
        }
    }

    /// Works out window and pace.
    fn control(&mut self) {
        let (capacity, base_rtt) = (self.capacity.bytes_per_s(), self.path.base_rtt());
        if self.state() == State::Startup {
            self.pace = self.startup.pace(self.round.number, base_rtt, capacity, self.mtu);
            self.window = self.startup.window();
        } else if let Some(window) = self.rival.window(self.round.number) {
            self.window = window.max(4.0 * self.mtu);
            self.pace = 1.1 * window / self.path.smoothed_rtt.max(0.001);
        } else {
            self.pace = (self.cycle.gain() * capacity).max(2.0 * self.mtu / base_rtt.max(0.01));
            self.window = self.cruise_window(capacity, base_rtt).max(4.0 * self.mtu);
        }
        let cap = self.config.rate_cap();
        if self.pace > cap {
            self.pace = cap;
            if !self.paces() {
                self.window = self.window.min((cap * self.path.smoothed_rtt).max(4.0 * self.mtu));
            }
        }
    }

    fn cruise_window(&self, capacity: f64, base_rtt: f64) -> f64 {
        let (gain, jitter, target) = (self.cycle.gain(), self.path.jitter, self.queue_target());
        if !self.paces() {
            return gain * capacity * (base_rtt + target + jitter) + 3.0 * self.mtu;
        }
        // quinn sends probes for a larger MTU only when it has nothing else to do, so the window binds while slowing down.
        if self.state() == State::Down {
            let lost_share = 1.0 + 0.3 * self.loss.ratio();
            return gain * capacity * (base_rtt + jitter + target) * lost_share + 4.0 * self.mtu;
        }
        let slack = MOST_BACK_TO_BACK * self.mtu + capacity * (ACK_SLACK_S + 2.0 * jitter);
        capacity * base_rtt * f64::max(1.5, 1.2 * gain) + slack
    }

    /// Whether trains of packets are sent, for what they tell; under a cap they tell nothing that matters.
    fn sends_trains(&self) -> bool {
        self.state() == State::Startup && self.pace < self.config.rate_cap()
    }

    /// How many bytes leave back to back.
    fn quantum(&self) -> f64 {
        let most = MOST_BACK_TO_BACK * self.mtu;
        if self.sends_trains() {
            return most.max(self.startup.train_bytes(self.mtu));
        }
        (self.pace * QUANTUM_S).clamp(self.mtu, most)
    }

    fn publish(&self) {
        let signals = self.config.signals();
        let pace = self.pace.max(LEAST_PACE);
        signals.set_pace(pace, self.quantum().min(MOST_BACK_TO_BACK * self.mtu));
        signals.set_train(if self.sends_trains() { self.startup.train_bytes(self.mtu) } else { 0.0 });
        let base_rtt = if self.path.base_rtt() == f64::MAX { 0.0 } else { self.path.base_rtt() };
        signals.set_snapshot(Snapshot {
            capacity_bytes_per_s: self.capacity.bytes_per_s(),
            loss_floor: self.loss.ratio(),
            loss: self.loss.recent_ratio(),
            base_rtt: Duration::from_secs_f64(base_rtt),
            queue: Duration::from_secs_f64(self.path.queue),
            window_bytes: self.allowed(),
            jitter: Duration::from_secs_f64(self.path.jitter),
            phase: Phase::of(self.state(), self.rival.is_active()),
            limit: self.limit(),
        });
    }

    /// How many bytes may be in flight.
    fn allowed(&self) -> u64 {
        // While the application limits, and at a pure receiver, there is room for control frames: quinn 0.11 withholds
        // acknowledgements behind those that the window blocks.
        let window =
            if self.round.app_limited { self.window.max(INITIAL_PACKETS * self.mtu) } else { self.window };
        window as u64
    }

    /// What keeps the flow from being faster.
    fn limit(&self) -> Limit {
        match self.state() {
            _ if self.app_limited_until > self.totals.delivered_bytes => Limit::Application,
            _ if self.pace >= self.config.rate_cap() => Limit::RateCap,
            _ if self.rival.is_active() => Limit::Rival,
            State::Startup | State::Drain => Limit::Startup,
            State::Cruise | State::Up | State::Down => Limit::Path,
        }
    }

    /// Takes over what quinn says of the bytes in flight. Returns how many left the network and make room for more: an application that
    /// does not use half of its window opens none (RFC 9002 section 7.8). Nor does a receiver, whose acknowledgements leave without ever
    /// being in flight for quinn.
    fn resync(&mut self, in_flight: u64, app_limited: bool) -> f64 {
        let enough = (1.9 * INITIAL_PACKETS * self.mtu).max(2.0 * self.in_flight as f64);
        let is_used = !app_limited || self.window < enough;
        let freed_bytes = if is_used { self.in_flight.saturating_sub(in_flight) } else { 0 };
        self.in_flight = in_flight;
        let young = self.totals.delivered_bytes < KNOWN_AFTER_PACKETS * self.mtu as u64;
        let lossy = self.totals.lost_bytes as f64 > LOSSY * self.totals.delivered_bytes as f64;
        let lossy = lossy || self.was_lossy && young;
        let repeats = match (app_limited && lossy, in_flight < LAST_PACKETS * self.mtu as u64) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        self.config.signals().set_repeats(repeats);
        if app_limited {
            self.app_limited_until = self.totals.delivered_bytes + in_flight.max(1);
        }
        freed_bytes as f64
    }

    /// Notes a batch of acknowledgements. Returns whether a round has ended with it.
    fn note_batch(&mut self, now: Instant, newest: &Departure, rtt: f64) -> bool {
        let gap = now.saturating_duration_since(self.last_ack).as_secs_f64();
        if gap > f64::max(0.3, 2.0 * self.path.smoothed_rtt) {
            self.round.note_silence();
        }
        self.last_ack = now;
        let stamp = newest.stamp;
        // What drained after start-up counts as slow only once it is over: the drain itself is to be measured.
        let slowed = stamp.state.slows() && (stamp.state == State::Down || self.state() != State::Drain);
        // See `Path::note`: this one tells of no queue.
        let seen = if stamp.app_limited { rtt.min(self.path.base_rtt()) } else { rtt };
        self.round.note(seen, stamp.app_limited, slowed);
        self.path.note(now, rtt, self.round.min_rtt(), stamp.app_limited, stamp.lead);
        let length = RoundLength {
            short: self.state() == State::Startup,
            mtu: self.mtu,
            base_rtt: self.path.base_rtt(),
        };
        let over = self.round.is_over(now, stamp.delivered_bytes, self.totals, length);
        if over {
            self.end_round(now);
        }
        over
    }

    /// Notes that `bytes` of what left at `sent` were acknowledged.
    fn note_acked(&mut self, now: Instant, sent: Instant, bytes: u64, smoothed_rtt: f64) {
        self.totals.delivered_bytes += bytes;
        self.path.smoothed_rtt = smoothed_rtt;
        // Within one machine the clock may have been read before the packet left.
        self.batch_rtt =
            self.batch_rtt.min(now.saturating_duration_since(sent).as_secs_f64().max(LEAST_RTT_S));
        let longest_gap = Duration::from_secs_f64(0.5 * self.quantum() / self.pace);
        let Some(departure) = self.departures.note_acked(now, sent, bytes, longest_gap) else { return };
        self.loss.note_acked(departure.stamp.phase, bytes);
        if self.newest.is_none_or(|newest| departure.at > newest.at) {
            self.newest = Some(departure);
        }
    }
}

impl Controller for Lrc {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.recall();
        self.in_flight += bytes;
        let stamp = Stamp {
            delivered_bytes: self.totals.delivered_bytes,
            phase: self.loss.phase(),
            state: self.state(),
            lead: self.cycle.lead(now),
            app_limited: self.app_limited_until > self.totals.delivered_bytes,
        };
        self.departures.note_sent(now, bytes, last_packet_number, stamp);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, _app_limited: bool, rtt: &RttEstimator) {
        self.note_acked(now, sent, bytes, rtt.get().as_secs_f64());
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        let freed_bytes = self.resync(in_flight, app_limited);
        let Some(newest) = self.newest.take() else { return };
        let rtt = std::mem::replace(&mut self.batch_rtt, f64::MAX);
        if self.sends_trains() {
            if let Some(largest) = largest_packet_num_acked {
                self.departures.note_largest(now, newest.at, largest);
            }
            if let Some(train) = self.departures.take_train(now, newest.at, self.mtu) {
                self.startup.note_train(train);
            }
        }
        let round_began = self.note_batch(now, &newest, rtt);
        let drained = newest.stamp.state == State::Down;
        let quarter_queue = self.path.quarter_queue(now, drained, self.cycle.lead(now));
        match self.state() {
            State::Startup => self.step_startup(now, freed_bytes, round_began),
            _ => self.step_cycle(now, round_began, quarter_queue),
        }
        self.control();
        self.publish();
        let kept = Duration::from_secs_f64(3.0 * self.path.smoothed_rtt + 1.0);
        if let Some(before) = now.checked_sub(kept) {
            self.departures.forget_before(before);
        }
    }

    fn on_congestion_event(
        &mut self,
        _now: Instant,
        sent: Instant,
        _is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        // quinn reports a mark of the network (RFC 9000 section 13.4) as a loss of nothing.
        if lost_bytes == 0 {
            self.loss.mark_congested();
            return;
        }
        self.totals.lost_bytes += lost_bytes;
        if let Some(departure) = self.departures.at(sent) {
            self.loss.note_lost(departure.stamp.phase, lost_bytes);
        }
        if self.state() == State::Startup && !self.round.is_silent() {
            // Room for the repair itself: a lost Finished must not wait behind a full window of data.
            self.startup.grow((lost_bytes as f64).max(2.0 * self.mtu));
            self.window = self.startup.window();
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = f64::from(new_mtu);
    }

    fn window(&self) -> u64 {
        let window = self.allowed();
        // quinn's own pacer, which a window beyond this turns off, would cut trains short.
        let trains = self.paces() && self.sends_trains() && self.startup.train_bytes(self.mtu) > 0.0;
        if trains && self.in_flight < window { UNPACED_WINDOW } else { window }
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = self.allowed();
        metrics.pacing_rate = Some((self.pace * 8.0) as u64);
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        (INITIAL_PACKETS * self.mtu) as u64
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

mod target;

#[cfg(test)]
mod tests;
