//! How much of a tree is in flight at once.

use fulmar_proto::hello::Limits;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::transfer::MAX_IN_FLIGHT;

/// Commands that are left to others on the same connection.
const MARGIN: u32 = 16;

/// The most bytes of small files in flight at once.
const MAX_BYTES: u64 = 64 << 20;

/// Bytes are counted in units of this many.
const UNIT_BYTES: u64 = 1 << 10;

/// How many files are transferred in ranges at the same time. Each takes up to 32 MiB, and four hide the round trips that
/// each costs at its beginning and end.
const MAX_LARGE_FILES: usize = 4;

/// Bounds the commands, bytes and large files in flight by what the server allows and by memory. Whoever asks first is
/// served first, and everybody asks for everything at once and in the same order, so that nobody waits for ever.
#[derive(Debug)]
pub(super) struct Window {
    commands: Semaphore,
    most_commands: u32,
    units: Semaphore,
    large: Semaphore,
}

/// Something that is in flight, until dropped.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    _large: Option<SemaphorePermit<'a>>,
    _units: Option<SemaphorePermit<'a>>,
    _commands: Option<SemaphorePermit<'a>>,
}

impl Window {
    pub(super) fn new(limits: &Limits) -> Self {
        let most_commands = most_commands(limits.max_commands);
        Self {
            commands: Semaphore::new(most_commands as usize),
            most_commands,
            units: Semaphore::new(units(MAX_BYTES) as usize),
            large: Semaphore::new(MAX_LARGE_FILES),
        }
    }

    /// Waits for room for one command without a body.
    pub(super) async fn command(&self) -> Flight<'_> {
        self.fly(1, None, false).await
    }

    /// Waits for room for one command with a body this long.
    pub(super) async fn small(&self, bytes: u64) -> Flight<'_> {
        self.fly(1, Some(units(bytes.min(MAX_BYTES))), false).await
    }

    /// Waits for room for a file that goes in ranges.
    pub(super) async fn large(&self) -> Flight<'_> {
        let ranges = u32::try_from(MAX_IN_FLIGHT).unwrap_or(u32::MAX);
        self.fly(ranges.min(self.most_commands), None, true).await
    }

    /// None of the semaphores is ever closed, so that each permit is there in the end.
    async fn fly(&self, commands: u32, units: Option<u32>, is_large: bool) -> Flight<'_> {
        let large = if is_large { self.large.acquire().await.ok() } else { None };
        let units = match units {
            Some(units) => self.units.acquire_many(units).await.ok(),
            None => None,
        };
        let commands = self.commands.acquire_many(commands).await.ok();
        Flight { _large: large, _units: units, _commands: commands }
    }
}

/// How many of the server's commands are ours. Of very few a half.
fn most_commands(allowed: u32) -> u32 {
    allowed.saturating_sub(MARGIN).max(allowed / 2).max(1)
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn window(max_commands: u32) -> Window {
        Window::new(&Limits { max_commands, max_body_bytes: 2 << 20, stall_timeout_ms: 60_000 })
    }

    #[test]
    fn a_margin_is_left() {
        for (allowed, ours) in [(256, 240), (33, 17), (20, 10), (2, 1), (1, 1), (0, 1)] {
            assert_eq!(most_commands(allowed), ours, "{allowed}");
        }
    }

    #[test]
    fn small_files_are_bounded_by_number_and_by_bytes() {
        let window = window(256);
        let mut flights: Vec<_> =
            (0..240).map(|_| window.small(4_096).now_or_never().expect("room")).collect();
        assert!(window.small(0).now_or_never().is_none(), "the commands are all taken");
        flights.pop();
        assert!(window.command().now_or_never().is_some());
        flights.clear();
        let flights: Vec<_> = (0..32).map(|_| window.small(2 << 20).now_or_never().expect("room")).collect();
        assert!(window.small(1).now_or_never().is_none(), "the bytes are all taken");
        assert!(window.command().now_or_never().is_some(), "a directory has no bytes");
        drop(flights);
        assert!(window.small(u64::MAX).now_or_never().is_some(), "nothing is too long for ever");
    }

    #[test]
    fn large_files_are_few() {
        let window = window(256);
        let flights: Vec<_> =
            (0..MAX_LARGE_FILES).map(|_| window.large().now_or_never().expect("room")).collect();
        assert!(window.large().now_or_never().is_none());
        assert!(window.small(1 << 20).now_or_never().is_some(), "small ones go on beside them");
        drop(flights);
    }

    #[test]
    fn a_server_that_allows_little_is_asked_for_little() {
        assert!(window(3).large().now_or_never().is_some());
    }
}
