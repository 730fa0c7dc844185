//! The lines that progress is shown in, never wider than the terminal. Pure: figures in, text out.

use std::time::Duration;

use fulmar_proto::text::Escaped;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{
    board::{Board, Figures},
    mode::Charset,
};
use crate::output::units;

/// The most files that are shown by name below the line of all.
const MAX_FILE_LINES: usize = 8;
/// So many rows of the terminal stay free of lines of files.
const FREE_ROWS: usize = 4;
/// A lower terminal shows nothing: what is drawn there would scroll away.
const MIN_ROWS: usize = 3;
/// How much of a name is worth showing, in columns, before something else is left out for it.
const MIN_NAME: usize = 12;
const MIN_BAR: usize = 12;
const MAX_BAR: usize = 32;
/// Two spaces between columns.
const GAP: &str = "  ";

/// The terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) charset: Charset,
}

/// All lines of a board: one for a single file; otherwise one for all, and below it those that are under way.
pub(super) fn lines(board: &Board, now: Duration, screen: Screen) -> Vec<String> {
    if screen.rows < MIN_ROWS {
        return Vec::new();
    }
    if board.only_sums {
        return vec![total_line(board, now, screen.columns)];
    }
    let shown =
        if board.files_total > 1 { screen.rows.saturating_sub(FREE_ROWS).min(MAX_FILE_LINES) } else { 1 };
    let files: Vec<(String, Figures)> =
        board.rows().take(shown).map(|row| (Escaped(&row.name).to_string(), row.figures(now))).collect();
    let name_width = files.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let files = files.iter().map(|(name, figures)| file_line(name, figures, name_width, screen));
    let total = (board.files_total > 1).then(|| total_line(board, now, screen.columns));
    total.into_iter().chain(files).collect()
}

/// The whole board in one line of any length.
pub(super) fn plain_line(board: &Board, now: Duration) -> String {
    if board.files_total > 1 || board.only_sums {
        return joined(&total_parts(board, now));
    }
    let Some(row) = board.rows().next() else { return String::new() };
    let figures = row.figures(now);
    let mut parts = vec![Escaped(&row.name).to_string()];
    parts.extend(figures.percent().map(|percent| format!("{percent} %")));
    parts.push(
        figures
            .total
            .map_or_else(|| units::size(figures.bytes), |total| units::part_of(figures.bytes, total)),
    );
    parts.push(rate(&figures));
    parts.extend(figures.total.map(|_| left(&figures)));
    parts.join(GAP)
}

/// `3 of 12 files  37 %  0.72 / 1.93 GB  468 MB/s  0:03 left  2 errors`, or what of that fits.
fn total_line(board: &Board, now: Duration, columns: usize) -> String {
    let mut parts = total_parts(board, now);
    while width(&joined(&parts)) > columns && parts.len() > 1 {
        let least = parts.iter().enumerate().max_by_key(|(_, part)| part.rank).map_or(0, |(index, _)| index);
        parts.remove(least);
    }
    cut(&joined(&parts), columns, "")
}

/// A part of the line of all files; the higher its rank, the sooner it is left out.
struct Part {
    rank: u8,
    text: String,
}

fn total_parts(board: &Board, now: Duration) -> Vec<Part> {
    let figures = board.figures(now);
    // What is still found makes every share of the whole a wrong one.
    let (more, total) = if board.is_growing { ("+", None) } else { ("", figures.total) };
    let amount = match figures.total {
        Some(total) => format!("{}{more}", units::share_of(figures.bytes, total)),
        None => units::size(figures.bytes),
    };
    let count = format!("{} of {}{more} files", board.files_done, board.files_total);
    let errors = match board.errors {
        0 => None,
        errors => Some(units::counted(errors as u64, "error", "errors")),
    };
    let parts = [
        (0, Some(count)),
        (1, total.and(figures.percent()).map(|percent| format!("{percent} %"))),
        (5, Some(amount)),
        (3, Some(rate(&figures))),
        (4, total.map(|_| left(&figures))),
        (2, errors),
    ];
    parts.into_iter().filter_map(|(rank, text)| Some(Part { rank, text: text? })).collect()
}

fn joined(parts: &[Part]) -> String {
    parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(GAP)
}

