//! The states of the controller.

/// What the controller is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Looking for the capacity, doubling.
    Startup,
    /// Letting go of the queue that start-up has made.
    Drain,
    /// Holding the standing queue.
    Cruise,
    /// Probing for more.
    Up,
    /// Draining the standing queue for a round.
    Down,
}

impl State {
    /// Whether what is sent in this state is less than the path can carry.
    pub(crate) fn slows(self) -> bool {
        matches!(self, Self::Drain | Self::Down)
    }
}
