//! Paths and names, checked once and by the same rules on both sides.
//!
//! A path crosses the wire as text and becomes a [`RelPath`], a [`DirPath`] or a [`Name`] when it is decoded; nothing
//! else reaches a file system. The rules:
//!
//! * UTF-8, at most 4,096 bytes; at most 64 components of 1 to 255 bytes, separated by `/`;
//! * no component is empty, `.` or `..`, and there is no `/` at either end;
//! * no C0 or C1 control character, no DEL, no `\`;
//! * no direction control (U+061C, U+200E, U+200F, U+202A–202E, U+2066–2069), no line or paragraph separator (U+2028,
//!   U+2029), no non-character (U+FDD0–FDEF, U+xxFFFE, U+xxFFFF);
//! * the first component is not [`RESERVED_NAME`] under any name that a file system might take for it.
//!
//! Everything else is an ordinary name: `CON`, `C:`, `%2e%2e`, `~`, `-rf`, a trailing dot or space, and zero-width
//! characters, without which many emoji could not be written. Names are kept byte for byte, never normalised.
//! None of the types has a `Display`; what may be printed is [`RelPath::escaped`].

mod number;
mod rules;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::text::Escaped;

/// The longest path, in bytes of UTF-8 with separators.
pub const MAX_PATH_BYTES: usize = 4096;

/// The longest component of a path, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 255;

/// The most components that a path has.
pub const MAX_COMPONENTS: usize = 64;

/// The directory below a served root where the server keeps its own files. No path begins with it, whatever its case.
pub const RESERVED_NAME: &str = ".fulmar";

/// Why a text is not a path or a name. The messages never repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is no text.
    #[error("the path is empty")]
    Empty,
    /// The path is longer than [`MAX_PATH_BYTES`].
    #[error("the path is longer than 4096 bytes")]
    TooLong,
    /// The path has more than [`MAX_COMPONENTS`] components.
    #[error("the path has more than 64 components")]
    TooDeep,
    /// A component is longer than [`MAX_NAME_BYTES`].
    #[error("a name in the path is longer than 255 bytes")]
    NameTooLong,
    /// The path begins with `/`.
    #[error("the path begins with a slash; paths are relative to the served directory")]
    Absolute,
    /// The path ends with `/`.
    #[error("the path ends with a slash")]
    TrailingSlash,
    /// Two slashes follow each other.
    #[error("the path has an empty name in it")]
    EmptyName,
    /// A component is `.` or `..`.
    #[error("the path has '.' or '..' in it")]
    Dots,
    /// The path holds a `\`.
    #[error("the path has a backslash in it; the separator is '/'")]
    Backslash,
    /// The path holds a C0 or C1 control character or DEL.
    #[error("the path has a control character in it")]
    Control,
    /// The path holds a character that changes the direction of text.
    #[error("the path has a text direction control in it")]
    DirectionControl,
    /// The path holds a line or paragraph separator.
    #[error("the path has a line separator in it")]
    LineSeparator,
    /// The path holds a Unicode non-character.
    #[error("the path has a Unicode non-character in it")]
    NonCharacter,
    /// The first component is the server's own directory.
    #[error("the name '.fulmar' is reserved for the server's own files")]
    Reserved,
    /// Where one name is expected, there are several components.
    #[error("a single name is expected, not a path")]
    NotAName,
    /// The bytes are not UTF-8.
    #[error("the path is not valid UTF-8")]
    NotUtf8,
}

/// The path of a file or directory below the served root: 1 to 64 components.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

/// The path of a directory: the served root itself (no components, empty text) or one below it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirPath(String);

/// A single component, by the same rules. [`RESERVED_NAME`] is a valid name, because it is reserved only at the root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl RelPath {
    /// Checks `text` by the rules of this module.
    ///
    /// # Errors
    /// The first [`PathError`] that applies.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        rules::check_path(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The last component.
    pub fn name(&self) -> &str {
        rules::split_last(&self.0).1
    }

    /// The directory that holds this path: the root for a path of one component.
    pub fn parent(&self) -> DirPath {
        DirPath(rules::split_last(&self.0).0.to_owned())
    }

    /// What follows the last `.` of the name, without it; `None` when there is no `.` but at the name's very start.
    pub fn extension(&self) -> Option<&str> {
        extension(self.name())
    }

    /// The path beside this one whose name carries a number: `report.txt` becomes `report (1).txt`. The name stays
    /// within 255 bytes, and the path within 4,096, by shortening what comes before the number; an extension too long
    /// to be kept is shortened with it.
    ///
    /// # Errors
    /// [`PathError::TooLong`] when the path is so long that no numbered name fits below its parent.
    pub fn with_suffix_number(&self, number: u32) -> Result<Self, PathError> {
        let (parent, name) = rules::split_last(&self.0);
        let parent_bytes = self.0.len() - name.len();
        let room = MAX_NAME_BYTES.min(MAX_PATH_BYTES - parent_bytes);
        let numbered = number::numbered(name, number, room).ok_or(PathError::TooLong)?;
        DirPath(parent.to_owned()).join(&numbered)
    }
}

