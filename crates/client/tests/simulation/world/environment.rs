//! Time, randomness and bytes that follow from the seed.

use std::sync::{Arc, Mutex, PoisonError};

use fulmar_disk::Offload;
use fulmar_netsim::Stream;
use fulmar_proto::time::Timestamp;
use fulmar_store::{Clock, Entropy, Environment};
use tokio::time::Instant;

/// When every run begins: 1 January 2027, in seconds since 1970.
pub(super) const BEGINNING_S: i64 = 1_798_761_600;

/// Virtual time as a time of day.
#[derive(Debug)]
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let since = self.0.elapsed();
        let secs = BEGINNING_S + i64::try_from(since.as_secs()).expect("a short run");
        Timestamp::new(secs, since.subsec_nanos()).expect("a time of day")
    }
}

/// Random bytes that can be had again.
#[derive(Debug)]
struct SeededEntropy(Mutex<Stream>);

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&stream.number().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What a server and a store take from outside.
pub(super) fn environment(seed: u64) -> Environment {
    Environment {
        offload: Offload::inline(),
        clock: Arc::new(VirtualClock(Instant::now())),
        entropy: Arc::new(SeededEntropy(Mutex::new(Stream::new(seed, "entropy")))),
    }
}

/// Bytes that look random and follow from a seed and a label.
pub(crate) fn data(seed: u64, label: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(label.as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}
