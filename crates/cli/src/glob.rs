//! Patterns of names: `*.jpg`, `logs/x?.gz`, `{a,b}[0-9].txt`. A pattern is matched one directory at a time; nothing in
//! it crosses a `/`.

pub(crate) mod local;
pub(crate) mod remote;

use glob::{MatchOptions, Pattern};

use crate::{
    exit_code::ExitCode,
    output::{Failure, hint::Hint},
};

/// The most names that one pattern may lead to, so that a pattern cannot fill the memory.
const MAX_MATCHES: usize = 100_000;

/// The most patterns that the alternatives of one pattern may multiply to.
const MAX_BRANCHES: usize = 1_000;

/// Longer than any path: what is typed then is no pattern.
const MAX_PATTERN_BYTES: usize = 4_096;

/// Case counts. A dot in front is looked at here: the library lets a `*` that stands for nothing pass over it.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What the matches of a pattern are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Files alone: directories that match are passed over and counted.
    Files,
    /// Whatever has the name and is no directory: those are passed over and counted.
    NoDirectories,
    /// Whatever has the name.
    Anything,
}

/// What matched a pattern and was passed over, because it is not wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Directories.
    pub(crate) directories: u64,
    /// Links, devices and the like.
    pub(crate) others: u64,
}

impl std::ops::AddAssign for Skipped {
    fn add_assign(&mut self, more: Self) {
        self.directories += more.directories;
        self.others += more.others;
    }
}

/// One alternative of what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Branch {
    /// It begins with `/`.
    absolute: bool,
    /// At least one.
    components: Vec<Component>,
    /// It ends with `/`: only directories match.
    directories_only: bool,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Component {
    /// A name, its backslashes taken away.
    Literal(String),
    /// A pattern for names.
    Wild {
        /// It begins with a dot: only then it matches names that do.
        dotted: bool,
        pattern: Pattern,
    },
}

impl Component {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Wild { dotted, pattern } => {
                (*dotted || !name.starts_with('.')) && pattern.matches_with(name, OPTIONS)
            }
        }
    }
}

/// Whether `typed` could be a pattern, and not only a name.
pub(crate) fn is_pattern(typed: &str) -> Result<bool, Failure> {
    parse(typed).map(|branches| branches.is_some())
}

/// Reads `typed` as a pattern; none when it is a plain name.
fn parse(typed: &str) -> Result<Option<Vec<Branch>>, Failure> {
    if !typed.contains(['*', '?', '[', '{']) || typed.len() > MAX_PATTERN_BYTES {
        return Ok(None);
    }
    let mut texts = Vec::new();
    expand_braces(typed, &mut texts);
    if texts.len() > MAX_BRANCHES {
        let failure = Failure::usage(format!("its alternatives come to more than {MAX_BRANCHES} patterns"));
        return Err(failure.about(typed));
    }
    let mut branches = texts.iter().map(|text| branch(typed, text)).collect::<Result<Vec<_>, _>>()?;
    // What leads to no name at all, as one half of `{/,a}` does, matches nothing.
    branches.retain(|branch| !branch.components.is_empty());
    Ok(Some(branches).filter(|branches| !branches.is_empty()))
}

fn branch(typed: &str, text: &str) -> Result<Branch, Failure> {
    let parts = text.split('/').filter(|part| !part.is_empty());
    Ok(Branch {
        absolute: text.starts_with('/'),
        components: parts.map(|part| component(typed, part)).collect::<Result<_, _>>()?,
        directories_only: text.ends_with('/'),
    })
}

