//! `Open`: what a file is, and its first bytes.

use fulmar_proto::{
    error::ErrorCode,
    path::RelPath,
    range::Range,
    reply::{Opened, Reply},
    trailer::Trailer,
};

use super::Outcome;
use crate::{
    body::send_range,
    command::Context,
    exchange::{CommandError, Exchange},
};

/// The longest first range that a file of `size` bytes allows when the client would take `wanted`: the whole file when
/// it is short enough, else a full range of a power of two.
fn first_range(wanted: u32, size: u64) -> Option<Range> {
    let whole = u32::try_from(size).ok().filter(|size| *size <= wanted);
    let len = whole.or_else(|| wanted.checked_ilog2().map(|log| 1 << log))?;
    Range::in_file(0, len, size).ok()
}

pub(super) async fn run(
    context: &Context,
    exchange: &mut Exchange,
    path: &RelPath,
    first_bytes: u32,
) -> Outcome {
    if first_bytes > context.limits.max_body_bytes {
        return Err(CommandError::code(ErrorCode::OVER_LIMIT));
    }
    let object = context.store.open(path).await?;
    let info = object.info().clone();
    let first = first_range(first_bytes, info.size);
    let body_bytes = first.map_or(0, |range| range.len());
    exchange
        .reply(&Reply::Opened(Opened {
            version: info.version,
            size: info.size,
            modified: info.modified,
            mode: info.mode,
            root: info.root,
            body_bytes,
        }))
        .await?;
    match first {
        Some(range) => send_range(exchange, &context.pool, object.as_ref(), range).await,
        None => Ok(exchange.sender.send(&Trailer::Empty).await?),
    }
}

#[cfg(test)]
mod tests {
    use super::first_range;

    #[test]
    fn the_first_range_is_the_whole_file_or_a_full_range() {
        let len = |wanted, size| first_range(wanted, size).map(|range| range.len());
        assert_eq!(len(2 << 20, 0), None);
        assert_eq!(len(0, 10), None);
        assert_eq!(len(2 << 20, 1), Some(1));
        assert_eq!(len(2 << 20, 100_000), Some(100_000));
        assert_eq!(len(2 << 20, 2 << 20), Some(2 << 20));
        assert_eq!(len(2 << 20, (2 << 20) + 1), Some(2 << 20));
        assert_eq!(len(1_500_000, 5 << 30), Some(1 << 20));
        // Too little for a full range of a longer file: nothing, rather than a piece that is no subtree.
        assert_eq!(len(1000, 5000), None);
        assert_eq!(len(u32::MAX, u64::MAX), None);
    }
}
