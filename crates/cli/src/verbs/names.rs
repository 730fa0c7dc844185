//! `mkdir`, `mv`, `cd` and `pwd`: names and directories.

use fulmar_client::Error;
use fulmar_proto::{error::ErrorCode, listing::EntryKind, path::DirPath, text::Escaped, upload::Destination};

use crate::{
    exit_code::ExitCode,
    output::{Failure, hint::Hint, objects::Done},
    remote_path::{RemotePath, resolve_below_root},
    session::Context,
    verb::MvArgs,
};

pub(super) async fn mkdir(context: &mut Context, parents: bool, typed: &str) -> Result<ExitCode, Failure> {
    let path = resolve_below_root(&context.remote_dir, typed)?;
    let session = context.session().await?;
    let result = session.make_directory(&path, parents).await;
    let made = result.map_err(|error| mkdir_failure(context, &error, typed))?;
    let outcome = if made { "made" } else { "already-there" };
    context.printer.object(&Done { path: Some(path.as_str()), outcome: Some(outcome), ..Done::new("mkdir") });
    let line = if made { "made" } else { "already there:" };
    context.printer.answer(format_args!("{line} {}", Escaped(typed)));
    Ok(ExitCode::Done)
}

fn mkdir_failure(context: &Context, error: &Error, typed: &str) -> Failure {
    let failure = context.failure(error, typed);
    match error {
        // There is no content to differ: a directory is not compared with what is there.
        Error::Server(refusal) if refusal.code == ErrorCode::EXISTS => {
            Failure { message: "exists already".to_owned(), ..failure }
                .hint(Hint::run("mkdir -p").then(" accepts a directory that exists"))
        }
        _ => failure,
    }
}

pub(super) async fn mv(context: &mut Context, args: &MvArgs) -> Result<ExitCode, Failure> {
    let from = resolve_below_root(&context.remote_dir, &args.from)?;
    let to: Destination = RemotePath::resolve(&context.remote_dir, &args.to)?.destination();
    let session = context.session().await?;
    let result = session.rename(&from, &to, args.existing.on_exists()).await;
    let renamed = result.map_err(|error| {
        // What is missing is the source; all else is about the target.
        let about_source = matches!(&error, Error::Server(f) if f.code == ErrorCode::NOT_FOUND);
        context.failure(&error, if about_source { &args.from } else { &args.to })
    })?;
    let outcome = if renamed.skipped { "skipped" } else { "renamed" };
    context.printer.object(&Done {
        path: Some(renamed.path.as_str()),
        from: Some(from.as_str()),
        outcome: Some(outcome),
        ..Done::new("mv")
    });
    let (source, target) = (Escaped(&args.from), renamed.path.escaped());
    context.printer.answer(match renamed.skipped {
        true => format!("{source} -> {target}  skipped: it exists"),
        false => format!("{source} -> {target}"),
    });
    Ok(ExitCode::Done)
}

pub(super) async fn cd(context: &mut Context, typed: Option<&str>) -> Result<ExitCode, Failure> {
    let typed = typed.unwrap_or("/");
    let wanted = RemotePath::resolve(&context.remote_dir, typed)?;
    let session = context.session().await?;
    let entry = session.stat(&wanted.path).await.map_err(|error| context.failure(&error, typed))?;
    if entry.kind != EntryKind::Directory {
        return Err(Failure::new(ExitCode::Other, "not-a-directory", "not a directory").about(typed));
    }
    context.remote_dir = wanted.path;
    context.printer.object(&Done { path: Some(context.remote_dir.as_str()), ..Done::new("cd") });
    Ok(ExitCode::Done)
}

pub(super) fn pwd(context: &mut Context) -> Result<ExitCode, Failure> {
    context.check_connectable()?;
    context.printer.object(&Done { path: Some(context.remote_dir.as_str()), ..Done::new("pwd") });
    context.printer.data(shown_dir(&context.remote_dir));
    Ok(ExitCode::Done)
}

/// A remote directory as prompts and `pwd` show it.
pub(crate) fn shown_dir(dir: &DirPath) -> String {
    format!("/{}", dir.escaped())
}
