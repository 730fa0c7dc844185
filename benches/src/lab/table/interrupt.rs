//! What happens when the program is asked to end: the processes that it waits for are ended, so that it stops waiting,
//! fails, and removes on its way out what it made.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::lab::{
    hold::Signals,
    run::{signal_code, single_threaded},
};

/// Whether the program was asked to end, and whom it would end first.
#[derive(Debug, Default)]
pub(in crate::lab) struct Interruption(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The signal's number; 0 before.
    number: AtomicI32,
    /// By descriptors that cannot come to mean somebody else.
    waited_for: Mutex<Vec<OwnedFd>>,
}

impl Interruption {
    /// Listens from now on.
    pub(in crate::lab) fn listen() -> Result<Self> {
        let this = Self::default();
        let inner = Arc::clone(&this.0);
        let runtime = single_threaded()?;
        let mut signals = runtime.block_on(async { Signals::listen() })?;
        let listen = move || {
            runtime.block_on(async {
                loop {
                    inner.interrupt(signals.next().await);
                }
            });
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).context("cannot start a thread")?;
        Ok(this)
    }

    /// From now on the program waits for these processes alone.
    pub(in crate::lab) fn wait_for(&self, processes: [u32; 2]) -> Result<()> {
        let open = |number: u32| {
            let number =
                i32::try_from(number).ok().and_then(Pid::from_raw).context("no number of a process")?;
            pidfd_open(number, PidfdFlags::empty()).context("cannot open a process")
        };
        let processes = processes.into_iter().map(open).collect::<Result<Vec<OwnedFd>>>()?;
        *self.0.waited_for.lock().unwrap_or_else(PoisonError::into_inner) = processes;
        // It may have happened just before.
        if self.exit_code().is_some() { bail!("interrupted") } else { Ok(()) }
    }

    /// What the program is to end with, if it was asked to.
    pub(in crate::lab) fn exit_code(&self) -> Option<u8> {
        let number = self.0.number.load(Ordering::SeqCst);
        (number != 0).then(|| signal_code(number))
    }
}

impl Inner {
    fn interrupt(&self, number: i32) {
        self.number.store(number, Ordering::SeqCst);
        for process in self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // It may have ended.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt as _,
        process::{Child, Command},
    };

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().expect("started")
    }

    #[test]
    fn whom_the_program_waits_for_is_ended_and_nobody_else_is_waited_for_afterwards() {
        let interruption = Interruption::default();
        let (mut first, mut second) = (sleeper(), sleeper());
        interruption.wait_for([first.id(), second.id()]).expect("open");
        assert_eq!(interruption.exit_code(), None);
        interruption.0.interrupt(15);
        for child in [&mut first, &mut second] {
            assert_eq!(child.wait().expect("known").signal(), Some(9));
        }
        assert_eq!(interruption.exit_code(), Some(143));
        let mut late = sleeper();
        assert!(interruption.wait_for([late.id(), late.id()]).is_err());
        late.kill().expect("ended");
        late.wait().expect("known");
    }
}
