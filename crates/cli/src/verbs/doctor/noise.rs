//! Bytes for a measurement: as many as wanted, and never an end.

use std::{
    hash::{BuildHasher as _, RandomState},
    io::{self, Read},
    sync::mpsc::Receiver,
};

/// The bytes come in whole pieces of the transfer, of whatever length these are up to this.
const STEP_BYTES: u64 = 4 * 1024 * 1024;

/// Random bytes, which no disk on the way can make less of. After so many the reader waits: were there an end, the server would
/// store them.
#[derive(Debug)]
pub(super) struct Noise {
    state: u64,
    left_bytes: u64,
    /// Told nothing; gone when the measurement is over.
    over: Receiver<()>,
}

impl Noise {
    /// At least `bytes`, until the other end of `over` is gone.
    pub(super) fn new(bytes: u64, over: Receiver<()>) -> Self {
        let left_bytes = bytes.max(1).checked_next_multiple_of(STEP_BYTES).unwrap_or(u64::MAX);
        Self { state: random() | 1, left_bytes, over }
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left_bytes == 0 {
            let _ = self.over.recv();
            return Err(io::Error::other("the measurement is over"));
        }
        let len = buffer.len().min(usize::try_from(self.left_bytes).unwrap_or(usize::MAX));
        for word in buffer[..len].chunks_mut(8) {
            // xorshift64 (Marsaglia 2003).
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            word.copy_from_slice(&self.state.to_le_bytes()[..word.len()]);
        }
        self.left_bytes -= len as u64;
        Ok(len)
    }
}

/// A name that nobody else uses, for a file that never comes to be.
pub(super) fn unused_name() -> String {
    format!("fulmar-doctor-{:016x}{:016x}", random(), random())
}

/// From what the system gives hash maps against guessing.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn there_are_at_least_as_many_bytes_as_wanted_and_no_end() {
        for (wanted, given) in
            [(0, STEP_BYTES), (1, STEP_BYTES), (STEP_BYTES, STEP_BYTES), (STEP_BYTES + 1, 2 * STEP_BYTES)]
        {
            let (keep, over) = mpsc::channel();
            let mut noise = Noise::new(wanted, over);
            let mut bytes = Vec::new();
            Read::by_ref(&mut noise).take(given).read_to_end(&mut bytes).expect("so many");
            assert_eq!(bytes.len() as u64, given);
            drop(keep);
            assert!(noise.read(&mut [0; 8]).is_err(), "an end would publish the file");
        }
        let (_keep, over) = mpsc::channel();
        assert!(Noise::new(u64::MAX, over).left_bytes > u64::MAX / 2);
    }

    #[test]
    fn the_bytes_are_not_the_same_twice_and_have_no_pattern() {
        let first = || {
            let (_keep, over) = mpsc::channel();
            let mut bytes = [0; 4096];
            Noise::new(1, over).read_exact(&mut bytes).expect("bytes");
            bytes
        };
        let bytes = first();
        assert_ne!(bytes, first());
        let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
        assert!((15_000..18_000).contains(&ones), "{ones}");
        assert_ne!(unused_name(), unused_name());
    }
}
