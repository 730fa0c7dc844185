//! Text that came from a peer, and how it may be shown.
//!
//! Names, error texts and close reasons are hostile until shown otherwise: a name may hold escape sequences that drive a
//! terminal, or direction controls that make `exe.txt` out of `txt.exe`. The types of this crate that carry such text
//! have no `Display` of their own; they are printed through [`Escaped`].

use std::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The longest free text from a peer, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 256;

/// Shows text on one line, with everything that could act on a terminal or deceive a reader escaped.
///
/// The output is unambiguous: a backslash is shown as `\\`, a newline as `\n`, a tab as `\t`, and every other escaped
/// character as `\u{hex}`. Escaped are C0, C1 and DEL; direction controls; line and paragraph separators; characters
/// that show as nothing (zero-width characters, joiners, variation selectors, soft hyphen, fillers, tags); and
/// non-characters. Joiners and variation selectors are escaped inside emoji as well, so some emoji are shown in parts:
/// a name that looks like another name is worse than one that looks odd.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c if must_be_escaped(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Whether a character may not reach a terminal as it is.
fn must_be_escaped(c: char) -> bool {
    c.is_control() || is_bidi_control(c) || is_line_separator(c) || is_ignorable(c) || is_non_character(c)
}

/// Whether a character changes the direction of the text around it (Unicode's `Bidi_Control` property).
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character is Unicode's line or paragraph separator.
pub(crate) fn is_line_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether a code point is set aside by Unicode as a non-character.
pub(crate) fn is_non_character(c: char) -> bool {
    let code = u32::from(c);
    matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe
}

/// Whether a character normally shows as nothing: Unicode's `Default_Ignorable_Code_Point` property, and the
/// interlinear annotation controls. Some file systems ignore these when they compare names.
pub(crate) fn is_ignorable(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
            | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
            | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
    )
}

/// Free text from a peer: at most [`MAX_TEXT_BYTES`] bytes, otherwise arbitrary. Decoding refuses longer text.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(String);

impl Text {
    /// Takes as much of `text` as fits, cut at a character boundary.
    pub fn new(text: &str) -> Self {
        Self(text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned())
    }

    /// The text as it was sent. It may hold control characters: print [`Text::escaped`] instead.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text in the form that may be printed.
    pub fn escaped(&self) -> Escaped<'_> {
        Escaped(&self.0)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.escaped().fmt(f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > MAX_TEXT_BYTES {
            return Err(D::Error::custom("a text is longer than the protocol allows"));
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        Escaped(text).to_string()
    }

    #[test]
    fn plain_text_is_shown_as_it_is() {
        for text in ["", "report (final).txt", "naïve Æther 日本語 👍", "quote ' and \"", "a\u{a0}b"] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_acts_on_a_terminal_or_hides_is_escaped() {
        let cases = [
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc\rd\0", "a\\nb\\tc\\u{d}d\\u{0}"),
            ("\u{7f}\u{80}\u{9b}\u{9f}", "\\u{7f}\\u{80}\\u{9b}\\u{9f}"),
            ("txt.\u{202e}exe", "txt.\\u{202e}exe"),
            ("\u{61c}\u{200e}\u{2066}\u{2069}", "\\u{61c}\\u{200e}\\u{2066}\\u{2069}"),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
            ("a\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}", "a\\u{200b}\\u{200d}\\u{2060}\\u{feff}\\u{ad}"),
            ("❤\u{fe0f}", "❤\\u{fe0f}"),
            ("\u{e0041}\u{e007f}\u{e0100}", "\\u{e0041}\\u{e007f}\\u{e0100}"),
            ("\u{fdd0}\u{ffff}\u{10fffe}", "\\u{fdd0}\\u{ffff}\\u{10fffe}"),
            ("a\\u{1b}", "a\\\\u{1b}"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn text_is_cut_at_a_character_boundary() {
        let long = format!("{}é", "x".repeat(MAX_TEXT_BYTES - 1));
        assert_eq!(Text::new(&long).as_str().len(), MAX_TEXT_BYTES - 1);
        let exact = "é".repeat(MAX_TEXT_BYTES / 2);
        assert_eq!(Text::new(&exact).as_str(), exact);
    }

    #[test]
    fn a_longer_text_is_refused_when_decoded() {
        let longest = "x".repeat(MAX_TEXT_BYTES);
        let bytes = postcard::to_allocvec(&longest).expect("encodes");
        assert_eq!(postcard::from_bytes::<Text>(&bytes).expect("fits").as_str(), longest);
        let bytes = postcard::to_allocvec(&format!("{longest}x")).expect("encodes");
        assert!(postcard::from_bytes::<Text>(&bytes).is_err());
    }

    /// Reads the escaped form back, to show that it is unambiguous.
    fn unescaped(shown: &str) -> String {
        let mut text = String::new();
        let mut rest = shown.chars();
        while let Some(c) = rest.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            match rest.next().expect("an escape is never cut") {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'u' => {
                    assert_eq!(rest.next(), Some('{'));
                    let hex: String = rest.by_ref().take_while(|c| *c != '}').collect();
                    let code = u32::from_str_radix(&hex, 16).expect("hexadecimal");
                    text.push(char::from_u32(code).expect("a scalar value"));
                }
                other => {
                    assert_eq!(other, '\\');
                    text.push('\\');
                }
            }
        }
        text
    }

    proptest! {
        #[test]
        fn the_shown_form_is_clean_and_unambiguous(chars in proptest::collection::vec(any::<char>(), 0..64)) {
            let text: String = chars.into_iter().collect();
            let shown = shown(&text);
            prop_assert!(!shown.chars().any(must_be_escaped));
            prop_assert_eq!(unescaped(&shown), text);
        }

        #[test]
        fn controls_are_always_clean(code in 0u32..0x2100) {
            let text = char::from_u32(code).expect("below the surrogates").to_string();
            prop_assert!(!shown(&text).chars().any(must_be_escaped));
            prop_assert_eq!(unescaped(&shown(&text)), text);
        }

        #[test]
        fn texts_come_back(text: String) {
            let text = Text::new(&text);
            let bytes = postcard::to_allocvec(&text).expect("encodes");
            prop_assert_eq!(postcard::from_bytes::<Text>(&bytes).expect("decodes"), text);
        }
    }
}