/// Name, bar, percent, amount, rate, time left: as many of them as fit beside a name that can be recognised. Names of
/// all lines take `name_width` columns, so that the lines line up.
fn file_line(name: &str, figures: &Figures, name_width: usize, screen: Screen) -> String {
    let columns = screen.columns;
    let fields = fields(figures);
    let least_name = name_width.min(MIN_NAME);
    let fit = fields.iter().find(|fields| least_name + fields.width() <= columns);
    let empty = Fields { bar: false, texts: Vec::new() };
    let fit = fit.unwrap_or(&empty);
    let mut room = columns.saturating_sub(fit.width());
    let mut line = String::new();
    let bar = fit.bar.then(|| {
        // What the names leave over makes the bar longer.
        let more = room.saturating_sub(name_width).min(MAX_BAR - MIN_BAR);
        room -= more;
        bar(figures, MIN_BAR + more, screen.charset)
    });
    let shown = cut(name, room, screen.charset.ellipsis());
    let padding = name_width.min(room).saturating_sub(width(&shown));
    line.push_str(&shown);
    if !fit.texts.is_empty() {
        line.push_str(&" ".repeat(padding));
    }
    for text in bar.iter().chain(&fit.texts) {
        line.push_str(GAP);
        line.push_str(text);
    }
    line.truncate(line.trim_end().len());
    line
}

/// What stands behind the name.
struct Fields {
    bar: bool,
    texts: Vec<String>,
}

impl Fields {
    /// With the gaps in front of each, and the shortest bar.
    fn width(&self) -> usize {
        let texts: usize = self.texts.iter().map(|text| GAP.len() + width(text)).sum();
        texts + if self.bar { GAP.len() + MIN_BAR } else { 0 }
    }
}

/// The choices, from the most to the least.
fn fields(figures: &Figures) -> Vec<Fields> {
    let rate = format!("{:>10}", rate(figures));
    let Some((total, percent)) = figures.total.zip(figures.percent()) else {
        let amount = format!("{:>9}", units::size(figures.bytes));
        let choices = [vec![amount, rate.clone()], vec![rate]];
        return choices.into_iter().map(|texts| Fields { bar: false, texts }).collect();
    };
    let percent = format!("{percent:>3} %");
    let amount = format!("{:>13}", units::part_of(figures.bytes, total));
    let left = format!("{:>9}", left(figures));
    let choices = [
        (true, vec![&percent, &amount, &rate, &left]),
        (false, vec![&percent, &amount, &rate, &left]),
        (false, vec![&percent, &rate, &left]),
        (false, vec![&percent, &rate]),
        (false, vec![&percent]),
    ];
    choices
        .into_iter()
        .map(|(bar, texts)| Fields { bar, texts: texts.into_iter().cloned().collect() })
        .collect()
}

fn rate(figures: &Figures) -> String {
    match figures.rate {
        Some(0) => "0 MB/s".to_owned(),
        Some(rate) => units::rate(rate, Duration::from_secs(1)),
        None => "- MB/s".to_owned(),
    }
}

fn left(figures: &Figures) -> String {
    match figures.left {
        Some(left) => format!("{} left", units::time_left(left)),
        None => "-:-- left".to_owned(),
    }
}

/// A bar of this width, its frame included.
fn bar(figures: &Figures, columns: usize, charset: Charset) -> String {
    let inner = columns - 2;
    let (done, total) = (u128::from(figures.bytes), u128::from(figures.total.unwrap_or(0)));
    let full = (done * inner as u128).checked_div(total).map_or(inner, |full| inner.min(full as usize));
    let (mark, head, rest) = match charset {
        Charset::Utf8 => ("█", "█", "░"),
        Charset::Ascii => ("#", ">", "-"),
    };
    let head = if full > 0 && full < inner {
        head
    } else if full == 0 {
        ""
    } else {
        mark
    };
    format!("[{}{head}{}]", mark.repeat(full.saturating_sub(1)), rest.repeat(inner - full))
}

impl Charset {
    fn ellipsis(self) -> &'static str {
        match self {
            Self::Utf8 => "…",
            Self::Ascii => "..",
        }
    }
}

