//! How much more a connection may buffer than it begins with, on a path that holds much: memory from the process's pool.
//!
//! What is lost waits for its repair while the path goes on, so that at 20 % loss seven round trips' worth is buffered on both
//! sides. Credit that a peer was given cannot be taken back in QUIC: what a receive window has grown by is borrowed until
//! the connection ends. What is kept for sending is this side's own affair, and shrinks again.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::pool::{BytePool, Lease};

/// What a receiver buffers, in round trips of what arrives.
const RECEIVED_ROUND_TRIPS: f64 = 10.0;

/// The most that a window grows to, in bytes: six times what 1 Gbit/s and 200 ms hold.
const MOST_BYTES: u64 = 160 << 20;

/// What a sender keeps, in congestion windows. That of the default controller is half as much again as the path holds.
const SENT_WINDOWS: u64 = 6;

/// Less is not worth a loan, in bytes.
const LEAST_LOAN_BYTES: u64 = 1 << 20;

/// The shortest time over which a rate is measured.
const LEAST_MEASURE: Duration = Duration::from_millis(20);

/// What a path shows at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    pub(super) now: Instant,
    pub(super) received_bytes: u64,
    pub(super) rtt: Duration,
    pub(super) congestion_window_bytes: u64,
}

/// Which windows have changed, and to what, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grown {
    pub(super) receive: Option<u32>,
    pub(super) send: Option<u64>,
}

/// The loans of one connection.
#[derive(Debug)]
pub(super) struct Growth {
    pool: OnceLock<BytePool>,
    /// What is kept for sending without a loan; none where that is not to be touched.
    send_base_bytes: Option<u64>,
    loans: Mutex<Loans>,
}

#[derive(Debug, Default)]
struct Loans {
    /// The receive window without loans; 0 as long as it is not to be touched.
    receive_base_bytes: u32,
    receive: Vec<Lease>,
    receive_bytes: u64,
    send: Option<Lease>,
    send_bytes: u64,
    /// What had been received when, at the last measurement.
    measured: Option<(Instant, u64)>,
}

impl Growth {
    pub(super) fn new(send_base_bytes: Option<u64>) -> Self {
        Self { pool: OnceLock::new(), send_base_bytes, loans: Mutex::default() }
    }

    /// Loans come from `pool` from now on. Only the first pool counts.
    pub(super) fn lend(&self, pool: BytePool) {
        let _ = self.pool.set(pool);
    }

    /// Has `apply` set the receive window, given what it is without loans.
    pub(super) fn rebase(&self, base_bytes: u32, apply: impl FnOnce(Grown)) {
        let mut loans = self.loans();
        loans.receive_base_bytes = base_bytes;
        apply(Grown { receive: Some(loans.receive_window()), send: None });
    }

    /// Borrows what the path takes, gives back what it takes no more, and has `apply` set the windows.
    pub(super) fn look(&self, glance: Glance, apply: impl FnOnce(Grown)) {
        let Some(pool) = self.pool.get() else { return };
        // Held over `apply`, so that of two changes at once the earlier one is not set last.
        let mut loans = self.loans();
        if loans.receive_base_bytes == 0 {
            return;
        }
        let receive = loans.measure(glance).and_then(|wanted| loans.borrow_to_receive(wanted, pool));
        let wanted = glance.congestion_window_bytes.saturating_mul(SENT_WINDOWS).min(MOST_BYTES);
        let send = self.send_base_bytes.and_then(|base| loans.borrow_to_send(base, wanted, pool));
        apply(Grown { receive, send });
    }

    /// Gives back what is kept for sending: there is nothing to send.
    pub(super) fn rest(&self, apply: impl FnOnce(Grown)) {
        let mut loans = self.loans();
        loans.send_bytes = 0;
        if loans.send.take().is_some() {
            apply(Grown { receive: None, send: self.send_base_bytes });
        }
    }

