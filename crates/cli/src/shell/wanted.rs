//! What can stand at the cursor: a verb, an option, a value, or a name of one side or the other.

use clap::{Arg, Command};

/// What may be completed at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A verb or an alias of one.
    Verb,
    /// A verb, as `help` explains it.
    Topic,
    /// One of these words.
    Words(Vec<String>),
    /// A name of a file or directory.
    Name(Sides),
    /// A name of a directory.
    Directory(Sides),
    /// A server.
    Endpoint,
    /// Nothing that could be known.
    Nothing,
}

/// The sides that a name may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sides {
    Local,
    Remote,
    /// Either: only the end of the line will tell whether this operand is the last one.
    Both,
}

/// What can stand behind `words`, when the word at the cursor begins with `word`.
pub(super) fn wanted(line: &Command, words: &[String], word: &str) -> Wanted {
    let Some((verb, arguments)) = words.split_first() else { return Wanted::Verb };
    let Some(verb) = line.find_subcommand(verb.to_lowercase()) else { return Wanted::Nothing };
    if !verb.has_subcommands() {
        return argument(verb, arguments, word);
    }
    // One that has verbs of its own, as `hosts` has.
    match arguments.split_first() {
        None if word.starts_with('-') => Wanted::Words(options(verb)),
        None => Wanted::Words(verb.get_subcommands().map(|verb| verb.get_name().to_owned()).collect()),
        Some((name, arguments)) => {
            verb.find_subcommand(name).map_or(Wanted::Nothing, |verb| argument(verb, arguments, word))
        }
    }
}

fn argument(verb: &Command, arguments: &[String], word: &str) -> Wanted {
    let seen = Seen::before_cursor(verb, arguments);
    match seen.value_of {
        Some(option) => value(verb.get_name(), option),
        None if word.starts_with('-') && !seen.only_operands => Wanted::Words(options(verb)),
        None => operand(verb.get_name(), seen.operands, seen.has_target),
    }
}

/// What the arguments before the cursor come to.
#[derive(Debug, Default)]
struct Seen<'a> {
    /// How many operands there are.
    operands: usize,
    /// The option that the word at the cursor is the value of.
    value_of: Option<&'a Arg>,
    /// `--` has been typed: from here on nothing is an option.
    only_operands: bool,
    /// The target has been named by an option, so that all operands are of one side.
    has_target: bool,
}

impl<'a> Seen<'a> {
    fn before_cursor(verb: &'a Command, arguments: &[String]) -> Self {
        let mut seen = Self::default();
        for argument in arguments {
            if seen.value_of.take().is_some() {
                continue;
            }
            if seen.only_operands || argument == "-" || !argument.starts_with('-') {
                seen.operands += 1;
            } else if argument == "--" {
                seen.only_operands = true;
            } else {
                seen.option(verb, argument);
            }
        }
        seen
    }

    fn option(&mut self, verb: &'a Command, argument: &str) {
        let (option, has_value) = match argument.strip_prefix("--") {
            Some(long) => {
                let name = long.split('=').next().unwrap_or_default();
                (verb.get_arguments().find(|arg| arg.get_long() == Some(name)), long.contains('='))
            }
            // Of joined letters, the first that takes a value takes the rest as its value.
            None => {
                let takes = |letter: char| {
                    verb.get_arguments()
                        .find(|arg| arg.get_short() == Some(letter))
                        .filter(|arg| takes_value(arg))
                };
                let letters = argument[1..].char_indices();
                let found = letters.into_iter().find_map(|(at, c)| Some((takes(c)?, at + c.len_utf8() + 1)));
                found.map_or((None, false), |(arg, end)| (Some(arg), end < argument.len()))
            }
        };
        let Some(option) = option.filter(|option| takes_value(option)) else { return };
        self.has_target |= option.get_long() == Some(TARGET);
        if !has_value {
            self.value_of = Some(option);
        }
    }
}

/// The option that names the directory on the other side.
const TARGET: &str = "to";

fn takes_value(option: &Arg) -> bool {
    option.get_action().takes_values()
}

/// All options of a verb: by their long names, as far as they have one.
fn options(verb: &Command) -> Vec<String> {
    let shown = verb.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set());
    let name = |arg: &Arg| match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => Some(format!("--{long}")),
        (None, Some(short)) => Some(format!("-{short}")),
        (None, None) => None,
    };
    shown.filter_map(name).collect()
}

fn value(verb: &str, option: &Arg) -> Wanted {
    let values = option.get_possible_values();
    match (verb, option.get_long()) {
        ("upload", Some(TARGET)) => Wanted::Directory(Sides::Remote),
        ("download", Some(TARGET)) => Wanted::Directory(Sides::Local),
        ("doctor", Some("file")) => Wanted::Name(Sides::Remote),
        _ if values.is_empty() => Wanted::Nothing,
        _ => Wanted::Words(values.iter().map(|value| value.get_name().to_owned()).collect()),
    }
}

