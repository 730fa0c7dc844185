//! The clock and the executor of simulated endpoints.

use std::{io, net::UdpSocket, pin::Pin, sync::Arc, time::Instant};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};

/// Runs `future` to its end on one thread and on virtual time: the clock stands still while anything can go on, and
/// jumps to the next timer when nothing can. What was spawned and still runs then is dropped.
///
/// # Panics
/// When the system gives no runtime, and with `future`.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without IO needs nothing from the system").block_on(future)
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
