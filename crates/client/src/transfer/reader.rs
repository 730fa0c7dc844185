//! A reader of unknown length, read ahead on a thread of its own.

use std::io::{self, Read};

use tokio::sync::mpsc;

/// The length of each piece but the last: a full range.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// How many pieces are read ahead.
const AHEAD: usize = 2;

/// Starts to read. Each piece but the last is [`PIECE_BYTES`] long; the channel ends after the last one or an error.
///
/// The thread ends when the reader does, or at its next piece once the receiver is dropped. A read that never returns
/// keeps it, which is why no pool's thread is used.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn pieces(reader: Box<dyn Read + Send>) -> io::Result<mpsc::Receiver<io::Result<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::Builder::new().name("fulmar-reader".to_owned()).spawn(move || {
        let mut reader = reader;
        loop {
            let piece = read_piece(reader.as_mut());
            let last = !matches!(&piece, Ok(piece) if piece.len() == PIECE_BYTES);
            let empty = matches!(&piece, Ok(piece) if piece.is_empty());
            if empty || sender.blocking_send(piece).is_err() || last {
                return;
            }
        }
    })?;
    Ok(receiver)
}

fn read_piece(reader: &mut (dyn Read + Send)) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    reader.take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(len: usize) -> Vec<usize> {
        let mut receiver = pieces(Box::new(io::Cursor::new(vec![7; len]))).expect("a thread");
        std::iter::from_fn(|| receiver.blocking_recv()).map(|piece| piece.expect("no error").len()).collect()
    }

    #[test]
    fn only_the_last_piece_is_short() {
        assert_eq!(lengths(0), Vec::<usize>::new());
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(PIECE_BYTES), [PIECE_BYTES]);
        assert_eq!(lengths(2 * PIECE_BYTES + 5), [PIECE_BYTES, PIECE_BYTES, 5]);
    }

    #[test]
    fn an_error_is_passed_on_and_ends_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let mut receiver = pieces(Box::new(Broken)).expect("a thread");
        assert!(receiver.blocking_recv().is_some_and(|piece| piece.is_err()));
        assert!(receiver.blocking_recv().is_none());
    }
}