impl DirPath {
    /// Checks `text` by the rules of this module; the empty text is the root.
    ///
    /// # Errors
    /// The first [`PathError`] that applies, never [`PathError::Empty`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if !text.is_empty() {
            rules::check_path(text)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The served root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Whether this is the served root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of what is called `name` in this directory. `name` is one component.
    ///
    /// # Errors
    /// [`PathError::NotAName`] when `name` has a `/` in it, else the first [`PathError`] that applies.
    pub fn join(&self, name: &str) -> Result<RelPath, PathError> {
        rules::check_name(name)?;
        self.append(name)
    }

    /// The path that `path` names when it is taken as relative to this directory.
    ///
    /// # Errors
    /// [`PathError::TooLong`] or [`PathError::TooDeep`] when the whole exceeds the bounds.
    pub fn join_path(&self, path: &RelPath) -> Result<RelPath, PathError> {
        self.append(&path.0)
    }

    /// This directory as a path with at least one component; `None` for the root.
    pub fn to_rel(&self) -> Option<RelPath> {
        (!self.is_root()).then(|| RelPath(self.0.clone()))
    }

    fn append(&self, tail: &str) -> Result<RelPath, PathError> {
        if self.is_root() { RelPath::parse(tail) } else { RelPath::parse(&format!("{}/{tail}", self.0)) }
    }
}

impl Name {
    /// Checks `text` by the rules for one component.
    ///
    /// # Errors
    /// The first [`PathError`] that applies; [`PathError::NotAName`] when there is a `/` in it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        rules::check_name(text)?;
        Ok(Self(text.to_owned()))
    }

    /// What follows the last `.`, as for [`RelPath::extension`].
    pub fn extension(&self) -> Option<&str> {
        extension(&self.0)
    }
}

impl From<RelPath> for DirPath {
    fn from(path: RelPath) -> Self {
        Self(path.0)
    }
}

/// What the three types have in common: reading from text and bytes, and showing.
macro_rules! text_type {
    ($type:ident, $what:literal) => {
        impl $type {
            #[doc = concat!("Checks bytes, as an operating system hands them over, as ", $what, ".")]
            ///
            /// # Errors
            /// [`PathError::NotUtf8`], else as for `parse`.
            pub fn parse_bytes(bytes: &[u8]) -> Result<Self, PathError> {
                Self::parse(std::str::from_utf8(bytes).map_err(|_| PathError::NotUtf8)?)
            }

            /// The text, `/` between components. Print [`Self::escaped`] instead.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form that may be printed.
            pub fn escaped(&self) -> Escaped<'_> {
                Escaped(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.escaped().fmt(f)
            }
        }

        impl FromStr for $type {
            type Err = PathError;

            fn from_str(text: &str) -> Result<Self, PathError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = PathError;

            fn try_from(text: String) -> Result<Self, PathError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(path: $type) -> Self {
                path.0
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

text_type!(RelPath, "a path");
text_type!(DirPath, "the path of a directory");
text_type!(Name, "a name");

/// The components of a path; none for the root.
macro_rules! components {
    ($type:ident) => {
        impl $type {
            /// The components from the root downward.
            pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
                // The root's empty text would otherwise count as one empty component.
                self.0.split('/').filter(|component| !component.is_empty())
            }
        }
    };
}

components!(RelPath);
components!(DirPath);

/// What follows the last `.` of a name, unless that is its first character.
fn extension(name: &str) -> Option<&str> {
    match name.rfind('.') {
        None | Some(0) => None,
        Some(dot) => Some(&name[dot + 1..]),
    }
}

/// Whether two names have the same extension: what follows the last `.` that is not the name's first character, without
/// regard to ASCII case. Two names without any have the same.
pub fn same_extension(a: &str, b: &str) -> bool {
    match (extension(a), extension(b)) {
        (None, None) => true,
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}
