//! Jobs that make files beside their targets, and are never left behind.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use fulmar_disk::Offload;

/// Who may make files. When this is dropped, jobs that have not begun do nothing any more, and those that have are waited
/// for: the process may end at once, and what they make would stay there. Each takes a moment.
#[derive(Debug, Default)]
pub(super) struct Passes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Debug, Default)]
struct State {
    given: usize,
    ended: bool,
}

/// One job, until its result has been taken or dropped.
#[derive(Debug)]
struct Pass(Arc<Shared>);

impl Passes {
    /// Runs a job; none when everything has ended before it began.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        offload: &Offload,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(&self.0);
        // A result that nobody takes is dropped before its pass is given back.
        let job = move || shared.enter().map(|pass| (work(), pass));
        offload.run(job).await.map(|(result, _)| result)
    }
}

impl Drop for Passes {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended = true;
        while state.given > 0 {
            state = self.0.given_back.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: Arc<Self>) -> Option<Pass> {
        let mut state = self.state();
        if state.ended {
            return None;
        }
        state.given += 1;
        drop(state);
        Some(Pass(self))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.state().given -= 1;
        self.0.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt as _;

    use super::*;

    /// Tells when it is dropped.
    struct Made(mpsc::Sender<&'static str>);

    impl Drop for Made {
        fn drop(&mut self) {
            let _ = self.0.send("undone");
        }
    }

    #[test]
    fn what_a_job_has_made_is_undone_before_its_end_is_seen() {
        let offload = Offload::threads(1).expect("a thread");
        let passes = Passes::default();
        let (told, heard) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let ended = told.clone();
        let mut running = Box::pin(passes.run(&offload, move || {
            begun.send(()).expect("somebody listens");
            released.recv().expect("somebody releases");
            Made(told)
        }));
        assert!(running.as_mut().now_or_never().is_none());
        has_begun.recv().expect("it begins");
        drop(running);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                drop(passes);
                ended.send("seen").expect("somebody listens");
            });
            release.send(()).expect("it waits");
        });
        assert_eq!(heard.iter().take(2).collect::<Vec<_>>(), ["undone", "seen"]);
    }

    #[test]
    fn nothing_begins_after_the_end() {
        let passes = Passes::default();
        let shared = Arc::clone(&passes.0);
        drop(passes);
        assert!(shared.enter().is_none());
    }
}
