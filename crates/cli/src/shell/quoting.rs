//! The words of a line up to the cursor, and names written so that splitting the line gives them back.
//!
//! The rules are those of `shell_words`, which splits the line once it is entered; a property test holds the two
//! together.

/// How the word at the cursor is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Not at all, or with backslashes.
    Plain,
    /// Within `'`.
    Single,
    /// Within `"`.
    Double,
}

/// A line, seen from the cursor at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    /// The words before the one at the cursor, without their quotes.
    pub(super) words: Vec<String>,
    /// Where the word at the cursor begins, in bytes.
    pub(super) start: usize,
    /// That word without its quotes; empty behind a blank.
    pub(super) word: String,
    /// How it is quoted.
    pub(super) style: Style,
}

/// Where the reading of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Blank,
    Word,
    Escaped,
    Single,
    Double,
    EscapedInDouble,
}

/// Reads a line up to the cursor; none within a comment, where nothing is to be completed.
pub(super) fn typed(line: &str) -> Option<Typed> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut start = line.len();
    let mut at = At::Blank;
    for (index, c) in line.char_indices() {
        if at == At::Blank && !is_blank(c) {
            start = index;
        }
        at = match (at, c) {
            (At::Blank, '#') => return None,
            (At::Blank, c) if is_blank(c) => At::Blank,
            (At::Word, c) if is_blank(c) => {
                words.push(std::mem::take(&mut word));
                start = line.len();
                At::Blank
            }
            (At::Blank | At::Word, '\'') => At::Single,
            (At::Blank | At::Word, '"') => At::Double,
            (At::Blank | At::Word, '\\') => At::Escaped,
            (At::Single, '\'') | (At::Double, '"') => At::Word,
            (At::Double, '\\') => At::EscapedInDouble,
            (At::EscapedInDouble, c) => {
                if !IN_DOUBLE_QUOTES.contains(&c) {
                    word.push('\\');
                }
                word.push(c);
                At::Double
            }
            (At::Single | At::Double, c) => {
                word.push(c);
                at
            }
            (At::Blank | At::Word | At::Escaped, c) => {
                word.push(c);
                At::Word
            }
        };
    }
    Some(Typed { words, start, word, style: style(at, &line[start..]) })
}

