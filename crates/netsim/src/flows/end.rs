//! One end of a flow: an endpoint of quinn-proto, its only connection, its timers.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Event, ServerConfig,
    Transmit,
};

use super::{
    Death, Egress, FlowsError, Offer, Pass,
    agenda::Datagram,
    bulk::{Act, Bulk, DONE},
    identity::{SERVER_NAME, Tls},
};

const CLIENT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 1000));
const SERVER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 1), 2000));

/// The least time from one look at the timers to the next, so that time goes on whatever they say.
const LEAST_WAIT: Duration = Duration::from_micros(1);

/// Virtual time as quinn-proto takes it. Which moment the start is makes no difference: only differences count.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    fn instant(self, at: Duration) -> Instant {
        self.0 + at
    }

    fn since_start(self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.0)
    }
}

/// What an end is made of.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) seed: [u8; 32],
    pub(super) transport: quinn_proto::TransportConfig,
    pub(super) bulk: Bulk,
    pub(super) egress: Box<dyn Egress>,
    /// What timers are multiples of; zero for exact ones.
    pub(super) timer_step: Duration,
}

pub(super) struct End {
    clock: Clock,
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    peer: SocketAddr,
    bulk: Bulk,
    egress: Box<dyn Egress>,
    timer_step: Duration,
    /// The transmit that is being looked at, or waits; its bytes are in the buffer.
    held: Option<Transmit>,
    buffer: Vec<u8>,
    connected: Option<Duration>,
    death: Option<Death>,
}

impl End {
    /// A client that dials at `start`.
    pub(super) fn client(mut parts: Parts, tls: &Tls, start: Duration) -> Result<Self, FlowsError> {
        let mut config = ClientConfig::new(tls.client.clone());
        config.transport_config(Arc::new(std::mem::take(&mut parts.transport)));
        let now = parts.clock.instant(start);
        let mut end = Self::new(parts, None, SERVER);
        let dialled = end.endpoint.connect(now, config, SERVER, SERVER_NAME);
        end.connection = Some(dialled.map_err(|error| FlowsError::Dial(error.to_string()))?);
        Ok(end)
    }

    /// A server that waits for its only client.
    pub(super) fn server(mut parts: Parts, tls: &Tls) -> Self {
        let mut config = ServerConfig::with_crypto(tls.server.clone());
        config.transport_config(Arc::new(std::mem::take(&mut parts.transport)));
        Self::new(parts, Some(Arc::new(config)), CLIENT)
    }

    fn new(parts: Parts, server: Option<Arc<ServerConfig>>, peer: SocketAddr) -> Self {
        let Parts { clock, seed, bulk, egress, timer_step, .. } = parts;
        let mut config = EndpointConfig::default();
        config.rng_seed(Some(seed));
        // The only error is a size below that of the first packets.
        let _ = config.max_udp_payload_size(65_527);
        Self {
            clock,
            endpoint: Endpoint::new(Arc::new(config), server, true, None),
            connection: None,
            peer,
            bulk,
            egress,
            timer_step,
            held: None,
            buffer: Vec::new(),
            connected: None,
            death: None,
        }
    }

    /// Takes a datagram. What it leads to is left to [`Self::drive`], but for answers that need no connection.
    pub(super) fn receive(&mut self, now: Duration, datagram: Datagram, out: &mut Vec<Datagram>) {
        let now = self.clock.instant(now);
        let Datagram { payload, ecn } = datagram;
        let mut answer = Vec::new();
        match self.endpoint.handle(now, self.peer, None, ecn, payload, &mut answer) {
            Some(DatagramEvent::NewConnection(incoming)) => {
                answer.clear();
                match self.endpoint.accept(incoming, now, &mut answer, None) {
                    Ok(accepted) => self.connection = Some(accepted),
                    Err(refused) => {
                        out.extend(refused.response.iter().flat_map(|sent| datagrams(sent, &answer)));
                    }
                }
            }
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some((_, connection)) = self.connection.as_mut().filter(|(own, _)| *own == handle) {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(sent)) => out.extend(datagrams(&sent, &answer)),
            None => {}
        }
    }

