//! One TCP flow over the link.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use fulmar_netsim::{
    Profile, Way,
    tun::{Lab, Report, Side},
};
use rustix::net::sockopt::tcp_congestion;
use serde::Serialize;

/// What is written and read at once.
const PIECE_BYTES: usize = 256 << 10;

/// How long a call may block before the clock is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How one TCP flow fared.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Flow {
    pub(super) way: &'static str,
    /// What the kernel says that the sender had.
    pub(super) congestion: String,
    pub(super) seconds: u64,
    pub(super) skipped_seconds: u64,
    /// Payload that the receiver had read, from the connection's beginning on.
    pub(super) goodput_mbit_per_s: f64,
    /// The same without the beginning.
    pub(super) steady_goodput_mbit_per_s: f64,
    /// IP bytes that came out of the link after the beginning, as a share of its rate; none without a rate.
    pub(super) rate_share: Option<f64>,
}

/// Sends as much as goes one way for some seconds. The second figure leaves `skip` of them out.
pub(super) fn flow(lab: &Lab, profile: &Profile, way: Way, seconds: u64, skip: u64) -> Result<Flow> {
    let (from, to) = match way {
        Way::Up => (Side::Client, Side::Server),
        Way::Down => (Side::Server, Side::Client),
    };
    let listener = lab.namespace(to).run(|| TcpListener::bind((to.address(), 0))).context("cannot listen")?;
    let address = listener.local_addr()?;
    let began = Instant::now();
    let (half, end) = (began + Duration::from_secs(skip), began + Duration::from_secs(seconds));
    let (received, congestion, carried) = thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&listener, half, end));
        let sender = scope.spawn(|| lab.namespace(from).run(|| send(TcpStream::connect(address)?, end)));
        let carried = carried_between(lab, way, half, end);
        let joined = |_| io::Error::other("a thread panicked");
        let congestion = sender.join().map_err(joined).flatten();
        if congestion.is_err() && !receiver.is_finished() {
            // Without a sender the receiver would wait for ever. This one does not cross the link.
            let _ = lab.namespace(to).run(|| TcpStream::connect(address));
        }
        let received = receiver.join().map_err(joined).flatten();
        Ok::<_, anyhow::Error>((received?, congestion?, carried?))
    })
    .context("cannot measure a TCP flow")?;
    let mbit_per_s = |bytes: u64, seconds: f64| bytes as f64 * 8.0 / 1e6 / seconds;
    let (all, steady) = received;
    let (carried_bytes, carried_s) = carried;
    Ok(Flow {
        way: way.word(),
        congestion,
        seconds,
        skipped_seconds: skip,
        goodput_mbit_per_s: mbit_per_s(all, seconds as f64),
        steady_goodput_mbit_per_s: mbit_per_s(steady, (seconds - skip) as f64),
        rate_share: profile
            .direction(way)
            .rate_mbit_per_s
            .map(|rate| mbit_per_s(carried_bytes, carried_s) / rate),
    })
}

/// IP bytes that came out of the link between two times, and the seconds between the two looks.
fn carried_between(lab: &Lab, way: Way, half: Instant, end: Instant) -> Result<(u64, f64)> {
    let look = |at: Instant| -> Result<Report> {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        Ok(lab.report()?)
    };
    let bytes = |report: &Report| match way {
        Way::Up => report.up.arrived_bytes,
        Way::Down => report.down.arrived_bytes,
    };
    let (before, after) = (look(half)?, look(end)?);
    Ok((bytes(&after) - bytes(&before), after.seconds - before.seconds))
}

/// Reads until the end, and counts what came in all and after the beginning.
fn receive(listener: &TcpListener, half: Instant, end: Instant) -> io::Result<(u64, u64)> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(LOOK_EVERY))?;
    let mut buffer = vec![0; PIECE_BYTES];
    let (mut all, mut steady) = (0, 0);
    loop {
        let read = stream.read(&mut buffer);
        let now = Instant::now();
        if now >= end {
            return Ok((all, steady));
        }
        match read {
            Ok(0) => return Ok((all, steady)),
            Ok(bytes) => {
                all += bytes as u64;
                steady += if now >= half { bytes as u64 } else { 0 };
            }
            Err(error) if blocked(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes until the end, and says which congestion control that was.
fn send(mut stream: TcpStream, end: Instant) -> io::Result<String> {
    stream.set_write_timeout(Some(LOOK_EVERY))?;
    let piece = vec![0x5a; PIECE_BYTES];
    while Instant::now() < end {
        match stream.write(&piece) {
            Ok(_) => {}
            Err(error) if blocked(&error) => {}
            // The receiver stops at the same time, and may have been first.
            Err(_) if Instant::now() + LOOK_EVERY >= end => break,
            Err(error) => return Err(error),
        }
    }
    Ok(tcp_congestion(&stream)?)
}

fn blocked(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
