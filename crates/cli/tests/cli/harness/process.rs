//! Child processes that are waited for with a deadline, and what they print.

use std::{
    ffi::OsStr,
    fmt,
    io::{Read, Write as _},
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// Nothing that works takes this long; whatever does is stuck, and its test fails with what it printed.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// Everything that a stream has given so far, and whether it has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Debug, Default)]
struct Heard {
    bytes: Vec<u8>,
    ended: bool,
}

impl Transcript {
    /// Collects everything that `reader` gives, on a thread of its own.
    pub(crate) fn of(mut reader: impl Read + Send + 'static) -> Self {
        let transcript = Self::default();
        let writing = transcript.clone();
        thread::spawn(move || {
            let mut piece = [0; 64 * 1024];
            loop {
                // A terminal whose last user is gone reads as an error: that is its end as well.
                let read = reader.read(&mut piece).unwrap_or(0);
                writing.change(|heard| {
                    heard.bytes.extend_from_slice(&piece[..read]);
                    heard.ended = read == 0;
                });
                if read == 0 {
                    return;
                }
            }
        });
        transcript
    }

    /// That of a stream that nobody writes to.
    fn ended() -> Self {
        let transcript = Self::default();
        transcript.change(|heard| heard.ended = true);
        transcript
    }

    fn change(&self, change: impl FnOnce(&mut Heard)) {
        let (heard, changed) = &*self.0;
        change(&mut heard.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).bytes.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until `find` finds something in what has come so far; `None` when the stream has ended, or nothing was
    /// found within `within`.
    pub(crate) fn wait<T>(&self, within: Duration, find: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let (heard, changed) = &*self.0;
        let deadline = Instant::now() + within;
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = find(&heard.bytes) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|_| !heard.ended)?;
            heard = changed.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for `needle` behind the first `from` bytes. Returns where it ends.
    pub(crate) fn wait_for(&self, from: usize, needle: &str) -> Option<usize> {
        let needle = needle.as_bytes();
        self.wait(WATCHDOG, |bytes| {
            let at = bytes.get(from..)?.windows(needle.len()).position(|window| window == needle)?;
            Some(from + at + needle.len())
        })
    }

    /// Waits for the end of the stream, which has to come.
    #[track_caller]
    pub(crate) fn wait_until_ended(&self) {
        assert!(self.wait_for_end(WATCHDOG), "it does not end, but gives {:?}", tail(&self.text()));
    }

    /// Waits for the end of the stream.
    fn wait_for_end(&self, within: Duration) -> bool {
        let (heard, changed) = &*self.0;
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(heard, within, |heard| !heard.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }
}

/// A command that is yet to be run.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) command: Command,
    stdin: Vec<u8>,
}

impl Invocation {
    pub(crate) fn new(command: Command) -> Self {
        Self { command, stdin: Vec::new() }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// What [`Invocation::run`] pipes into it.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Starts it; its standard input stays open and in the hands of the test.
    pub(crate) fn spawn(mut self) -> Process {
        let shown = shown(&self.command);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn().expect("the binary starts");
        Process::follow(child, shown)
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Output {
        let input = std::mem::take(&mut self.stdin);
        let mut process = self.spawn();
        let mut stdin = process.stdin.take().expect("it is piped");
        // On a thread of its own: the process may print while it reads. One that reads nothing closes the pipe.
        let feeding = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = process.wait();
        feeding.join().expect("the feeding thread does not panic");
        output
    }
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    format!("fulmar {}", words.join(" "))
}

/// A running child process, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pidfd: OwnedFd,
    shown: String,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Transcript,
    pub(crate) stderr: Transcript,
}

impl Process {
    /// Takes over a child whose pipes have not been taken yet.
    pub(crate) fn follow(mut child: Child, shown: String) -> Self {
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().map_or_else(Transcript::ended, Transcript::of);
        let stderr = child.stderr.take().map_or_else(Transcript::ended, Transcript::of);
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("a child that has not been waited for");
        Self { child, pidfd, shown, stdin, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.pidfd, signal).expect("the process runs");
    }

    /// Waits for `text` on standard output, behind the first `from` bytes. Returns where it ends.
    pub(crate) fn wait_for(&self, from: usize, text: &str) -> usize {
        self.stdout.wait_for(from, text).unwrap_or_else(|| panic!("no {text:?}: {self}"))
    }

    /// Gives it more to read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("the process reads");
    }

    /// Closes its standard input and waits for its end.
    pub(crate) fn finish(mut self) -> Output {
        self.stdin = None;
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> Output {
        self.wait_within(WATCHDOG)
    }

    /// Waits for its end; longer than `within` is a failure.
    pub(crate) fn wait_within(mut self, within: Duration) -> Output {
        assert!(self.ends_within(within), "still running after {within:?}: {self}");
        let status = self.child.wait().expect("it has ended");
        for stream in [&self.stdout, &self.stderr] {
            assert!(stream.wait_for_end(WATCHDOG), "somebody keeps its output open: {self}");
        }
        Output {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.bytes(),
            stderr: self.stderr.text(),
            shown: self.shown.clone(),
        }
    }

    /// Waits until nothing of it is left but its exit code.
    #[track_caller]
    pub(crate) fn wait_until_gone(&self) {
        assert!(self.ends_within(WATCHDOG), "still running: {self}");
    }

    /// Kills it, as a crash would, and waits until it is gone.
    pub(crate) fn kill(self) -> Output {
        self.signal(Signal::KILL);
        self.wait()
    }

    fn ends_within(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).expect("minutes fit");
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            if retry_on_intr(|| poll(&mut fds, Some(&timeout))).expect("polls") > 0 {
                return true;
            }
            if left.is_zero() {
                return false;
            }
        }
    }

    /// A line of `/proc/PID/status` in KiB: `VmHWM`, the most memory that was resident, or `VmRSS`, what is now.
    pub(crate) fn resident_kib(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {key} in {status}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, or been waited for, already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (tail(&self.stdout.text()), tail(&self.stderr.text()));
        write!(f, "{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---", self.shown)
    }
}

/// What a process that has ended left behind.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    shown: String,
}

impl Output {
    /// Fails unless this was the exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Standard output as text.
    #[track_caller]
    pub(crate) fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_else(|_| panic!("standard output is no text: {self}"))
    }

    /// Fails unless standard output has `text` in it.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.out().contains(text), "no {text:?} on standard output: {self}");
        self
    }

    /// Fails unless standard error has `text` in it.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} on standard error: {self}");
        self
    }

    /// The objects on standard output: each line has to be one, of version 1 and with a type.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        self.out().lines().map(|line| self.object(line)).collect()
    }

    #[track_caller]
    fn object(&self, line: &str) -> serde_json::Value {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}: {self}"));
        assert!(object["v"] == 1 && object["type"].is_string(), "{line:?}: {self}");
        object
    }

    /// The one object on standard output.
    #[track_caller]
    pub(crate) fn one_object(&self) -> serde_json::Value {
        let objects = self.objects();
        assert_eq!(objects.len(), 1, "{self}");
        objects[0].clone()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, signal, stderr, shown, .. } = self;
        let (stdout, stderr) = (tail(&String::from_utf8_lossy(&self.stdout)), tail(stderr));
        write!(
            f,
            "{shown}\ncode {code:?}, signal {signal:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
        )
    }
}

/// The end of a text that may be very long.
fn tail(text: &str) -> String {
    const MAX: usize = 4000;
    let from = text.len().saturating_sub(MAX);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    if from == 0 { text.to_owned() } else { format!("[...]{}", &text[from..]) }
}
