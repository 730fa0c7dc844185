//! From a line of text to a verb, and from the parser's complaints to one-line failures.

use clap::{
    CommandFactory as _, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use fulmar_proto::{invite::InviteUrl, text::Escaped};

use crate::{
    args::Cli,
    help,
    output::{Failure, hint::Hint},
    verb::Verb,
    verbs::terminal_width,
};

/// A line of the shell or of a batch.
#[derive(Debug, Parser)]
#[command(multicall = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

/// What a line asks for.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// Nothing: it is empty or a comment.
    Nothing,
    /// A command.
    Verb(Verb),
    /// The help text of a command, to be printed.
    Help(String),
}

/// A line that is no command: the verb that it seems to begin with, and what is wrong.
#[derive(Debug)]
pub(crate) struct BadLine {
    pub(crate) verb: String,
    pub(crate) failure: Failure,
}

/// Reads a line. Words are split as a POSIX shell does; the verb's case does not matter.
pub(crate) fn parse_line(line: &str) -> Result<Parsed, BadLine> {
    let trimmed = trim(line);
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(Parsed::Nothing);
    }
    let first = trimmed.split_whitespace().next().unwrap_or_default().to_lowercase();
    let mut words = shell_words::split(trimmed).map_err(|_| BadLine {
        verb: first,
        failure: Failure::usage("a quote is left open").hint("close it, or write \\' for a quote in a name"),
    })?;
    let Some(verb) = words.first_mut() else { return Ok(Parsed::Nothing) };
    *verb = verb.to_lowercase();
    let verb = verb.clone();
    if InviteUrl::looks_like(&verb) {
        // The parser would see the name of a program behind the slashes.
        return Err(BadLine {
            verb,
            failure: Failure::usage("there is no such command").hint(invite_hint()),
        });
    }
    match Line::try_parse_from(&words) {
        Ok(line) => Ok(Parsed::Verb(line.verb)),
        Err(error) if is_help(&error) => Ok(Parsed::Help(tidy(&error.render().to_string()))),
        Err(error) => {
            let failure = usage_failure(&error);
            // The word that is no command stands at the front of the message already.
            let object = failure.object.filter(|object| *object != verb);
            Err(BadLine { failure: Failure { object, ..failure }, verb })
        }
    }
}

/// A line without the blanks around it. One behind a backslash is the end of a name, not of the line.
pub(crate) fn trim(line: &str) -> &str {
    let line = line.trim_start();
    let trimmed = line.trim_end();
    let backslashes = trimmed.len() - trimmed.trim_end_matches('\\').len();
    let escaped = line[trimmed.len()..].chars().next().filter(|_| backslashes % 2 == 1);
    &line[..trimmed.len() + escaped.map_or(0, char::len_utf8)]
}

/// The help text of the shell, or of one command.
pub(crate) fn help(command: Option<&str>) -> Result<String, Failure> {
    match command {
        None => Ok(help::overview(&line_command(), terminal_width())),
        Some(wanted) => help_on(line_command(), wanted).ok_or_else(|| no_help(wanted)),
    }
}

/// The help text of the program, or of one of its commands.
pub(crate) fn program_help(command: Option<&str>) -> Result<String, Failure> {
    let Some(wanted) = command else { return Ok(Cli::command().render_long_help().to_string()) };
    let found = help_on(line_command(), wanted).or_else(|| help_on(built(Cli::command()), wanted));
    found.ok_or_else(|| no_help(wanted))
}

fn help_on(mut commands: clap::Command, wanted: &str) -> Option<String> {
    let found = commands.find_subcommand_mut(wanted.to_lowercase())?;
    Some(tidy(&found.render_long_help().to_string()))
}

fn no_help(wanted: &str) -> Failure {
    Failure::usage("there is no such command").about(wanted).hint(list_of_commands())
}

/// The definition of the shell's lines.
pub(crate) fn line_command() -> clap::Command {
    built(Line::command())
}

/// Subcommands know how they are called only once the whole is built.
fn built(mut command: clap::Command) -> clap::Command {
    command.build();
    command
}

