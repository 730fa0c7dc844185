//! Telling a peer that is silent from one that is busy with other streams.

use std::time::Duration;

use tokio::time::timeout;

/// Nothing has moved on any stream of the connection for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing moved on any stream for too long")]
pub struct Stalled;

/// Whether anything moves on a connection's streams.
///
/// On a slow link streams wait for each other: of sixteen ranges of 2 MiB over 1.4 Mbit/s the last one is silent for three
/// minutes although nobody is at fault. So the silence of one stream is no reason to give it up while others move.
#[derive(Clone, Debug)]
pub struct Progress {
    connection: quinn::Connection,
}

impl Progress {
    pub(super) fn new(connection: quinn::Connection) -> Self {
        Self { connection }
    }

    /// Waits for `work`, for as long as something moves on any stream of the connection, in either direction. Gives up
    /// once nothing has for `limit`, and at the latest after twice that.
    ///
    /// # Errors
    /// [`Stalled`]; `work` is dropped then.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, Stalled> {
        tokio::pin!(work);
        let mut moved = self.stream_frames();
        loop {
            if let Ok(done) = timeout(limit, &mut work).await {
                return Ok(done);
            }
            let now = self.stream_frames();
            if now == moved {
                return Err(Stalled);
            }
            moved = now;
        }
    }

    /// STREAM frames (RFC 9000 section 19.8) in either direction. Keep-alives carry none.
    fn stream_frames(&self) -> (u64, u64) {
        let stats = self.connection.stats();
        (stats.frame_rx.stream, stats.frame_tx.stream)
    }
}
