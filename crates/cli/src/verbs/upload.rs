//! `upload`: sends local files.

use std::{
    fs::{self, File},
    io,
    os::fd::AsFd as _,
    path::Path,
};

use fulmar_client::{Error, Session, UploadSource};
use fulmar_proto::{error::ErrorCode, upload::Destination};

use super::transfer::{self, Operands, is_stdio};
use crate::{
    exit_code::{ExitCode, Tally},
    hints::quoted,
    output::{Failure, objects::TransferDone},
    remote_path::RemotePath,
    session::Context,
    verb::TransferArgs,
};

pub(super) async fn upload(context: &mut Context, args: &TransferArgs) -> Result<ExitCode, Failure> {
    let operands = Operands::split(args);
    check_stdin(context, args, &operands)?;
    let typed_target = operands.remote_target()?.unwrap_or(".");
    let mut target = RemotePath::resolve(&context.remote_dir, typed_target)?.destination();
    target.must_be_directory |= operands.must_be_directory;
    context.check_connectable()?;
    let missing = check_files(context, &operands);
    if !missing.is_done() {
        return Ok(missing);
    }
    let session = context.session().await?;
    let mut tally = Tally::default();
    for file in &operands.files {
        if let Err(failure) = send(context, &session, file, (typed_target, &target), args).await {
            context.report("upload", &failure);
            tally.failed(failure.code);
            // What is wrong with the directory is wrong for every file.
            if session.is_closed()
                || (target.must_be_directory && failure.object.as_deref() == Some(typed_target))
            {
                break;
            }
        }
    }
    Ok(tally.code())
}

/// Standard input is one file without a name, and only where no commands come from it.
fn check_stdin(context: &Context, args: &TransferArgs, operands: &Operands) -> Result<(), Failure> {
    if !operands.files.iter().any(|file| is_stdio(file)) {
        return Ok(());
    }
    transfer::check_stdio(context.mode, "standard input")?;
    let failure = match (operands.files.len(), &operands.target, &args.to) {
        (1, Some(_), None) => return Ok(()),
        (1, _, _) => Failure::usage("standard input has no name; give it one behind the '-'"),
        _ => Failure::usage("standard input can only be sent alone"),
    };
    Err(failure.about(transfer::STDIO))
}

/// Tells of every local file that cannot be sent, before anything is sent.
fn check_files(context: &Context, operands: &Operands) -> ExitCode {
    let mut tally = Tally::default();
    for file in operands.files.iter().filter(|file| !is_stdio(file)) {
        let failure = match fs::metadata(context.local_path(file)) {
            Ok(metadata) if metadata.is_dir() => {
                Failure::new(ExitCode::Other, "is-a-directory", "is a directory; only files can be sent")
                    .about(file.to_string_lossy())
            }
            Ok(_) => continue,
            Err(error) => Failure::local(file, &error),
        };
        context.report("upload", &failure);
        tally.failed(failure.code);
    }
    tally.code()
}

async fn send(
    context: &Context,
    session: &Session,
    file: &Path,
    (typed_target, target): (&str, &Destination),
    args: &TransferArgs,
) -> Result<(), Failure> {
    let name = file.to_string_lossy();
    let source = source_of(context, file)?;
    let progress = context.progress("upload", &name);
    let result = session.upload(source, target, &transfer::options(args), &progress).await;
    drop(progress);
    let done = result.map_err(|error| failure(context, &error, &name, typed_target, target))?;
    context.printer.object(&TransferDone::new("upload", &done));
    context.printer.answer(transfer::done_line(&name, &done.destination, &done));
    context.printer.flush();
    Ok(())
}

fn source_of(context: &Context, file: &Path) -> Result<UploadSource, Failure> {
    if !is_stdio(file) {
        return Ok(UploadSource::File(context.local_path(file)));
    }
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let stdin = stdin.map_err(|error| Failure::local(file, &error))?;
    Ok(UploadSource::Reader(Box::new(File::from(stdin))))
}

/// What failed is the target for some errors and the file for all others.
fn failure(
    context: &Context,
    error: &Error,
    file: &str,
    typed_target: &str,
    target: &Destination,
) -> Failure {
    let code = match error {
        Error::Server(refusal) => Some(refusal.code),
        _ => None,
    };
    match code {
        Some(ErrorCode::NO_PARENT) => context
            .failure(error, typed_target)
            .hint(format!("mkdir -p {}", quoted(&missing_directory(target)))),
        Some(ErrorCode::NOT_A_DIRECTORY | ErrorCode::IS_A_DIRECTORY | ErrorCode::EXISTS) => {
            context.failure(error, typed_target)
        }
        _ => context.failure(error, file),
    }
}

/// The directory that has to be made first, from the root.
fn missing_directory(target: &Destination) -> String {
    let path = match target.path.to_rel() {
        Some(path) if !target.must_be_directory => path.parent(),
        _ => target.path.clone(),
    };
    format!("/{}", path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_proto::path::DirPath;

    #[test]
    fn the_directory_to_make_is_the_target_or_above_it() {
        let target = |path: &str, must_be_directory| Destination {
            path: DirPath::parse(path).expect("a path"),
            must_be_directory,
        };
        assert_eq!(missing_directory(&target("a/b/new.txt", false)), "/a/b");
        assert_eq!(missing_directory(&target("a/b", true)), "/a/b");
        assert_eq!(missing_directory(&target("new.txt", false)), "/");
    }
}