/// Without the name of a program, of which a line has none, the parser leaves a gap.
fn tidy(help: &str) -> String {
    help.replace("Usage:  ", "Usage: ")
}

/// Whether the parser was asked for help or the version, and did not fail at all.
pub(crate) fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// The parser's complaint in one line, and its best advice as the hint.
pub(crate) fn usage_failure(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::InvalidSubcommand {
        return no_such_command(error);
    }
    let rendered = error.render().to_string();
    let message = rendered.split("\n\n").next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    // The words may come from a batch that somebody else wrote.
    let failure = Failure::usage(plain(&message));
    let advice = rendered.lines().map(str::trim).find_map(|line| {
        let tip = line.strip_prefix("tip: ").map(str::to_owned);
        tip.or_else(|| line.strip_prefix("Usage: ").map(|usage| format!("usage: {}", usage.trim())))
    });
    match advice {
        Some(advice) => failure.hint(plain(&advice)),
        None => failure,
    }
}

fn no_such_command(error: &clap::Error) -> Failure {
    let failure = Failure::usage("there is no such command");
    let failure = match error.get(ContextKind::InvalidSubcommand) {
        // What the server printed, without the command that takes it.
        Some(ContextValue::String(word)) if InviteUrl::looks_like(word) => {
            return failure.about(word).hint(invite_hint());
        }
        Some(ContextValue::String(word)) => failure.about(word),
        _ => failure,
    };
    match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(words)) if !words.is_empty() => {
            let question = Hint::from(format!("did you mean {}? ", words.join(" or ")));
            failure.hint(question.then_run("help").then(" lists the commands"))
        }
        _ => match group_of(&error.render().to_string()) {
            Some(group) => failure.hint(Hint::run(format!("{group} --help")).then(" lists its commands")),
            None => failure.hint(list_of_commands()),
        },
    }
}

fn invite_hint() -> Hint {
    Hint::from("connme and the invite connects")
        .or_on_command_line("fulmar shell and the invite opens the shell there")
}

/// The command that has commands of its own, of which none was named.
fn group_of(rendered: &str) -> Option<String> {
    let usage = rendered.lines().find_map(|line| line.trim().strip_prefix("Usage:"))?;
    let words: Vec<_> = usage.split_whitespace().take_while(|word| !word.starts_with(['[', '<'])).collect();
    let words = words.strip_prefix(&["fulmar"]).unwrap_or(&words);
    (!words.is_empty()).then(|| words.join(" "))
}

fn list_of_commands() -> Hint {
    Hint::run("help").then(" lists the commands")
}

/// Escapes what could act on a terminal and nothing else.
fn plain(text: &str) -> String {
    Escaped(text).to_string().replace("\\\\", "\\")
}

