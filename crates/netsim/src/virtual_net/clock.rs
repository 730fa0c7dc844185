//! A clock finer than tokio's timers, which are multiples of a millisecond.
//!
//! Timers of endpoints and of the network are kept here. Whenever the runtime has nothing left to do, the clock moves to the next of
//! them, if that comes before tokio's next tick; from tick to tick tokio moves it by itself. Tokio's timers fire at their ticks as ever.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use quinn::AsyncTimer;
use tokio::time::{Sleep, sleep_until};

/// What tokio's timers are multiples of.
const TICK: Duration = Duration::from_millis(1);

thread_local! {
    /// The clock of the run on this thread, if that is an exact one.
    static CURRENT: RefCell<Option<Arc<Clock>>> = const { RefCell::new(None) };
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Makes a clock that of this thread until it is dropped.
#[derive(Debug)]
pub(super) struct Current;

impl Current {
    pub(super) fn set(clock: Arc<Clock>) -> Self {
        CURRENT.set(Some(clock));
        Self
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// The timers of one run.
#[derive(Debug, Default)]
pub(super) struct Clock {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the run began: ticks are counted from there.
    start: Option<Instant>,
    /// Who is to be woken when; the numbers tell timers apart.
    timers: BTreeMap<(Instant, u64), Waker>,
    last_number: u64,
    keeper: Option<Waker>,
    /// The runtime is about to wait.
    is_idle: bool,
    /// Until when the keeper sleeps by tokio's clock.
    sleeps_until: Option<Instant>,
}

/// What is to be done once nothing else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The clock moves on.
    Advance(Duration),
    /// Tokio moves it on, at most to there.
    SleepUntil(Instant),
    /// Tokio moves it on.
    Nothing,
}

impl Clock {
    /// That of the run on this thread.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// The runtime is about to wait.
    pub(super) fn idle(&self) {
        let mut state = self.state();
        if state.step(now()) != Step::Nothing
            && let Some(keeper) = state.keeper.take()
        {
            state.is_idle = true;
            drop(state);
            keeper.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn step(&self, now: Instant) -> Step {
        let Some(start) = self.start else { return Step::Nothing };
        let next = self.timers.first_key_value().map(|((at, _), _)| *at);
        let into_tick = Duration::from_nanos(u64::from(now.duration_since(start).subsec_nanos() % 1_000_000));
        let rest = TICK - into_tick;
        match next {
            Some(at) if at <= now + rest => Step::Advance(at.saturating_duration_since(now)),
            // Tokio counts in whole ticks from wherever the clock stands.
            _ if into_tick > Duration::ZERO => Step::Advance(rest),
            Some(at) => {
                let ticks = u64::try_from((at - start).as_millis()).unwrap_or(u64::MAX);
                let until = start + Duration::from_millis(ticks);
                if self.sleeps_until == Some(until) { Step::Nothing } else { Step::SleepUntil(until) }
            }
            None => Step::Nothing,
        }
    }

    /// Takes out what is due.
    fn due(&mut self, now: Instant) -> Vec<Waker> {
        let later = self.timers.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.timers, later).into_values().collect()
    }
}

/// The one task that moves the clock.
#[derive(Debug)]
pub(super) struct Keeper {
    clock: Arc<Clock>,
    sleep: Pin<Box<Sleep>>,
}

impl Keeper {
    /// Must be called within the runtime, before its clock moves.
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        clock.state().start = Some(now());
        Self { clock, sleep: Box::pin(sleep_until(tokio::time::Instant::now())) }
    }
}

impl Future for Keeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.clock.state();
        state.keeper = Some(cx.waker().clone());
        if std::mem::take(&mut state.is_idle) {
            match state.step(now()) {
                // Done by its first poll; what it waits for then is only that others have their turn.
                Step::Advance(by) => drop(pin!(tokio::time::advance(by)).poll(cx)),
                Step::SleepUntil(until) => {
                    state.sleeps_until = Some(until);
                    this.sleep.as_mut().reset(until.into());
                }
                Step::Nothing => {}
            }
        }
        if Future::poll(this.sleep.as_mut(), cx).is_ready() {
            state.sleeps_until = None;
        }
        let due = state.due(now());
        drop(state);
        due.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

/// A timer that is as exact as the clock.
#[derive(Debug)]
pub(super) struct ExactTimer {
    clock: Arc<Clock>,
    at: Instant,
    number: u64,
}

impl ExactTimer {
    pub(super) fn new(clock: Arc<Clock>, at: Instant) -> Self {
        let number = {
            let mut state = clock.state();
            state.last_number += 1;
            state.last_number
        };
        Self { clock, at, number }
    }

    fn forget(&self) {
        self.clock.state().timers.remove(&(self.at, self.number));
    }
}

impl AsyncTimer for ExactTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.forget();
        self.at = at;
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= now() {
            self.forget();
            return Poll::Ready(());
        }
        self.clock.state().timers.insert((self.at, self.number), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for ExactTimer {
    fn drop(&mut self) {
        self.forget();
    }
}
