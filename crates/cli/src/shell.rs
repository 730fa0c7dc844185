//! The interactive shell.

mod completion;
mod editor;
mod helper;
mod history;
pub(crate) mod input;
pub(crate) mod places;
mod prompt;
mod quoting;
mod wanted;

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    sync::atomic::Ordering,
};

use self::{input::Typed, prompt::prompt_for};
use crate::{
    exit_code::ExitCode,
    one_shot::cancelled,
    output::{Failure, failure::io_message},
    server_name::ServerName,
    session::Context,
    signals::{Caught, Signals},
    verb::Verb,
    verbs::{self, Flow, shown_dir, terminal_width},
    words::{Parsed, parse_line},
};

/// Runs commands until the user leaves. `endpoint` is connected to first.
pub(crate) async fn run(endpoint: Option<ServerName>, context: &mut Context) -> Result<ExitCode, Failure> {
    // Before the editor's first line: it would put back the signals as it finds them.
    let mut signals = Signals::catch()?;
    let scope = context.scope();
    context.input.edit(&context.printer, &scope)?;
    let code = take_turns(endpoint, context, &mut signals).await;
    context.input.leave().await;
    context.disconnect().await;
    Ok(code)
}

async fn take_turns(endpoint: Option<ServerName>, context: &mut Context, signals: &mut Signals) -> ExitCode {
    if endpoint.is_some() {
        let connme = Verb::Connme { endpoint };
        if let Turn::Leave(code) = run_verb(&connme, context, signals).await {
            return code;
        }
    }
    loop {
        if let Turn::Leave(code) = turn(context, signals).await {
            return code;
        }
    }
}

/// Whether the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Next,
    /// With the next prompt: what was cancelled takes with it what was typed ahead.
    Cancelled,
    Leave(ExitCode),
}

async fn turn(context: &mut Context, signals: &mut Signals) -> Turn {
    match read(context, signals).await {
        Ok(Typed::Line(text)) => run_lines(&text, context, signals).await,
        Ok(Typed::Interrupted) => Turn::Next,
        Ok(Typed::End) => {
            end_line(context);
            Turn::Leave(ExitCode::Done)
        }
        Ok(Typed::Failed(error)) if error.kind() == io::ErrorKind::InvalidData => {
            context.report("", &Failure::usage(io_message(&error)));
            Turn::Next
        }
        Ok(Typed::Failed(error)) => {
            context.report("shell", &Failure::new(ExitCode::Other, "other", io_message(&error)));
            Turn::Leave(ExitCode::Other)
        }
        Err(caught) => {
            end_line(context);
            after_signal(caught)
        }
    }
}

/// What is typed at the prompt, or the signal that comes first.
async fn read(context: &mut Context, signals: &mut Signals) -> Result<Typed, Caught> {
    let edited = context.input.is_edited();
    let (prompt, scope) = (prompt(context), context.scope());
    let mut typing = pin!(context.input.command(&context.printer, prompt, scope));
    loop {
        tokio::select! {
            biased;
            caught = signals.next() => {
                // The editor takes Ctrl-C as a key: a signal is an echo of the last command, or meant for nobody here.
                if !edited || caught == Caught::Terminate {
                    return Err(caught);
                }
            }
            typed = &mut typing => return Ok(typed),
        }
    }
}

/// Ends the prompt's line on the screen. The editor does that itself.
fn end_line(context: &Context) {
    if !context.input.is_edited() && io::stdin().is_terminal() && context.printer.stdout_is_terminal() {
        context.printer.raw("\n");
    }
}

fn after_signal(caught: Caught) -> Turn {
    match caught {
        Caught::Interrupt => Turn::Cancelled,
        Caught::Terminate => Turn::Leave(caught.exit_code()),
    }
}

/// Runs what was entered: one line, or the lines that were pasted at once, until one is cancelled.
async fn run_lines(text: &str, context: &mut Context, signals: &mut Signals) -> Turn {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match run_line(line, context, signals).await {
            Turn::Next => {}
            turn => {
                let left = lines.filter(|line| !line.trim().is_empty()).count();
                if turn == Turn::Cancelled && left > 0 {
                    context.printer.note(format_args!("not run: the other lines that were pasted ({left})"));
                }
                return turn;
            }
        }
    }
    Turn::Next
}

async fn run_line(line: &str, context: &mut Context, signals: &mut Signals) -> Turn {
    match parse_line(line) {
        Ok(Parsed::Nothing) => Turn::Next,
        Ok(Parsed::Help(text)) => {
            context.printer.raw(&text);
            Turn::Next
        }
        Ok(Parsed::Verb(verb)) => run_verb(&verb, context, signals).await,
        Err(bad) => {
            context.report(&bad.verb, &bad.failure);
            Turn::Next
        }
    }
}

async fn run_verb(verb: &Verb, context: &mut Context, signals: &mut Signals) -> Turn {
    let asking = context.input.asking();
    let ended = {
        let mut running = pin!(verbs::run(verb, context));
        loop {
            tokio::select! {
                flow = &mut running => break Ok(flow),
                caught = signals.next() => {
                    if cancels(caught, asking.load(Ordering::Relaxed)) {
                        break Err(caught);
                    }
                }
            }
        }
    };
    context.printer.flush();
    match ended {
        Ok(Flow::Next(ExitCode::Interrupted)) => Turn::Cancelled,
        Ok(Flow::Next(_)) if context.printer.is_open() => Turn::Next,
        // Nobody reads what the shell prints: there is nothing left to do.
        Ok(Flow::Next(_) | Flow::Leave) => Turn::Leave(ExitCode::Done),
        Err(caught) => {
            // The command is dropped: its streams are reset, and what it had staged is removed.
            context.report(verb.name(), &cancelled(caught.exit_code()));
            after_signal(caught)
        }
    }
}

/// Whether a signal ends the command that runs. While a question waits, Ctrl-C is a key of its own.
fn cancels(caught: Caught, asking: bool) -> bool {
    caught != Caught::Interrupt || !asking
}

fn prompt(context: &Context) -> String {
    prompt_for(context.server(), &shown_dir(&context.remote_dir), terminal_width())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_no_key_is_none_of_a_questions_business() {
        assert!(!cancels(Caught::Interrupt, true));
        assert!(cancels(Caught::Interrupt, false));
        assert!(cancels(Caught::Terminate, true));
    }

    #[test]
    fn only_sigterm_ends_the_shell() {
        assert_eq!(after_signal(Caught::Interrupt), Turn::Cancelled);
        assert_eq!(after_signal(Caught::Terminate), Turn::Leave(ExitCode::Terminated));
    }
}
