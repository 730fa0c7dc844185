//! The line editor: a thread of its own that alone reads the terminal, and its handle.
//!
//! The thread shows a prompt only when it is asked to, so that the terminal is in its normal mode, where Ctrl-C is a
//! signal, for as long as a command runs. While a line is edited Ctrl-C is a key.

use std::{
    fmt,
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as request,
    },
    thread,
    time::Duration,
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{
    ColorMode, CompletionType, Config, Editor as LineEditor, Prompt,
    error::ReadlineError,
    history::{FileHistory, MemHistory},
};
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
};

use super::{
    helper::ShellHelper,
    history::{Keeper, MAX_LINES},
    input::Typed,
    places::Scope,
};
use crate::{
    exit_code::ExitCode,
    output::{Failure, Printer, hint::Caller},
};

/// Begins a line anew: at its first column, with nothing behind it, and with pastes marked.
const LINE_ANEW: &str = "\u{1b}[?2004h\r\u{1b}[K";
/// Ends the mode in which a terminal marks what is pasted; the editor begins it with every line.
const BRACKETED_PASTE_OFF: &str = "\u{1b}[?2004l\n";
/// Within this time a prompt that was asked for is there.
const PROMPT_LIMIT: Duration = Duration::from_secs(1);

/// The handle of the thread.
pub(crate) struct Editor {
    requests: request::Sender<Request>,
    typed: mpsc::Receiver<Typed>,
    outstanding: Option<Kind>,
    /// A question has been asked and not been answered.
    asking: Arc<AtomicBool>,
    /// How many prompts have been asked for, and the last one.
    asked: u64,
    prompt: String,
    shown: watch::Receiver<Shown>,
    /// The process goes on after it was stopped, with a terminal that another one has set up.
    continued: Signal,
    /// The terminal as it was.
    original: Termios,
}

/// What the thread tells of its prompts.
#[derive(Debug, Default)]
struct Shown {
    /// How many have been shown.
    prompts: u64,
    /// How the terminal was set up for the last one.
    modes: Option<Termios>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Line,
    Answer,
}

enum Request {
    Line { prompt: String, scope: Scope },
    Answer { prompt: String },
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Editor").field("outstanding", &self.outstanding).finish_non_exhaustive()
    }
}

impl Editor {
    /// Starts the thread. Standard input and output have to be a terminal, and SIGINT must be caught already: the editor
    /// would put back what it finds.
    pub(crate) fn start(printer: &Arc<Printer>, scope: &Scope, colours: bool) -> Result<Self, Failure> {
        let original = tcgetattr(io::stdin()).map_err(|error| unusable(&error.into()))?;
        let (requests, asked) = request::channel();
        let (answer, typed) = mpsc::channel(1);
        let (show, shown) = watch::channel(Shown::default());
        let continued = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()));
        let continued = continued.map_err(|error| unusable(&error))?;
        let desk = Desk {
            printer: Arc::clone(printer),
            runtime: Handle::current(),
            state_dir: scope.state_dir.clone(),
            colours,
            shown: show,
        };
        // The thread may sit in a read for ever: nobody joins it, it ends with the process.
        thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || desk.work(&asked, &answer))
            .map_err(|error| unusable(&error))?;
        Ok(Self {
            requests,
            typed,
            outstanding: None,
            asking: Arc::default(),
            asked: 0,
            prompt: String::new(),
            shown,
            continued,
            original,
        })
    }

    /// The next line. When the future is dropped, the prompt stays and the next call gets what is typed at it.
    pub(crate) async fn line(&mut self, prompt: String, scope: Scope) -> Typed {
        self.get(Kind::Line, prompt, |prompt| Request::Line { prompt, scope }).await
    }

    /// The answer to a question, which is kept nowhere.
    pub(crate) async fn answer(&mut self, prompt: String) -> Typed {
        let asking = Arc::clone(&self.asking);
        asking.store(true, Ordering::Relaxed);
        let _asking = Asking(asking);
        self.get(Kind::Answer, prompt, |prompt| Request::Answer { prompt }).await
    }

    /// Whether a question is waiting for its answer, which takes Ctrl-C as a key. Changes while commands run.
    pub(crate) fn asking(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asking)
    }

    async fn get(&mut self, kind: Kind, prompt: String, request: impl FnOnce(String) -> Request) -> Typed {
        if self.outstanding.is_some_and(|outstanding| outstanding != kind) {
            // A question that nobody waits for any more: its answer is no line.
            self.typed.recv().await;
            self.outstanding = None;
        }
        if self.outstanding.is_none() {
            self.prompt.clone_from(&prompt);
            if self.requests.send(request(prompt)).is_err() {
                // The thread has ended; it may have left word why.
                return self.typed.try_recv().unwrap_or(Typed::End);
            }
            self.asked += 1;
            self.outstanding = Some(kind);
        }
        let typed = loop {
            tokio::select! {
                biased;
                typed = self.typed.recv() => break typed,
                _ = self.continued.recv() => self.edit_again(),
            }
        };
        self.outstanding = None;
        typed.unwrap_or(Typed::End)
    }

    /// Sets the terminal up for the line once more, and shows its prompt. The editor tries that by itself, but the rest
    /// of the process is stopped only after it has gone on.
    fn edit_again(&self) {
        let shown = self.shown.borrow();
        // Before the prompt is there, the editor has yet to see the terminal as it was.
        if shown.prompts == self.asked
            && let Some(modes) = &shown.modes
            && tcsetattr(io::stdin(), OptionalActions::Now, modes).is_ok()
        {
            write_out(&format!("{LINE_ANEW}{}", self.prompt));
        }
    }

    /// Puts the terminal back as it was, in case a prompt is left waiting.
    pub(crate) async fn leave(&mut self) {
        if self.outstanding.is_none() {
            return;
        }
        let asked = self.asked;
        // Before its prompt is there, the editor could still change the terminal behind our back.
        let _ = tokio::time::timeout(PROMPT_LIMIT, self.shown.wait_for(|shown| shown.prompts >= asked)).await;
        // Nothing can be done where the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.original);
        write_out(BRACKETED_PASTE_OFF);
    }
}

