//! `upload`: sends local files.

use std::{
    fs::{self, File},
    io,
    os::fd::AsFd as _,
    path::Path,
};

use fulmar_client::{Error, UploadSource};
use fulmar_proto::{error::ErrorCode, upload::Destination};

use super::{
    find::{self, Sources},
    several::{self, Broken, Work},
    transfer::{self, Operands, Origin, Source, is_stdio},
    trees,
};
use crate::{
    exit_code::{ExitCode, Tally},
    glob::{Wanted, local::LocalMatch},
    hints::quoted,
    output::{Failure, hint::Hint, progress::FileProgress},
    remote_path::RemotePath,
    session::Context,
    verb::TransferArgs,
};

pub(super) async fn upload(context: &mut Context, args: &TransferArgs) -> Result<ExitCode, Failure> {
    let operands = Operands::split(args);
    if args.recursive || args.dry_run {
        return trees::upload(context, args, &operands).await;
    }
    check_stdin(context, args, &operands)?;
    let typed_target = operands.remote_target()?.unwrap_or(".");
    let mut target = RemotePath::resolve(&context.remote_dir, typed_target)?.destination();
    context.check_connectable()?;
    let named = |typed: &Path| plain_source(context, typed);
    let found = find::local(context, &operands.files, Wanted::Files, named, matched_source).await;
    let Sources { mut sources, by_pattern, .. } = match found {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    target.must_be_directory |= operands.must_be_directory || by_pattern;
    transfer::check_names(&mut sources, args.existing.on_exists())?;
    let session = context.session().await?;
    let context = &*context;
    let work = Work { verb: "upload", sources: &sources };
    let send = async |source: &Source, progress: &FileProgress<'_>| {
        let name = source.typed.to_string_lossy();
        let result = session.upload(source_of(source)?, &target, &transfer::options(args), progress).await;
        result.map_err(|error| Broken {
            failure: failure(context, &error, &name, typed_target, &target),
            is_for_all: target.must_be_directory && is_of_directory(&error),
        })
    };
    Ok(several::run(context, &session, work, Tally::default(), send).await)
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

fn plain_source(context: &Context, typed: &Path) -> Result<Source, Failure> {
    if is_stdio(typed) {
        return Ok(Source { typed: typed.to_owned(), origin: Origin::Stdin, bytes: None });
    }
    let real = context.local_path(typed);
    match fs::metadata(&real) {
        Ok(metadata) if metadata.is_dir() => {
            Err(transfer::needs_recursive("upload", &typed.to_string_lossy()))
        }
        Ok(metadata) => {
            Ok(Source { typed: typed.to_owned(), origin: Origin::File(real), bytes: Some(metadata.len()) })
        }
        Err(error) => Err(Failure::local(typed, &error)),
    }
}

fn matched_source(file: LocalMatch) -> Source {
    Source { typed: file.typed, origin: Origin::File(file.real), bytes: Some(file.bytes) }
}

fn source_of(source: &Source) -> Result<UploadSource, Failure> {
    match &source.origin {
        Origin::File(real) => Ok(UploadSource::File(real.clone())),
        Origin::Stdin => {
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            let stdin = stdin.map_err(|error| Failure::local(&source.typed, &error))?;
            Ok(UploadSource::Reader(Box::new(File::from(stdin))))
        }
    }
}

/// Whether an error is about the directory that files go into, and not about one of its names.
fn is_of_directory(error: &Error) -> bool {
    let code = match error {
        Error::Server(refusal) => refusal.code,
        _ => return false,
    };
    code == ErrorCode::NO_PARENT || code == ErrorCode::NOT_A_DIRECTORY
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
        Some(
            ErrorCode::NO_PARENT | ErrorCode::NOT_A_DIRECTORY | ErrorCode::IS_A_DIRECTORY | ErrorCode::EXISTS,
        ) => target_failure(context, error, typed_target, target),
        _ => context.failure(error, file),
    }
}

/// What failed is the target.
pub(super) fn target_failure(
    context: &Context,
    error: &Error,
    typed_target: &str,
    target: &Destination,
) -> Failure {
    let failure = context.failure(error, typed_target);
    match error {
        Error::Server(refusal) if refusal.code == ErrorCode::NO_PARENT => {
            let mkdir = || Hint::run(format!("mkdir -p {}", quoted(&missing_directory(target))));
            failure.hint(transfer::pattern_hint(typed_target).map_or_else(mkdir, Hint::from))
        }
        _ => failure,
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
