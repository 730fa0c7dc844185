//! Progress of transfers and hashes, in one of several forms.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fulmar_client::{Event, Observer};
use fulmar_proto::text::Escaped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{Printer, objects, units};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar when standard error is a terminal, otherwise nothing.
    #[default]
    Auto,
    /// A bar, when standard error is a terminal.
    Bar,
    /// A line on standard error every ten seconds.
    Plain,
    /// Objects on standard output, at most ten per second.
    Json,
    /// Nothing.
    None,
}

const BAR_INTERVAL: Duration = Duration::from_millis(100);
/// A transfer that is over sooner shows no bar: it would only flicker.
const BAR_DELAY: Duration = Duration::from_millis(300);
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
const JSON_INTERVAL: Duration = Duration::from_millis(100);

/// Shows how one command on one object gets on. The bar is gone once this is dropped.
pub(crate) struct Progress {
    printer: Arc<Printer>,
    verb: &'static str,
    /// The object, as it is.
    name: String,
    started: Instant,
    sink: Sink,
    state: Mutex<State>,
}

enum Sink {
    Nothing,
    Bar(ProgressBar),
    Lines,
    Objects,
}

impl Sink {
    /// How long after the start, and then after the last time, something is shown again.
    fn intervals(&self) -> (Duration, Duration) {
        match self {
            Self::Nothing => (Duration::MAX, Duration::MAX),
            Self::Bar(_) => (BAR_DELAY, BAR_INTERVAL),
            Self::Lines => (PLAIN_INTERVAL, PLAIN_INTERVAL),
            // A script sees an object for each transfer, a person no line for one that takes a moment.
            Self::Objects => (Duration::ZERO, JSON_INTERVAL),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    total: Option<u64>,
    /// How long after the start that was.
    last_shown: Option<Duration>,
}

impl Progress {
    /// Shows the progress of `verb` on `name`.
    pub(crate) fn new(printer: &Arc<Printer>, verb: &'static str, name: &str) -> Self {
        let sink = match effective(printer) {
            ProgressMode::Bar => Sink::Bar(bar(name)),
            ProgressMode::Plain => Sink::Lines,
            ProgressMode::Json => Sink::Objects,
            ProgressMode::Auto | ProgressMode::None => Sink::Nothing,
        };
        Self {
            printer: Arc::clone(printer),
            verb,
            name: name.to_owned(),
            started: Instant::now(),
            sink,
            state: Mutex::new(State::default()),
        }
    }

    fn begin(&self, total: Option<u64>) {
        self.with_state(|state| state.total = total);
    }

    fn show(&self, bytes: u64) {
        let now = Instant::now();
        let elapsed = now.duration_since(self.started);
        let due = self.with_state(|state| {
            let due = is_due(self.sink.intervals(), elapsed, state.last_shown);
            if due {
                state.last_shown = Some(elapsed);
            }
            due.then_some(state.total)
        });
        if let Some(total) = due {
            self.print(bytes, total, elapsed);
        }
    }

    fn print(&self, bytes: u64, total: Option<u64>, elapsed: Duration) {
        match &self.sink {
            Sink::Nothing => {}
            Sink::Bar(bar) => {
                if bar.length() != Some(total.unwrap_or(0)) {
                    bar.set_style(style(total.is_some()));
                    bar.set_length(total.unwrap_or(0));
                }
                bar.set_position(bytes);
                bar.tick();
            }
            Sink::Lines => self.printer.note(plain_line(&self.name, bytes, total, elapsed)),
            Sink::Objects => {
                self.printer
                    .object_now(&objects::Progress::new(self.verb, &self.name, bytes, total, elapsed));
            }
        }
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Progress {
    fn on(&self, event: Event) {
        match event {
            Event::Started { size } => self.begin(size),
            Event::Acknowledged { bytes } => self.show(bytes),
            Event::Hashing { done, total } => {
                // The other side tells a total of 0 while it does not know it.
                let total = Some(total).filter(|total| *total > 0);
                let known = self.with_state(|state| state.total);
                if known != total {
                    self.begin(total);
                }
                self.show(done);
            }
            Event::Restarted => {
                self.printer
                    .note(format_args!("{}: it changed meanwhile; starting once more", Escaped(&self.name)));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Sink::Bar(bar) = &self.sink {
            bar.finish_and_clear();
        }
    }
}

/// What the wish for progress comes to, given where the output goes.
fn effective(printer: &Printer) -> ProgressMode {
    choose(printer.progress_mode(), printer.is_json(), printer.is_quiet(), printer.stderr_is_terminal())
}

fn choose(wish: ProgressMode, json: bool, quiet: bool, terminal: bool) -> ProgressMode {
    match wish {
        ProgressMode::Auto if json || quiet => ProgressMode::None,
        ProgressMode::Auto | ProgressMode::Bar if terminal => ProgressMode::Bar,
        ProgressMode::Auto | ProgressMode::Bar => ProgressMode::None,
        wish => wish,
    }
}

fn is_due((first, next): (Duration, Duration), elapsed: Duration, last_shown: Option<Duration>) -> bool {
    match last_shown {
        None => elapsed >= first,
        Some(last) => elapsed.saturating_sub(last) >= next,
    }
}

fn plain_line(name: &str, bytes: u64, total: Option<u64>, elapsed: Duration) -> String {
    let name = Escaped(name);
    let done = units::size(bytes);
    let rate = units::rate(bytes, elapsed);
    match total {
        Some(total) if total > 0 => {
            let percent = u128::from(bytes) * 100 / u128::from(total);
            format!("{name}  {percent} %  {done} of {}  {rate}", units::size(total))
        }
        _ => format!("{name}  {done}  {rate}"),
    }
}

fn bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(style(false));
    bar.set_message(Escaped(name).to_string());
    bar
}

fn style(total_is_known: bool) -> ProgressStyle {
    let template = if total_is_known {
        "{wide_msg} [{bar:20}] {percent:>3} %  {done}  {rate}  {eta}"
    } else {
        "{wide_msg} {done}  {rate}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("#>-")
        .with_key("done", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&units::size(state.pos()));
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // The estimate is a float that may be anything at the very start.
            let per_second = state.per_sec();
            let bytes = if per_second.is_finite() { per_second.max(0.0) as u64 } else { 0 };
            let _ = out.write_str(&units::rate(bytes, Duration::from_secs(1)));
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_needs_a_terminal() {
        assert_eq!(choose(ProgressMode::Auto, false, false, true), ProgressMode::Bar);
        assert_eq!(choose(ProgressMode::Auto, false, false, false), ProgressMode::None);
        assert_eq!(choose(ProgressMode::Bar, false, false, false), ProgressMode::None);
        assert_eq!(choose(ProgressMode::Bar, false, true, true), ProgressMode::Bar);
    }

    #[test]
    fn json_alone_prints_no_progress() {
        assert_eq!(choose(ProgressMode::Auto, true, false, true), ProgressMode::None);
        assert_eq!(choose(ProgressMode::Json, true, false, false), ProgressMode::Json);
        assert_eq!(choose(ProgressMode::Json, false, false, true), ProgressMode::Json);
        assert_eq!(choose(ProgressMode::Auto, false, true, true), ProgressMode::None);
        assert_eq!(choose(ProgressMode::Plain, true, false, false), ProgressMode::Plain);
    }

    #[test]
    fn nothing_is_shown_too_often() {
        let (first, next) = (Duration::from_millis(300), Duration::from_millis(100));
        let due = |elapsed, last: Option<u64>| {
            is_due((first, next), Duration::from_millis(elapsed), last.map(Duration::from_millis))
        };
        assert!(!due(299, None));
        assert!(due(300, None));
        assert!(!due(399, Some(300)));
        assert!(due(400, Some(300)));
        assert!(is_due(Sink::Objects.intervals(), Duration::ZERO, None));
        assert!(!is_due(Sink::Nothing.intervals(), Duration::from_secs(3600), None));
    }

    #[test]
    fn a_plain_line_says_how_far() {
        let second = Duration::from_secs(1);
        assert_eq!(
            plain_line("a\tb", 1_000_000, Some(4_000_000), second),
            "a\\tb  25 %  1.00 MB of 4.00 MB  1.0 MB/s"
        );
        assert_eq!(plain_line("-", 1_000_000, None, second), "-  1.00 MB  1.0 MB/s");
        assert_eq!(plain_line("-", 0, Some(0), second), "-  0 B  <0.001 MB/s");
    }
}
