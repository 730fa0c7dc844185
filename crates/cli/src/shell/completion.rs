//! What Tab offers.

use clap::Command;
use fulmar_proto::text::Escaped;
use rustyline::completion::Pair;

use super::{
    quoting::{Style, Typed, quote, typed},
    wanted::{Sides, Wanted, wanted},
};

/// The most names that are offered at once.
const MAX_CANDIDATES: usize = 1_000;

/// Something in a directory that can be named in a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) is_directory: bool,
}

/// Where names come from. What is not there, not allowed or too slow has none.
pub(super) trait Places {
    /// What is in a remote directory, named as it was typed; empty: the current one.
    fn remote(&self, directory: &str) -> Vec<Listed>;
    /// What is in a local directory, named as it was typed; empty: the current one.
    fn local(&self, directory: &str) -> Vec<Listed>;
    /// The servers that one could connect to.
    fn endpoints(&self) -> Vec<String>;
}

/// Completes `line`, at whose end the cursor is: from where on it is to be replaced, and by what.
pub(super) fn complete(verbs: &Command, places: &impl Places, line: &str) -> (usize, Vec<Pair>) {
    let Some(typed) = typed(line) else { return (line.len(), Vec::new()) };
    let candidates = match wanted(verbs, &typed.words, &typed.word) {
        Wanted::Verb => words(&typed, verb_names(verbs, true), true),
        Wanted::Topic => words(&typed, verb_names(verbs, false), true),
        Wanted::Words(known) => words(&typed, known, false),
        Wanted::Endpoint => words(&typed, places.endpoints(), true),
        Wanted::Name(sides) => names(places, sides, &typed, |_| true),
        Wanted::Directory(sides) => names(places, sides, &typed, |listed| listed.is_directory),
        Wanted::Nothing => Vec::new(),
    };
    (typed.start, candidates)
}

fn verb_names(verbs: &Command, with_aliases: bool) -> Vec<String> {
    let aliases = |verb: &Command| -> Vec<String> {
        let aliases = verb.get_visible_aliases().filter(|alias| with_aliases && *alias != "?");
        aliases.map(str::to_owned).collect()
    };
    let shown = verbs.get_subcommands().filter(|verb| !verb.is_hide_set());
    shown.flat_map(|verb| [vec![verb.get_name().to_owned()], aliases(verb)].concat()).collect()
}

/// Of `known` those that the word begins, in any case when that does not matter. Each ends its word.
fn words(typed: &Typed, mut known: Vec<String>, ignore_case: bool) -> Vec<Pair> {
    let begins = |known: &String| {
        let head = known.get(..typed.word.len());
        head.is_some_and(|head| head == typed.word || (ignore_case && head.eq_ignore_ascii_case(&typed.word)))
    };
    known.retain(|word| begins(word) && is_showable(word));
    known.sort();
    known.dedup();
    let pair = |word: String| Pair { replacement: format!("{} ", quote(&word, typed.style)), display: word };
    known.into_iter().map(pair).collect()
}

fn names(places: &impl Places, sides: Sides, typed: &Typed, fits: impl Fn(&Listed) -> bool) -> Vec<Pair> {
    let (directory, begun) = typed.word.split_at(typed.word.rfind('/').map_or(0, |slash| slash + 1));
    let mut listed = Vec::new();
    if sides != Sides::Remote {
        if typed.word == HOME {
            listed.push(Listed { name: HOME.to_owned(), is_directory: true });
        }
        listed.extend(places.local(directory).into_iter().map(|found| keep_from_home(found, directory)));
    }
    if sides != Sides::Local {
        listed.extend(places.remote(directory));
    }
    listed.retain(|found| is_offered(found, begun) && fits(found));
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    listed.dedup();
    listed.truncate(MAX_CANDIDATES);
    listed.into_iter().map(|found| pair(&found, directory, typed.style)).collect()
}

/// The home directory's name in local paths.
const HOME: &str = "~";

/// A file that is really called `~` is not the home directory.
fn keep_from_home(found: Listed, directory: &str) -> Listed {
    if directory.is_empty() && found.name == HOME {
        return Listed { name: format!("./{HOME}"), ..found };
    }
    found
}

/// Names that begin with a dot are offered once the dot is there, and none that the terminal could not show as it is.
fn is_offered(found: &Listed, begun: &str) -> bool {
    found.name.starts_with(begun)
        && (begun.starts_with('.') || !found.name.starts_with('.') || found.name.starts_with("./"))
        && is_showable(&found.name)
}

/// Whether nothing of a text has to be escaped but its backslashes, which are harmless.
fn is_showable(text: &str) -> bool {
    Escaped(text).to_string().replace("\\\\", "\\") == text
}

