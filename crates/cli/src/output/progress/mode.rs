//! In which form progress is shown, given where the output goes.

use super::super::Printer;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar when standard error is a terminal (lines with NO_COLOR or on a dumb one), otherwise nothing.
    #[default]
    Auto,
    /// A bar, when standard error is a terminal.
    Bar,
    /// A line on standard error every ten seconds.
    Plain,
    /// Objects on standard output, at most ten per second for each file.
    Json,
    /// Nothing.
    None,
}

/// What decides beside the wish.
#[derive(Clone, Copy, Debug, Default)]
struct Surroundings {
    json: bool,
    quiet: bool,
    /// Standard error is a terminal.
    terminal: bool,
    /// Which cannot move its cursor.
    dumb: bool,
    /// The user wants no escape sequences.
    no_color: bool,
}

/// What the wish for progress comes to.
pub(super) fn effective(printer: &Printer) -> ProgressMode {
    let set = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty());
    let surroundings = Surroundings {
        json: printer.is_json(),
        quiet: printer.is_quiet(),
        terminal: printer.stderr_is_terminal(),
        dumb: set("TERM").is_none_or(|term| term == "dumb"),
        no_color: set("NO_COLOR").is_some(),
    };
    choose(printer.progress_mode(), surroundings)
}

fn choose(wish: ProgressMode, around: Surroundings) -> ProgressMode {
    match wish {
        ProgressMode::Auto if around.json || around.quiet => ProgressMode::None,
        ProgressMode::Auto | ProgressMode::Bar if !around.terminal => ProgressMode::None,
        ProgressMode::Auto if around.dumb || around.no_color => ProgressMode::Plain,
        ProgressMode::Bar if around.dumb => ProgressMode::Plain,
        ProgressMode::Auto => ProgressMode::Bar,
        wish => wish,
    }
}

/// Which characters bars are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// The locale says that the terminal takes UTF-8.
    Utf8,
    /// It does not say so.
    Ascii,
}

impl Charset {
    /// That of the environment's locale.
    pub(super) fn of_locale() -> Self {
        Self::of(["LC_ALL", "LC_CTYPE", "LANG"].map(|key| std::env::var(key).unwrap_or_default()))
    }

    /// The first of the three that is set counts (POSIX, 8.2).
    fn of(values: [String; 3]) -> Self {
        let value = values.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_lowercase();
        if value.contains("utf-8") || value.contains("utf8") { Self::Utf8 } else { Self::Ascii }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Surroundings =
        Surroundings { json: false, quiet: false, terminal: true, dumb: false, no_color: false };

    #[test]
    fn a_bar_needs_a_terminal() {
        assert_eq!(choose(ProgressMode::Auto, TERMINAL), ProgressMode::Bar);
        let pipe = Surroundings { terminal: false, ..TERMINAL };
        assert_eq!(choose(ProgressMode::Auto, pipe), ProgressMode::None);
        assert_eq!(choose(ProgressMode::Bar, pipe), ProgressMode::None);
        assert_eq!(choose(ProgressMode::Plain, pipe), ProgressMode::Plain);
        assert_eq!(choose(ProgressMode::Bar, Surroundings { quiet: true, ..TERMINAL }), ProgressMode::Bar);
    }

    #[test]
    fn json_and_quiet_alone_print_no_progress() {
        for around in [Surroundings { json: true, ..TERMINAL }, Surroundings { quiet: true, ..TERMINAL }] {
            assert_eq!(choose(ProgressMode::Auto, around), ProgressMode::None);
            assert_eq!(choose(ProgressMode::Json, around), ProgressMode::Json);
            assert_eq!(choose(ProgressMode::Plain, around), ProgressMode::Plain);
        }
        assert_eq!(choose(ProgressMode::Json, TERMINAL), ProgressMode::Json);
    }

    #[test]
    fn no_bar_where_escape_sequences_are_unwanted() {
        let no_color = Surroundings { no_color: true, ..TERMINAL };
        assert_eq!(choose(ProgressMode::Auto, no_color), ProgressMode::Plain);
        assert_eq!(choose(ProgressMode::Bar, no_color), ProgressMode::Bar);
        let dumb = Surroundings { dumb: true, ..TERMINAL };
        assert_eq!(choose(ProgressMode::Auto, dumb), ProgressMode::Plain);
        assert_eq!(choose(ProgressMode::Bar, dumb), ProgressMode::Plain);
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_locale() {
        let charset = |all: &str, ctype: &str, lang: &str| Charset::of([all, ctype, lang].map(str::to_owned));
        assert_eq!(charset("", "", "C.UTF-8"), Charset::Utf8);
        assert_eq!(charset("", "de_DE.utf8", "C"), Charset::Utf8);
        assert_eq!(charset("C", "de_DE.utf8", "C.UTF-8"), Charset::Ascii);
        assert_eq!(charset("", "", ""), Charset::Ascii);
    }
}
