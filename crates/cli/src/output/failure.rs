//! One thing that went wrong, in the words of the command line.

use std::{fmt, io, path::Path};

use fulmar_proto::{path::PathError, text::Escaped};

use crate::{exit_code::ExitCode, hints::quoted};

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
    pub(crate) hint: Option<String>,
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
            io::ErrorKind::NotFound => failure.hint("lls shows what is there"),
            io::ErrorKind::PermissionDenied => failure.hint(format!("ls -ld {path} shows who may do what")),
            io::ErrorKind::StorageFull => failure.hint(format!("df -h {path} shows how full it is")),
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
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The lines for people: `fulmar: VERB: OBJECT: what happened`, and the hint. `line` is the line of a batch.
    pub(crate) fn lines(&self, verb: &str, line: Option<u64>) -> String {
        let mut text = "fulmar: ".to_owned();
        if !verb.is_empty() {
            text.push_str(&format!("{}: ", Escaped(verb)));
        }
        match self.object.as_deref() {
            None => {}
            Some("") => text.push_str("'': "),
            Some(object) => text.push_str(&format!("{}: ", Escaped(object))),
        }
        text.push_str(&self.message);
        if let Some(line) = line {
            text.push_str(&format!(" (line {line})"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\nhint: {hint}"));
        }
        text
    }
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
            "fulmar: upload: gone.txt: no such file or directory\nhint: lls shows what is there"
        );
        let denied = io::Error::from_raw_os_error(13);
        assert_eq!(Failure::local(Path::new("x"), &denied).code, ExitCode::LocalDisk);
    }

    #[test]
    fn a_backslash_gets_a_hint() {
        let failure = Failure::bad_path("in\\new.txt", PathError::Backslash);
        assert_eq!(failure.code, ExitCode::Usage);
        assert_eq!(failure.hint.as_deref(), Some("write in/new.txt"));
    }

    #[test]
    fn the_reserved_name_is_refused() {
        assert_eq!(Failure::bad_path(".fulmar", PathError::Reserved).code, ExitCode::Refused);
    }
}
