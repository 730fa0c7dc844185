//! The prompt: the state, and room to type behind it.

use fulmar_proto::address::HostPort;
use unicode_width::UnicodeWidthChar as _;

/// As little as is left of a directory's name, in columns.
const MIN_DIR_COLUMNS: usize = 8;
/// Stands for what has been left out.
const ELLIPSIS: char = '…';

/// The prompt on a terminal of this width. A directory whose name would take more than half of it is shortened.
pub(super) fn prompt_for(server: Option<&HostPort>, dir: &str, columns: usize) -> String {
    let Some(server) = server else { return "fulmar> ".to_owned() };
    let host = server.host();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let rest = format!("fulmar {host}:> ").chars().count();
    let dir = shortened(dir, (columns / 2).saturating_sub(rest).max(MIN_DIR_COLUMNS));
    format!("fulmar {host}:{dir}> ")
}

/// A text of at most `columns`: where it is longer, its middle is left out. Its end says more than its beginning.
fn shortened(text: &str, columns: usize) -> String {
    let width = |text: &str| -> usize { text.chars().filter_map(char::width).sum() };
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let head = taken(text.chars(), room / 3);
    let tail: Vec<char> = taken(text.chars().rev(), room - room / 3).chars().collect();
    head.chars().chain([ELLIPSIS]).chain(tail.into_iter().rev()).collect()
}

/// As many of the first characters as fit.
fn taken(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    chars.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr as _;

    fn lab() -> HostPort {
        "lab:4433".parse().expect("an address")
    }

    #[test]
    fn the_prompt_shows_the_state() {
        assert_eq!(prompt_for(None, "/", 80), "fulmar> ");
        assert_eq!(prompt_for(Some(&lab()), "/in", 80), "fulmar lab:/in> ");
        let v6: HostPort = "[::1]:4433".parse().expect("an address");
        assert_eq!(prompt_for(Some(&v6), "/", 80), "fulmar [::1]:/> ");
    }

    #[test]
    fn a_long_directory_is_shortened_in_its_middle() {
        let dir = "/projects/2026/november/site";
        assert_eq!(prompt_for(Some(&lab()), dir, 100), format!("fulmar lab:{dir}> "));
        assert_eq!(prompt_for(Some(&lab()), dir, 40), "fulmar lab:/p…/site> ");
        assert_eq!(prompt_for(Some(&lab()), dir, 41), "fulmar lab:/p…/site> ");
        assert_eq!(prompt_for(Some(&lab()), dir, 60), "fulmar lab:/proj…vember/site> ");
        // Just half of the width is not too long.
        assert_eq!(prompt_for(Some(&lab()), "/1234567", 42), "fulmar lab:/1234567> ");
    }

    proptest! {
        #[test]
        fn a_prompt_takes_half_of_the_width_at_most(dir in "/[a-z日é]{0,60}", columns in 42..200_usize) {
            let prompt = prompt_for(Some(&lab()), &dir, columns);
            prop_assert!(prompt.width() <= columns / 2, "{} {}", prompt, columns);
        }
    }
}