/// The columns that a text takes. Terminals differ about characters that join: the more is taken.
fn width(text: &str) -> usize {
    let single: usize = text.chars().map(|c| c.width().unwrap_or(0)).sum();
    single.max(text.width())
}

/// The text, or its two ends with `ellipsis` between them when it is wider than `columns`.
fn cut(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let ellipsis = if width(ellipsis) < columns { ellipsis } else { "" };
    let room = columns - width(ellipsis);
    let from_end = text.char_indices().rev().map(|(at, _)| &text[at..]);
    let tail = from_end.take_while(|tail| width(tail) <= room / 2).last().unwrap_or("");
    let room = room - width(tail);
    let from_start = text.char_indices().map(|(at, c)| &text[..at + c.len_utf8()]);
    let head = from_start.take_while(|head| width(head) <= room).last().unwrap_or("");
    let whole = format!("{head}{ellipsis}{tail}");
    // Two characters that meet at the cut could join into something wider.
    if width(&whole) <= columns { whole } else { head.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 7] = [
        "a",
        "picture.jpg",
        "a rather long name with many words, as people give them.tar.gz",
        "日本語のとても長いファイル名がここにあります.zip",
        "👩\u{200d}👩\u{200d}👧 family ❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}.png",
        "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
        "\u{1b}[2J\n\u{202e}evil",
    ];

    fn screen(columns: usize) -> Screen {
        Screen { columns, rows: 24, charset: Charset::Utf8 }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A board with one file of a given length, of which a part has come within two seconds.
    fn single(name: &str, bytes: u64, total: Option<u64>) -> Board {
        let mut board = Board::new(1, total);
        let id = board.begin(name, total, at(0));
        board.reached(id, bytes, at(2_000));
        board
    }

    /// Several files with every name, one ended and one failed before.
    fn several(total: Option<u64>) -> Board {
        let mut board = Board::new(12, total);
        let (first, second) = (board.begin("one", None, at(0)), board.begin("two", None, at(0)));
        board.reached(first, 100_000_000, at(1_000));
        board.end(first, true);
        board.end(second, false);
        for (index, name) in NAMES.into_iter().enumerate() {
            let id = board.begin(name, Some(1_000_000_000), at(1_000));
            board.reached(id, 50_000_000 * index as u64, at(2_000));
        }
        board
    }

    fn one_line(board: &Board, columns: usize) -> String {
        let lines = lines(board, at(2_000), screen(columns));
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    }

    #[test]
    fn at_100_columns_everything_is_there() {
        let board = single("movie.mkv", 689_000_000, Some(1_468_006_400));
        let bar = "[██████████████░░░░░░░░░░░░░░░░]";
        let expected = format!("movie.mkv  {bar}   46 %  689 / 1468 MB  344.5 MB/s  0:03 left");
        assert_eq!(one_line(&board, 100), expected);
        let ascii = Screen { charset: Charset::Ascii, ..screen(100) };
        assert!(lines(&board, at(2_000), ascii)[0].starts_with("movie.mkv  [#############>------"));
    }

    #[test]
    fn at_40_columns_name_percent_and_rate_are_left() {
        let board = single(NAMES[2], 689_000_000, Some(1_468_006_400));
        assert_eq!(one_line(&board, 40), "a rather l…hem.tar.gz   46 %  344.5 MB/s");
        // A short name leaves room for the time.
        let board = single("a", 689_000_000, Some(1_468_006_400));
        assert_eq!(one_line(&board, 40), "a   46 %  344.5 MB/s  0:03 left");
    }

    #[test]
    fn without_a_total_there_is_no_percent() {
        let board = single("-", 12_582_912, None);
        assert_eq!(one_line(&board, 100), "-   12.58 MB    6.2 MB/s");
        assert_eq!(plain_line(&board, at(2_000)), "-  12.58 MB  6.2 MB/s");
        let line = total_line(&several(None), at(2_000), 100);
        assert_eq!(line, "2 of 12 files  1.15 GB  575.0 MB/s  1 error");
    }

    #[test]
    fn several_files_have_a_line_for_all() {
        let board = several(Some(7_700_000_000));
        assert_eq!(
            total_line(&board, at(2_000), 100),
            "2 of 12 files  14 %  1.15 / 7.70 GB  575.0 MB/s  0:12 left  1 error"
        );
        assert_eq!(total_line(&board, at(2_000), 40), "2 of 12 files  14 %  575.0 MB/s  1 error");
        assert_eq!(total_line(&board, at(2_000), 26), "2 of 12 files  14 %");
        assert_eq!(lines(&board, at(2_000), screen(100)).len(), 1 + NAMES.len());
    }

    #[test]
    fn sums_that_still_grow_say_so() {
        let mut board = Board::of_trees();
        (0..2_400).for_each(|_| board.found(1_000_000));
        for number in 0..1_203 {
            let id = board.begin("a", Some(1_000_000), at(0));
            board.reached(id, 1_000_000, at(2_000));
            board.end(id, number > 0);
        }
        board.begin("under way", Some(1_000_000), at(2_000));
        let line = "1203 of 2400+ files  1.20 / 2.40 GB+  601.5 MB/s  1 error";
        assert_eq!(one_line(&board, 100), line);
        assert_eq!(plain_line(&board, at(2_000)), line);
        board.is_growing = false;
        assert_eq!(
            one_line(&board, 100),
            "1203 of 2400 files  50 %  1.20 / 2.40 GB  601.5 MB/s  0:02 left  1 error"
        );
    }

    #[test]
    fn a_low_terminal_shows_fewer_files() {
        let board = several(None);
        for (rows, expected) in [(24, 8), (9, 6), (5, 2), (4, 1), (3, 1), (2, 0)] {
            let low = Screen { rows, ..screen(80) };
            assert_eq!(lines(&board, at(2_000), low).len(), expected, "{rows} rows");
        }
    }

    #[test]
    fn columns_line_up() {
        let lines = lines(&several(Some(7_700_000_000)), at(2_000), screen(100));
        let bars: Vec<usize> =
            lines[1..].iter().filter_map(|line| line.rfind('[').map(|at| width(&line[..at]))).collect();
        assert_eq!(bars.len(), NAMES.len());
        assert!(bars.windows(2).all(|pair| pair[0] == pair[1]), "{lines:#?}");
    }

    #[test]
    fn a_name_is_cut_in_its_middle() {
        assert_eq!(cut("abcdefghij", 10, "…"), "abcdefghij");
        assert_eq!(cut("abcdefghij", 7, "…"), "abc…hij");
        assert_eq!(cut("日本語ファイル", 8, "…"), "日本…ル");
        assert_eq!(cut("abc", 1, "…"), "a");
        assert_eq!(cut("abc", 0, "…"), "");
    }

    #[test]
    fn a_bar_fills() {
        let bar_of = |bytes, total| {
            let figures = Figures { bytes, total: Some(total), rate: None, left: None };
            bar(&figures, 12, Charset::Ascii)
        };
        assert_eq!(bar_of(0, 100), "[----------]");
        assert_eq!(bar_of(49, 100), "[###>------]");
        assert_eq!(bar_of(100, 100), "[##########]");
        assert_eq!(bar_of(300, 100), "[##########]");
        assert_eq!(bar_of(0, 0), "[##########]");
    }

    #[test]
    fn no_line_is_ever_wider_than_the_terminal() {
        let mut boards = vec![several(None), several(Some(7_700_000_000)), several(Some(u64::MAX))];
        for name in NAMES {
            for total in [None, Some(0), Some(999), Some(1_468_006_400), Some(u64::MAX)] {
                boards.push(single(name, 689_000_000, total));
            }
        }
        for board in &boards {
            for columns in 20..=200 {
                for charset in [Charset::Utf8, Charset::Ascii] {
                    for line in lines(board, at(2_000), Screen { charset, ..screen(columns) }) {
                        assert!(width(&line) <= columns, "{columns}: {line:?}");
                        assert!(!line.contains(char::is_control), "{line:?}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_a_line_too_wide(name in "\\PC{0,60}", columns in 0usize..120, bytes: u64, total: Option<u64>) {
            for line in lines(&single(&name, bytes, total), at(2_000), screen(columns)) {
                prop_assert!(width(&line) <= columns, "{}: {:?}", columns, line);
            }
        }
    }
}
