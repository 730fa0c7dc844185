//! Colours, where a terminal shows them and nobody has asked for none.

use std::{borrow::Cow, ffi::OsStr};

use anstyle::{AnsiColor, Style};

/// What is painted, by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The beginning of a line that tells of a failure.
    Failure,
    /// The beginning of a line that says what may help.
    Hint,
    /// What must not be overlooked.
    Alarm,
    /// The name of a directory.
    Directory,
}

impl Meaning {
    fn style(self) -> Style {
        match self {
            Self::Failure | Self::Alarm => AnsiColor::Red.on_default().bold(),
            Self::Hint => AnsiColor::Cyan.on_default(),
            Self::Directory => AnsiColor::Blue.on_default().bold(),
        }
    }
}

/// Paints what goes to one output, or leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Palette {
    painting: bool,
}

impl Palette {
    /// That of an output of this process. Painted is only what goes to a terminal that understands it, unless NO_COLOR
    /// is set (no-color.org).
    pub(crate) fn of_output(is_terminal: bool) -> Self {
        let [term, no_color] = ["TERM", "NO_COLOR"].map(std::env::var_os);
        Self { painting: is_terminal && understands(term.as_deref(), no_color.as_deref()) }
    }

    /// `text`, painted.
    pub(crate) fn paint(self, meaning: Meaning, text: &str) -> Cow<'_, str> {
        if !self.painting || text.is_empty() {
            return text.into();
        }
        let style = meaning.style();
        format!("{style}{text}{style:#}").into()
    }

    /// A name, with its directory's slash behind it, if it is one.
    pub(crate) fn paint_name(self, name: &str) -> Cow<'_, str> {
        if name.ends_with('/') { self.paint(Meaning::Directory, name) } else { name.into() }
    }

    /// A line of a table that ends in `name`.
    pub(crate) fn paint_row(self, line: &str, name: &str) -> String {
        match line.strip_suffix(name) {
            Some(before) => format!("{before}{}", self.paint_name(name)),
            None => line.to_owned(),
        }
    }

    /// The same text with its beginning painted, up to and with the first colon.
    pub(crate) fn paint_label(self, meaning: Meaning, line: &str) -> String {
        match line.split_once(':') {
            Some((label, rest)) => format!("{}:{rest}", self.paint(meaning, label)),
            None => line.to_owned(),
        }
    }
}

/// An empty NO_COLOR asks for nothing, and a terminal without a name is not known to understand anything.
fn understands(term: Option<&OsStr>, no_color: Option<&OsStr>) -> bool {
    let set = |value: Option<&OsStr>| value.is_some_and(|value| !value.is_empty());
    set(term) && term != Some(OsStr::new("dumb")) && !set(no_color)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_painted_without_leave() {
        let os = OsStr::new;
        assert!(understands(Some(os("xterm")), None));
        assert!(understands(Some(os("xterm")), Some(os(""))));
        for (term, no_color) in
            [(None, None), (Some(os("")), None), (Some(os("dumb")), None), (Some(os("xterm")), Some(os("1")))]
        {
            assert!(!understands(term, no_color), "{term:?} {no_color:?}");
        }
        assert!(!Palette::of_output(false).painting);
        assert_eq!(Palette::default().paint(Meaning::Failure, "a"), "a");
    }

    #[test]
    fn what_is_painted_ends_as_it_began() {
        let palette = Palette { painting: true };
        for meaning in [Meaning::Failure, Meaning::Hint, Meaning::Alarm, Meaning::Directory] {
            let painted = palette.paint(meaning, "text");
            assert!(painted.starts_with("\u{1b}[") && painted.ends_with("text\u{1b}[0m"), "{painted:?}");
        }
        assert_eq!(palette.paint(Meaning::Hint, ""), "");
        assert_eq!(palette.paint_name("a"), "a");
        let row = palette.paint_row("-  in/", "in/");
        assert!(row.starts_with("-  \u{1b}[") && row.ends_with("in/\u{1b}[0m"), "{row:?}");
        let line = palette.paint_label(Meaning::Hint, "hint: a: b");
        assert_eq!(line, "\u{1b}[36mhint\u{1b}[0m: a: b");
    }
}