fn pair(found: &Listed, directory: &str, style: Style) -> Pair {
    let slash = if found.is_directory { "/" } else { "" };
    let display = format!("{}{slash}", Escaped(&found.name));
    // A name that looks like an option is no option with a directory in front.
    let here = if directory.is_empty() && found.name.starts_with('-') { "./" } else { "" };
    let word = quote(&format!("{here}{directory}{}{slash}", found.name), style);
    let replacement = if found.is_directory { word } else { format!("{word} ") };
    Pair { display, replacement }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        verb::Verb,
        words::{Parsed, line_command, parse_line},
    };
    use proptest::prelude::*;

    #[derive(Default)]
    struct Fake {
        local: Vec<Listed>,
        remote: Vec<Listed>,
    }

    impl Places for Fake {
        fn remote(&self, directory: &str) -> Vec<Listed> {
            if matches!(directory, "" | "./" | "my dir/") { self.remote.clone() } else { Vec::new() }
        }

        fn local(&self, directory: &str) -> Vec<Listed> {
            if matches!(directory, "" | "./" | "~/") { self.local.clone() } else { Vec::new() }
        }

        fn endpoints(&self) -> Vec<String> {
            ["lab.example:4433", "localhost:4433"].map(str::to_owned).to_vec()
        }
    }

    fn listed(names: &[&str]) -> Vec<Listed> {
        let listed = |name: &&str| Listed {
            name: name.trim_end_matches('/').to_owned(),
            is_directory: name.ends_with('/'),
        };
        names.iter().map(listed).collect()
    }

    fn fake() -> Fake {
        Fake {
            local: listed(&["notes.txt", "photos/", ".hidden", "-f"]),
            remote: listed(&["my file.txt", "my dir/", "other.txt", ".secret"]),
        }
    }

    /// The lines that Tab could make of `line`.
    fn made(places: &Fake, line: &str) -> Vec<String> {
        let (start, pairs) = complete(&line_command(), places, line);
        pairs.into_iter().map(|pair| format!("{}{}", &line[..start], pair.replacement)).collect()
    }

    #[test]
    fn lines_are_completed_by_what_can_stand_there() {
        let cases: [(&str, &[&str]); 24] = [
            ("upl", &["upload "]),
            ("UPL", &["upload "]),
            ("conn", &["connect ", "connme "]),
            ("help dow", &["help download "]),
            ("connme la", &["connme lab.example:4433 "]),
            ("connme LO", &["connme localhost:4433 "]),
            ("upload --on", &["upload --on-exists "]),
            ("upload --on-exists s", &["upload --on-exists skip "]),
            ("upload n", &["upload notes.txt "]),
            ("upload p", &["upload photos/"]),
            ("upload notes.txt my", &["upload notes.txt my\\ dir/", "upload notes.txt my\\ file.txt "]),
            ("upload --to m", &["upload --to my\\ dir/"]),
            ("download o", &["download other.txt "]),
            ("size my\\ f", &["size my\\ file.txt "]),
            ("size 'my f", &["size 'my file.txt' "]),
            ("size \"my f", &["size \"my file.txt\" "]),
            ("size my' 'f", &["size my\\ file.txt "]),
            ("ls 'my dir/'o", &["ls 'my dir/other.txt' "]),
            ("cd ", &["cd my\\ dir/"]),
            ("lcd ", &["lcd photos/"]),
            ("lls .", &["lls .hidden "]),
            ("lls ~", &["lls ~/"]),
            ("pwd ", &[]),
            ("frobnicate ", &[]),
        ];
        for (line, expected) in cases {
            assert_eq!(made(&fake(), line), expected, "{line}");
        }
    }

    #[test]
    fn names_that_mean_something_else_are_put_behind_a_directory() {
        assert!(made(&fake(), "lls ").contains(&"lls ./-f ".to_owned()));
        let odd = Fake { local: listed(&["~"]), ..Fake::default() };
        assert_eq!(made(&odd, "upload "), ["upload ./~ "]);
    }

    #[test]
    fn what_cannot_be_shown_is_not_offered() {
        let odd = Fake { remote: listed(&["a\u{1b}[2J", "a\u{202e}b", "a\nb", "a\\b"]), ..Fake::default() };
        assert_eq!(made(&odd, "size "), ["size a\\\\b "]);
        let many = Fake {
            remote: (0..3000).map(|n| Listed { name: n.to_string(), is_directory: false }).collect(),
            ..Fake::default()
        };
        assert_eq!(made(&many, "size ").len(), MAX_CANDIDATES);
    }

    fn name() -> impl Strategy<Value = String> {
        let special = proptest::sample::select("'\"\\ #*?[]{}$`~!&;|<>()=%-.".chars().collect::<Vec<_>>());
        proptest::collection::vec(prop_oneof![special, any::<char>()], 1..10)
            .prop_map(|chars| chars.into_iter().filter(|c| *c != '/').collect::<String>())
            .prop_filter("it can be shown", |name| {
                !name.is_empty() && name != "." && name != ".." && is_showable(name)
            })
    }

    proptest! {
        /// Whatever is typed of a name, and however it is quoted: once it is completed, the line names the file.
        #[test]
        fn a_completed_line_names_the_file(
            name in name(),
            is_directory in any::<bool>(),
            typed_chars in 0..10_usize,
            form in 0..4_usize,
        ) {
            let begun: String = name.chars().take(typed_chars).collect();
            let word = match form {
                0 => quote(&begun, Style::Plain),
                // Left open, as it is while one types.
                1 => quote(&begun, Style::Single).trim_end_matches('\'').to_owned(),
                2 => { let closed = quote(&begun, Style::Double); closed[..closed.len() - 1].to_owned() }
                _ => quote(&begun, Style::Single),
            };
            let places = Fake { remote: vec![Listed { name: name.clone(), is_directory }], ..Fake::default() };
            let line = format!("stat {word}");
            let lines = made(&places, &line);
            let shown_dot = !name.starts_with('.') || begun.starts_with('.');
            if begun.starts_with('-') || !shown_dot {
                return Ok(());
            }
            prop_assert_eq!(lines.len(), 1, "{:?} of {:?}", lines, line);
            let slash = if is_directory { "/" } else { "" };
            match parse_line(&lines[0]) {
                Ok(Parsed::Verb(Verb::Stat { path })) => {
                    prop_assert_eq!(path.strip_prefix("./").unwrap_or(&path), format!("{name}{slash}"));
                }
                other => prop_assert!(false, "{:?}: {:?}", lines, other),
            }
        }
    }
}
