//! What a store needs from outside: threads for blocking work, the time of day, random numbers.

use std::{fmt, io, sync::Arc};

use fulmar_disk::Offload;
use fulmar_proto::time::Timestamp;

/// Tells the time of day.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Draws random bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `bytes` with random ones that nobody can predict (or, in a simulation, with seeded ones).
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Timestamp::new(secs, since.subsec_nanos()).unwrap_or(Timestamp::EPOCH)
    }
}

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system always has random numbers once it has booted");
    }
}

/// Everything that a store and a server take from outside, injected once.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Runs blocking work: files, the database, hashing.
    pub offload: Offload,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub entropy: Arc<dyn Entropy>,
}

impl Environment {
    /// The real thing: `threads` threads (at least 1) for blocking work, the system's clock and random numbers.
    ///
    /// # Errors
    /// What the operating system answers when it refuses to start a thread.
    pub fn system(threads: usize) -> io::Result<Self> {
        Ok(Self {
            offload: Offload::threads(threads)?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        })
    }

    /// `N` random bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}
