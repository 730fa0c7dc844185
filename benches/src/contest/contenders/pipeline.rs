//! Reading, hashing and writing files beside the socket: a thread for the file, the caller's thread for the channel, and
//! between them a bounded queue of buffers that go round.

use std::{
    io::{Read, Write},
    ops::{Deref, DerefMut},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use fulmar_disk::{Source, Staging};
use fulmar_proto::digest::Digest;

/// The length of a buffer. With [`BUFFERS`] of them all stay in a core's cache of a few MiB.
const BUFFER_BYTES: usize = 256 * 1024;

/// How many buffers go round.
const BUFFERS: usize = 4;

/// Buffers begin at a cache line, as fulmar's do: where the system's allocator puts them, reading a file takes up to three times as long.
const ALIGNMENT: usize = 64;

/// A buffer with as many bytes of the file as its length says.
struct Buffer {
    bytes: Vec<u8>,
    lead: usize,
    len: usize,
}

impl Buffer {
    fn new() -> Self {
        let bytes = vec![0; BUFFER_BYTES + ALIGNMENT];
        let lead = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, lead, len: BUFFER_BYTES }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.lead..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.lead..][..self.len]
    }
}

/// Two queues: one for full buffers, which is empty at first, and one for empty buffers, which holds them all.
struct Queues {
    give_full: SyncSender<Buffer>,
    take_full: Receiver<Buffer>,
    give_empty: SyncSender<Buffer>,
    take_empty: Receiver<Buffer>,
}

impl Queues {
    fn new() -> Result<Self> {
        let (give_full, take_full) = sync_channel(BUFFERS);
        let (give_empty, take_empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            give_empty.send(Buffer::new())?;
        }
        Ok(Self { give_full, take_full, give_empty, take_empty })
    }
}

/// The lengths of the buffers that `size` bytes make.
fn lens(size: u64) -> impl Iterator<Item = usize> {
    let full = BUFFER_BYTES as u64;
    (0..size.div_ceil(full))
        .map(move |index| usize::try_from(size - index * full).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES))
}

/// Reads and hashes the first `size` bytes of `source` and writes them to `channel`.
pub(super) fn send(source: &Source, size: u64, channel: &mut impl Write) -> Result<Digest> {
    let Queues { give_full, take_full, give_empty, take_empty } = Queues::new()?;
    thread::scope(move |scope| {
        let reading = scope.spawn(move || -> Result<Digest> {
            let mut hasher = blake3::Hasher::new();
            let mut offset = 0;
            for len in lens(size) {
                let mut buffer = take_empty.recv().context("nobody sends any more")?;
                buffer.len = len;
                source.read_at(&mut buffer, offset)?;
                hasher.update(&buffer);
                offset += len as u64;
                give_full.send(buffer).map_err(|_| anyhow!("nobody sends any more"))?;
            }
            Ok(Digest(*hasher.finalize().as_bytes()))
        });
        for buffer in take_full {
            channel.write_all(&buffer)?;
            // Once everything has been read, nobody takes buffers back.
            drop(give_empty.send(buffer));
        }
        reading.join().map_err(|_| anyhow!("the reading thread has panicked"))?
    })
}

/// Reads `size` bytes from `channel`, hashes them and writes them to `staging`.
pub(super) fn receive(channel: &mut impl Read, size: u64, staging: &Staging) -> Result<Digest> {
    let Queues { give_full, take_full, give_empty, take_empty } = Queues::new()?;
    thread::scope(move |scope| {
        let writing = scope.spawn(move || -> Result<Digest> {
            let mut hasher = blake3::Hasher::new();
            let mut offset = 0;
            for buffer in take_full {
                hasher.update(&buffer);
                staging.write_at(&buffer, offset)?;
                offset += buffer.len() as u64;
                drop(give_empty.send(buffer));
            }
            Ok(Digest(*hasher.finalize().as_bytes()))
        });
        let mut arrived = || -> Result<()> {
            for len in lens(size) {
                // A writer that has failed takes and gives no more buffers; its error is the one to tell.
                let Ok(mut buffer) = take_empty.recv() else { return Ok(()) };
                buffer.len = len;
                channel.read_exact(&mut buffer)?;
                if give_full.send(buffer).is_err() {
                    return Ok(());
                }
            }
            Ok(())
        };
        let arrived = arrived();
        drop(give_full);
        let written = writing.join().map_err(|_| anyhow!("the writing thread has panicked"))?;
        arrived.and(written)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_disk::Dir;

    #[test]
    fn lengths_add_up_and_only_the_last_is_short() {
        let full = BUFFER_BYTES as u64;
        for size in [0, 1, full - 1, full, full + 1, 5 * full, 5 * full + 7] {
            let lens: Vec<usize> = lens(size).collect();
            assert_eq!(lens.iter().sum::<usize>() as u64, size);
            assert!(lens.iter().rev().skip(1).all(|len| *len == BUFFER_BYTES));
            assert!(lens.iter().all(|len| *len > 0));
        }
    }

    #[test]
    fn what_is_sent_is_what_is_received() {
        let dir = tempfile::tempdir().expect("a folder");
        for size in [0, 1, BUFFER_BYTES, 9 * BUFFER_BYTES + 5] {
            let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            let path = dir.path().join("source");
            std::fs::write(&path, &bytes).expect("written");
            let mut wire = Vec::new();
            let source = Source::open_local(&path).expect("there");
            let sent = send(&source, size as u64, &mut wire).expect("sent");
            assert!(wire == bytes);
            let ambient = Dir::open_ambient(dir.path()).expect("there");
            let staging = Staging::create(&ambient, "staged", Some(size as u64)).expect("room");
            let received = receive(&mut &wire[..], size as u64, &staging).expect("received");
            assert_eq!(sent, received);
            assert_eq!(sent.0, *blake3::hash(&bytes).as_bytes());
            assert!(std::fs::read(dir.path().join("staged")).expect("there") == bytes);
        }
    }

    #[test]
    fn an_early_end_is_an_error_on_both_sides() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("source");
        let size = 20 * BUFFER_BYTES as u64;
        std::fs::write(&path, vec![0; 20 * BUFFER_BYTES]).expect("written");
        let source = Source::open_local(&path).expect("there");
        assert!(send(&source, size, &mut Broken).is_err());
        assert!(send(&source, size + 1, &mut Vec::new()).is_err(), "the file is shorter than said");
        let ambient = Dir::open_ambient(dir.path()).expect("there");
        let staging = Staging::create(&ambient, "staged", None).expect("room");
        assert!(receive(&mut &[0; 1000][..], size, &staging).is_err());
    }
}
