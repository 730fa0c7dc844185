//! The rules that a path's text must keep. Pure checks; see the module above for their list.

use super::{MAX_COMPONENTS, MAX_NAME_BYTES, MAX_PATH_BYTES, PathError, RESERVED_NAME};
use crate::text::{is_bidi_control, is_ignorable, is_line_separator, is_non_character};

/// Checks a path of at least one component.
pub(super) fn check_path(text: &str) -> Result<(), PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    text.chars().try_for_each(check_char)?;
    if text.starts_with('/') {
        return Err(PathError::Absolute);
    }
    if text.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    for (depth, component) in text.split('/').enumerate() {
        if depth == MAX_COMPONENTS {
            return Err(PathError::TooDeep);
        }
        check_component(component)?;
        if depth == 0 && is_reserved(component) {
            return Err(PathError::Reserved);
        }
    }
    Ok(())
}

/// Checks a single component.
pub(super) fn check_name(text: &str) -> Result<(), PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(PathError::NameTooLong);
    }
    text.chars().try_for_each(check_char)?;
    if text.contains('/') {
        return Err(PathError::NotAName);
    }
    check_component(text)
}

/// The text before and after the last `/`.
pub(super) fn split_last(text: &str) -> (&str, &str) {
    text.rsplit_once('/').unwrap_or(("", text))
}

fn check_char(c: char) -> Result<(), PathError> {
    match c {
        '\\' => Err(PathError::Backslash),
        c if c.is_control() => Err(PathError::Control),
        c if is_bidi_control(c) => Err(PathError::DirectionControl),
        c if is_line_separator(c) => Err(PathError::LineSeparator),
        c if is_non_character(c) => Err(PathError::NonCharacter),
        _ => Ok(()),
    }
}

fn check_component(component: &str) -> Result<(), PathError> {
    match component {
        "" => Err(PathError::EmptyName),
        "." | ".." => Err(PathError::Dots),
        name if name.len() > MAX_NAME_BYTES => Err(PathError::NameTooLong),
        _ => Ok(()),
    }
}

/// Whether some file system that a served directory may lie on would find [`RESERVED_NAME`] under this name.
///
/// Case is folded by many (ext4 with casefold, NTFS, FAT); ext4 with casefold and HFS+ ignore characters that show as
/// nothing; Windows servers drop dots and spaces at the end; FAT and NTFS also answer to a short name of the shape
/// `FULMAR~1`.
fn is_reserved(component: &str) -> bool {
    let visible: String = component.chars().filter(|c| !is_ignorable(*c)).collect();
    let folded = visible.to_lowercase();
    let folded = folded.trim_end_matches(['.', ' ']);
    let short = folded.strip_prefix("fulmar~").is_some_and(|n| matches!(n.as_bytes(), [b'0'..=b'9']));
    folded == RESERVED_NAME || short
}
