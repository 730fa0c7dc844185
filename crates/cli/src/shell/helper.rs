//! What the line editor asks for while somebody types: candidates for Tab, and hints behind the cursor.

use std::borrow::Cow;

use clap::Command;
use rustyline::{
    Context, Helper, Result,
    completion::{Completer, Pair},
    highlight::Highlighter,
    hint::{Hint, Hinter, HistoryHinter},
    validate::Validator,
};
use tokio::runtime::Handle;

use super::{completion::complete, places::Here};
use crate::words::line_command;

/// Grey, which every terminal with colours has, and back.
const GREY: &str = "\u{1b}[90m";
const PLAIN: &str = "\u{1b}[0m";

/// Completion and hints of the shell's lines.
#[derive(Debug)]
pub(super) struct ShellHelper {
    verbs: Command,
    /// Where the line is typed.
    pub(super) here: Here,
    /// A hint that is not grey would look like something typed.
    hints: bool,
}

impl ShellHelper {
    /// Helps with nothing remote before the first line.
    pub(super) fn new(runtime: Handle, hints: bool) -> Self {
        Self { verbs: line_command(), here: Here::new(runtime), hints }
    }
}

impl Helper for ShellHelper {}
impl Validator for ShellHelper {}

impl Completer for ShellHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        // Several lines may have been pasted: the cursor is in one of them.
        let begin = line[..pos].rfind('\n').map_or(0, |end| end + 1);
        let (start, candidates) = complete(&self.verbs, &self.here, &line[begin..pos]);
        Ok((begin + start, candidates))
    }
}

/// A hint, and what of it can be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ShellHint {
    /// The rest of an earlier line.
    Earlier(String),
    /// What the verb takes; nobody wants that in the line.
    Operands(String),
}

impl Hint for ShellHint {
    fn display(&self) -> &str {
        match self {
            Self::Earlier(text) | Self::Operands(text) => text,
        }
    }

    fn completion(&self) -> Option<&str> {
        match self {
            Self::Earlier(text) => Some(text),
            Self::Operands(_) => None,
        }
    }
}

impl Hinter for ShellHelper {
    type Hint = ShellHint;

    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<ShellHint> {
        if !self.hints || pos < line.len() {
            return None;
        }
        let earlier = HistoryHinter::new().hint(line, pos, context).map(ShellHint::Earlier);
        earlier.or_else(|| operands(&self.verbs, line).map(ShellHint::Operands))
    }
}

impl Highlighter for ShellHelper {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        format!("{GREY}{hint}{PLAIN}").into()
    }
}

/// What a verb takes, when it has been typed with a blank behind it and nothing else.
fn operands(verbs: &Command, line: &str) -> Option<String> {
    let verb = line.trim_start().strip_suffix(' ')?;
    let usage = verbs.find_subcommand(verb.to_lowercase())?.clone().render_usage().to_string();
    let words = usage.split_whitespace().skip_while(|word| *word == "Usage:").skip(1);
    let words: Vec<_> = words.filter(|word| *word != "[OPTIONS]").collect();
    let operands = words.join(" ").replace(['<', '>'], "");
    Some(operands).filter(|operands| !operands.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustyline::history::{FileHistory, History as _};

    #[test]
    fn the_operands_are_those_of_the_parser() {
        let cases = [
            ("upload ", Some("FILE... [DEST]")),
            ("GET ", Some("FILE... [DEST]")),
            ("rm ", Some("PATH...")),
            ("mv ", Some("FROM TO")),
            ("ls ", Some("[DIR]")),
            ("verify ", Some("LOCAL REMOTE")),
            ("pwd ", None),
            ("upload", None),
            ("upload a ", None),
            ("nonsense ", None),
        ];
        for (line, expected) in cases {
            assert_eq!(operands(&line_command(), line).as_deref(), expected, "{line:?}");
        }
    }

    #[test]
    fn an_earlier_line_comes_before_the_operands_and_can_be_taken_over() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut history = FileHistory::new();
        assert!(history.add("upload notes.txt in/").expect("added"));
        let context = Context::new(&history);
        let hint = |hints, line: &str| {
            ShellHelper::new(runtime.handle().clone(), hints).hint(line, line.len(), &context)
        };
        let earlier = hint(true, "upload ").expect("a hint");
        assert_eq!(earlier.completion(), Some("notes.txt in/"));
        let operands = hint(true, "rm ").expect("a hint");
        assert_eq!((operands.display(), operands.completion()), ("PATH...", None));
        // Without grey there are none.
        assert_eq!(hint(false, "upload "), None);
    }
}
