//! Memory for pieces of files that goes round.
//!
//! A piece is allocated on one thread, sent from another and freed on a third. Given back to the system it would come
//! anew, page by page and filled with zeros: a tenth of a fast sender's work.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

/// Shorter buffers come and go without the system; keeping them would only be in the way.
const MIN_KEPT_BYTES: usize = 64 * 1024;

/// Lends memory and keeps what comes back for the next time. Clones share what is kept.
///
/// How much is lent at once is not bounded here: whoever borrows does that.
#[derive(Clone)]
pub struct Buffers {
    idle: Arc<Mutex<Idle>>,
}

#[derive(Default)]
struct Idle {
    /// In the order in which they came back.
    buffers: VecDeque<Vec<u8>>,
    bytes: usize,
    most_bytes: usize,
}

impl Idle {
    fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        // The one that came back last is likeliest to be in a cache still. A larger one would be read into too far.
        let index = self.buffers.iter().rposition(|buffer| buffer.capacity() == len)?;
        let buffer = self.buffers.remove(index)?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if !(MIN_KEPT_BYTES..=self.most_bytes).contains(&buffer.capacity()) {
            return;
        }
        self.bytes += buffer.capacity();
        self.buffers.push_back(buffer);
        while self.bytes > self.most_bytes {
            self.bytes -= self.buffers.pop_front().map_or(self.bytes, |oldest| oldest.capacity());
        }
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

impl Buffers {
    /// Keeps at most `most_bytes` while nobody uses them.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self { idle: Arc::new(Mutex::new(Idle { most_bytes, ..Idle::default() })) }
    }

    /// An empty buffer with room for `len` bytes.
    #[must_use]
    pub fn take(&self, len: usize) -> Buffer {
        let kept = self.idle().take(len);
        Buffer { bytes: kept.unwrap_or_else(|| Vec::with_capacity(len)), home: self.clone() }
    }

    /// Reads exactly `len` bytes of `file` from `offset`, into memory that is not filled with zeros first.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before that; what else the system answers.
    pub fn read(&self, file: &File, offset: u64, len: usize) -> io::Result<Buffer> {
        let mut buffer = self.take(len);
        let bytes = &mut buffer.bytes;
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            match rustix::io::pread(file, spare_capacity(bytes), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        // A vector may have got more room than was asked for.
        bytes.truncate(len);
        Ok(buffer)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory on loan. It goes back when this, or the last part of the [`Bytes`] made of it, is dropped.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffer {
    /// Adds `bytes` at the end.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The content, to be shared without copying.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.idle().give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = MIN_KEPT_BYTES;

    fn kept(buffers: &Buffers) -> (usize, usize) {
        let idle = buffers.idle();
        assert_eq!(idle.bytes, idle.buffers.iter().map(Vec::capacity).sum::<usize>());
        (idle.buffers.len(), idle.bytes)
    }

    #[test]
    fn what_comes_back_is_lent_again_empty() {
        let buffers = Buffers::new(4 * LEN);
        let mut buffer = buffers.take(LEN);
        buffer.extend(b"old");
        let address = buffer.as_ptr();
        drop(buffer);
        assert_eq!(kept(&buffers), (1, LEN));
        let again = buffers.take(LEN);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
        assert_eq!(kept(&buffers), (0, 0));
        assert!(buffers.take(LEN).as_ptr() != address, "lent once at a time");
    }

    #[test]
    fn bytes_give_the_memory_back_with_their_last_part() {
        let buffers = Buffers::new(4 * LEN);
        let mut buffer = buffers.take(LEN);
        buffer.extend(b"content");
        let mut bytes = buffer.freeze();
        let part = bytes.split_to(3);
        drop(bytes);
        assert_eq!(kept(&buffers), (0, 0));
        assert_eq!(&part[..], b"con");
        drop(part);
        assert_eq!(kept(&buffers), (1, LEN));
    }

    #[test]
    fn no_more_is_kept_than_was_said_and_the_oldest_goes_first() {
        let buffers = Buffers::new(3 * LEN);
        let lent: Vec<Buffer> = [LEN, LEN, 2 * LEN].into_iter().map(|len| buffers.take(len)).collect();
        drop(lent);
        assert_eq!(kept(&buffers), (2, 3 * LEN));
        drop(buffers.take(3 * LEN + 1));
        drop(buffers.take(LEN - 1));
        assert_eq!(kept(&buffers), (2, 3 * LEN), "neither too large nor small ones are kept");
        drop(buffers.take(3 * LEN));
        assert_eq!(kept(&buffers), (1, 3 * LEN));
    }

    #[test]
    fn reading_is_exact() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let content: Vec<u8> = (0..2 * LEN + 9).map(|index| (index % 253) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = File::open(&path).unwrap();
        let buffers = Buffers::new(8 * LEN);
        for _ in 0..2 {
            for (offset, len) in [(0, LEN), (LEN, LEN), (5, 2 * LEN), (2 * LEN, 9), (7, 0)] {
                let piece = buffers.read(&file, offset as u64, len).unwrap();
                assert!(piece[..] == content[offset..offset + len]);
            }
        }
        let beyond = buffers.read(&file, LEN as u64, 2 * LEN).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }
}