    fn loans(&self) -> MutexGuard<'_, Loans> {
        // Every change is complete before anything in it could panic.
        self.loans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loans {
    fn receive_window(&self) -> u32 {
        u32::try_from(u64::from(self.receive_base_bytes) + self.receive_bytes).unwrap_or(u32::MAX)
    }

    /// The receive window that suits what has arrived since the last measurement; none when that is too short ago.
    fn measure(&mut self, glance: Glance) -> Option<u64> {
        let Glance { now, received_bytes, rtt, .. } = glance;
        let Some((since, before)) = self.measured else {
            self.measured = Some((now, received_bytes));
            return None;
        };
        let elapsed = now.saturating_duration_since(since);
        if elapsed < rtt.max(LEAST_MEASURE) {
            return None;
        }
        self.measured = Some((now, received_bytes));
        let round_trips = elapsed.as_secs_f64() / rtt.as_secs_f64().max(1e-6);
        let per_round_trip = received_bytes.saturating_sub(before) as f64 / round_trips;
        Some(((per_round_trip * RECEIVED_ROUND_TRIPS) as u64).min(MOST_BYTES))
    }

    fn borrow_to_receive(&mut self, wanted: u64, pool: &BytePool) -> Option<u32> {
        let lease = borrow(wanted.saturating_sub(self.receive_window().into()), pool)?;
        self.receive_bytes += lease.bytes();
        self.receive.push(lease);
        Some(self.receive_window())
    }

    fn borrow_to_send(&mut self, base: u64, wanted: u64, pool: &BytePool) -> Option<u64> {
        let window = base + self.send_bytes;
        // Between a half and all of it, it is left alone.
        if wanted <= window && (wanted.saturating_mul(2) >= window || self.send.is_none()) {
            return None;
        }
        // What is there already is given back first: there is one loan, and it is as large as is wanted now.
        let had = self.send.take().is_some();
        let lease = borrow(wanted.saturating_sub(base), pool);
        self.send_bytes = lease.as_ref().map_or(0, Lease::bytes);
        self.send = lease;
        (had || self.send.is_some()).then_some(base + self.send_bytes)
    }
}

/// Borrows so much, or a half of what is free: others come too.
fn borrow(bytes: u64, pool: &BytePool) -> Option<Lease> {
    let bytes = bytes.min(pool.free_bytes() / 2);
    let loan = u32::try_from(bytes).unwrap_or(u32::MAX);
    if bytes < LEAST_LOAN_BYTES { None } else { pool.try_lease(loan) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    struct Path {
        growth: Growth,
        start: Instant,
    }

    impl Path {
        fn new(pool: &BytePool, send_base: Option<u64>) -> Self {
            let growth = Growth::new(send_base);
            growth.lend(pool.clone());
            Self { growth, start: Instant::now() }
        }

        fn look(&self, at_ms: u64, received: u64, congestion_window_bytes: u64) -> Grown {
            let rtt = Duration::from_millis(100);
            let now = self.start + Duration::from_millis(at_ms);
            let mut grown = Grown::default();
            let glance = Glance { now, received_bytes: received, rtt, congestion_window_bytes };
            self.growth.look(glance, |windows| grown = windows);
            grown
        }

        fn rebase(&self, base_bytes: u32) -> u32 {
            let mut window = None;
            self.growth.rebase(base_bytes, |grown| window = grown.receive);
            window.expect("it is set")
        }

        fn rest(&self) -> Option<u64> {
            let mut window = None;
            self.growth.rest(|grown| window = grown.send);
            window
        }
    }

    #[test]
    fn a_receive_window_grows_to_ten_round_trips_and_stays() {
        let pool = BytePool::new(1024 * MIB);
        let path = Path::new(&pool, None);
        assert_eq!(path.look(0, 0, 0), Grown::default(), "nothing before admission");
        assert_eq!(path.rebase(8 << 20), 8 << 20);
        assert_eq!(path.look(0, 0, 0), Grown::default());
        assert_eq!(path.look(50, 100 * MIB, 0), Grown::default(), "less than a round trip");
        // 12 MiB in each of five round trips.
        assert_eq!(path.look(500, 60 * MIB, 0).receive, Some(120 << 20));
        assert_eq!(pool.free_bytes(), 912 * MIB);
        assert_eq!(path.look(1000, 61 * MIB, 0), Grown::default());
        assert_eq!(path.rebase(16 << 20), 128 << 20);
        drop(path);
        assert_eq!(pool.free_bytes(), 1024 * MIB);
    }

    #[test]
    fn no_connection_takes_more_than_half_of_what_is_free() {
        let pool = BytePool::new(64 * MIB);
        let greedy = [(); 3].map(|()| Path::new(&pool, None));
        let window = |path: &Path| {
            path.rebase(8 << 20);
            path.look(0, 0, 0);
            path.look(100, 1000 * MIB, 0).receive
        };
        assert_eq!(greedy.each_ref().map(window), [Some(40 << 20), Some(24 << 20), Some(16 << 20)]);
        assert_eq!(pool.free_bytes(), 8 * MIB);
    }

    #[test]
    fn what_is_kept_for_sending_follows_the_congestion_window_both_ways() {
        let pool = BytePool::new(1024 * MIB);
        let path = Path::new(&pool, Some(16 * MIB));
        path.rebase(8 << 20);
        assert_eq!(path.look(0, 0, 2 * MIB).send, None);
        assert_eq!(path.look(1, 0, 10 * MIB).send, Some(60 * MIB));
        assert_eq!(path.look(2, 0, 6 * MIB).send, None);
        assert_eq!(path.look(3, 0, 20 * MIB).send, Some(120 * MIB));
        assert_eq!(path.look(4, 0, MIB).send, Some(16 * MIB));
        assert_eq!(pool.free_bytes(), 1024 * MIB);
        assert_eq!(path.look(5, 0, 10 * MIB).send, Some(60 * MIB));
        assert_eq!(path.rest(), Some(16 * MIB));
        assert_eq!((path.rest(), pool.free_bytes()), (None, 1024 * MIB));
    }
}
