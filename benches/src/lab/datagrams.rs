//! Datagrams over the link: one at a time for the round trip, many for the loss.

use std::{
    io,
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use fulmar_netsim::{
    Profile, UDP_OVER_IPV4_BYTES, Way,
    tun::{Lab, Side},
};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use serde::Serialize;

use crate::measure::stats::Summary;

/// Of every datagram here.
const PAYLOAD_BYTES: usize = 32;

/// The same as an IP packet.
const PACKET_BYTES: u32 = PAYLOAD_BYTES as u32 + UDP_OVER_IPV4_BYTES;

/// Between an answer and the next question, so that nothing else is on the link.
const BETWEEN_ECHOES: Duration = Duration::from_millis(2);

/// More than this many per millisecond a receiver on a busy machine may not take.
const MAX_PACKETS_PER_MS: f64 = 20.0;

/// What a packet may take beyond the link's own delay: queues, jitter, a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a call may block before whoever echoes looks whether to go on.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where the receiver's buffer is to be, since the machine's usual one holds a tenth of a second of small packets.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;

/// Round trips of single packets on an idle link.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RoundTrips {
    pub(super) sent: u32,
    pub(super) answered: u32,
    /// Delay both ways, and the time on the wire at the link's rate.
    pub(super) set_ms: f64,
    pub(super) min_ms: f64,
    pub(super) median_ms: f64,
    pub(super) max_ms: f64,
    /// The median beyond what is set.
    pub(super) median_excess_ms: f64,
    /// Packets that came back sooner than the link allows.
    pub(super) too_early: u32,
}

/// Packets lost of many.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Losses {
    pub(super) way: &'static str,
    pub(super) sent: u32,
    pub(super) arrived: u32,
    pub(super) ratio: f64,
    /// What the profile says, if it says the same at all times.
    pub(super) set_ratio: Option<f64>,
    /// How far the ratio is off, as a share of what is set; none where none is set.
    pub(super) relative_error: Option<f64>,
    /// Of those, what a full queue dropped.
    pub(super) queue_full: u64,
}

/// Sends one packet after the other from the client and waits for each to come back.
pub(super) fn round_trips(lab: &Lab, profile: &Profile, count: u32) -> Result<RoundTrips> {
    let server = socket(lab, Side::Server)?;
    let client = socket(lab, Side::Client)?;
    let set = set_round_trip(profile);
    client.set_read_timeout(Some(patience(profile)))?;
    client.connect(server.local_addr()?)?;
    server.set_read_timeout(Some(LOOK_EVERY))?;
    let mut times = Vec::new();
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let echo = scope.spawn(|| echo(&server, &enough));
        let measured = (0..count).try_for_each(|number| {
            times.extend(one_round_trip(&client, number)?);
            thread::sleep(BETWEEN_ECHOES);
            Ok(())
        });
        enough.store(true, Ordering::Relaxed);
        measured.and(echo.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))))
    })
    .context("cannot measure round trips")?;
    let summary = Summary::of(times.iter().map(|time: &Duration| time.as_secs_f64() * 1e3));
    let summary = summary.context("no packet came back")?;
    let set_ms = set.as_secs_f64() * 1e3;
    Ok(RoundTrips {
        sent: count,
        answered: u32::try_from(times.len()).unwrap_or(u32::MAX),
        set_ms,
        min_ms: summary.min,
        median_ms: summary.median,
        max_ms: summary.max,
        median_excess_ms: summary.median - set_ms,
        too_early: times.iter().map(|time| u32::from(*time < least_round_trip(profile))).sum(),
    })
}

/// How long a packet of ours takes there and back when nothing else is on the link.
fn set_round_trip(profile: &Profile) -> Duration {
    let on_the_wire_s = |direction: &fulmar_netsim::Direction| {
        direction.rate_mbit_per_s.map_or(0.0, |rate| f64::from(PACKET_BYTES) * 8.0 / (rate * 1e6))
    };
    Duration::from_secs_f64(
        profile.rtt_ms() / 1e3 + on_the_wire_s(&profile.up) + on_the_wire_s(&profile.down),
    )
}

/// How long to wait for a packet that may be lost.
fn patience(profile: &Profile) -> Duration {
    let silences = [&profile.up, &profile.down].into_iter().flat_map(|direction| &direction.blackouts);
    let longest_s = silences.map(|blackout| blackout.for_s).fold(0.0, f64::max);
    set_round_trip(profile) * 2 + Duration::from_secs_f64(longest_s) + PATIENCE
}

