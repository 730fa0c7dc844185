//! Streams of frames and bodies.
//!
//! A stream carries frames (a little-endian `u32` length of at most 64 KiB and as many bytes) and, where a frame
//! announced them, raw body bytes. Its end (FIN) never means that something is complete, and a writer that is dropped
//! resets the stream: quinn would finish it, so that a cancelled or panicking writer looked like a clean end.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fulmar_proto::code::ResetCode;
use fulmar_proto::codec::{self, DecodeError, EncodeError, Growing, PREFIX_BYTES};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{ConnectionLost, narrow_code};
use crate::sending::Lane;

/// Why a stream could not be written or read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer gave up writing (RESET_STREAM, RFC 9000 section 19.4).
    #[error("the peer abandoned the stream: {} (code {})", .0.name(), .0.0)]
    Reset(ResetCode),
    /// The peer wants no more of what we write (STOP_SENDING, RFC 9000 section 19.5).
    #[error("the peer stopped the stream: {} (code {})", .0.name(), .0.0)]
    Stopped(ResetCode),
    /// The peer ended the stream inside a frame or body, or before one that had to come.
    #[error("the peer ended the stream too early")]
    Truncated,
    /// The peer sent a frame that breaks the protocol.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The caller's value does not fit a frame.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The connection is gone.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
    /// This side has ended the stream already, or an earlier write on it was cancelled halfway.
    #[error("the stream was ended here")]
    Ended,
}

impl From<quinn::WriteError> for StreamError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(code) => Self::Stopped(ResetCode(narrow_code(code))),
            quinn::WriteError::ConnectionLost(e) => Self::Lost(e.into()),
            quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected => Self::Ended,
        }
    }
}

impl From<quinn::ReadError> for StreamError {
    fn from(error: quinn::ReadError) -> Self {
        use quinn::ReadError as Error;
        match error {
            Error::Reset(code) => Self::Reset(ResetCode(narrow_code(code))),
            Error::ConnectionLost(e) => Self::Lost(e.into()),
            Error::ClosedStream | Error::IllegalOrderedRead | Error::ZeroRttRejected => Self::Ended,
        }
    }
}

/// The writing half of a stream. Dropping it resets the stream with [`ResetCode::CANCELLED`] unless it was finished.
#[derive(Debug)]
pub struct FrameSender {
    stream: quinn::SendStream,
    lane: Arc<Lane>,
    state: SenderState,
}

/// What may be done with a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SenderState {
    /// At a boundary between writes.
    Ready,
    /// Inside a write; still so afterwards when the write's future was dropped, which leaves a part of it sent.
    Writing,
    /// Finished or reset.
    Ended,
}

impl FrameSender {
    pub(crate) fn new(stream: quinn::SendStream, lane: Arc<Lane>) -> Self {
        Self { stream, lane, state: SenderState::Ready }
    }

