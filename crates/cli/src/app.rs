//! From the command line to what it asks for.

use std::{io::IsTerminal as _, path::Path, sync::Arc};

use clap::Parser as _;
use fulmar_client::Endpoint;

use crate::{
    args::{Cli, Command, Global},
    batch::{self, Script},
    demo,
    exit_code::ExitCode,
    invite, one_shot,
    output::{Failure, Printer, PrinterOptions},
    runtime, serve,
    session::{Context, Mode},
    shell, words,
};

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => start(&cli),
        Err(error) if words::is_help(&error) => {
            let printer = Printer::new(PrinterOptions::default());
            printer.raw(&error.render().to_string());
            ExitCode::Done
        }
        Err(error) => {
            let words: Vec<String> =
                std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
            // Whoever asked for objects gets one for this too, although the options could not be read.
            let json = words.iter().any(|word| word == "--json");
            let printer = Printer::new(PrinterOptions { json, ..PrinterOptions::default() });
            printer.failure(&words::verb_of(&words), None, &words::usage_failure(&error));
            printer.flush();
            ExitCode::Usage
        }
    }
}

fn start(cli: &Cli) -> ExitCode {
    let global = &cli.global;
    let printer = Arc::new(Printer::new(PrinterOptions {
        json: global.json,
        quiet: global.quiet,
        verbose: global.verbose,
        progress: global.progress,
    }));
    let result = runtime::run(dispatch(cli, &printer)).and_then(|result| result);
    let code = result.unwrap_or_else(|failure| {
        printer.failure(command_name(cli), None, &failure);
        failure.code
    });
    printer.flush();
    code
}

fn command_name(cli: &Cli) -> &'static str {
    match &cli.command {
        None if cli.batch.is_some() => "batch",
        None | Some(Command::Shell { .. }) => "shell",
        Some(Command::Serve(_)) => "serve",
        Some(Command::Demo) => "demo",
        Some(Command::Invite(_)) => "invite",
        Some(Command::Fingerprint { .. }) => "fingerprint",
        Some(Command::Verb(verb)) => verb.name(),
    }
}

async fn dispatch(cli: &Cli, printer: &Arc<Printer>) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    if let Some(script) = &cli.batch {
        return run_batch(cli, script, printer).await;
    }
    match &cli.command {
        None => run_shell(global, None, printer).await,
        Some(Command::Shell { endpoint }) => run_shell(global, endpoint.clone(), printer).await,
        Some(Command::Serve(args)) => serve::run(args, global, printer).await,
        Some(Command::Demo) => demo::run(printer).await,
        Some(Command::Invite(args)) => invite::invite(args, global, printer),
        Some(Command::Fingerprint { client }) => invite::fingerprint(*client, global, printer),
        Some(Command::Verb(verb)) => one_shot::run(verb, context(global, printer, Mode::OneShot)?).await,
    }
}

/// The context of all commands of this process. It is never dropped: a thread of it may sit in a read of standard input
/// for ever, and waiting for that thread would keep a cancelled command from ending.
fn context(global: &Global, printer: &Arc<Printer>, mode: Mode) -> Result<&'static mut Context, Failure> {
    Ok(Box::leak(Box::new(Context::new(global, Arc::clone(printer), mode)?)))
}

async fn run_batch(cli: &Cli, script: &Path, printer: &Arc<Printer>) -> Result<ExitCode, Failure> {
    if cli.command.is_some() {
        return Err(Failure::usage("a batch takes its commands from the file alone"));
    }
    let script = Script::open(script)?;
    let context = context(&cli.global, printer, Mode::Batch)?;
    let endpoint = context.preferred().cloned();
    batch::run(script, endpoint, context).await
}

/// A shell for a person, a batch for a pipe. It is connected first only when this very command line says to what.
async fn run_shell(
    global: &Global,
    endpoint: Option<Endpoint>,
    printer: &Arc<Printer>,
) -> Result<ExitCode, Failure> {
    let endpoint = endpoint.or_else(|| global.server.clone());
    if std::io::stdin().is_terminal() {
        return shell::run(endpoint, context(global, printer, Mode::Shell)?).await;
    }
    batch::run(Script::Stdin, endpoint, context(global, printer, Mode::Batch)?).await
}
