//! Keeping processors awake while a delay is measured.

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// The lowest priority of ordinary threads.
const LOWEST: i32 = 19;

/// Threads that do nothing as busily as they may while nobody else wants a processor. One that sleeps takes long to wake up, in a virtual
/// machine up to 0.2 ms, and an echo wakes four times: that is no delay of the link, and none that a transfer would see.
pub(super) struct Awake {
    done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    /// Keeps every processor awake until this is dropped.
    pub(super) fn keep() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let spin = |_| {
            let done = done.clone();
            thread::spawn(move || {
                // On Linux this is the calling thread's alone. Lowering it is always allowed.
                if rustix::process::setpriority_process(None, LOWEST).is_ok() {
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                }
            })
        };
        let threads = (0..processors).map(spin).collect();
        Self { done, threads }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic, and a measurement that has been made is not taken back.
            drop(thread.join());
        }
    }
}