/// Writes to the terminal at once. Where it is gone, nobody misses it.
fn write_out(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Marks a question as waiting until it is dropped.
struct Asking(Arc<AtomicBool>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn unusable(error: &io::Error) -> Failure {
    Failure::new(ExitCode::Other, "other", format!("cannot edit lines: {error}"))
}

/// What the thread works with.
struct Desk {
    printer: Arc<Printer>,
    runtime: Handle,
    state_dir: std::path::PathBuf,
    colours: bool,
    shown: watch::Sender<Shown>,
}

/// The editors of the thread. Questions have one of their own, without history and completion.
struct Editors {
    lines: LineEditor<ShellHelper, FileHistory>,
    answers: LineEditor<(), MemHistory>,
    keeper: Keeper,
}

impl Desk {
    fn work(&self, requests: &request::Receiver<Request>, typed: &mpsc::Sender<Typed>) {
        let mut editors = match self.editors() {
            Ok(editors) => editors,
            Err(error) => {
                // What comes back instead of the first line.
                let _ = typed.blocking_send(result(Err(error)));
                return;
            }
        };
        while let Ok(request) = requests.recv() {
            let answer = match request {
                Request::Line { prompt, scope } => self.line(&mut editors, prompt, scope),
                Request::Answer { prompt } => result(editors.answers.readline(&self.prompt(prompt))),
            };
            if typed.blocking_send(answer).is_err() {
                return;
            }
        }
    }

    fn editors(&self) -> rustyline::Result<Editors> {
        let config = Config::builder()
            .max_history_size(MAX_LINES)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .color_mode(if self.colours { ColorMode::Enabled } else { ColorMode::Disabled })
            .build();
        let answers = LineEditor::with_history(config.clone(), MemHistory::with_config(&config))?;
        let mut lines = LineEditor::with_config(config)?;
        lines.set_helper(Some(ShellHelper::new(self.runtime.clone(), self.colours)));
        let (keeper, failure) = Keeper::open(&self.state_dir, lines.history_mut());
        self.warn(failure);
        Ok(Editors { lines, answers, keeper })
    }

    fn line(&self, editors: &mut Editors, prompt: String, scope: Scope) -> Typed {
        if let Some(helper) = editors.lines.helper_mut() {
            helper.here.enter(scope);
        }
        let read = editors.lines.readline(&self.prompt(prompt));
        if let Some(helper) = editors.lines.helper_mut() {
            helper.here.leave();
        }
        if let Ok(text) = &read {
            // What was pasted at once is several lines all the same.
            for line in text.lines() {
                self.warn(editors.keeper.keep(line, editors.lines.history_mut()));
            }
        }
        result(read)
    }

    fn prompt(&self, text: String) -> ShownPrompt<'_> {
        ShownPrompt { text, shown: &self.shown, counted: AtomicBool::new(false) }
    }

    /// A history that cannot be kept keeps nobody from working.
    fn warn(&self, failure: Option<Failure>) {
        if let Some(failure) = failure {
            let text = failure.told("history", None, &Caller::Lines).lines();
            self.printer.note(format_args!("{text}\nthis shell's lines are not kept"));
        }
    }
}

/// A prompt that tells when it is shown. By then the editor has set the terminal up.
struct ShownPrompt<'a> {
    text: String,
    shown: &'a watch::Sender<Shown>,
    counted: AtomicBool,
}

impl Prompt for ShownPrompt<'_> {
    fn raw(&self) -> &str {
        if !self.counted.swap(true, Ordering::Relaxed) {
            let modes = tcgetattr(io::stdin()).ok();
            self.shown.send_modify(|shown| *shown = Shown { prompts: shown.prompts + 1, modes });
        }
        &self.text
    }
}

fn result(read: rustyline::Result<String>) -> Typed {
    match read {
        Ok(line) => Typed::Line(line),
        Err(ReadlineError::Eof) => Typed::End,
        Err(ReadlineError::Interrupted) => Typed::Interrupted,
        Err(ReadlineError::Io(error)) => Typed::Failed(error),
        Err(error) => Typed::Failed(io::Error::other(error.to_string())),
    }
}
