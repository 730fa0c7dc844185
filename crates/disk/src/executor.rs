//! Where blocking work runs.
//!
//! Files, hashing and the database block; the async runtime must not. All such work goes through one injected
//! [`Executor`]: a pool of threads in a real process, and the calling thread itself in a simulation, because a
//! paused clock runs on while other threads work.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

/// One piece of blocking work.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs blocking jobs. Every job that `execute` takes is run to its end, exactly once.
pub trait Executor: Send + Sync + fmt::Debug {
    /// Runs `job` now or later; does not wait for room.
    fn execute(&self, job: Job);
}

/// Runs each job at once on the calling thread: for simulations on virtual time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inline;

impl Executor for Inline {
    fn execute(&self, job: Job) {
        job();
    }
}

/// A fixed number of named threads that share one queue.
///
/// The queue itself has no limit, because `execute` is called from async code and must not block: whoever hands in
/// work bounds how much of it is under way. Dropping the pool runs what is queued and waits for the threads.
#[derive(Debug)]
pub struct ThreadPool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

/// Jobs that wait for a thread. One that comes wakes one thread: with threads that wait for each other's turn at a channel, every job
/// woke two.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// No more jobs will come.
    closed: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    fn push(&self, job: Job) {
        self.state().jobs.push_back(job);
        self.changed.notify_one();
    }

    /// The next job, waited for; none when the queue is closed and empty.
    fn next(&self) -> Option<Job> {
        let waits = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.closed;
        let state = self.changed.wait_while(self.state(), waits);
        state.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Consistent at every point where a thread could panic.
    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More threads than this only add contention.
pub const MAX_THREADS: usize = 512;

impl ThreadPool {
    /// Starts `threads` threads (brought into 1..=[`MAX_THREADS`]) named `fulmar-disk-N`.
    ///
    /// # Errors
    /// What the operating system answers when it refuses to start a thread.
    pub fn new(threads: usize) -> io::Result<Self> {
        let mut pool = Self { queue: Arc::default(), threads: Vec::new() };
        for index in 0..threads.clamp(1, MAX_THREADS) {
            let queue = Arc::clone(&pool.queue);
            let builder = thread::Builder::new().name(format!("fulmar-disk-{index}"));
            pool.threads.push(builder.spawn(move || work(&queue))?);
        }
        Ok(pool)
    }
}

/// One thread's life: take a job, run it, until the queue is closed and empty.
fn work(queue: &Queue) {
    while let Some(job) = queue.next() {
        // A panicking job must not take a thread away from the pool; `Offload` has reported it already.
        drop(catch_unwind(AssertUnwindSafe(job)));
    }
}

impl Executor for ThreadPool {
    fn execute(&self, job: Job) {
        self.queue.push(job);
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.queue.close();
        let this_thread = thread::current().id();
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a job: a thread cannot wait for itself.
            if thread.thread().id() != this_thread {
                drop(thread.join());
            }
        }
    }
}

/// A shared handle that async code uses to run blocking work and await its result.
#[derive(Debug, Clone)]
pub struct Offload {
    executor: Arc<dyn Executor>,
}

impl Offload {
    /// Work goes to `executor`.
    pub fn new(executor: Arc<dyn Executor>) -> Self {
        Self { executor }
    }

    /// Work runs at once on the thread that awaits it.
    pub fn inline() -> Self {
        Self::new(Arc::new(Inline))
    }

    /// Work runs on a [`ThreadPool`] of `threads` threads.
    ///
    /// # Errors
    /// As [`ThreadPool::new`].
    pub fn threads(threads: usize) -> io::Result<Self> {
        Ok(Self::new(Arc::new(ThreadPool::new(threads)?)))
    }

    /// Runs `work` on the executor and gives its result.
    ///
    /// When this future is dropped after its first poll, the work still runs to its end and its result is dropped:
    /// a cancelled caller never leaves a write half done, and must not assume that it did not happen.
    ///
    /// # Panics
    /// When `work` panics, with the same payload.
    pub async fn run<T, F>(&self, work: F) -> T
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (done, result) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
        self.executor.execute(Box::new(move || {
            // The receiver is gone when the caller was cancelled; then nobody wants the result.
            drop(done.send(catch_unwind(AssertUnwindSafe(work))));
        }));
        match result.await.expect("an executor runs every job it takes") {
            Ok(value) => value,
            Err(panic) => resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn inline_runs_on_the_callers_thread() {
        let here = thread::current().id();
        assert_eq!(block_on(Offload::inline().run(|| thread::current().id())), here);
    }

    #[test]
    fn threads_run_elsewhere_under_their_name() {
        let offload = Offload::threads(2).unwrap();
        let name = block_on(offload.run(|| thread::current().name().map(str::to_owned)));
        assert!(name.unwrap().starts_with("fulmar-disk-"));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_spares_the_pool() {
        let offload = Offload::threads(1).unwrap();
        for _ in 0..3 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                block_on(offload.run(|| resume_unwind(Box::new("on purpose"))));
            }));
            assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
        }
        assert_eq!(block_on(offload.run(|| 7)), 7);
    }

    #[test]
    fn dropping_the_pool_runs_what_is_queued() {
        let count = Arc::new(AtomicUsize::new(0));
        let pool = ThreadPool::new(1).unwrap();
        for _ in 0..100 {
            let count = Arc::clone(&count);
            pool.execute(Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            }));
        }
        drop(pool);
        assert_eq!(count.load(Ordering::SeqCst), 100);
    }

    #[test]
    fn the_last_handle_may_be_dropped_by_a_job() {
        let offload = Offload::threads(1).unwrap();
        let (sent, received) = channel();
        let inner = offload.clone();
        let executor = Arc::clone(&offload.executor);
        executor.execute(Box::new(move || {
            drop(inner);
            sent.send(()).unwrap();
        }));
        drop(executor);
        drop(offload);
        received.recv().unwrap();
    }

    #[test]
    fn a_dropped_future_leaves_its_job_running() {
        let offload = Offload::threads(1).unwrap();
        let (started, waiting) = channel::<()>();
        let (release, gate) = channel::<()>();
        let (sent, received) = channel();
        block_on(async {
            let run = offload.run(move || {
                started.send(()).unwrap();
                gate.recv().unwrap();
                sent.send(42).unwrap();
            });
            tokio::select! {
                biased;
                () = run => panic!("the job is still gated"),
                () = async { waiting.recv().unwrap() } => {}
            }
        });
        release.send(()).unwrap();
        assert_eq!(received.recv().unwrap(), 42);
    }
}
