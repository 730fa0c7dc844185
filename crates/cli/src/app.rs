//! From the command line to what it asks for.

use std::{io::IsTerminal as _, path::Path, sync::Arc};

use clap::Parser as _;

use crate::{
    args::{Cli, Command, Global},
    batch::{self, Script},
    clients,
    config::{Config, Missing},
    demo,
    exit_code::ExitCode,
    generated, invite, one_shot,
    output::{Failure, Printer, PrinterOptions, hint::Caller},
    runtime, serve,
    server_name::ServerName,
    session::{Context, Mode},
    shell,
    verb::{HostsCommand, Verb},
    words,
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
    let config = config_for(cli);
    let progress = config.as_ref().ok().and_then(|config| config.defaults.progress);
    let command_line = Caller::command_line(global.state.as_deref(), server_of(cli));
    let printer = Arc::new(Printer::new(PrinterOptions {
        json: global.json,
        quiet: global.quiet,
        verbose: global.verbose > 0,
        progress: global.progress.or(progress).unwrap_or_default(),
        caller: if is_one_command(cli) { command_line.clone() } else { Caller::Lines },
    }));
    let result =
        config.and_then(|config| runtime::run(dispatch(cli, config, &printer)).and_then(|result| result));
    let code = result.unwrap_or_else(|failure| {
        // What fails here has run no line of a shell or a batch.
        printer.failure_for(&command_line, command_name(cli), &failure);
        failure.code
    });
    printer.flush();
    code
}

/// The server that the command line names.
fn server_of(cli: &Cli) -> Option<&ServerName> {
    let of_command = match &cli.command {
        Some(Command::Verb(Verb::Doctor(args))) => args.endpoint.as_ref(),
        _ => None,
    };
    of_command.or(cli.global.server.as_ref())
}

/// Whether there is one command, and not one in each line.
fn is_one_command(cli: &Cli) -> bool {
    cli.batch.is_none() && !matches!(cli.command, None | Some(Command::Shell { .. }))
}

/// The configuration, where the command has a use for it: a server must not fail because of a client's file.
fn config_for(cli: &Cli) -> Result<Config, Failure> {
    match &cli.command {
        Some(Command::Verb(Verb::Help { .. })) => Ok(Config::default()),
        Some(Command::Verb(Verb::Hosts { command: Some(HostsCommand::Add(_)) })) => {
            Config::load(Missing::Accepted)
        }
        None | Some(Command::Shell { .. } | Command::Verb(_)) => Config::load(Missing::Refused),
        Some(_) => Ok(Config::default()),
    }
}

fn command_name(cli: &Cli) -> &'static str {
    match &cli.command {
        None if cli.batch.is_some() => "batch",
        None | Some(Command::Shell { .. }) => "shell",
        Some(Command::Serve(_)) => "serve",
        Some(Command::Demo) => "demo",
        Some(Command::Invite(_)) => "invite",
        Some(Command::Fingerprint { .. }) => "fingerprint",
        Some(Command::Clients { .. }) => "clients",
        Some(Command::Completions { .. }) => "completions",
        Some(Command::Man { .. }) => "man",
        Some(Command::Verb(verb)) => verb.name(),
    }
}

async fn dispatch(cli: &Cli, config: Config, printer: &Arc<Printer>) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    if let Some(script) = &cli.batch {
        return run_batch(cli, config, script, printer).await;
    }
    match &cli.command {
        None => run_shell(global, config, None, printer).await,
        Some(Command::Shell { endpoint }) => run_shell(global, config, endpoint.clone(), printer).await,
        Some(Command::Serve(args)) => serve::run(args, global, printer).await,
        Some(Command::Demo) => demo::run(printer).await,
        Some(Command::Invite(args)) => invite::invite(args, global, printer),
        Some(Command::Fingerprint { client }) => invite::fingerprint(*client, global, printer),
        Some(Command::Clients { command }) => clients::run(command.as_ref(), global, printer),
        Some(Command::Completions { shell }) => generated::completions(*shell, printer),
        Some(Command::Man { dir }) => generated::man(dir.as_deref(), printer),
        Some(Command::Verb(verb)) => {
            one_shot::run(verb, context(global, config, printer, Mode::OneShot)?).await
        }
    }
}

/// The context of all commands of this process. It is never dropped: a thread of it may sit in a read of standard input
/// for ever, and waiting for that thread would keep a cancelled command from ending.
fn context(
    global: &Global,
    config: Config,
    printer: &Arc<Printer>,
    mode: Mode,
) -> Result<&'static mut Context, Failure> {
    Ok(Box::leak(Box::new(Context::new(global, config, Arc::clone(printer), mode)?)))
}

async fn run_batch(
    cli: &Cli,
    config: Config,
    script: &Path,
    printer: &Arc<Printer>,
) -> Result<ExitCode, Failure> {
    if cli.command.is_some() {
        return Err(Failure::usage("a batch takes its commands from the file alone"));
    }
    let script = Script::open(script)?;
    let context = context(&cli.global, config, printer, Mode::Batch)?;
    let endpoint = context.preferred().cloned();
    batch::run(script, endpoint, context).await
}

/// A shell for a person, a batch for a pipe. It is connected first only when this very command line says to what; a batch
/// then connects to the preferred server once it needs one, so that it may as well name another with `connme`.
async fn run_shell(
    global: &Global,
    config: Config,
    endpoint: Option<ServerName>,
    printer: &Arc<Printer>,
) -> Result<ExitCode, Failure> {
    let endpoint = endpoint.or_else(|| global.server.clone());
    if std::io::stdin().is_terminal() {
        return shell::run(endpoint, context(global, config, printer, Mode::Shell)?).await;
    }
    let context = context(global, config, printer, Mode::Batch)?;
    if endpoint.is_none()
        && let Some(server) = context.preferred().cloned()
    {
        context.connect_on_demand(&server);
    }
    batch::run(Script::Stdin, endpoint, context).await
}