/// Reads what stands between two slashes as a shell does: a backslash takes the meaning from what follows it, and a
/// bracket that is never closed is a bracket.
fn component(typed: &str, text: &str) -> Result<Component, Failure> {
    let (mut pattern, mut literal, mut wild) = (String::new(), String::new(), false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let class = class_len(rest);
        let taken = match c {
            '*' if rest.starts_with("**") => return Err(recursive(typed)),
            '*' | '?' => {
                wild = true;
                pattern.push(c);
                1
            }
            '[' if class > 0 => {
                wild = true;
                pattern.push_str(&rest[..class].replacen("[^", "[!", 1));
                class
            }
            '\\' if rest.len() > 1 => {
                let escaped = rest[1..].chars().next().unwrap_or(c);
                push_literal(&mut pattern, &mut literal, escaped);
                1 + escaped.len_utf8()
            }
            c => {
                push_literal(&mut pattern, &mut literal, c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    if !wild {
        return Ok(Component::Literal(literal));
    }
    let pattern = Pattern::new(&pattern);
    let pattern = pattern.map_err(|error| Failure::usage(format!("no pattern: {}", error.msg)).about(typed));
    let dotted = text.starts_with('.') || text.starts_with("\\.");
    pattern.map(|pattern| Component::Wild { dotted, pattern })
}

fn push_literal(pattern: &mut String, literal: &mut String, c: char) {
    literal.push(c);
    match c {
        '*' | '?' | '[' => pattern.extend(['[', c, ']']),
        c => pattern.push(c),
    }
}

/// The length of the class of characters that `text` begins with, in bytes; 0 when it begins with none. A bracket that
/// closes it cannot be its first character.
fn class_len(text: &str) -> usize {
    let Some(inside) = text.strip_prefix('[') else { return 0 };
    let start = if inside.starts_with(['!', '^']) { 2 } else { 1 };
    let first = text[start..].chars().next().map_or(0, char::len_utf8);
    let from = start + first;
    if first == 0 { 0 } else { text[from..].find(']').map_or(0, |at| from + at + 1) }
}

fn recursive(typed: &str) -> Failure {
    Failure::usage("'**' is not supported: a '*' matches inside of one directory")
        .about(typed)
        .hint("name each level: 'logs/*/*.gz'")
}

/// Multiplies alternatives out, as shells do: `a{b,c}` is `ab` and `ac`; braces without a comma are plain text. Gives up
/// once there are too many.
fn expand_braces(text: &str, into: &mut Vec<String>) {
    // What is left to look at, and from where on: what lies before has no alternatives any more.
    let mut waiting = vec![(text.to_owned(), 0)];
    while let Some((text, from)) = waiting.pop() {
        if into.len() + waiting.len() > MAX_BRANCHES {
            into.resize(MAX_BRANCHES + 1, String::new());
            return;
        }
        match next_alternatives(&text, from) {
            None => into.push(text),
            Some((open, parts, close)) => {
                let expanded = |part: &&str| (format!("{}{part}{}", &text[..open], &text[close + 1..]), open);
                waiting.extend(parts.iter().rev().map(|part| expanded(&part.as_str())));
            }
        }
    }
}

/// The first braces behind `from` with a comma in them: where they open, what is between the commas, where they close.
fn next_alternatives(text: &str, from: usize) -> Option<(usize, Vec<String>, usize)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == '{'
            && !escaped
            && at >= from
            && let Some((parts, close)) = alternatives_at(text, at)
        {
            return Some((at, parts, close));
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn alternatives_at(text: &str, open: usize) -> Option<(Vec<String>, usize)> {
    let (mut depth, mut escaped, mut parts, mut begin) = (0, false, Vec::new(), open + 1);
    for (at, c) in text[open..].char_indices() {
        let at = open + at;
        match c {
            _ if escaped => {}
            '{' => depth += 1,
            ',' if depth == 1 => {
                parts.push(text[begin..at].to_owned());
                begin = at + 1;
            }
            '}' if depth == 1 => {
                parts.push(text[begin..at].to_owned());
                return (parts.len() > 1).then_some((parts, at));
            }
            '}' => depth -= 1,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Nothing has a name that matches.
pub(crate) fn no_match(typed: &str, hint: Hint) -> Failure {
    Failure::new(ExitCode::NotFound, "not-found", "no file matches").about(typed).hint(hint)
}

fn too_many(typed: &str) -> Failure {
    Failure::new(ExitCode::Other, "too-many", format!("more than {MAX_MATCHES} names match"))
        .about(typed)
        .hint("a longer pattern matches fewer: 'a*', then 'b*'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn branches(typed: &str) -> Vec<Branch> {
        parse(typed).expect("a pattern").expect("no plain name")
    }

    /// Whether one component matches.
    fn matches(typed: &str, name: &str) -> bool {
        branches(typed).iter().any(|branch| branch.components[0].matches(name))
    }

    #[test]
    fn a_pattern_matches_as_in_a_shell() {
        let cases: [(&str, &[&str], &[&str]); 12] = [
            ("*.jpg", &["a.jpg", " .jpg", "ä.jpg"], &["a.JPG", ".jpg", "a.jpg2", "a"]),
            ("x?.gz", &["x1.gz", "xä.gz", "x\u{1f9ad}.gz"], &["x.gz", "x12.gz"]),
            ("[a-cä]x", &["ax", "bx", "äx"], &["dx", "x"]),
            ("[!a]x", &["bx"], &["ax", ".x"]),
            ("[^a]x", &["bx"], &["ax"]),
            ("[]x]*", &["]", "xyz"], &["y"]),
            ("a[1].txt", &["a1.txt"], &["a[1].txt"]),
            (r"a\[1\]*", &["a[1].txt"], &["a1"]),
            (".*", &[".a", ".a.b"], &["a"]),
            ("{a,b}*", &["a1", "b"], &["c", "{a"]),
            ("x{1,{2,3}y}", &["x1", "x2y", "x3y"], &["x2", "x1y"]),
            (r"*\**", &["a*b", "*"], &["ab"]),
        ];
        for (typed, yes, no) in cases {
            for name in yes {
                assert!(matches(typed, name), "{typed} matches {name}");
            }
            for name in no {
                assert!(!matches(typed, name), "{typed} does not match {name}");
            }
        }
    }

    #[test]
    fn a_pattern_goes_down_one_directory_at_a_time() {
        let found = branches("/logs/*//x?.gz");
        let [Branch { absolute: true, components, directories_only: false }] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(components.len(), 3);
        assert_eq!(components[0], Component::Literal("logs".to_owned()));
        assert!(matches!(&components[1], Component::Wild { .. }));
        let found = branches("{a/x,b}/*/");
        assert_eq!(found.iter().map(|branch| branch.components.len()).collect::<Vec<_>>(), [3, 2]);
        assert!(found.iter().all(|branch| branch.directories_only && !branch.absolute));
    }

    #[test]
    fn what_has_nothing_special_in_it_is_a_name() {
        for name in ["a.txt", r"in\a.txt", "a]b}", "-", "", "a,b"] {
            assert_eq!(parse(name).expect("no failure"), None, "{name}");
        }
        // Braces and brackets that do nothing stand for themselves.
        for name in ["a{b}", "a{", "[", "a[", "[]", "{a,b"] {
            let found = branches(name);
            assert_eq!(found[0].components, [Component::Literal(name.to_owned())], "{name}");
        }
    }

    #[test]
    fn what_could_match_anything_anywhere_is_refused() {
        for typed in ["**", "a/**/b", "a**", "{**,b}"] {
            let failure = parse(typed).expect_err(typed);
            assert_eq!(failure.code, ExitCode::Usage, "{typed}");
            assert!(failure.hint.is_some(), "{typed}");
        }
        assert!(matches(r"\**", "*a"), "an escaped star and another one");
    }

    #[test]
    fn alternatives_are_bounded() {
        let eight = "{a,b,c,d,e,f,g,h}";
        assert_eq!(branches(&eight.repeat(3)).len(), 512);
        assert_eq!(parse(&eight.repeat(4)).expect_err("4096 of them").code, ExitCode::Usage);
        assert_eq!(parse(&eight.repeat(60)).expect_err("far too many").code, ExitCode::Usage);
    }

    fn escaped(name: &str) -> String {
        let escape = |c: char| if r"*?[]{},\".contains(c) { format!("\\{c}") } else { c.to_string() };
        name.chars().map(escape).collect()
    }

    proptest! {
        #[test]
        fn no_text_panics(typed in r"[a*?\[\]{},!^./ä\\-]{0,40}", name in r"[a*?.ä\[]{0,10}") {
            if let Ok(Some(branches)) = parse(&typed) {
                for branch in branches {
                    let _ = branch.components.iter().filter(|component| component.matches(&name)).count();
                }
            }
        }

        #[test]
        fn an_escaped_name_matches_itself_alone(
            name in r"[a-c*?\[\]{},!^.ä\\-]{1,12}",
            other in r"[a-c*?\[.ä\\]{1,12}",
        ) {
            let typed = escaped(&name);
            if parse(&typed).expect("no failure").is_some() {
                prop_assert!(matches(&typed, &name), "{}", typed);
                prop_assert_eq!(matches(&typed, &other), name == other);
            }
            // Beside something that is special too.
            let typed = format!("{{{typed},}}x*");
            prop_assert!(matches(&typed, &format!("{name}x1")), "{}", typed);
        }
    }
}
