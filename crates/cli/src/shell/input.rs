//! Where lines and answers come from: the line editor on a terminal that can have one, plain lines everywhere else.

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, atomic::AtomicBool},
};

use super::{editor::Editor, places::Scope};
use crate::{lines::Lines, output::Failure, output::Printer};

/// What came of waiting for a line.
#[derive(Debug)]
pub(crate) enum Typed {
    /// A line without its end; several, where several were pasted.
    Line(String),
    /// Ctrl-C, at a prompt that takes it as a key.
    Interrupted,
    /// The end of the input: Ctrl-D.
    End,
    /// The line could not be read.
    Failed(io::Error),
}

impl From<io::Result<Option<String>>> for Typed {
    fn from(read: io::Result<Option<String>>) -> Self {
        match read {
            Ok(Some(line)) => Self::Line(line),
            Ok(None) => Self::End,
            Err(error) => Self::Failed(error),
        }
    }
}

/// Standard input.
#[derive(Debug, Default)]
pub(crate) struct Input {
    editor: Option<Editor>,
    plain: Lines,
}

impl Input {
    /// Uses the line editor from here on, where there is a terminal for it.
    pub(crate) fn edit(&mut self, printer: &Arc<Printer>, scope: &Scope) -> Result<(), Failure> {
        let term = std::env::var("TERM").unwrap_or_default();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdin().is_terminal() && printer.stdout_is_terminal() && can_edit(&term) {
            self.editor = Some(Editor::start(printer, scope, !no_color)?);
        }
        Ok(())
    }

    /// The next line of a script.
    pub(crate) async fn plain_line(&mut self) -> io::Result<Option<String>> {
        self.plain.next().await
    }

    /// The next line of a person.
    pub(crate) async fn command(&mut self, printer: &Printer, prompt: String, scope: Scope) -> Typed {
        match &mut self.editor {
            Some(editor) => editor.line(prompt, scope).await,
            None => {
                let prompting = io::stdin().is_terminal() && printer.stdout_is_terminal();
                if prompting {
                    printer.raw(&prompt);
                }
                self.plain.next().await.into()
            }
        }
    }

    /// The answer to a question.
    pub(crate) async fn answer(&mut self, printer: &Printer, prompt: &str) -> Typed {
        match &mut self.editor {
            Some(editor) => editor.answer(prompt.to_owned()).await,
            None => {
                printer.raw_stderr(prompt);
                self.plain.next().await.into()
            }
        }
    }

    /// Whether a question waits that takes Ctrl-C as a key; a signal is none of its business then.
    pub(crate) fn asking(&self) -> Arc<AtomicBool> {
        self.editor.as_ref().map(Editor::asking).unwrap_or_default()
    }

    /// Whether lines are edited, by an editor that ends its own lines on the screen.
    pub(crate) fn is_edited(&self) -> bool {
        self.editor.is_some()
    }

    /// Leaves the terminal as it was found.
    pub(crate) async fn leave(&mut self) {
        if let Some(editor) = &mut self.editor {
            editor.leave().await;
        }
    }
}

/// Whether a terminal of this kind can move its cursor. The line editor itself gives up on the named ones.
fn can_edit(term: &str) -> bool {
    !matches!(term.to_ascii_lowercase().as_str(), "" | "dumb" | "cons25" | "emacs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_cannot_move_its_cursor_has_plain_lines() {
        for term in ["", "dumb", "DUMB", "emacs", "cons25"] {
            assert!(!can_edit(term), "{term}");
        }
        assert!(can_edit("xterm-256color") && can_edit("linux"));
    }
}
