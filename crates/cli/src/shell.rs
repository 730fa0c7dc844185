//! The interactive shell.

use std::io::IsTerminal as _;

use fulmar_proto::address::HostPort;

use crate::{
    exit_code::ExitCode,
    one_shot::cancelled,
    output::{Failure, failure::io_message},
    server_name::ServerName,
    session::Context,
    signals::{Caught, Signals},
    verb::Verb,
    verbs::{self, Flow, shown_dir},
    words::{Parsed, parse_line},
};

/// Runs commands until the user leaves. `endpoint` is connected to first.
pub(crate) async fn run(endpoint: Option<ServerName>, context: &mut Context) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch()?;
    if endpoint.is_some() {
        let connme = Verb::Connme { endpoint };
        if let Turn::Leave(code) = run_verb(&connme, context, &mut signals).await {
            return Ok(code);
        }
    }
    let code = loop {
        if let Turn::Leave(code) = turn(context, &mut signals).await {
            break code;
        }
    };
    context.disconnect().await;
    Ok(code)
}

/// Whether the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Next,
    Leave(ExitCode),
}

async fn turn(context: &mut Context, signals: &mut Signals) -> Turn {
    let prompting = std::io::stdin().is_terminal() && context.printer.stdout_is_terminal();
    if prompting {
        context.printer.raw(&prompt(context));
    }
    let line = tokio::select! {
        line = context.lines.next() => line,
        // The terminal has thrown away what was typed; the shell lives.
        caught = signals.next() => {
            if prompting {
                context.printer.raw("\n");
            }
            return after_signal_at_prompt(caught);
        }
    };
    match line {
        Ok(Some(line)) => run_line(&line, context, signals).await,
        Ok(None) => {
            if prompting {
                context.printer.raw("\n");
            }
            Turn::Leave(ExitCode::Done)
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            context.report("", &Failure::usage(io_message(&error)));
            Turn::Next
        }
        Err(_) => Turn::Leave(ExitCode::Other),
    }
}

fn after_signal_at_prompt(caught: Caught) -> Turn {
    match caught {
        Caught::Interrupt => Turn::Next,
        Caught::Terminate => Turn::Leave(caught.exit_code()),
    }
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
    let ended = tokio::select! {
        flow = verbs::run(verb, context) => Ok(flow),
        caught = signals.next() => Err(caught),
    };
    context.printer.flush();
    match ended {
        Ok(Flow::Next(_)) if context.printer.is_open() => Turn::Next,
        // Nobody reads what the shell prints: there is nothing left to do.
        Ok(Flow::Next(_) | Flow::Leave) => Turn::Leave(ExitCode::Done),
        Err(caught) => {
            // The command is dropped: its streams are reset, and what it had staged is removed.
            context.report(verb.name(), &cancelled(caught.exit_code()));
            after_signal_at_prompt(caught)
        }
    }
}

fn prompt(context: &Context) -> String {
    prompt_for(context.server(), &shown_dir(&context.remote_dir))
}

fn prompt_for(server: Option<&HostPort>, dir: &str) -> String {
    match server {
        None => "fulmar> ".to_owned(),
        Some(server) if server.host().contains(':') => format!("fulmar [{}]:{dir}> ", server.host()),
        Some(server) => format!("fulmar {}:{dir}> ", server.host()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_shows_the_state() {
        assert_eq!(prompt_for(None, "/"), "fulmar> ");
        let lab: HostPort = "lab:4433".parse().expect("an address");
        assert_eq!(prompt_for(Some(&lab), "/in"), "fulmar lab:/in> ");
        let v6: HostPort = "[::1]:4433".parse().expect("an address");
        assert_eq!(prompt_for(Some(&v6), "/"), "fulmar [::1]:/> ");
    }

    #[test]
    fn only_sigterm_ends_the_shell() {
        assert_eq!(after_signal_at_prompt(Caught::Interrupt), Turn::Next);
        assert_eq!(after_signal_at_prompt(Caught::Terminate), Turn::Leave(ExitCode::Terminated));
    }
}