    /// Sends one frame, waiting for the peer's credit.
    ///
    /// Not cancel-safe: when the future is dropped the frame may have been sent in part, and the stream can only be
    /// reset.
    ///
    /// # Errors
    /// [`StreamError::Encode`] (nothing was sent), [`StreamError::Stopped`], [`StreamError::Lost`], and
    /// [`StreamError::Ended`] after a cancelled write.
    pub async fn send<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), StreamError> {
        let frame = codec::encode_frame(value)?;
        self.lane.expect();
        self.send_bytes(Bytes::from(frame)).await
    }

    /// Sends raw bytes of a body without copying them, waiting for the peer's credit.
    ///
    /// Pieces of 256 KiB to 1 MiB cost the least. Not cancel-safe, as [`FrameSender::send`].
    ///
    /// # Errors
    /// [`StreamError::Stopped`], [`StreamError::Lost`], and [`StreamError::Ended`] after a cancelled write.
    pub async fn send_bytes(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        if self.state != SenderState::Ready {
            return Err(StreamError::Ended);
        }
        self.state = SenderState::Writing;
        self.stream.write_chunk(bytes).await?;
        self.state = SenderState::Ready;
        Ok(())
    }

    /// Sends some of the raw bytes of a body without copying them: as many as the peer's credit and the connection's
    /// send window take, at least one unless there are none. They are taken off the front of `bytes`.
    ///
    /// Cancel-safe: what was sent is gone from `bytes`, and nothing else happened.
    ///
    /// # Errors
    /// As [`FrameSender::send_bytes`].
    pub async fn send_some(&mut self, bytes: &mut Bytes) -> Result<(), StreamError> {
        if self.state != SenderState::Ready {
            return Err(StreamError::Ended);
        }
        if !bytes.is_empty() {
            self.stream.write_chunks(std::slice::from_mut(bytes)).await?;
        }
        Ok(())
    }

    /// Sets the stream's priority; of several streams with data to send, the highest goes first. New streams have 0.
    pub fn set_priority(&self, priority: i32) {
        // The only failure is a stream that has ended, whose priority no longer matters.
        let _ = self.stream.set_priority(priority);
    }

    /// Marks the end of the stream. What was sent goes on being delivered.
    ///
    /// # Errors
    /// [`StreamError::Ended`] after a cancelled or failed write: the stream is reset instead.
    pub fn finish(mut self) -> Result<(), StreamError> {
        if self.state != SenderState::Ready {
            return Err(StreamError::Ended);
        }
        self.state = SenderState::Ended;
        self.stream.finish().map_err(|_| StreamError::Ended)
    }

    /// Gives up: what the peer has not received yet, it may never receive.
    pub fn reset(mut self, code: ResetCode) {
        self.end(code);
    }

    /// Waits until the peer stops the stream (its code), or has received all of it up to the end (`None`).
    ///
    /// The future does not borrow the sender, so that it can be raced with writes and outlive [`FrameSender::finish`].
    pub fn stopped(
        &self,
    ) -> impl Future<Output = Result<Option<ResetCode>, StreamError>> + Send + Sync + 'static {
        let stopped = self.stream.stopped();
        async move {
            match stopped.await {
                Ok(code) => Ok(code.map(|code| ResetCode(narrow_code(code)))),
                Err(quinn::StoppedError::ConnectionLost(e)) => Err(StreamError::Lost(e.into())),
                Err(quinn::StoppedError::ZeroRttRejected) => Err(StreamError::Ended),
            }
        }
    }

    fn end(&mut self, code: ResetCode) {
        if self.state != SenderState::Ended {
            self.state = SenderState::Ended;
            // A stream that the peer or the connection's end has closed needs no reset.
            let _ = self.stream.reset(code.0.into());
        }
    }
}

impl Drop for FrameSender {
    fn drop(&mut self) {
        self.end(ResetCode::CANCELLED);
    }
}

/// The reading half of a stream. Dropping it before its end stops the stream with [`ResetCode::CANCELLED`].
///
/// At most one frame is buffered. Bytes are taken in stream order by whichever method asks for them next, so frames
/// and bodies can follow each other freely.
#[derive(Debug)]
pub struct FrameReceiver {
    stream: quinn::RecvStream,
    /// The part of a frame that has arrived: empty between frames.
    partial: BytesMut,
    ended: bool,
}

impl FrameReceiver {
    pub(crate) fn new(stream: quinn::RecvStream) -> Self {
        Self { stream, partial: BytesMut::new(), ended: false }
    }

    /// Receives one frame; `None` when the peer ended the stream before another one.
    ///
    /// Cancel-safe: when the future is dropped, the next call goes on where it stopped.
    ///
    /// # Errors
    /// [`StreamError::Malformed`], [`StreamError::Truncated`], [`StreamError::Reset`], [`StreamError::Lost`].
    pub async fn recv<T: Serialize + DeserializeOwned>(&mut self) -> Result<Option<T>, StreamError> {
        match self.recv_payload().await? {
            Some(payload) => Ok(Some(codec::decode_frame(&payload)?)),
            None => Ok(None),
        }
    }

    /// Receives one frame that has to come. Cancel-safe as [`FrameReceiver::recv`].
    ///
    /// # Errors
    /// As [`FrameReceiver::recv`]; the end of the stream is [`StreamError::Truncated`].
    pub async fn recv_expected<T: Serialize + DeserializeOwned>(&mut self) -> Result<T, StreamError> {
        self.recv().await?.ok_or(StreamError::Truncated)
    }

