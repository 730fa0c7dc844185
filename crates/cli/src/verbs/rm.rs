//! `rm`: removes files and trees.

use fulmar_client::{Error, Removed};
use fulmar_proto::{error::ErrorCode, path::RelPath, text::Escaped};

use super::each::each;
use crate::{
    exit_code::ExitCode,
    glob::Wanted,
    hints::quoted,
    output::{Failure, hint::Hint, objects::Done, units},
    remote_path::resolve_below_root,
    session::Context,
    verb::RmArgs,
};

pub(super) async fn rm(context: &mut Context, args: &RmArgs) -> Result<ExitCode, Failure> {
    // What a pattern finds is not looked at before it is gone: no directory, not even an empty one, goes unasked.
    let wanted = if args.recursive { Wanted::Anything } else { Wanted::NoDirectories };
    let work = async |context: &mut Context, name: &str| remove(context, name, args.recursive).await;
    let (code, skipped) = each(context, "rm", &args.paths, wanted, work).await?;
    if skipped.directories > 0 {
        let directories = units::counted(skipped.directories, "directory", "directories");
        let them = if skipped.directories == 1 { "it" } else { "them" };
        context.printer.note(format_args!("skipped {directories}; -r removes {them}"));
    }
    Ok(code)
}

async fn remove(context: &mut Context, typed: &str, recursive: bool) -> Result<(), Failure> {
    let path = removable(context, typed)?;
    let session = context.session().await?;
    let result = session.remove(&path, recursive).await;
    let removed = result.map_err(|error| failure(context, &error, typed))?;
    context.printer.object(&Done {
        path: Some(path.as_str()),
        files: Some(removed.files),
        directories: Some(removed.directories),
        ..Done::new("rm")
    });
    context.printer.answer(line(typed, removed));
    Ok(())
}

/// The path to remove. What names a directory only by where it is (`.`, `..`, the root) is too easily meant otherwise.
fn removable(context: &Context, typed: &str) -> Result<RelPath, Failure> {
    let last = typed.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match last {
        "" => Err(Failure::refused("the served directory itself cannot be removed").about(typed)),
        "." | ".." => {
            Err(Failure::refused("a directory is removed by its name, not by '.' or '..'").about(typed))
        }
        _ => resolve_below_root(&context.remote_dir, typed),
    }
}

fn failure(context: &Context, error: &Error, typed: &str) -> Failure {
    let failure = context.failure(error, typed);
    match error {
        Error::Server(refusal) if refusal.code == ErrorCode::IS_A_DIRECTORY => {
            failure.hint(Hint::run(format!("rm -r {}", quoted(typed))))
        }
        _ => failure,
    }
}

fn line(typed: &str, removed: Removed) -> String {
    let name = Escaped(typed);
    if removed.directories == 0 {
        return format!("removed {name}");
    }
    let files = units::counted(removed.files, "file", "files");
    let directories = units::counted(removed.directories, "directory", "directories");
    format!("removed {name} ({files}, {directories})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_said() {
        assert_eq!(line("a.txt", Removed { files: 1, directories: 0 }), "removed a.txt");
        assert_eq!(line("d", Removed { files: 2, directories: 1 }), "removed d (2 files, 1 directory)");
    }
}
