//! The verbs, one file for each or for a few that belong together.

mod connection;
mod describe;
mod doctor;
mod download;
mod each;
mod find;
mod hosts;
mod local;
mod ls;
mod names;
mod rm;
mod several;
mod size;
mod status;
mod transfer;
mod trees;
mod upload;
mod verify;

pub(crate) use ls::terminal_width;
pub(crate) use names::shown_dir;

use crate::{
    exit_code::ExitCode,
    output::Failure,
    session::{Context, Mode},
    verb::Verb,
    words,
};

/// How it goes on after a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// With the next one. What failed has been told.
    Next(ExitCode),
    /// Not at all: the user leaves.
    Leave,
}

/// Does what `verb` asks for and tells of every failure.
pub(crate) async fn run(verb: &Verb, context: &mut Context) -> Flow {
    let flow = match dispatch(verb, context).await {
        Ok(flow) => flow,
        Err(failure) => {
            context.report(verb.name(), &failure);
            Flow::Next(failure.code)
        }
    };
    if matches!(flow, Flow::Next(ExitCode::Connection | ExitCode::Refused)) {
        context.forget_dead_session();
    }
    match context.printer.stdout_failure() {
        Some(failure) => {
            context.report(verb.name(), &failure);
            Flow::Next(failure.code)
        }
        None => flow,
    }
}

async fn dispatch(verb: &Verb, context: &mut Context) -> Result<Flow, Failure> {
    if context.mode == Mode::OneShot && verb.needs_shell() {
        return Err(Failure::usage("that is a command of the shell").hint("fulmar shell"));
    }
    let code = match verb {
        Verb::Connme { endpoint } => connection::connme(context, endpoint.as_ref()).await?,
        Verb::Byebye => return Ok(connection::byebye(context).await),
        Verb::Quit => return Ok(Flow::Leave),
        Verb::Ls(args) => ls::ls(context, args).await?,
        Verb::Size { paths } => size::size(context, paths).await?,
        Verb::Rm(args) => rm::rm(context, args).await?,
        Verb::Upload(args) => upload::upload(context, args).await?,
        Verb::Download(args) => download::download(context, args).await?,
        Verb::Stat { path } => describe::stat(context, path).await?,
        Verb::Hash { path } => describe::hash(context, path).await?,
        Verb::Mkdir { parents, path } => names::mkdir(context, *parents, path).await?,
        Verb::Mv(args) => names::mv(context, args).await?,
        Verb::Verify { local, remote } => verify::verify(context, local, remote).await?,
        Verb::Cd { path } => names::cd(context, path.as_deref()).await?,
        Verb::Pwd => names::pwd(context)?,
        Verb::Lls(args) => local::lls(context, args).await?,
        Verb::Lcd { path } => local::lcd(context, path.as_deref())?,
        Verb::Lpwd => local::lpwd(context),
        Verb::Status => status::status(context).await?,
        Verb::Doctor(args) => doctor::doctor(context, args).await?,
        Verb::Hosts { command } => hosts::hosts(context, command.as_ref()).await?,
        Verb::Help { command } => help(context, command.as_deref())?,
    };
    Ok(Flow::Next(code))
}

fn help(context: &Context, command: Option<&str>) -> Result<ExitCode, Failure> {
    let text = match context.mode {
        Mode::OneShot => words::program_help(command)?,
        Mode::Batch | Mode::Shell => words::help(command)?,
    };
    context.printer.raw(&format!("{}\n", text.trim_end()));
    Ok(ExitCode::Done)
}
