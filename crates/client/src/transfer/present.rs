//! The target exists and may hold the same bytes: comparing digests instead of sending.

use std::io::Read;

use fulmar_proto::{
    digest::Digest,
    error::{ErrorCode, Failure},
    upload::Present,
};

use super::{Observer, reader};
use crate::{error::Error, session::Session};

/// The digest of what is there, from the server's catalog or computed by it now.
pub(crate) async fn remote_digest(
    session: &Session,
    present: &Present,
    observer: &dyn Observer,
) -> Result<Digest, Error> {
    match present.root {
        Some(root) => Ok(root),
        None => Ok(session.hash(&present.path, false, observer).await?.1),
    }
}

/// The target holds other bytes.
pub(super) fn exists(present: &Present) -> Error {
    Error::Server(Failure::new(ErrorCode::EXISTS).about(present.path.clone()))
}

/// The length and digest of what a reader gives, or none as soon as it gives more than `limit` bytes.
pub(super) async fn hash_reader(
    reader: Box<dyn Read + Send>,
    limit: u64,
) -> Result<Option<(u64, Digest)>, Error> {
    let mut pieces = reader::pieces(reader).map_err(Error::System)?;
    let mut hasher = blake3::Hasher::new();
    let mut len = 0;
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(Error::Stdio)?;
        len += piece.len() as u64;
        if len > limit {
            return Ok(None);
        }
        hasher.update(&piece);
    }
    Ok(Some((len, Digest(*hasher.finalize().as_bytes()))))
}