/// What the operand of this number is, counted from 0.
fn operand(verb: &str, number: usize, has_target: bool) -> Wanted {
    match (verb, number) {
        ("upload", 0) => Wanted::Name(Sides::Local),
        ("upload", _) => Wanted::Name(if has_target { Sides::Local } else { Sides::Both }),
        ("download", 0) => Wanted::Name(Sides::Remote),
        ("download", _) => Wanted::Name(if has_target { Sides::Remote } else { Sides::Both }),
        ("verify", 0) => Wanted::Name(Sides::Local),
        ("verify", 1) => Wanted::Name(Sides::Remote),
        ("size" | "rm", _) | ("ls" | "stat" | "hash", 0) | ("mv", 0 | 1) => Wanted::Name(Sides::Remote),
        ("cd" | "mkdir", 0) => Wanted::Directory(Sides::Remote),
        ("lls", 0) => Wanted::Name(Sides::Local),
        ("lcd", 0) => Wanted::Directory(Sides::Local),
        ("connme" | "doctor" | "remove" | "trust" | "forget", 0) | ("add", 1) => Wanted::Endpoint,
        ("help", 0) => Wanted::Topic,
        _ => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::line_command;

    fn after(line: &str) -> Wanted {
        let (words, word) = line.rsplit_once(' ').unwrap_or(("", line));
        let words = shell_words::split(words).expect("words");
        wanted(&line_command(), &words, word)
    }

    #[test]
    fn the_verb_and_the_position_decide_about_the_side() {
        use Sides::{Both, Local, Remote};
        let cases = [
            ("", Wanted::Verb),
            ("up", Wanted::Verb),
            ("nonsense ", Wanted::Nothing),
            ("upload ", Wanted::Name(Local)),
            ("PUT ", Wanted::Name(Local)),
            ("upload a ", Wanted::Name(Both)),
            ("upload -f a ", Wanted::Name(Both)),
            ("upload --on-exists skip ", Wanted::Name(Local)),
            ("upload --on-exists=skip ", Wanted::Name(Local)),
            ("upload --to ", Wanted::Directory(Remote)),
            ("upload --to in a ", Wanted::Name(Local)),
            ("upload --to=in a ", Wanted::Name(Local)),
            ("upload a --to ", Wanted::Directory(Remote)),
            ("download ", Wanted::Name(Remote)),
            ("get -p a ", Wanted::Name(Both)),
            ("get --to ", Wanted::Directory(Local)),
            ("get --to in a b ", Wanted::Name(Remote)),
            ("verify ", Wanted::Name(Local)),
            ("verify a ", Wanted::Name(Remote)),
            ("verify a b ", Wanted::Nothing),
            ("ls -la ", Wanted::Name(Remote)),
            ("ls a ", Wanted::Nothing),
            ("size a b ", Wanted::Name(Remote)),
            ("rm -r a ", Wanted::Name(Remote)),
            ("stat ", Wanted::Name(Remote)),
            ("hash ", Wanted::Name(Remote)),
            ("cd ", Wanted::Directory(Remote)),
            ("mkdir -p ", Wanted::Directory(Remote)),
            ("mv a ", Wanted::Name(Remote)),
            ("lls ", Wanted::Name(Local)),
            ("lcd ", Wanted::Directory(Local)),
            ("connme ", Wanted::Endpoint),
            ("doctor ", Wanted::Endpoint),
            ("doctor lab --file ", Wanted::Name(Remote)),
            ("doctor --seconds ", Wanted::Nothing),
            ("open ", Wanted::Endpoint),
            ("hosts forget ", Wanted::Endpoint),
            ("hosts add ", Wanted::Nothing),
            ("hosts add lab ", Wanted::Endpoint),
            ("hosts nonsense ", Wanted::Nothing),
            ("status ", Wanted::Nothing),
            ("help ", Wanted::Topic),
            ("pwd ", Wanted::Nothing),
            ("upload -- ", Wanted::Name(Local)),
            ("upload -- -", Wanted::Name(Local)),
            ("upload - ", Wanted::Name(Both)),
        ];
        for (line, expected) in cases {
            assert_eq!(after(line), expected, "{line}");
        }
    }

    #[test]
    fn verbs_of_verbs_are_the_parsers_own() {
        let expected = ["list", "add", "remove", "trust", "forget"].map(str::to_owned);
        assert_eq!(after("hosts "), Wanted::Words(expected.to_vec()));
        let Wanted::Words(options) = after("hosts add lab -") else { panic!("no options") };
        assert!(options.iter().any(|known| known == "--start-dir"), "{options:?}");
    }

    #[test]
    fn options_and_their_values_are_the_parsers_own() {
        let Wanted::Words(options) = after("upload -") else { panic!("no options") };
        for option in ["--force", "--on-exists", "--to", "--no-mtime", "--executable", "--help"] {
            assert!(options.iter().any(|known| known == option), "{option}: {options:?}");
        }
        let Wanted::Words(options) = after("ls -") else { panic!("no options") };
        assert!(options.iter().any(|known| known == "-l"), "{options:?}");
        assert_eq!(
            after("upload --on-exists "),
            Wanted::Words(["fail", "overwrite", "skip", "rename"].map(str::to_owned).to_vec())
        );
    }
}
