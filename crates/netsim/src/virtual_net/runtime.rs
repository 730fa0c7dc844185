//! The clock and the executor of simulated endpoints.

use std::{
    io,
    net::UdpSocket,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};
use tokio::runtime::Builder;

use super::clock::{Clock, Current, ExactTimer, Keeper};

/// How long a run may take in virtual time. What waits for ever would otherwise go on for ever, since the clock jumps from
/// one keep-alive to the next.
const LONGEST_RUN: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs `future` to its end on one thread and on virtual time: the clock stands still while anything can go on, and
/// jumps to the next timer when nothing can. What was spawned and still runs then is dropped. Time moves in steps of 1 ms.
///
/// # Panics
/// When the system gives no runtime, with `future`, and when it takes longer than a day of virtual time.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    to_its_end(runtime, future)
}

/// As [`run`], but packets arrive and timers of endpoints fire at the very moment when they are to. Other timers of tokio remain
/// multiples of 1 ms. Takes longer, since fewer things happen together.
///
/// # Panics
/// As [`run`].
pub fn run_exactly<T>(future: impl Future<Output = T>) -> T {
    let clock = Arc::new(Clock::default());
    let idle = clock.clone();
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).on_thread_park(move || idle.idle()).build();
    let _current = Current::set(clock.clone());
    to_its_end(runtime, async {
        tokio::spawn(Keeper::new(clock));
        future.await
    })
}

fn to_its_end<T>(runtime: io::Result<tokio::runtime::Runtime>, future: impl Future<Output = T>) -> T {
    let runtime = runtime.expect("a runtime without IO needs nothing from the system");
    let result = runtime.block_on(async { tokio::time::timeout(LONGEST_RUN, future).await });
    result.expect("a run ends within a day of virtual time")
}

/// Drives quinn by tokio's clock and tasks. It opens no socket of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct VirtualRuntime;

impl Runtime for VirtualRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        match Clock::current() {
            Some(clock) => Box::pin(ExactTimer::new(clock, at)),
            None => Box::pin(tokio::time::sleep_until(at.into())),
        }
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(future);
    }

    fn wrap_udp_socket(&self, _: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a simulation has no sockets of the system"))
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}
