//! A shell in a pseudo-terminal, and somebody who types.

use std::{
    io::{Read, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use super::process::{Output, Process, Transcript};

/// The byte that Ctrl-C types.
pub(crate) const CTRL_C: &str = "\u{3}";
/// The byte that Ctrl-D types.
pub(crate) const CTRL_D: &str = "\u{4}";

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
    /// How much of the screen has been looked at.
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
        self.type_text(&format!("{line}\n"));
    }

    /// Waits until `text` is shown behind what was waited for before.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.screen.wait_for(*seen, text);
        let rest = || String::from_utf8_lossy(&self.screen.bytes()[*seen..]).into_owned();
        *seen = found.unwrap_or_else(|| panic!("the terminal never shows {text:?}, but {:?}", rest()));
    }

    /// Everything shown so far.
    pub(crate) fn text(&self) -> String {
        self.screen.text()
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