    /// Does everything that is due, and returns when to be driven next if nothing arrives before.
    pub(super) fn drive(&mut self, now: Duration, out: &mut Vec<Datagram>) -> Option<Duration> {
        let instant = self.clock.instant(now);
        let (_, connection) = self.connection.as_mut()?;
        if connection.poll_timeout().is_some_and(|at| at <= instant) {
            connection.handle_timeout(instant);
        }
        self.hear(now);
        if self.connected.is_some() && self.death.is_none() {
            self.act(now);
        }
        self.route();
        let mut wait_until = self.transmit(now, out);
        while self.route() {
            wait_until = self.transmit(now, out);
        }
        let (_, connection) = self.connection.as_mut()?;
        let timer = connection.poll_timeout().map(|at| self.clock.since_start(at));
        let next = timer.into_iter().chain(wait_until).min()?;
        Some(round_up(next.max(now + LEAST_WAIT), self.timer_step))
    }

    /// Events of the connection for the application.
    fn hear(&mut self, now: Duration) {
        let Some((_, connection)) = &mut self.connection else { return };
        while let Some(event) = connection.poll() {
            match event {
                Event::Connected => self.connected = Some(now),
                Event::ConnectionLost { reason } => {
                    self.death.get_or_insert_with(|| Death { at: now, reason: reason.to_string() });
                }
                Event::Stream(event) => self.bulk.hear(connection, &event),
                Event::HandshakeDataReady | Event::DatagramReceived | Event::DatagramsUnblocked => {}
            }
        }
    }

    fn act(&mut self, now: Duration) {
        let Some((_, connection)) = &mut self.connection else { return };
        if self.bulk.act(connection, now) == Act::Close {
            connection.close(self.clock.instant(now), DONE, Bytes::new());
        }
    }

    /// Carries events between the connection and its endpoint; tells whether there were any.
    fn route(&mut self) -> bool {
        let Some((handle, connection)) = &mut self.connection else { return false };
        let mut any = false;
        while let Some(event) = connection.poll_endpoint_events() {
            any = true;
            if let Some(answer) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(answer);
            }
        }
        any
    }

    /// Sends what the connection wants to send, until it has nothing more or has to wait until the time returned.
    fn transmit(&mut self, now: Duration, out: &mut Vec<Datagram>) -> Option<Duration> {
        let instant = self.clock.instant(now);
        let (_, connection) = self.connection.as_mut()?;
        loop {
            let sent = match self.held.take() {
                Some(held) => held,
                None => {
                    self.buffer.clear();
                    connection.poll_transmit(instant, self.egress.max_datagrams().max(1), &mut self.buffer)?
                }
            };
            let offer = Offer { datagrams: sent.size.div_ceil(segment(&sent)), bytes: sent.size };
            match self.egress.offer(now, offer) {
                Pass::Now => out.extend(datagrams(&sent, &self.buffer)),
                Pass::At(at) => {
                    self.held = Some(sent);
                    return Some(at);
                }
            }
        }
    }

    pub(super) fn bulk(&self) -> &Bulk {
        &self.bulk
    }

    pub(super) fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref().map(|(_, connection)| connection)
    }

    pub(super) fn connected(&self) -> Option<Duration> {
        self.connected
    }

    pub(super) fn death(&self) -> Option<&Death> {
        self.death.as_ref()
    }
}

fn segment(sent: &Transmit) -> usize {
    sent.segment_size.unwrap_or(sent.size).max(1)
}

fn datagrams(sent: &Transmit, buffer: &[u8]) -> impl Iterator<Item = Datagram> {
    let (size, segment, ecn) = (sent.size, segment(sent), sent.ecn);
    buffer[..size].chunks(segment).map(move |payload| Datagram { payload: BytesMut::from(payload), ecn })
}

/// The first multiple of `step` that is not before `at`; `at` itself when the step is zero.
pub(super) fn round_up(at: Duration, step: Duration) -> Duration {
    let step = step.as_nanos();
    if step == 0 {
        return at;
    }
    Duration::from_nanos(u64::try_from(at.as_nanos().div_ceil(step) * step).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_whole_steps() {
        let ms = Duration::from_micros;
        assert_eq!(round_up(ms(1001), ms(1000)), ms(2000));
        assert_eq!(round_up(ms(2000), ms(1000)), ms(2000));
        assert_eq!(round_up(ms(0), ms(1000)), ms(0));
        assert_eq!(round_up(ms(1001), Duration::ZERO), ms(1001));
    }
}
