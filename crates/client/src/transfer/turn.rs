//! One after the other, in a fixed order.
//!
//! Whatever is handed to a connection that takes no more waits, and which of several streams that wait is served first is up to
//! the transport. Handed over in order, ranges end in order.

use tokio::sync::oneshot;

/// A place in a queue. Dropping it lets the next one go.
#[derive(Debug)]
pub(super) struct Turn {
    before: oneshot::Receiver<()>,
    _after: oneshot::Sender<()>,
}

impl Turn {
    /// Waits until everybody before has gone.
    pub(super) async fn wait(&mut self) {
        // Nobody ever sends: the end of the channel is the sign.
        let _ = (&mut self.before).await;
    }
}

/// The end of a queue.
#[derive(Debug)]
pub(super) struct Turns {
    last: oneshot::Receiver<()>,
}

impl Turns {
    /// An empty queue: the first place in it does not wait.
    pub(super) fn new() -> Self {
        Self { last: oneshot::channel().1 }
    }

    /// The next place.
    pub(super) fn take(&mut self) -> Turn {
        let (after, last) = oneshot::channel();
        Turn { before: std::mem::replace(&mut self.last, last), _after: after }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_comes_when_the_one_before_is_over() {
        let mut turns = Turns::new();
        let (mut first, mut second, mut third) = (turns.take(), turns.take(), turns.take());
        first.wait().await;
        let moment = Duration::from_secs(1);
        assert!(timeout(moment, second.wait()).await.is_err());
        // Whoever gives up lets the next one go.
        drop(second);
        third.wait().await;
        drop(first);
        turns.take();
    }
}
