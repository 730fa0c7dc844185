//! What the ends of a flow do: the receiver asks, the sender sends, the receiver counts.
//!
//! Bulk begins when the receiver's request has arrived, as with any command. Without that a client whose last handshake
//! packet is lost fills its window with data that the server cannot decrypt yet, and the repetition waits behind it.

use std::time::Duration;

use bytes::Bytes;
use quinn_proto::{Connection, Dir, StreamEvent, StreamId, VarInt, WriteError};

/// The length of a stream. More than 2 MiB would be dangerous on a lossy path: quinn closes a connection once 1,024 gaps are
/// open on one stream.
const STREAM_BYTES: u64 = 1 << 20;

/// What is sent, over and over.
static ZEROS: [u8; STREAM_BYTES as usize] = [0; STREAM_BYTES as usize];

/// What one end does.
pub(super) enum Bulk {
    Source(Source),
    Sink(Sink),
}

/// The end that sends.
pub(super) struct Source {
    /// What is not written yet; without a number it never ends.
    left: Option<u64>,
    /// The stream that is being written, and what still goes onto it.
    current: Option<(StreamId, u64)>,
    opened: i32,
    asked: bool,
    /// Whether writing waits for the windows.
    blocked: bool,
}

/// The end that receives.
pub(super) struct Sink {
    wanted: Option<u64>,
    asked: bool,
    received: u64,
    finished: Option<Duration>,
}

impl Bulk {
    pub(super) fn source(amount_bytes: Option<u64>) -> Self {
        let (current, opened, asked, blocked) = (None, 0, false, false);
        Self::Source(Source { left: amount_bytes, current, opened, asked, blocked })
    }

    pub(super) fn sink(amount_bytes: Option<u64>) -> Self {
        Self::Sink(Sink { wanted: amount_bytes, asked: false, received: 0, finished: None })
    }

    /// Takes note of what happened to a stream.
    pub(super) fn hear(&mut self, connection: &mut Connection, event: &StreamEvent) {
        let arrived = match event {
            StreamEvent::Opened { dir } => accept(connection, *dir),
            StreamEvent::Readable { id } => read(connection, *id),
            _ => 0,
        };
        match self {
            Self::Source(source) => {
                source.asked |= arrived > 0;
                source.blocked &=
                    !matches!(event, StreamEvent::Writable { .. } | StreamEvent::Available { .. });
            }
            Self::Sink(sink) => sink.received += arrived,
        }
    }

    /// Does what can be done now that the handshake is complete.
    pub(super) fn act(&mut self, connection: &mut Connection, now: Duration) -> Act {
        match self {
            Self::Source(source) => {
                source.write(connection);
                Act::Continue
            }
            Self::Sink(sink) => sink.act(connection, now),
        }
    }

    pub(super) fn received_bytes(&self) -> u64 {
        match self {
            Self::Source(_) => 0,
            Self::Sink(sink) => sink.received,
        }
    }

    /// When all had arrived.
    pub(super) fn finished(&self) -> Option<Duration> {
        match self {
            Self::Source(_) => None,
            Self::Sink(sink) => sink.finished,
        }
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Continue,
    /// Everything has arrived.
    Close,
}

impl Sink {
    fn act(&mut self, connection: &mut Connection, now: Duration) -> Act {
        if !self.asked {
            self.asked = ask(connection);
        }
        if self.finished.is_none() && self.wanted.is_some_and(|wanted| self.received >= wanted) {
            self.finished = Some(now);
            return Act::Close;
        }
        Act::Continue
    }
}

impl Source {
    /// Writes until the windows are full. Streams that began earlier go first, so that what is lost of them is not repeated
    /// behind everything else.
    fn write(&mut self, connection: &mut Connection) {
        while self.asked && !self.blocked {
            let Some((id, room)) = self.current.or_else(|| self.open(connection)) else { return };
            if room == 0 {
                // The receiver never stops a stream; a connection that is gone is noticed by its event.
                let _ = connection.send_stream(id).finish();
                self.current = None;
                continue;
            }
            let length = usize::try_from(room).unwrap_or(ZEROS.len()).min(ZEROS.len());
            let mut pieces = [Bytes::from_static(&ZEROS[..length])];
            match connection.send_stream(id).write_chunks(&mut pieces) {
                Ok(written) => self.current = Some((id, room - written.bytes as u64)),
                Err(WriteError::Blocked | WriteError::Stopped(_) | WriteError::ClosedStream) => {
                    self.current = Some((id, room));
                    self.blocked = true;
                }
            }
        }
    }

    /// The next stream and what goes onto it; none when nothing is left, or no more streams may be opened now.
    fn open(&mut self, connection: &mut Connection) -> Option<(StreamId, u64)> {
        let length = self.left.unwrap_or(STREAM_BYTES).min(STREAM_BYTES);
        if length == 0 {
            return None;
        }
        let Some(id) = connection.streams().open(Dir::Uni) else {
            self.blocked = true;
            return None;
        };
        // A stream that was just opened is there.
        let _ = connection.send_stream(id).set_priority(-self.opened);
        self.opened = self.opened.saturating_add(1);
        self.left = self.left.map(|left| left - length);
        self.current = Some((id, length));
        self.current
    }
}

/// Asks for the data, once a stream may be opened.
fn ask(connection: &mut Connection) -> bool {
    let Some(id) = connection.streams().open(Dir::Uni) else { return false };
    let mut stream = connection.send_stream(id);
    let written = stream.write(&[1]).is_ok();
    written && stream.finish().is_ok()
}

fn accept(connection: &mut Connection, dir: Dir) -> u64 {
    let mut bytes = 0;
    while let Some(id) = connection.streams().accept(dir) {
        bytes += read(connection, id);
    }
    bytes
}

/// Takes everything that has arrived on a stream, in whatever order: each byte counts once, when it arrives.
fn read(connection: &mut Connection, id: StreamId) -> u64 {
    let mut stream = connection.recv_stream(id);
    // A stream that was read to its end is gone; its last event may still be on the way.
    let Ok(mut chunks) = stream.read(false) else { return 0 };
    let mut bytes = 0;
    while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
        bytes += chunk.bytes.len() as u64;
    }
    // The connection is asked for what it wants to transmit in any case.
    let _ = chunks.finalize();
    bytes
}

/// The code of a close after everything arrived.
pub(super) const DONE: VarInt = VarInt::from_u32(0);
