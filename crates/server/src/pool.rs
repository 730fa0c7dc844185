//! The process-wide bound on memory for bodies.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit in which the pool counts, in bytes.
const UNIT_BYTES: u64 = 1024;

/// Lends bytes out of a fixed amount. Whoever cannot get enough waits, in order, and with it its peer, by flow control.
#[derive(Clone, Debug)]
pub(crate) struct BytePool {
    units: Arc<Semaphore>,
    total_units: u32,
}

/// Bytes on loan; they go back when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    _permit: OwnedSemaphorePermit,
}

impl BytePool {
    /// A pool of `total_bytes`, at least one mebibyte.
    pub(crate) fn new(total_bytes: u64) -> Self {
        let units = (total_bytes / UNIT_BYTES).clamp(1024, u64::from(u32::MAX >> 3));
        let total_units = u32::try_from(units).unwrap_or(u32::MAX >> 3);
        Self { units: Arc::new(Semaphore::new(total_units as usize)), total_units }
    }

    /// Borrows `bytes`, or the whole pool when it is smaller than that.
    pub(crate) async fn lease(&self, bytes: u32) -> Lease {
        let units = u64::from(bytes).div_ceil(UNIT_BYTES).min(u64::from(self.total_units));
        let permit = self.units.clone().acquire_many_owned(u32::try_from(units).unwrap_or(1)).await;
        Lease { _permit: permit.expect("the pool's semaphore is never closed") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pool_lends_no_more_than_it_has() {
        let pool = BytePool::new(1 << 20);
        let half = pool.lease(512 << 10).await;
        let rest = pool.lease(512 << 10).await;
        let mut third = Box::pin(pool.lease(1));
        assert!(futures_pending(&mut third).await);
        drop(half);
        let third = third.await;
        drop((rest, third));
        // More than there is takes everything instead of waiting for ever.
        drop(pool.lease(u32::MAX).await);
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }
}
