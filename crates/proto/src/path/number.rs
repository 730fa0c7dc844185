//! Numbered names, for what must not replace an existing file.

use super::extension;

/// `name (number).ext` in at most `room` bytes, or `None` when not even one character of the name fits.
pub(super) fn numbered(name: &str, number: u32, room: usize) -> Option<String> {
    let mark = format!(" ({number})");
    let ending = extension(name).map_or(0, |extension| extension.len() + 1);
    let (stem, ending) = name.split_at(name.len() - ending);
    shortened(stem, &mark, ending, room).or_else(|| shortened(name, &mark, "", room))
}

/// `stem`, cut at a character boundary so that everything fits, then `mark` and `ending`.
fn shortened(stem: &str, mark: &str, ending: &str, room: usize) -> Option<String> {
    let kept = stem.floor_char_boundary(room.checked_sub(mark.len() + ending.len())?);
    (kept > 0).then(|| format!("{}{mark}{ending}", &stem[..kept]))
}
