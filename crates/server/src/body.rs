//! Bodies: raw bytes between frames, piece by piece, within the memory pool.

use bytes::Bytes;
use fulmar_proto::{
    code::ResetCode,
    digest::{RangeDigest, RangeHasher},
    error::{ErrorCode, Failure},
    range::{MAX_RANGE_BYTES, Range},
    trailer::Trailer,
};
use fulmar_store::{Object, RangeWriter, StoreError};
use fulmar_transport::{BytePool, Lease, StreamError};
use tokio::time::timeout;

use crate::exchange::{CommandError, Exchange};

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
    let mut missing = range.len();
    while missing > 0 {
        let piece = receive_piece(exchange, pool, missing.min(exchange.limits().piece_bytes)).await?;
        let len = u32::try_from(piece.bytes.len()).map_err(|_| CommandError::code(ErrorCode::INTERNAL))?;
        missing -= len;
        exchange.account.bytes += u64::from(len);
        writer.write(piece.bytes).await?;
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

/// A part of a body, and the memory that it is on loan in.
struct Piece {
    bytes: Bytes,
    _lease: Lease,
}

/// Receives 1 to `len` bytes: as many as arrive while the lease may be held. Memory is borrowed once the first bytes
/// are there and not while a peer is only expected to send, so that silent peers hold none of it.
async fn receive_piece(exchange: &mut Exchange, pool: &BytePool, len: u32) -> Result<Piece, CommandError> {
    let (stall_timeout, hold_time) = (exchange.limits().stall_timeout, exchange.limits().hold_time);
    let len = len as usize;
    let progress = exchange.progress();
    let first = match progress.within(stall_timeout, exchange.receiver.read_body_chunk(len)).await {
        Ok(first) => first?,
        Err(_) => return Err(CommandError::code(ErrorCode::STALLED)),
    };
    let lease = pool.lease(u32::try_from(len).unwrap_or(u32::MAX)).await;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&first);
    let fill = async {
        while bytes.len() < len {
            let chunk = exchange.receiver.read_body_chunk(len - bytes.len()).await?;
            bytes.extend_from_slice(&chunk);
        }
        Ok::<_, StreamError>(())
    };
    match timeout(hold_time, fill).await {
        Ok(filled) => filled?,
        // What has arrived so far is written, and the memory goes to somebody else meanwhile.
        Err(_) => bytes.shrink_to_fit(),
    }
    Ok(Piece { bytes: Bytes::from(bytes), _lease: lease })
}

async fn receive_trailer(exchange: &mut Exchange) -> Result<Trailer, CommandError> {
    let (stall_timeout, progress) = (exchange.limits().stall_timeout, exchange.progress());
    match progress.within(stall_timeout, exchange.receiver.recv_growing()).await {
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
        let lease = pool.lease(len).await;
        match object.read(offset, len, hasher).await {
            Ok((bytes, next)) => {
                hasher = next;
                send_piece(exchange, pool, object, offset, Piece { bytes, _lease: lease }).await?;
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

/// How much of a piece is kept while a peer takes nothing of it.
const KEPT_BYTES: usize = 1024;

/// Sends one piece of a file that begins at `offset`. When the peer takes nothing for a while, the piece is let go of,
/// all but a few bytes to wait with, and read again when it is wanted: peers that do not listen hold no memory.
async fn send_piece(
    exchange: &mut Exchange,
    pool: &BytePool,
    object: &dyn Object,
    offset: u64,
    piece: Piece,
) -> Result<(), CommandError> {
    let end = offset + piece.bytes.len() as u64;
    let mut piece = piece;
    while !piece.bytes.is_empty() {
        let hold_time = exchange.limits().hold_time;
        if let Ok(sent) = timeout(hold_time, exchange.sender.send_some(&mut piece.bytes)).await {
            sent?;
            continue;
        }
        let mut kept = Bytes::copy_from_slice(&piece.bytes[..piece.bytes.len().min(KEPT_BYTES)]);
        let next = end - (piece.bytes.len() - kept.len()) as u64;
        drop(piece);
        while !kept.is_empty() {
            let (stall_timeout, progress) = (exchange.limits().stall_timeout, exchange.progress());
            match progress.within(stall_timeout, exchange.sender.send_some(&mut kept)).await {
                Ok(sent) => sent?,
                // A frame in the middle of a body would be taken for bytes of it.
                Err(_) => return Err(CommandError::Abandoned(ResetCode::STALLED)),
            }
        }
        if next == end {
            return Ok(());
        }
        piece = read_again(pool, object, next, end).await?;
    }
    Ok(())
}

/// Reads bytes that have been hashed before. Should they have changed meanwhile, the digest in the trailer tells.
async fn read_again(
    pool: &BytePool,
    object: &dyn Object,
    offset: u64,
    end: u64,
) -> Result<Piece, CommandError> {
    let len = u32::try_from(end - offset).map_err(|_| CommandError::code(ErrorCode::INTERNAL))?;
    let lease = pool.lease(len).await;
    let unused = Range::new(0, MAX_RANGE_BYTES).map_err(|_| CommandError::code(ErrorCode::INTERNAL))?;
    match object.read(offset, len, RangeHasher::new(unused)).await {
        Ok((bytes, _)) => Ok(Piece { bytes, _lease: lease }),
        Err(_) => Err(CommandError::Abandoned(ResetCode::INTERNAL)),
    }
}

/// Fills the body up and ends it in the error, which is then the command's result.
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
    let code = failure.code;
    exchange.sender.send(&Trailer::Failed(failure)).await?;
    Err(CommandError::Told(code))
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