/// A quote that is open decides, otherwise the one that the word begins with: names keep the form that was begun.
fn style(at: At, word: &str) -> Style {
    match at {
        At::Single => Style::Single,
        At::Double | At::EscapedInDouble => Style::Double,
        At::Blank | At::Word | At::Escaped if word.starts_with('\'') => Style::Single,
        At::Blank | At::Word | At::Escaped if word.starts_with('"') => Style::Double,
        At::Blank | At::Word | At::Escaped => Style::Plain,
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

/// What a backslash takes its meaning from within double quotes.
const IN_DOUBLE_QUOTES: [char; 4] = ['$', '`', '"', '\\'];

/// Writes a name as a word of a line. Every quote in it is closed again.
pub(super) fn quote(name: &str, style: Style) -> String {
    match style {
        Style::Plain => escape(name, is_special),
        Style::Single => format!("'{}'", name.replace('\'', "'\\''")),
        Style::Double => format!("\"{}\"", escape(name, |c| IN_DOUBLE_QUOTES.contains(&c))),
    }
}

fn escape(name: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        if is_special(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Whether a character could mean something else than itself: to the splitting, as a pattern, or to another shell that
/// the line is copied to.
fn is_special(c: char) -> bool {
    c.is_whitespace() || "'\"\\#*?[]{}$`&|;<>()!".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        verb::Verb,
        words::{Parsed, parse_line},
    };
    use proptest::prelude::*;

    const STYLES: [Style; 3] = [Style::Plain, Style::Single, Style::Double];

    fn seen(line: &str) -> (Vec<String>, usize, String, Style) {
        let typed = typed(line).expect("no comment");
        (typed.words, typed.start, typed.word, typed.style)
    }

    #[test]
    fn the_word_at_the_cursor_is_read_without_its_quotes() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let cases = [
            ("", words(&[]), 0, "", Style::Plain),
            ("ls", words(&[]), 0, "ls", Style::Plain),
            ("ls ", words(&["ls"]), 3, "", Style::Plain),
            ("get a\\ b", words(&["get"]), 4, "a b", Style::Plain),
            ("get 'a b", words(&["get"]), 4, "a b", Style::Single),
            ("get \"a b", words(&["get"]), 4, "a b", Style::Double),
            ("get 'a b/'c", words(&["get"]), 4, "a b/c", Style::Single),
            ("get x'a b", words(&["get"]), 4, "xa b", Style::Single),
            ("get 'a b' c", words(&["get", "a b"]), 10, "c", Style::Plain),
            // A backslash that nothing follows yet is no part of the name.
            ("get a\\", words(&["get"]), 4, "a", Style::Plain),
            ("get \"a\\", words(&["get"]), 4, "a", Style::Double),
            ("get \"a\\b", words(&["get"]), 4, "a\\b", Style::Double),
            ("  LS\tä", words(&["LS"]), 5, "ä", Style::Plain),
        ];
        for (line, words, start, word, style) in cases {
            assert_eq!(seen(line), (words, start, word.to_owned(), style), "{line}");
        }
    }

    #[test]
    fn comments_are_not_completed() {
        assert_eq!(typed("# l"), None);
        assert_eq!(typed("ls #a"), None);
        assert!(typed("ls a#b").is_some());
    }

    fn name() -> impl Strategy<Value = String> {
        // Everything that can stand in a file's name, and what is special far more often than by chance.
        let special = proptest::sample::select(
            "'\"\\ #*?[]{}$`~!&;|<>()=%-.\u{a0}\u{3000}\t".chars().collect::<Vec<_>>(),
        );
        proptest::collection::vec(prop_oneof![special, any::<char>()], 1..12).prop_map(|chars| {
            chars.into_iter().filter(|c| !matches!(c, '\0' | '/' | '\n')).chain(['x']).collect::<String>()
        })
    }

    fn one_word(line: &str) -> Result<String, TestCaseError> {
        match parse_line(line) {
            Ok(Parsed::Verb(Verb::Stat { path })) => Ok(path),
            other => Err(TestCaseError::fail(format!("{line:?}: {other:?}"))),
        }
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_read_back(mut chars in name(), ends_odd in any::<bool>(), style in 0..3_usize) {
            if ends_odd {
                // What a name ends in is what the end of a line could take away.
                chars.pop();
            }
            prop_assume!(!chars.is_empty() && !chars.starts_with('-'));
            let word = quote(&chars, STYLES[style]);
            prop_assert_eq!(shell_words::split(&word).expect("closed"), [chars.clone()]);
            for behind in ["", " "] {
                prop_assert_eq!(one_word(&format!("stat {word}{behind}"))?, chars.clone());
            }
        }

        #[test]
        fn whatever_is_typed_is_read_as_it_will_be_split(line in "([ 'a\\\\\"#$`\t]|b ){0,12}", style in 0..3_usize) {
            let Some(typed) = typed(&line) else { return Ok(()) };
            // Replaced by itself in full, the word at the cursor is the same word.
            let whole = format!("{}{}", &line[..typed.start], quote(&format!("{}x", typed.word), STYLES[style]));
            let words = shell_words::split(&whole).expect("closed");
            let mut expected = typed.words;
            expected.push(format!("{}x", typed.word));
            prop_assert_eq!(words, expected);
        }

        #[test]
        fn a_part_of_a_quoted_name_is_a_part_of_the_name(chars in name(), style in 0..3_usize, part in 0..40_usize) {
            // What several candidates have in common may end anywhere.
            let word = quote(&chars, STYLES[style]);
            let cut = word.floor_char_boundary(part);
            if let Some(typed) = typed(&format!("stat {}", &word[..cut])) {
                prop_assert!(chars.starts_with(&typed.word), "{} {:?}", word, typed);
            }
        }
    }
}
