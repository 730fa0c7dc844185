//! The process-wide bound on memory for bodies and windows.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit in which the pool counts, in bytes.
const UNIT_BYTES: u32 = 1024;

/// Lends bytes out of a fixed amount. Whoever cannot get enough waits, in order, and with it its peer, by flow control.
#[derive(Clone, Debug)]
pub struct BytePool {
    units: Arc<Semaphore>,
    total_units: u32,
}

/// Bytes on loan; they go back when this is dropped.
#[derive(Debug)]
pub struct Lease {
    permit: OwnedSemaphorePermit,
}

impl Lease {
    /// How many bytes these are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.permit.num_permits() as u64 * u64::from(UNIT_BYTES)
    }
}

impl BytePool {
    /// A pool of `total_bytes`, at least one mebibyte.
    #[must_use]
    pub fn new(total_bytes: u64) -> Self {
        let units = (total_bytes / u64::from(UNIT_BYTES)).clamp(1024, u64::from(u32::MAX >> 3));
        let total_units = u32::try_from(units).unwrap_or(u32::MAX >> 3);
        Self { units: Arc::new(Semaphore::new(total_units as usize)), total_units }
    }

    /// Borrows `bytes`, or the whole pool when it is smaller than that.
    ///
    /// # Panics
    /// Never: the pool is not closed.
    pub async fn lease(&self, bytes: u32) -> Lease {
        let permit = self.units.clone().acquire_many_owned(self.units_of(bytes)).await;
        Lease { permit: permit.expect("the pool's semaphore is never closed") }
    }

    /// Borrows `bytes`, if nobody has to wait for that.
    #[must_use]
    pub fn try_lease(&self, bytes: u32) -> Option<Lease> {
        let permit = self.units.clone().try_acquire_many_owned(self.units_of(bytes));
        permit.ok().map(|permit| Lease { permit })
    }

    /// How many bytes nobody has borrowed.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.units.available_permits() as u64 * u64::from(UNIT_BYTES)
    }

    fn units_of(&self, bytes: u32) -> u32 {
        bytes.div_ceil(UNIT_BYTES).min(self.total_units)
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
        assert!(pool.try_lease(1).is_none());
        assert_eq!(pool.free_bytes(), 0);
        drop(half);
        let third = third.await;
        drop((rest, third));
        // More than there is takes everything instead of waiting for ever.
        drop(pool.lease(u32::MAX).await);
        assert_eq!(pool.free_bytes(), 1 << 20);
        drop(pool.try_lease(1).expect("all of it is there"));
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }
}