/// How long a packet takes there and back at least, with as little of everything as the profile ever has.
fn least_round_trip(profile: &Profile) -> Duration {
    let least_ms = |direction: &fulmar_netsim::Direction| {
        let changed = direction.changes.iter().filter_map(|change| change.delay_ms);
        changed.fold(direction.delay_ms, f64::min) - direction.jitter_ms
    };
    // Rounded down by a nanosecond, as the model rounds.
    Duration::from_secs_f64(((least_ms(&profile.up) + least_ms(&profile.down)) / 1e3 - 2e-9).max(0.0))
}

fn one_round_trip(client: &UdpSocket, number: u32) -> io::Result<Option<Duration>> {
    let mut datagram = [0; PAYLOAD_BYTES];
    datagram[..4].copy_from_slice(&number.to_be_bytes());
    let began = Instant::now();
    client.send(&datagram)?;
    let mut answer = [0; PAYLOAD_BYTES];
    loop {
        match client.recv(&mut answer) {
            // An earlier one that was late, or a second copy, is not waited for.
            Ok(_) if answer[..4] != datagram[..4] => {}
            Ok(_) => return Ok(Some(began.elapsed())),
            Err(error) if timed_out(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Sends every datagram back, until it is enough.
fn echo(server: &UdpSocket, enough: &AtomicBool) -> io::Result<()> {
    let mut buffer = [0; PAYLOAD_BYTES];
    while !enough.load(Ordering::Relaxed) {
        match server.recv_from(&mut buffer) {
            Ok((bytes, from)) => server.send_to(&buffer[..bytes], from).map(drop)?,
            Err(error) if timed_out(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends many packets one way, well below the link's rate, and counts those that arrive.
pub(super) fn losses(lab: &Lab, profile: &Profile, way: Way, count: u32) -> Result<Losses> {
    let (from, to) = match way {
        Way::Up => (Side::Client, Side::Server),
        Way::Down => (Side::Server, Side::Client),
    };
    let (sender, receiver) = (socket(lab, from)?, socket(lab, to)?);
    receiver.set_read_timeout(Some(patience(profile)))?;
    sender.connect(receiver.local_addr()?)?;
    let queue_full = || {
        let report = lab.report()?;
        let carried = match way {
            Way::Up => report.up,
            Way::Down => report.down,
        };
        Ok::<u64, fulmar_netsim::tun::TunError>(carried.link.lost_queue_full_packets)
    };
    let before = queue_full()?;
    let arrived = thread::scope(|scope| {
        let counted = scope.spawn(|| count_arrivals(&receiver, count));
        let sent = send_paced(&sender, count, packets_per_ms(profile, way));
        let counted = counted.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
        sent.and(counted)
    })
    .context("cannot measure losses")?;
    let ratio = 1.0 - f64::from(arrived) / f64::from(count);
    let set_ratio = set_ratio(profile, way);
    Ok(Losses {
        way: way.word(),
        sent: count,
        arrived,
        ratio,
        set_ratio,
        relative_error: set_ratio.filter(|set| *set > 0.0).map(|set| (ratio - set) / set),
        queue_full: queue_full()? - before,
    })
}

/// What is lost of small packets, if that is the same at all times.
fn set_ratio(profile: &Profile, way: Way) -> Option<f64> {
    let direction = profile.direction(way);
    let constant = direction.blackouts.is_empty() && direction.changes.is_empty();
    let losses = [&direction.loss_before_queue, &direction.loss_after_queue].into_iter().flatten();
    constant.then(|| 1.0 - losses.map(|loss| 1.0 - loss.ratio()).product::<f64>())
}

/// Half of what the bottleneck takes at its slowest.
fn packets_per_ms(profile: &Profile, way: Way) -> f64 {
    let direction = profile.direction(way);
    let changed = direction.changes.iter().filter_map(|change| change.rate_mbit_per_s);
    let slowest = changed.chain(direction.rate_mbit_per_s).fold(f64::INFINITY, f64::min);
    (slowest * 1e3 / 8.0 / f64::from(PACKET_BYTES) / 2.0).min(MAX_PACKETS_PER_MS)
}

/// Sends numbered packets, by the millisecond.
fn send_paced(sender: &UdpSocket, count: u32, per_ms: f64) -> io::Result<()> {
    let began = Instant::now();
    let mut datagram = [0; PAYLOAD_BYTES];
    for number in 0..count {
        let due = Duration::from_secs_f64((f64::from(number) / per_ms).floor() / 1e3);
        if let Some(left) = due.checked_sub(began.elapsed()) {
            thread::sleep(left);
        }
        datagram[..4].copy_from_slice(&number.to_be_bytes());
        sender.send(&datagram)?;
    }
    Ok(())
}

/// Counts packets by their numbers, until all are there or nothing has come for long.
fn count_arrivals(receiver: &UdpSocket, count: u32) -> io::Result<u32> {
    let mut seen = vec![false; count as usize];
    let mut arrived = 0;
    let mut buffer = [0; PAYLOAD_BYTES];
    while arrived < count {
        match receiver.recv(&mut buffer) {
            Ok(_) => {}
            Err(error) if timed_out(&error) => break,
            Err(error) => return Err(error),
        }
        let [a, b, c, d, ..] = buffer;
        if let Some(seen) = seen.get_mut(u32::from_be_bytes([a, b, c, d]) as usize)
            && !*seen
        {
            *seen = true;
            arrived += 1;
        }
    }
    Ok(arrived)
}

/// A socket at one end.
fn socket(lab: &Lab, side: Side) -> Result<UdpSocket> {
    let socket =
        lab.namespace(side).run(|| UdpSocket::bind((side.address(), 0))).context("cannot open a socket")?;
    // Beyond the machine's limit only where that may be done; the report tells what overflowed.
    if set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES).is_err() {
        set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES).context("cannot enlarge a buffer")?;
    }
    Ok(socket)
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use fulmar_netsim::{Blackout, Change, Direction, During, Loss};

    use super::*;

    fn profile(direction: Direction) -> Profile {
        Profile::symmetric("test", direction)
    }

    #[test]
    fn the_set_round_trip_has_delay_and_wire_time() {
        let slow = profile(Direction { rate_mbit_per_s: Some(1.0), delay_ms: 10.0, ..Direction::default() });
        assert_eq!(
            set_round_trip(&slow),
            Duration::from_micros(20_000 + 2 * 480),
            "60 bytes at 1 Mbit/s take 480 us"
        );
        assert!(least_round_trip(&slow) <= Duration::from_millis(20));
        let jittery = Direction {
            delay_ms: 10.0,
            jitter_ms: 4.0,
            changes: vec![Change { at_s: 1.0, delay_ms: Some(6.0), ..Change::default() }],
            ..Direction::default()
        };
        let least = least_round_trip(&profile(jittery));
        assert!(least <= Duration::from_millis(4) && least > Duration::from_micros(3_999), "{least:?}");
    }

    #[test]
    fn the_set_ratio_has_all_losses_and_is_told_only_when_it_is_constant() {
        let mut direction = Direction {
            loss_before_queue: Some(Loss::Bernoulli(0.5)),
            loss_after_queue: Some(Loss::Bernoulli(0.1)),
            ..Direction::default()
        };
        let ratio = set_ratio(&profile(direction.clone()), Way::Up).expect("constant");
        assert!((ratio - 0.55).abs() < 1e-12, "{ratio}");
        assert_eq!(set_ratio(&profile(Direction::default()), Way::Down), Some(0.0));
        direction.blackouts =
            vec![Blackout { from_s: 1.0, for_s: 1.0, every_s: None, packets: During::Drop }];
        assert_eq!(set_ratio(&profile(direction), Way::Up), None);
    }

    #[test]
    fn packets_are_sent_well_below_the_slowest_rate() {
        let mut direction = Direction { rate_mbit_per_s: Some(9.6), ..Direction::default() };
        assert_eq!(
            packets_per_ms(&profile(direction.clone()), Way::Up),
            10.0,
            "9.6 Mbit/s are 20 packets per ms"
        );
        direction.changes = vec![Change { at_s: 1.0, rate_mbit_per_s: Some(0.96), ..Change::default() }];
        assert_eq!(packets_per_ms(&profile(direction), Way::Up), 1.0);
        assert_eq!(packets_per_ms(&profile(Direction::default()), Way::Up), MAX_PACKETS_PER_MS);
    }
}
