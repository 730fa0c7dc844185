//! A corpus of hostile names and paths, so that the tests of every crate try the same ones.
//!
//! The corpus is `tests/data/hostile_names.txt`; its first lines describe its form. `accepted` says what
//! [`crate::path::RelPath`] makes of a name: what is accepted is an ordinary name that must arrive byte for byte, what is
//! not must never reach a file system.

const CORPUS: &str = include_str!("../tests/data/hostile_names.txt");

/// One line of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostileName {
    /// The name as it might come from a peer or a file system; not always UTF-8.
    pub bytes: Vec<u8>,
    /// Whether it is a path by the rules of [`crate::path`].
    pub accepted: bool,
    /// Why it is in the corpus.
    pub reason: &'static str,
}

/// All names of the corpus, in its order.
pub fn names() -> impl Iterator<Item = HostileName> {
    lines().filter_map(parse_line)
}

/// The lines that hold a name.
fn lines() -> impl Iterator<Item = &'static str> {
    CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Reads `VERDICT "NAME" REASON`.
fn parse_line(line: &'static str) -> Option<HostileName> {
    let (verdict, rest) = line.split_once(" \"")?;
    let accepted = match verdict.trim_end() {
        "accept" => true,
        "reject" => false,
        _ => return None,
    };
    let (bytes, reason) = unescape(rest)?;
    Some(HostileName { bytes, accepted, reason: reason.trim() })
}

/// Reads an escaped name up to its closing quote; returns it and what follows.
fn unescape(text: &'static str) -> Option<(Vec<u8>, &'static str)> {
    let mut bytes = Vec::new();
    let mut rest = text;
    loop {
        let mut chars = rest.chars();
        let c = chars.next()?;
        rest = chars.as_str();
        match c {
            '"' => return Some((bytes, rest)),
            '\\' => rest = unescape_one(rest, &mut bytes)?,
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Reads what follows a backslash; returns what follows that.
fn unescape_one(text: &'static str, bytes: &mut Vec<u8>) -> Option<&'static str> {
    let mut chars = text.chars();
    let kind = chars.next()?;
    let rest = chars.as_str();
    match kind {
        '\\' | '"' => bytes.push(u8::try_from(kind).ok()?),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'x' => {
            bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
            return rest.get(2..);
        }
        'u' => {
            let (hex, rest) = rest.strip_prefix('{')?.split_once('}')?;
            let c = char::from_u32(u32::from_str_radix(hex, 16).ok()?)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(rest);
        }
        '*' => {
            let (repeated, rest) = rest.strip_prefix('{')?.split_once('}')?;
            let (count, unit) = repeated.split_once(' ')?;
            bytes.extend_from_slice(unit.repeat(count.parse().ok()?).as_bytes());
            return Some(rest);
        }
        _ => return None,
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::path::{DirPath, Name, RelPath};

    #[test]
    fn every_line_is_readable_and_gives_a_reason() {
        for line in lines() {
            let name = parse_line(line).unwrap_or_else(|| panic!("cannot read {line}"));
            assert!(!name.reason.is_empty(), "no reason: {line}");
        }
        assert!(names().count() >= 200, "{} names", names().count());
    }

    #[test]
    fn no_name_is_there_twice() {
        let mut seen = BTreeSet::new();
        for name in names() {
            assert!(seen.insert(name.bytes.clone()), "twice: {name:?}");
        }
    }

    #[test]
    fn every_verdict_is_that_of_the_parser() {
        for HostileName { bytes, accepted, reason } in names() {
            let parsed = RelPath::parse_bytes(&bytes);
            assert_eq!(parsed.is_ok(), accepted, "{reason}: {parsed:?} from {}", bytes.escape_ascii());
            let dir = DirPath::parse_bytes(&bytes);
            assert_eq!(dir.is_ok(), accepted || bytes.is_empty(), "{reason}: {}", bytes.escape_ascii());
            if let Ok(path) = parsed {
                assert_eq!(path.as_str().as_bytes(), bytes, "a name is kept byte for byte");
            }
        }
    }

    #[test]
    fn no_name_decodes_into_what_parsing_refuses() {
        for HostileName { bytes, accepted, reason } in names() {
            // The encoding of a string and of a byte vector is the same; only the latter takes any bytes.
            let encoded = postcard::to_allocvec(&bytes).expect("encodes");
            assert_eq!(postcard::from_bytes::<RelPath>(&encoded).is_ok(), accepted, "{reason}");
            if let Ok(name) = postcard::from_bytes::<Name>(&encoded) {
                assert!(!name.as_str().contains('/'), "{reason}");
            }
        }
    }

    #[test]
    fn escapes_mean_what_the_corpus_says() {
        let (bytes, rest) = unescape(r#"a\\\"\n\r\t\xff\u{e9}\*{3 ab/}é" why"#).expect("readable");
        assert_eq!(bytes, b"a\\\"\n\r\t\xff\xc3\xa9ab/ab/ab/\xc3\xa9");
        assert_eq!(rest, " why");
        for broken in ["a", "\\q\"", "\\x1\"", "\\xé\"", "\\u{110000}\"", "\\u{d800}\"", "\\*{x a}\"", "\\"]
        {
            assert_eq!(unescape(broken), None, "{broken}");
        }
    }
}
