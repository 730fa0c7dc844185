//! Lines of standard input, read on a thread of their own so that waiting for one can be given up.

use std::{
    io::{self, BufRead as _},
    sync::mpsc as request,
};

use tokio::sync::mpsc;

/// The longest line that is taken, in bytes. Nothing that is typed comes near it.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Reads standard input, one line for each call.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    requests: request::Sender<()>,
    lines: mpsc::Receiver<io::Result<Option<String>>>,
    /// A line was asked for and has not been taken yet.
    outstanding: bool,
}

impl Lines {
    /// The next line without its end; `None` at the end of the input. When the future is dropped, the line that it
    /// waited for is what the next call gets.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        let thread = self.thread.get_or_insert_with(Thread::start);
        if !thread.outstanding {
            if thread.requests.send(()).is_err() {
                return Ok(None);
            }
            thread.outstanding = true;
        }
        let line = thread.lines.recv().await;
        thread.outstanding = false;
        line.unwrap_or(Ok(None))
    }
}

impl Thread {
    fn start() -> Self {
        let (requests, asked) = request::channel();
        let (answer, lines) = mpsc::channel(1);
        // The thread may sit in a read for ever: nobody joins it, it ends with the process.
        std::thread::spawn(move || {
            while asked.recv().is_ok() {
                if answer.blocking_send(read_line(&mut io::stdin().lock())).is_err() {
                    return;
                }
            }
        });
        Self { requests, lines, outstanding: false }
    }
}

/// One line without its end; `None` at the end of the input.
pub(crate) fn read_line(input: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if io::Read::take(input, MAX_LINE_BYTES).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    let line = String::from_utf8(bytes);
    line.map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the line is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_without_their_ends() {
        let mut input = &b"one\r\ntwo\n\nlast"[..];
        let mut next = || read_line(&mut input).expect("valid");
        assert_eq!(next().as_deref(), Some("one"));
        assert_eq!(next().as_deref(), Some("two"));
        assert_eq!(next().as_deref(), Some(""));
        assert_eq!(next().as_deref(), Some("last"));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_line_that_is_not_text_is_an_error_and_the_next_one_is_read() {
        let mut input = &b"\xff\nls\n"[..];
        assert_eq!(read_line(&mut input).expect_err("not UTF-8").kind(), io::ErrorKind::InvalidData);
        assert_eq!(read_line(&mut input).expect("valid").as_deref(), Some("ls"));
    }
}
