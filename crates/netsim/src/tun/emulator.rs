//! The thread between the devices.
//!
//! It reads what arrives at either device, asks the link when it is due at the other, and writes it there then. One thread
//! does both ways, so that nothing is shared and a packet is never handed over.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, SyncSender, TryRecvError},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
    thread::set_current_timer_slack,
    time::{ClockId, clock_gettime},
};
use tappers::linux::Tun;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use super::{MTU_BYTES, lateness::LatenessHistogram, pending::Pending, report::Lateness};
use crate::{Counters, Fate, Link, Way};

/// Deliveries that are nearer than this wait for it together, so that at most 10,000 times a second somebody is woken for
/// one.
const TICK: Duration = Duration::from_micros(100);

/// Packets that are read from one device before deliveries have their turn again.
const BATCH: usize = 32;

/// What may be on its way at once: 2 Gbit/s over a second.
const HELD_LIMIT_BYTES: usize = 256 << 20;

/// Longer than any packet of a device with an MTU of 1,500.
const PACKET_MAX_BYTES: usize = 64 << 10;

/// What the thread is asked.
pub(super) enum Request {
    /// How it has been so far.
    Observe(SyncSender<Observation>),
    /// To end.
    Stop,
}

/// How it has been so far.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    pub(super) elapsed: Duration,
    /// What the link counted, up and down.
    pub(super) counters: [Counters; 2],
    /// Packets and bytes that have reached the other end, up and down.
    pub(super) arrived: [(u64, u64); 2],
    pub(super) lateness: Lateness,
    pub(super) cpu: Duration,
    /// Of the time of any second, the most that was spent working.
    pub(super) busiest_share: f64,
    pub(super) held_peak_bytes: u64,
    pub(super) overflow_packets: u64,
    pub(super) refused_packets: u64,
    pub(super) uncut_packets: u64,
    pub(super) realtime: Result<(), String>,
}

/// The thread between the devices.
pub(super) struct Emulator {
    link: Link,
    /// The client's device and the server's.
    devices: [Tun; 2],
    requests: Receiver<Request>,
    /// Readable when there is a request.
    bell: Arc<OwnedFd>,
    pending: Pending,
    start: Instant,
    buffer: Vec<u8>,
    lateness: LatenessHistogram,
    arrived: [(u64, u64); 2],
    overflow_packets: u64,
    refused_packets: u64,
    uncut_packets: u64,
    realtime: Result<(), String>,
    effort: Effort,
}

impl Emulator {
    /// Between two devices, which must not block. Time begins now.
    pub(super) fn new(
        link: Link,
        devices: [Tun; 2],
        requests: Receiver<Request>,
        bell: Arc<OwnedFd>,
    ) -> Self {
        Self {
            link,
            devices,
            requests,
            bell,
            pending: Pending::new(HELD_LIMIT_BYTES),
            start: Instant::now(),
            buffer: vec![0; PACKET_MAX_BYTES],
            lateness: LatenessHistogram::new(),
            arrived: [(0, 0); 2],
            overflow_packets: 0,
            refused_packets: 0,
            uncut_packets: 0,
            realtime: Ok(()),
            effort: Effort::default(),
        }
    }

    /// Carries packets until it is asked to stop, nobody is left who could ask, or a device cannot be read, which is told
    /// in `end`.
    pub(super) fn run(mut self, end: &OnceLock<String>) {
        self.realtime = become_realtime();
        if let Err(error) = self.carry() {
            // Nobody else sets it.
            let _ = end.set(error.to_string());
        }
    }

