//! Bodies: raw bytes between frames, piece by piece, within the memory pool.

use bytes::Bytes;
use fulmar_proto::{
    digest::{RangeDigest, RangeHasher},
    error::{ErrorCode, Failure},
    range::Range,
    trailer::Trailer,
};
use fulmar_store::{Object, RangeWriter, StoreError};
use tokio::time::timeout;

use crate::{
    exchange::{CommandError, Exchange},
    pool::BytePool,
};

/// The lengths of the pieces in which `len` bytes are moved.
fn pieces(len: u32, piece_bytes: u32) -> impl Iterator<Item = u32> {
    (0..len.div_ceil(piece_bytes)).map(move |index| piece_bytes.min(len - index * piece_bytes))
}

/// Receives the body of one range and its trailer, and gives them to `writer`. Returns the range's digest, on which
/// both sides agree.
pub(crate) async fn receive_range(
    exchange: &mut Exchange,
    pool: &BytePool,
    mut writer: Box<dyn RangeWriter>,
    range: Range,
) -> Result<RangeDigest, CommandError> {
    for len in pieces(range.len(), exchange.limits().piece_bytes) {
        let _lease = pool.lease(len).await;
        let piece = receive_piece(exchange, len).await?;
        exchange.account.bytes += u64::from(len);
        writer.write(piece).await?;
    }
    match receive_trailer(exchange).await? {
        Trailer::Range(digest) => {
            writer.finish(digest).await?;
            Ok(digest)
        }
        Trailer::Failed(failure) => Err(given_up(&failure)),
        Trailer::Empty => Err(CommandError::code(ErrorCode::MALFORMED)),
    }
}

/// Receives the trailer of a body without bytes.
pub(crate) async fn receive_nothing(exchange: &mut Exchange) -> Result<(), CommandError> {
    match receive_trailer(exchange).await? {
        Trailer::Empty => Ok(()),
        Trailer::Failed(failure) => Err(given_up(&failure)),
        Trailer::Range(_) => Err(CommandError::code(ErrorCode::MALFORMED)),
    }
}

/// The sender of a body gave it up; it is told back what it said, as the reply to its command.
fn given_up(failure: &Failure) -> CommandError {
    CommandError::Failed(Failure::new(ErrorCode::CANCELLED).saying(failure.code.word()))
}

/// Reads `len` bytes. A peer that sends nothing for too long is given up.
async fn receive_piece(exchange: &mut Exchange, len: u32) -> Result<Bytes, CommandError> {
    let stall_timeout = exchange.limits().stall_timeout;
    let mut piece = vec![0; len as usize];
    let mut filled = 0;
    while filled < piece.len() {
        // Progress is judged by small steps, so that a slow link is not taken for a silent peer.
        let step = (piece.len() - filled).min(16 * 1024);
        let read = exchange.receiver.read_body(&mut piece[filled..filled + step]);
        match timeout(stall_timeout, read).await {
            Ok(result) => result?,
            Err(_) => return Err(CommandError::code(ErrorCode::STALLED)),
        }
        filled += step;
    }
    Ok(Bytes::from(piece))
}

async fn receive_trailer(exchange: &mut Exchange) -> Result<Trailer, CommandError> {
    let stall_timeout = exchange.limits().stall_timeout;
    match timeout(stall_timeout, exchange.receiver.recv_growing()).await {
        Ok(trailer) => trailer?.ok_or(CommandError::code(ErrorCode::MALFORMED)),
        Err(_) => Err(CommandError::code(ErrorCode::STALLED)),
    }
}

/// Sends `range` of an open file and its trailer. The frame that announces the body has been sent already, so that an
/// error from here on must travel in the trailer, behind filling bytes.
pub(crate) async fn send_range(
    exchange: &mut Exchange,
    pool: &BytePool,
    object: &dyn Object,
    range: Range,
) -> Result<(), CommandError> {
    let mut hasher = RangeHasher::new(range);
    let mut offset = range.offset();
    for len in pieces(range.len(), exchange.limits().piece_bytes) {
        let _lease = pool.lease(len).await;
        match object.read(offset, len, hasher).await {
            Ok((piece, next)) => {
                hasher = next;
                exchange.sender.send_bytes(piece).await?;
            }
            Err(error) => return send_failure(exchange, range.end() - offset, error).await,
        }
        offset += u64::from(len);
        exchange.account.bytes += u64::from(len);
    }
    let digest = hasher.finish().map_err(|_| CommandError::code(ErrorCode::INTERNAL))?;
    match object.check().await {
        Ok(()) => Ok(exchange.sender.send(&Trailer::Range(digest)).await?),
        Err(error) => send_failure(exchange, 0, error).await,
    }
}

/// Fills the body up and ends it in the error, which is then the command's result for the log.
async fn send_failure(exchange: &mut Exchange, missing: u64, error: StoreError) -> Result<(), CommandError> {
    let CommandError::Failed(failure) = CommandError::from(error) else {
        return Err(CommandError::code(ErrorCode::INTERNAL));
    };
    let piece_bytes = u64::from(exchange.limits().piece_bytes);
    let mut missing = missing;
    while missing > 0 {
        let step = missing.min(piece_bytes);
        let filling = vec![0; usize::try_from(step).unwrap_or_default()];
        exchange.sender.send_bytes(Bytes::from(filling)).await?;
        missing -= step;
    }
    exchange.sender.send(&Trailer::Failed(failure)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_add_up() {
        for len in [0, 1, 255, 256, 257, 512, 2 << 20] {
            assert_eq!(pieces(len, 256).map(u64::from).sum::<u64>(), u64::from(len));
            assert!(pieces(len, 256).all(|piece| (1..=256).contains(&piece)));
        }
    }
}