/// The first word of a command line that names a command, for messages about a line that could not be read.
pub(crate) fn verb_of(words: &[String]) -> String {
    let command = Cli::command();
    let found = words.iter().find(|word| command.find_subcommand(word.as_str()).is_some());
    found.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::hint::Caller;
    use proptest::prelude::*;

    fn verb(line: &str) -> Verb {
        match parse_line(line) {
            Ok(Parsed::Verb(verb)) => verb,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn bad(line: &str) -> BadLine {
        match parse_line(line) {
            Err(bad) => bad,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn aliases_and_case_lead_to_the_same_verb() {
        let cases = [
            ("CONNME lab", "connme"),
            ("open lab", "connme"),
            ("connect lab", "connme"),
            ("Dir", "ls"),
            ("du a", "size"),
            ("DEL a", "rm"),
            ("put a", "upload"),
            ("mput a b c", "upload"),
            ("get a", "download"),
            ("mget a", "download"),
            ("bye", "byebye"),
            ("exit", "quit"),
            ("?", "help"),
        ];
        for (line, name) in cases {
            assert_eq!(verb(line).name(), name, "{line}");
        }
    }

    #[test]
    fn names_keep_case_quotes_and_spaces() {
        let Verb::Size { paths } = verb("size 'A b.txt' \"it's\" c\\ d") else { panic!("not size") };
        assert_eq!(paths, ["A b.txt", "it's", "c d"]);
    }

    #[test]
    fn a_blank_at_the_end_of_a_name_is_kept_when_it_is_escaped() {
        for (line, expected) in
            [("size a\\ ", "a "), ("size a\\\\ ", "a\\"), ("size a\\  \r", "a "), ("size a ", "a")]
        {
            let Verb::Size { paths } = verb(line) else { panic!("not size") };
            assert_eq!(paths, [expected], "{line:?}");
        }
    }

    #[test]
    fn flags_may_be_joined() {
        let Verb::Ls(args) = verb("ls -la sub") else { panic!("not ls") };
        assert!(args.long && args.all);
        assert_eq!(args.path.as_deref(), Some("sub"));
    }

    #[test]
    fn comments_and_blank_lines_ask_for_nothing() {
        for line in ["", "   ", "# ls", "  # ls"] {
            assert!(matches!(parse_line(line), Ok(Parsed::Nothing)), "{line:?}");
        }
    }

    #[test]
    fn an_open_quote_is_answered() {
        let bad = bad("ls 'oops");
        assert_eq!(bad.verb, "ls");
        assert!(bad.failure.message.contains("quote"), "{}", bad.failure.message);
    }

    #[test]
    fn an_unknown_verb_is_answered_with_a_hint() {
        let bad = bad("downlod a");
        assert_eq!(bad.verb, "downlod");
        assert!(bad.failure.shown_hint().is_some_and(|hint| hint.contains("download")), "{bad:?}");
    }

    #[test]
    fn below_a_command_the_hint_leads_to_its_own_help() {
        let nested = bad("hosts nonsense");
        assert_eq!((nested.verb.as_str(), nested.failure.object.as_deref()), ("hosts", Some("nonsense")));
        assert_eq!(nested.failure.shown_hint().as_deref(), Some("`hosts --help` lists its commands"));
        assert_eq!(bad("nonsense").failure.shown_hint().as_deref(), Some("`help` lists the commands"));
    }

    #[test]
    fn an_invite_alone_is_answered_with_the_command_that_takes_it() {
        let hint = bad("fulmar://abc.def@lab:4433").failure.hint.expect("a hint");
        assert_eq!(hint.shown(&Caller::Lines), "connme and the invite connects");
        assert!(hint.shown(&Caller::default()).starts_with("fulmar shell and the invite"));
    }

    #[test]
    fn a_missing_argument_is_answered_in_one_line() {
        let bad = bad("rm");
        let text = bad.failure.lines("rm", None);
        assert!(text.contains("PATH"), "{text}");
        assert!(text.lines().count() <= 2, "{text}");
    }

    #[test]
    fn help_is_no_failure() {
        assert!(matches!(parse_line("ls --help"), Ok(Parsed::Help(text)) if text.contains("-l")));
        assert!(help(None).expect("help").contains("connme"));
        assert!(help(Some("UPLOAD")).expect("help").contains("--on-exists"));
        assert!(help(Some("nonsense")).is_err());
        assert!(help(Some("serve")).is_err(), "that is no command of the shell");
        assert!(program_help(Some("serve")).expect("help").contains("--listen"));
        assert!(program_help(Some("ls")).expect("help").contains("Usage: ls"));
    }

    #[test]
    fn the_verb_of_a_bad_command_line_is_found() {
        let words = ["fulmar", "-s", "lab", "rm"].map(str::to_owned);
        assert_eq!(verb_of(&words), "rm");
    }

    proptest! {
        #[test]
        fn no_line_panics_and_every_complaint_is_short(line in "[ -~\u{1b}é]{0,60}") {
            if let Err(bad) = parse_line(&line) {
                let text = bad.failure.lines(&bad.verb, Some(1));
                prop_assert!(text.lines().count() <= 2, "{}", text);
                let clean = !text.chars().any(|c| c == char::from(27));
                prop_assert!(clean);
            }
        }
    }
}