    /// Receives one frame whose type may have variants of a later minor version. Cancel-safe as
    /// [`FrameReceiver::recv`].
    ///
    /// # Errors
    /// As [`FrameReceiver::recv`]; such a variant is [`DecodeError::UnknownKind`], and the stream can be used on.
    pub async fn recv_growing<T>(&mut self) -> Result<Option<T>, StreamError>
    where
        T: Serialize + DeserializeOwned + Growing,
    {
        match self.recv_payload().await? {
            Some(payload) => Ok(Some(codec::decode_growing(&payload)?)),
            None => Ok(None),
        }
    }

    /// Receives the payload of one frame, at most 64 KiB, for callers that decode it themselves. Cancel-safe as
    /// [`FrameReceiver::recv`].
    ///
    /// # Errors
    /// [`StreamError::Malformed`] when the length is over the limit, before anything is allocated for it;
    /// [`StreamError::Truncated`], [`StreamError::Reset`], [`StreamError::Lost`].
    pub async fn recv_payload(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        loop {
            let missing = missing_bytes(&self.partial)?;
            if missing == 0 {
                let frame = std::mem::take(&mut self.partial);
                return Ok(Some(frame[PREFIX_BYTES..].to_vec()));
            }
            match self.stream.read_chunk(missing, true).await? {
                Some(chunk) => self.partial.extend_from_slice(&chunk.bytes),
                None if self.partial.is_empty() => {
                    self.ended = true;
                    return Ok(None);
                }
                None => {
                    self.ended = true;
                    return Err(StreamError::Truncated);
                }
            }
        }
    }

    /// Fills `body` with the next bytes of a body.
    ///
    /// Not cancel-safe: bytes that were taken are lost when the future is dropped. Use
    /// [`FrameReceiver::read_body_chunk`] where that matters.
    ///
    /// # Errors
    /// [`StreamError::Truncated`] when the stream ends before; [`StreamError::Reset`], [`StreamError::Lost`].
    pub async fn read_body(&mut self, body: &mut [u8]) -> Result<(), StreamError> {
        let mut filled = 0;
        while filled < body.len() {
            let chunk = self.read_body_chunk(body.len() - filled).await?;
            body[filled..filled + chunk.len()].copy_from_slice(&chunk);
            filled += chunk.len();
        }
        Ok(())
    }

    /// The next bytes of a body, as they arrived and without copying: at least one, at most `max_len`. With
    /// `max_len` 0 there are none.
    ///
    /// Cancel-safe: when the future is dropped, nothing has been taken.
    ///
    /// # Errors
    /// [`StreamError::Truncated`] when the stream has ended: a body has a declared length, so there was more to come.
    /// [`StreamError::Reset`], [`StreamError::Lost`].
    pub async fn read_body_chunk(&mut self, max_len: usize) -> Result<Bytes, StreamError> {
        if max_len == 0 {
            return Ok(Bytes::new());
        }
        if !self.partial.is_empty() {
            let len = self.partial.len().min(max_len);
            return Ok(self.partial.split_to(len).freeze());
        }
        if let Some(chunk) = self.stream.read_chunk(max_len, true).await? {
            return Ok(chunk.bytes);
        }
        self.ended = true;
        Err(StreamError::Truncated)
    }

    /// Asks the peer to write no more, and drops what has arrived.
    pub fn stop(mut self, code: ResetCode) {
        self.end(code);
    }

    fn end(&mut self, code: ResetCode) {
        if !self.ended {
            self.ended = true;
            // A stream that has ended or was reset needs no stop.
            let _ = self.stream.stop(code.0.into());
        }
    }
}

impl Drop for FrameReceiver {
    fn drop(&mut self) {
        self.end(ResetCode::CANCELLED);
    }
}

/// How many bytes a frame still lacks: first of its prefix, then of its payload.
fn missing_bytes(partial: &[u8]) -> Result<usize, DecodeError> {
    match partial.first_chunk::<PREFIX_BYTES>() {
        None => Ok(PREFIX_BYTES - partial.len()),
        Some(prefix) => Ok((PREFIX_BYTES + codec::frame_len(*prefix)?).saturating_sub(partial.len())),
    }
}

#[cfg(test)]
mod tests;