    fn carry(&mut self) -> io::Result<()> {
        loop {
            self.deliver();
            self.effort.look(self.start.elapsed());
            let arrivals = self.take(Way::Up)? + self.take(Way::Down)?;
            match self.requests.try_recv() {
                // An answer that nobody waits for any more is no error.
                Ok(Request::Observe(answer)) => drop(answer.try_send(self.observe())),
                Ok(Request::Stop) | Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) if arrivals == 0 => self.wait()?,
                Err(TryRecvError::Empty) => {}
            }
        }
    }

    /// Delivers everything that is due.
    fn deliver(&mut self) {
        loop {
            let now = self.start.elapsed();
            let Some(delivery) = self.pending.pop_due(now) else { return };
            self.lateness.note(now.saturating_sub(delivery.at));
            match self.devices[exit(delivery.way)].send(&delivery.packet) {
                Ok(bytes) => {
                    let (packets, arrived_bytes) = &mut self.arrived[index(delivery.way)];
                    *packets += 1;
                    *arrived_bytes += bytes as u64;
                }
                Err(_) => self.refused_packets += 1,
            }
            self.pending.recycle(delivery.packet);
        }
    }

    /// Takes what has arrived at the entry of one way, up to a batch, and says how much that was.
    fn take(&mut self, way: Way) -> io::Result<usize> {
        for taken in 0..BATCH {
            let bytes = match self.devices[entry(way)].recv(&mut self.buffer) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(taken),
                Err(error) => return Err(error),
            };
            // Nothing is longer than the buffer, which is shorter than 4 GiB.
            let packet_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.uncut_packets += u64::from(packet_bytes > MTU_BYTES);
            let passage = self.link.send(way, self.start.elapsed(), packet_bytes);
            let Fate::Delivered { at, copy_at } = passage.fate else { continue };
            for at in [Some(at), copy_at].into_iter().flatten() {
                let packet = &self.buffer[..bytes];
                self.overflow_packets += u64::from(!self.pending.push(at, way, packet));
            }
        }
        Ok(BATCH)
    }

    /// Sleeps until something arrives, something is due or somebody asks.
    fn wait(&mut self) -> io::Result<()> {
        let pause = self.pending.next_at().map(|at| pause(self.start.elapsed(), at));
        let timeout = pause.map(|pause| Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: pause.subsec_nanos().into(),
        });
        let [client, server] = &self.devices;
        let mut sources = [client.as_fd(), server.as_fd(), self.bell.as_fd()]
            .map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN));
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !sources[2].revents().is_empty() {
            // It only wakes; what is asked is in the channel.
            let _ = read(&*self.bell, &mut [0; 8]);
        }
        Ok(())
    }

    fn observe(&self) -> Observation {
        let elapsed = self.start.elapsed();
        Observation {
            elapsed,
            counters: [Way::Up, Way::Down].map(|way| self.link.counters(way, elapsed)),
            arrived: self.arrived,
            lateness: self.lateness.summary(),
            cpu: cpu_time(),
            busiest_share: self.effort.busiest_share,
            held_peak_bytes: self.pending.peak_bytes() as u64,
            overflow_packets: self.overflow_packets,
            refused_packets: self.refused_packets,
            uncut_packets: self.uncut_packets,
            realtime: self.realtime.clone(),
        }
    }
}

/// How hard the thread works.
#[derive(Debug, Default)]
struct Effort {
    /// When it was looked at last, and the processor time until then.
    last: (Duration, Duration),
    busiest_share: f64,
}

impl Effort {
    /// Looks once a second.
    fn look(&mut self, now: Duration) {
        if now.saturating_sub(self.last.0) >= Duration::from_secs(1) {
            self.note(now, cpu_time());
        }
    }

    fn note(&mut self, now: Duration, cpu: Duration) {
        let (since, used) = (now.saturating_sub(self.last.0), cpu.saturating_sub(self.last.1));
        self.busiest_share =
            self.busiest_share.max(used.as_secs_f64() / since.as_secs_f64().max(f64::MIN_POSITIVE));
        self.last = (now, cpu);
    }
}

/// What the calling thread has used.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// How long to sleep at `now` for something that is due at `at`.
fn pause(now: Duration, at: Duration) -> Duration {
    at.saturating_sub(now).max(TICK)
}

fn index(way: Way) -> usize {
    match way {
        Way::Up => 0,
        Way::Down => 1,
    }
}

/// The device at which packets of a way come in.
fn entry(way: Way) -> usize {
    index(way)
}

/// The device at which packets of a way go out.
fn exit(way: Way) -> usize {
    index(way.back())
}

/// Puts the calling thread before all ordinary ones, so that packets are in time on a busy machine. The lowest of the
/// real-time priorities does: the kernel's own threads, which receive what is delivered, keep theirs.
fn become_realtime() -> Result<(), String> {
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, fifo);
    // An ordinary thread's timers are otherwise late by up to 50 us on purpose.
    let _ = set_current_timer_slack(std::num::NonZeroU64::new(1));
    set.map_err(|error| match error {
        thread_priority::Error::OS(errno) => io::Error::from_raw_os_error(errno).to_string(),
        other => format!("{other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_waits_for_a_tick_and_what_is_far_for_its_time() {
        let now = Duration::from_millis(7);
        assert_eq!(pause(now, now + Duration::from_micros(99)), TICK);
        assert_eq!(pause(now, now + Duration::from_micros(101)), Duration::from_micros(101));
        assert_eq!(pause(now, now + Duration::from_millis(50)), Duration::from_millis(50));
        assert_eq!(pause(now, Duration::ZERO), TICK, "late already: the next turn delivers it");
    }

    #[test]
    fn the_busiest_second_is_kept() {
        let mut effort = Effort::default();
        let at = |now_ms, cpu_ms| (Duration::from_millis(now_ms), Duration::from_millis(cpu_ms));
        for (now, cpu) in [at(1000, 100), at(2000, 900), at(4000, 1000)] {
            effort.note(now, cpu);
        }
        assert_eq!(effort.busiest_share, 0.8);
    }

    #[test]
    fn a_way_begins_at_one_device_and_ends_at_the_other() {
        for way in [Way::Up, Way::Down] {
            assert_ne!(entry(way), exit(way));
            assert_eq!(entry(way), exit(way.back()));
        }
    }
}
