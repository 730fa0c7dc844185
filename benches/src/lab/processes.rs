//! Finding and ending whatever runs inside of a lab.

use std::{
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use fulmar_netsim::tun::{Lab, Side};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::inside::MARK;

/// How long processes have to end by themselves.
const GRACE: Duration = Duration::from_secs(3);

/// How long the system has to end them.
const DEATH: Duration = Duration::from_secs(10);

/// Processes that start others while they are ended make more rounds necessary.
const ROUNDS: usize = 10;

/// What tells a lab's processes from all others.
#[derive(Debug)]
pub(super) struct Inhabitants {
    /// `FULMAR_LAB=ID`.
    mark: Vec<u8>,
    /// The namespaces' numbers, while somebody holds them: later ones may have the same.
    inodes: Vec<u64>,
}

impl Inhabitants {
    /// Of a lab of this process: whoever was started by it, or is in one of its namespaces.
    pub(super) fn of(lab: &Lab, id: &str) -> Self {
        Self { inodes: Side::BOTH.map(|side| lab.namespace(side).inode()).to_vec(), ..Self::marked(id) }
    }

    /// Of a lab that nobody has any more: whoever was started by it.
    pub(super) fn marked(id: &str) -> Self {
        Self { mark: format!("{MARK}={id}").into_bytes(), inodes: Vec::new() }
    }

    /// Ends them all: they are asked to, and killed a little later. Returns how many there were.
    pub(super) fn end(&self) -> Result<usize> {
        self.end_after(GRACE)
    }

    fn end_after(&self, grace: Duration) -> Result<usize> {
        let mut ended = 0;
        for _ in 0..ROUNDS {
            let found = self.find();
            if found.is_empty() {
                return Ok(ended);
            }
            ended += found.len();
            signal_all(&found, Signal::TERM);
            let left = wait_for_all(found, grace);
            signal_all(&left, Signal::KILL);
            if !wait_for_all(left, DEATH).is_empty() {
                break;
            }
        }
        bail!("processes in the lab cannot be ended")
    }

    /// All of them, by descriptors that cannot come to mean somebody else.
    fn find(&self) -> Vec<OwnedFd> {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        numbers.filter(|number| *number != own).filter_map(|number| self.is_one(number)).collect()
    }

    fn is_one(&self, number: i32) -> Option<OwnedFd> {
        let process = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
        let lives_here = || {
            fs::metadata(format!("/proc/{number}/ns/net")).is_ok_and(|meta| self.inodes.contains(&meta.ino()))
        };
        let is_marked =
            || fs::read(format!("/proc/{number}/environ")).is_ok_and(|text| contains(&text, &self.mark));
        // Looked at after the descriptor was opened: if that process has ended since, the signal goes nowhere.
        (lives_here() || is_marked()).then_some(process)
    }
}

/// Whether an environment has an entry.
fn contains(environ: &[u8], entry: &[u8]) -> bool {
    environ.split(|byte| *byte == 0).any(|variable| variable == entry)
}

fn signal_all(processes: &[OwnedFd], signal: Signal) {
    for process in processes {
        // It may have ended.
        let _ = pidfd_send_signal(process, signal);
    }
}

/// Waits until processes have ended, and returns those that have not.
pub(super) fn wait_for_all(mut processes: Vec<OwnedFd>, patience: Duration) -> Vec<OwnedFd> {
    let deadline = Instant::now() + patience;
    while !processes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut polled: Vec<PollFd<'_>> =
            processes.iter().map(|process| PollFd::new(process, PollFlags::IN)).collect();
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => break,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => break,
        }
        let mut ended =
            polled.iter().map(|process| !process.revents().is_empty()).collect::<Vec<_>>().into_iter();
        processes.retain(|_| !ended.next().unwrap_or(false));
    }
    processes
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn an_entry_is_found_as_a_whole() {
        let environ = b"PATH=/bin\0FULMAR_LAB=1f\0XFULMAR_LAB=2f\0";
        assert!(contains(environ, b"FULMAR_LAB=1f"));
        assert!(!contains(environ, b"FULMAR_LAB=2f") && !contains(environ, b"FULMAR_LAB=1"));
        assert!(!contains(b"", b"FULMAR_LAB=1f"));
    }

    /// A process that ignores being asked, with one of its own that does not.
    #[test]
    fn marked_processes_are_ended_and_no_others() {
        let (id, another) = (format!("test-{}", std::process::id()), format!("other-{}", std::process::id()));
        let sleeper = |id: &str| {
            let mut command = Command::new("sh");
            command
                .args(["-c", "trap '' TERM; echo ready; sleep 600 & while :; do wait; done"])
                .env(MARK, id);
            command.stdout(Stdio::piped()).spawn().expect("started")
        };
        let (mut one, mut other) = (sleeper(&id), sleeper(&another));
        for child in [&mut one, &mut other] {
            let mut byte = [0];
            std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut byte).expect("ready");
        }
        let ended = Inhabitants::marked(&id).end_after(Duration::ZERO).expect("ended");
        assert!(ended >= 1, "{ended}");
        assert!(!one.wait().expect("known").success());
        assert!(other.try_wait().expect("known").is_none(), "the other one lives");
        assert!(Inhabitants::marked(&another).end_after(Duration::ZERO).expect("ended") >= 1);
        other.wait().expect("known");
        assert_eq!(Inhabitants::marked(&id).end().expect("nobody"), 0);
    }
}
