//! One thing that went wrong, in the words of the command line.

use std::{fmt, io, path::Path};

use fulmar_proto::{path::PathError, text::Escaped};

use super::hint::{Caller, Hint};
use crate::{exit_code::ExitCode, hints::quoted, secrets::masked};

/// What went wrong with one object, and what may help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: ExitCode,
    /// A stable word for scripts.
    pub(crate) kind: &'static str,
    /// What it is about, as it was typed or as a peer named it: escaped when printed.
    pub(crate) object: Option<String>,
    /// What happened: one line, lower case, no full stop, safe to print.
    pub(crate) message: String,
    /// Something to run, safe to print.
    pub(crate) hint: Option<Box<Hint>>,
}

/// A failure as it is told to somebody: nothing in it is secret, and its commands can be run there.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: ExitCode,
    pub(crate) kind: &'static str,
    pub(crate) verb: String,
    /// Not escaped yet.
    pub(crate) object: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The line of a batch.
    pub(crate) line: Option<u64>,
}

impl Failure {
    /// A failure of this kind.
    pub(crate) fn new(code: ExitCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { code, kind, object: None, message: message.into(), hint: None }
    }

    /// The command is not one that can be done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, "usage", message)
    }

    /// What was asked for is never allowed.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Refused, "refused", message)
    }

    /// Something local failed.
    pub(crate) fn local(path: &Path, error: &io::Error) -> Self {
        let (code, kind) = match error.kind() {
            io::ErrorKind::NotFound => (ExitCode::NotFound, "not-found"),
            _ => (ExitCode::LocalDisk, "local-disk"),
        };
        let failure = Self::new(code, kind, io_message(error)).about(path.to_string_lossy());
        let path = quoted(&path.to_string_lossy());
        match error.kind() {
            io::ErrorKind::NotFound => failure.hint(Hint::run("lls").then(" shows what is there")),
            io::ErrorKind::PermissionDenied => failure.hint(who_may(&path)),
            io::ErrorKind::StorageFull => failure.hint(how_full(&path)),
            _ => failure,
        }
    }

    /// A text is not a path that a server could have.
    pub(crate) fn bad_path(typed: &str, error: PathError) -> Self {
        let failure = match error {
            PathError::Reserved => Self::refused(error.to_string()),
            _ => Self::usage(error.to_string()),
        };
        let failure = failure.about(typed);
        match error {
            PathError::Backslash => failure.hint(format!("write {}", Escaped(&typed.replace('\\', "/")))),
            _ => failure,
        }
    }

    /// The same failure, about this object.
    pub(crate) fn about(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// The same failure with a hint.
    pub(crate) fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(Box::new(hint.into()));
        self
    }

    /// The failure of `verb`, for somebody who types commands there. `line` is the line of a batch.
    pub(crate) fn told(&self, verb: &str, line: Option<u64>, caller: &Caller) -> Told {
        Told {
            code: self.code,
            kind: self.kind,
            verb: masked(verb),
            object: self.object.as_deref().map(masked),
            message: masked(&self.message),
            hint: self.hint.as_ref().map(|hint| masked(&hint.shown(caller))),
            line,
        }
    }

    /// The lines for people, in the shell.
    #[cfg(test)]
    pub(crate) fn lines(&self, verb: &str, line: Option<u64>) -> String {
        self.told(verb, line, &Caller::Lines).lines()
    }

    /// The hint, in the shell.
    #[cfg(test)]
    pub(crate) fn shown_hint(&self) -> Option<String> {
        self.told("", None, &Caller::Lines).hint
    }
}

impl Told {
    /// The lines for people: `fulmar: VERB: OBJECT: what happened`, and the hint.
    pub(crate) fn lines(&self) -> String {
        let mut text = "fulmar: ".to_owned();
        if !self.verb.is_empty() {
            text.push_str(&format!("{}: ", Escaped(&self.verb)));
        }
        match self.object.as_deref() {
            None => {}
            Some("") => text.push_str("'': "),
            Some(object) => text.push_str(&format!("{}: ", Escaped(object))),
        }
        text.push_str(&self.message);
        if let Some(line) = self.line {
            text.push_str(&format!(" (line {line})"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\nhint: {hint}"));
        }
        text
    }
}

/// How to see who may do what with a local path, which is quoted already.
pub(crate) fn who_may(path: &str) -> Hint {
    Hint::system("who may do what", &format!("ls -ld {path}"))
}

/// How to see how full the disk of a local path is, which is quoted already.
pub(crate) fn how_full(path: &str) -> Hint {
    Hint::system("how full it is", &format!("df -h {path}"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What the system says, in lower case and without its error number.
pub(crate) fn io_message(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let text = Escaped(text).to_string();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // A word in capitals is a name and stays as it is.
        (Some(first), Some(second)) if second.is_lowercase() => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_a_hint() {
        let failure = Failure::new(ExitCode::NotFound, "not-found", "no such file").about("a\u{1b}[2J.txt");
        assert_eq!(failure.lines("ls", None), "fulmar: ls: a\\u{1b}[2J.txt: no such file");
        let failure = failure.hint("ls");
        assert_eq!(
            failure.lines("ls", Some(3)),
            "fulmar: ls: a\\u{1b}[2J.txt: no such file (line 3)\nhint: ls"
        );
    }

    #[test]
    fn a_local_failure_says_what_the_system_says() {
        let missing = io::Error::from_raw_os_error(2);
        let failure = Failure::local(Path::new("gone.txt"), &missing);
        assert_eq!(failure.code, ExitCode::NotFound);
        assert_eq!(
            failure.lines("upload", None),
            "fulmar: upload: gone.txt: no such file or directory\nhint: `lls` shows what is there"
        );
        let denied = io::Error::from_raw_os_error(13);
        assert_eq!(Failure::local(Path::new("x"), &denied).code, ExitCode::LocalDisk);
    }

    #[test]
    fn a_backslash_gets_a_hint() {
        let failure = Failure::bad_path("in\\new.txt", PathError::Backslash);
        assert_eq!(failure.code, ExitCode::Usage);
        assert_eq!(failure.shown_hint().as_deref(), Some("write in/new.txt"));
    }

    #[test]
    fn the_reserved_name_is_refused() {
        assert_eq!(Failure::bad_path(".fulmar", PathError::Reserved).code, ExitCode::Refused);
    }
}
