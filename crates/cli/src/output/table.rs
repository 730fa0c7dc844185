//! Text in columns, measured as terminals show it.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Two spaces between columns.
const GAP: &str = "  ";

/// Lays rows out in columns, one line each, without blanks at the end. Every row has as many cells as `align`.
pub(crate) fn rows<const N: usize>(align: [Align; N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    rows.iter().map(|row| line(&align, &widths, row)).collect()
}

fn line(align: &[Align], widths: &[usize], row: &[String]) -> String {
    let mut line = String::new();
    for (column, cell) in row.iter().enumerate() {
        if column > 0 {
            line.push_str(GAP);
        }
        let padding = " ".repeat(widths[column] - cell.width());
        match align[column] {
            Align::Left => line.extend([cell.as_str(), &padding]),
            Align::Right => line.extend([&padding, cell.as_str()]),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Lays names out in as many columns as fit into `width`, filled downward as `ls` does. `paint` adds to a name what
/// takes no room.
pub(crate) fn columns(names: &[String], width: usize, paint: impl Fn(&str) -> Cow<'_, str>) -> Vec<String> {
    let cell = names.iter().map(|name| name.width()).max().unwrap_or(0) + GAP.len();
    // The gap behind the last column may hang over the edge, because it is not printed.
    let count = ((width + GAP.len()) / cell).max(1);
    let lines = names.len().div_ceil(count);
    (0..lines)
        .map(|line| {
            let cells = names.iter().skip(line).step_by(lines);
            let (mut text, mut gap) = (String::new(), 0);
            for name in cells {
                text.push_str(&" ".repeat(gap));
                text.push_str(&paint(name));
                gap = cell - name.width();
            }
            text
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn cells_are_as_wide_as_terminals_show_them() {
        let table = [
            ["7".to_owned(), "日本".to_owned(), "x".to_owned()],
            ["12".to_owned(), "abc".to_owned(), "y".to_owned()],
        ];
        assert_eq!(rows([Align::Right, Align::Left, Align::Left], &table), [" 7  日本  x", "12  abc   y"]);
    }

    #[test]
    fn names_fill_columns_downward() {
        assert_eq!(columns(&owned(&["a", "b", "c", "d", "e"]), 7, |name| name.into()), ["a  c  e", "b  d"]);
        assert_eq!(columns(&owned(&["long-name", "b"]), 4, |name| name.into()), ["long-name", "b"]);
        assert!(columns(&[], 80, |name| name.into()).is_empty());
    }

    proptest! {
        #[test]
        fn every_name_appears_once_and_fits(names in proptest::collection::vec("[a-z]{1,12}", 1..40), width in 12usize..200) {
            let lines = columns(&names, width, |name| name.into());
            let mut shown: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            let mut given: Vec<&str> = names.iter().map(String::as_str).collect();
            shown.sort_unstable();
            given.sort_unstable();
            prop_assert_eq!(shown, given);
            prop_assert!(lines.iter().all(|line| line.width() <= width));
        }
    }
}
