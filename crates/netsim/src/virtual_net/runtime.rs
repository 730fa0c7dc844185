//! The clock and the executor of simulated endpoints.

use std::{
    io,
    net::UdpSocket,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};

/// How long a run may take in virtual time. What waits for ever would otherwise go on for ever, since the clock jumps from
/// one keep-alive to the next.
const LONGEST_RUN: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs `future` to its end on one thread and on virtual time: the clock stands still while anything can go on, and
/// jumps to the next timer when nothing can. What was spawned and still runs then is dropped.
///
/// # Panics
/// When the system gives no runtime, with `future`, and when it takes longer than a day of virtual time.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without IO needs nothing from the system");
    let result = runtime.block_on(async { tokio::time::timeout(LONGEST_RUN, future).await });
    result.expect("a run ends within a day of virtual time")
}

/// Drives quinn by tokio's clock and tasks. It opens no socket of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct VirtualRuntime;

impl Runtime for VirtualRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(tokio::time::sleep_until(at.into()))
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
