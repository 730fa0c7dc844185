//! The list of the shell's commands, in groups.

use unicode_width::UnicodeWidthStr as _;

/// The commands in the order in which people meet them. What is in no group comes last.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Connection", &["connme", "byebye", "quit", "status", "doctor", "hosts"]),
    ("Remote files", &["ls", "cd", "pwd", "size", "stat", "hash", "mkdir", "mv", "rm"]),
    ("Transfers", &["upload", "download", "verify"]),
    ("Local side", &["lls", "lcd", "lpwd"]),
];

/// Where the descriptions begin.
const INDENT: usize = 12;
/// Longer lines are harder to read, whatever the terminal has room for.
const MAX_WIDTH: usize = 80;
/// With less room than this a description would be a column of single words.
const MIN_WIDTH: usize = 30;

/// The overview of all commands, no line wider than `width` where words allow it.
pub(crate) fn overview(line: &clap::Command, width: usize) -> String {
    let width = width.clamp(MIN_WIDTH, MAX_WIDTH);
    let groups = GROUPS.iter().map(|(title, names)| {
        let verbs = names.iter().filter_map(|name| line.find_subcommand(name));
        group(title, verbs, width)
    });
    let grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let others = line.get_subcommands().filter(|verb| !grouped(verb.get_name()));
    let groups: String = groups.chain(std::iter::once_with(|| group("Other", others, width))).collect();
    format!("{groups}{}", wrapped("", "help COMMAND tells more about one of them, with examples.", 0, width))
}

fn group<'a>(title: &str, verbs: impl Iterator<Item = &'a clap::Command>, width: usize) -> String {
    let lines: String = verbs.map(|verb| entry(verb, width)).collect();
    if lines.is_empty() { String::new() } else { format!("{title}:\n{lines}\n") }
}

fn entry(verb: &clap::Command, width: usize) -> String {
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let aliases: Vec<_> = verb.get_visible_aliases().collect();
    let aliases = if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
    wrapped(&format!("  {}", verb.get_name()), &format!("{about}{aliases}"), INDENT, width)
}

/// `text` in lines of at most `width` columns, indented, the first one behind `head`.
fn wrapped(head: &str, text: &str, indent: usize, width: usize) -> String {
    let mut lines = Vec::new();
    let mut line = format!("{head:<indent$}");
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let gap = if is_empty { 0 } else { 1 };
        if !is_empty && line.width() + gap + word.width() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        } else {
            line.push_str(&" ".repeat(gap));
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{self, Parsed, parse_line};

    #[test]
    fn every_command_is_listed_once_and_no_line_is_too_wide() {
        let line = words::line_command();
        for width in [30, 40, 80, 200] {
            let text = overview(&line, width);
            assert!(text.lines().all(|line| line.width() <= width.min(80)), "{width}:\n{text}");
            for verb in line.get_subcommands() {
                let begins = format!("  {} ", verb.get_name());
                let listed = text.lines().filter(|line| format!("{line} ").starts_with(&begins)).count();
                assert_eq!(listed, 1, "{}", verb.get_name());
            }
        }
        for (_, names) in GROUPS {
            for name in names {
                assert!(line.find_subcommand(name).is_some(), "{name} is no command");
            }
        }
        assert!(overview(&line, 80).starts_with("Connection:\n  connme    Connect to a server;"));
    }

    #[test]
    fn long_descriptions_are_continued_below_themselves() {
        assert_eq!(wrapped("  ls", "one two three", 6, 13), "  ls  one two\n      three\n");
        assert_eq!(wrapped("", "extraordinarily long", 0, 5), "extraordinarily\nlong\n");
    }

    /// The lines below `Examples:`, without the remarks behind them.
    fn examples(help: &str) -> Vec<String> {
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("no example:\n{help}"));
        let lines = examples.lines().take_while(|line| line.starts_with("  "));
        lines.map(|line| line.split(" # ").next().unwrap_or_default().trim().to_owned()).collect()
    }

    #[test]
    fn every_command_has_a_paragraph_and_examples_that_can_be_typed() {
        for verb in words::line_command().get_subcommands() {
            let name = verb.get_name();
            let help = words::help(Some(name)).expect(name);
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let long = verb.get_long_about().map(ToString::to_string).unwrap_or_default();
            assert!(long.len() > about.len() + 20, "{name} is described in one line only");
            let examples = examples(&help);
            assert!(!examples.is_empty(), "{name}");
            for example in examples {
                match parse_line(&example) {
                    Ok(Parsed::Verb(verb)) => assert_eq!(verb.name(), name, "{example}"),
                    other => panic!("{example}: {other:?}"),
                }
            }
        }
    }
}
