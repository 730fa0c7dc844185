//! The one task that moves packets: it sleeps until the next one arrives.

use std::{
    pin::Pin,
    sync::Weak,
    task::{Context, Poll, Waker},
};

use quinn::{AsyncTimer, Runtime as _};

use super::{network::Shared, runtime::VirtualRuntime};

/// Hands packets over until the network is gone.
pub(super) struct Pump {
    shared: Weak<Shared>,
    sleep: Pin<Box<dyn AsyncTimer>>,
    /// Room for those who are to be woken.
    readers: Vec<Waker>,
}

impl Pump {
    pub(super) fn new(shared: Weak<Shared>) -> Self {
        let sleep = VirtualRuntime.new_timer(VirtualRuntime.now());
        Self { shared, sleep, readers: Vec::new() }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let Some(shared) = this.shared.upgrade() else { return Poll::Ready(()) };
            let mut state = shared.state();
            state.deliver(shared.elapsed(), &mut this.readers);
            let next = state.next_arrival();
            let is_new = next != state.pump_at;
            (state.pump, state.pump_at) = (Some(cx.waker().clone()), next);
            drop(state);
            // Outside of the lock: whoever is woken may want it.
            this.readers.drain(..).for_each(Waker::wake);
            let Some(next) = next else { return Poll::Pending };
            if is_new {
                this.sleep.as_mut().reset((shared.since() + next).into_std());
            }
            if this.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
