//! What a client may do.

use serde::{Deserialize, Serialize};

/// A set of grants. Bits that this version does not know are kept and mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Grants(pub u32);

/// A word in a list of grants was not one of `list`, `read`, `write`, `delete`, `all`, `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("grants are words out of list, read, write, delete, joined by commas; or all, or none")]
pub struct GrantsError;

impl Grants {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// See names, sizes and times.
    pub const LIST: Self = Self(1);
    /// Read the bytes of files.
    pub const READ: Self = Self(2);
    /// Store new files and make directories.
    pub const WRITE: Self = Self(4);
    /// Remove, rename and replace what is stored.
    pub const DELETE: Self = Self(8);
    /// Everything that this version knows.
    pub const ALL: Self = Self(15);

    const WORDS: [(Self, &'static str); 4] =
        [(Self::LIST, "list"), (Self::READ, "read"), (Self::WRITE, "write"), (Self::DELETE, "delete")];

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every grant of `needed` is in this set.
    #[must_use]
    pub const fn allow(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }
}

impl std::fmt::Display for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> =
            Self::WORDS.iter().filter(|(grant, _)| self.allow(*grant)).map(|(_, word)| *word).collect();
        if words.is_empty() { f.write_str("none") } else { f.write_str(&words.join(",")) }
    }
}

impl std::str::FromStr for Grants {
    type Err = GrantsError;

    fn from_str(text: &str) -> Result<Self, GrantsError> {
        match text {
            "all" => return Ok(Self::ALL),
            "none" => return Ok(Self::NONE),
            _ => {}
        }
        text.split(',').try_fold(Self::NONE, |sum, word| {
            let found = Self::WORDS.iter().find(|(_, known)| *known == word.trim());
            found.map(|(grant, _)| sum.with(*grant)).ok_or(GrantsError)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_survives_its_text() {
        for bits in 0..=15 {
            let grants = Grants(bits);
            assert_eq!(grants.to_string().parse(), Ok(grants));
        }
    }

    #[test]
    fn unknown_words_are_refused() {
        for text in ["", "lists", "list,", "read;write", "ALL", "read,all"] {
            assert_eq!(text.parse::<Grants>(), Err(GrantsError), "{text:?}");
        }
    }

    #[test]
    fn allow_needs_every_grant() {
        let reader = Grants::LIST.with(Grants::READ);
        assert!(reader.allow(Grants::READ));
        assert!(reader.allow(Grants::NONE));
        assert!(!reader.allow(Grants::READ.with(Grants::WRITE)));
    }
}
