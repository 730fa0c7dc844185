//! A shell in a pseudo-terminal, and somebody who types.

use std::{
    io::{Read, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process};

use super::process::{Output, Process, Transcript, WATCHDOG};

/// The byte that Ctrl-C types.
pub(crate) const CTRL_C: &str = "\u{3}";
/// The byte that Ctrl-D types.
pub(crate) const CTRL_D: &str = "\u{4}";
/// The byte that Ctrl-Z types.
pub(crate) const CTRL_Z: &str = "\u{1a}";
/// What the key types.
pub(crate) const TAB: &str = "\t";
pub(crate) const ENTER: &str = "\r";
pub(crate) const UP: &str = "\u{1b}[A";
pub(crate) const HOME: &str = "\u{1b}[H";
pub(crate) const DELETE: &str = "\u{1b}[3~";

/// So many columns that no line wraps.
pub(crate) const WIDE: (u16, u16) = (50, 200);

/// The user's end of a terminal: reading and writing side by side.
struct Screen(Arc<pty_process::blocking::Pty>);

impl Read for Screen {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        (&*self.0).read(bytes)
    }
}

/// A process on a terminal of its own, which is its controlling one.
pub(crate) struct Terminal {
    process: Process,
    pty: Arc<pty_process::blocking::Pty>,
    screen: Transcript,
    /// How much of what is visible has been looked at.
    seen: Mutex<usize>,
}

impl Terminal {
    pub(crate) fn start(
        command: pty_process::blocking::Command,
        (rows, columns): (u16, u16),
        shown: &str,
    ) -> Self {
        let (pty, pts) = pty_process::blocking::open().expect("a terminal");
        pty.resize(pty_process::Size::new(rows, columns)).expect("its size can be set");
        let child = command.spawn(pts).expect("the binary starts");
        let pty = Arc::new(pty);
        let screen = Transcript::of(Screen(Arc::clone(&pty)));
        Self { process: Process::follow(child, shown.to_owned()), pty, screen, seen: Mutex::new(0) }
    }

    /// Types `text` as it is.
    pub(crate) fn type_text(&self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).expect("the terminal takes it");
    }

    /// Types a line and Enter.
    pub(crate) fn enter(&self, line: &str) {
        self.type_text(&format!("{line}{ENTER}"));
    }

    /// Pastes `text` as a terminal does that marks what is pasted.
    pub(crate) fn paste(&self, text: &str) {
        self.type_text(&format!("\u{1b}[200~{text}\u{1b}[201~"));
    }

    /// Waits until `text` is shown behind what was waited for before. Where the cursor goes between two letters and in
    /// which colour they are does not matter.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        self.shows_one_of(&[text]);
    }

    /// Waits until one of `texts` is shown, and says which one comes first.
    #[track_caller]
    pub(crate) fn shows_one_of(&self, texts: &[&str]) -> usize {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.screen.wait(WATCHDOG, |bytes| {
            let visible = without_sequences(bytes);
            let unseen = visible.get(*seen..)?;
            let end = |text: &str| {
                let at = unseen.windows(text.len()).position(|window| window == text.as_bytes())?;
                Some(*seen + at + text.len())
            };
            let ends = texts.iter().enumerate().filter_map(|(which, text)| Some((end(text)?, which)));
            ends.min()
        });
        let visible = without_sequences(&self.screen.bytes());
        let rest = || String::from_utf8_lossy(&visible[(*seen).min(visible.len())..]).into_owned();
        let (end, which) =
            found.unwrap_or_else(|| panic!("the terminal never shows {texts:?}, but {:?}", rest()));
        *seen = end;
        which
    }

    /// Types `text` and Tab until it is completed to what ends in `completed`. A server that a busy machine makes slow
    /// has no names to offer, which the shell tells by its bell.
    #[track_caller]
    pub(crate) fn completes(&self, text: &str, completed: &str) {
        self.type_text(text);
        for _ in 0..50 {
            self.type_text(TAB);
            if self.shows_one_of(&[completed, "\u{7}"]) == 0 {
                return;
            }
        }
        panic!("{text:?} is never completed to {completed:?}: {:?}", self.text());
    }

    /// Everything shown so far, with all that moves the cursor or colours.
    pub(crate) fn text(&self) -> String {
        self.screen.text()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Signals the one child of the process.
    pub(crate) fn signal_child(&self, signal: Signal) {
        let id = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("it runs");
        let child = children.trim().parse().ok().and_then(Pid::from_raw).expect("one child");
        kill_process(child, signal).expect("it runs");
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(self) -> Output {
        self.process.wait()
    }

    /// Waits for the end of the process and of all that it shows, and gives that too.
    pub(crate) fn wait_for_all(self) -> (Output, String) {
        let output = self.process.wait();
        // The terminal ends with its last user.
        self.screen.wait_until_ended();
        (output, self.screen.text())
    }
}

/// The bytes without control sequences (ECMA-48 section 5.4), and without the moves to a column of the same line that
/// are written as a carriage return and a sequence. What has not wholly come yet is left out, so that more bytes only
/// ever add to the result.
fn without_sequences(bytes: &[u8]) -> Vec<u8> {
    let mut visible = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, behind)) = rest.split_first() {
        let sequence = match byte {
            b'\r' => behind,
            _ => rest,
        };
        rest = match (byte, sequence) {
            (b'\r' | 0x1b, [] | [0x1b]) => return visible,
            (b'\r' | 0x1b, [0x1b, b'[', parameters @ ..]) => {
                let is_final = |byte: &u8| (0x40..=0x7e).contains(byte);
                let Some(end) = parameters.iter().position(is_final) else { return visible };
                if *byte == b'\r' && parameters[end] != b'C' {
                    visible.push(b'\r');
                }
                &parameters[end + 1..]
            }
            _ => {
                visible.push(*byte);
                behind
            }
        };
    }
    visible
}
