//! `-r` and `--dry-run`: directories with all that is in them, and what would be done.

mod report;

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use fulmar_client::{Error, Exclude, LocalSource, RemoteSource, Session, TreeOptions};
use fulmar_proto::text::Escaped;

use self::report::Report;
use super::{
    transfer::{self, Operands, is_stdio, remote_text},
    upload::target_failure,
};
use crate::{
    exit_code::{ExitCode, Tally},
    glob::{self, Skipped, Wanted},
    output::{Failure, hint::Hint},
    remote_path::RemotePath,
    session::Context,
    verb::TransferArgs,
};

pub(super) async fn upload(
    context: &mut Context,
    args: &TransferArgs,
    operands: &Operands,
) -> Result<ExitCode, Failure> {
    let options = options(args)?;
    let typed_target = operands.remote_target()?.unwrap_or(".");
    let mut target = RemotePath::resolve(&context.remote_dir, typed_target)?.destination();
    context.check_connectable()?;
    let found = match find_local(context, args, operands).await {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    check_names(found.sources.iter().filter(|source| !source.contents).map(|source| &source.shown))?;
    target.must_be_directory |= operands.must_be_directory || found.by_pattern;
    let session = context.session().await?;
    let context = &*context;
    let report = Report::new(context, "upload", args, names(&operands.files));
    let uploading = session.upload_tree(&found.sources, &target, &options, &report);
    match report.watch(uploading).await {
        Ok(done) => Ok(report.finish(&done)),
        Err(error) => Err(target_failure(context, &error, typed_target, &target)),
    }
}

pub(super) async fn download(
    context: &mut Context,
    args: &TransferArgs,
    operands: &Operands,
) -> Result<ExitCode, Failure> {
    let options = options(args)?;
    if args.to.is_none() && operands.target.as_deref().is_some_and(is_stdio) {
        let what = if args.recursive { "a tree cannot go" } else { "it is not looked at what goes" };
        return Err(Failure::usage(format!("{what} to standard output")).about(transfer::STDIO));
    }
    let session = context.session().await?;
    let context = &*context;
    let found = match find_remote(context, &session, args, operands).await {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    check_names(found.sources.iter().filter(|source| !source.contents).map(|source| &source.shown))?;
    let typed = operands.target.as_deref();
    let path = typed.map_or_else(|| context.local_dir.clone(), |typed| context.local_path(typed));
    let must_be_directory = typed.is_none() || operands.must_be_directory || found.by_pattern;
    let report = Report::new(context, "download", args, names(&operands.files));
    let downloading = session.download_tree(&found.sources, &path, must_be_directory, &options, &report);
    match report.watch(downloading).await {
        Ok(done) => Ok(report.finish(&done)),
        Err(error) => Err(context.failure(&error, &typed.unwrap_or(Path::new(".")).to_string_lossy())),
    }
}

fn options(args: &TransferArgs) -> Result<TreeOptions, Failure> {
    let exclude = Exclude::new(args.exclude.iter().map(String::as_str));
    let exclude = exclude.map_err(|bad| {
        Failure::usage(format!("no pattern: {}", Escaped(&bad.reason))).about(bad.pattern.as_str())
    })?;
    Ok(TreeOptions { transfer: transfer::options(args), exclude, dry_run: args.dry_run })
}

/// What the operands stand for.
struct Sources<T> {
    sources: Vec<T>,
    /// A pattern is among the operands.
    by_pattern: bool,
}

/// Finds what is to be sent, and tells of every operand that cannot be, before anything is sent.
async fn find_local(
    context: &Context,
    args: &TransferArgs,
    operands: &Operands,
) -> Result<Sources<LocalSource>, ExitCode> {
    let wanted = if args.recursive { Wanted::Anything } else { Wanted::Files };
    let (mut sources, mut by_pattern) = (Vec::new(), false);
    let (mut skipped, mut tally) = (Skipped::default(), Tally::default());
    for typed in &operands.files {
        let found = match glob::local::expand(context, typed, wanted).await {
            Ok(None) => named_local(context, args, typed).map(|source| vec![source]),
            Ok(Some(matches)) => {
                by_pattern = true;
                skipped += matches.skipped;
                match matches.files.is_empty() {
                    true => Err(no_match(typed, "lls")),
                    false => Ok(matches.files.iter().map(|found| local(&found.typed, &found.real)).collect()),
                }
            }
            Err(failure) => Err(failure),
        };
        match found {
            Ok(mut found) => sources.append(&mut found),
            Err(failure) => {
                context.report("upload", &failure);
                tally.failed(failure.code);
            }
        }
    }
    transfer::note_skipped(&context.printer, skipped);
    // What failed has been told, and only its code is left.
    if tally.code().is_done() { Ok(Sources { sources, by_pattern }) } else { Err(tally.code()) }
}

fn named_local(context: &Context, args: &TransferArgs, typed: &Path) -> Result<LocalSource, Failure> {
    if is_stdio(typed) {
        let what =
            if args.recursive { "standard input is no tree" } else { "standard input cannot be looked at" };
        return Err(Failure::usage(what).about(transfer::STDIO));
    }
    let real = context.local_path(typed);
    match fs::metadata(&real) {
        Ok(metadata) if metadata.is_dir() && !args.recursive => {
            Err(transfer::needs_recursive("upload", &typed.to_string_lossy()))
        }
        Ok(_) => Ok(local(typed, &real)),
        Err(error) => Err(Failure::local(typed, &error)),
    }
}

fn local(typed: &Path, real: &Path) -> LocalSource {
    let contents = is_contents(typed.as_os_str()) || real.file_name().is_none();
    let shown = shown(&typed.to_string_lossy());
    LocalSource { path: real.to_owned(), shown, contents }
}

/// Finds what is to be fetched, and tells of every operand that leads nowhere, before anything is fetched.
async fn find_remote(
    context: &Context,
    session: &Session,
    args: &TransferArgs,
    operands: &Operands,
) -> Result<Sources<RemoteSource>, ExitCode> {
    let wanted = if args.recursive { Wanted::Anything } else { Wanted::Files };
    let (mut sources, mut by_pattern) = (Vec::new(), false);
    let (mut skipped, mut tally) = (Skipped::default(), Tally::default());
    for typed in &operands.files {
        let expanded = match remote_text(typed) {
            Ok(text) => glob::remote::expand(context, session, text, wanted, false).await,
            Err(failure) => Err(failure),
        };
        let found = match expanded {
            Ok(None) => remote(context, &typed.to_string_lossy()).map(|source| vec![source]),
            Ok(Some(matches)) => {
                by_pattern = true;
                skipped += matches.skipped;
                match matches.found.is_empty() {
                    true => Err(no_match(typed, "ls")),
                    false => matches.found.iter().map(|found| remote(context, &found.typed)).collect(),
                }
            }
            Err(failure) => Err(failure),
        };
        match found {
            Ok(mut found) => sources.append(&mut found),
            Err(failure) => {
                context.report("download", &failure);
                tally.failed(failure.code);
            }
        }
    }
    transfer::note_skipped(&context.printer, skipped);
    // What failed has been told, and only its code is left.
    if tally.code().is_done() { Ok(Sources { sources, by_pattern }) } else { Err(tally.code()) }
}

fn remote(context: &Context, typed: &str) -> Result<RemoteSource, Failure> {
    let path = RemotePath::resolve(&context.remote_dir, typed)?.path;
    let contents = is_contents(OsStr::new(typed)) || path.is_root();
    Ok(RemoteSource { path, shown: shown(typed), contents })
}

fn no_match(typed: &Path, list: &str) -> Failure {
    glob::no_match(&typed.to_string_lossy(), Hint::run(list).then(" shows what is there"))
}

/// Whether what is in a directory is meant and not the directory itself: `.`, `..`, `a/.`, with or without a slash.
fn is_contents(typed: &OsStr) -> bool {
    let mut names = typed.as_bytes().rsplit(|byte| *byte == b'/').skip_while(|name| name.is_empty());
    matches!(names.next(), None | Some(b"." | b".."))
}

/// How an operand is called in front of what is in it.
fn shown(typed: &str) -> String {
    match typed.trim_end_matches('/') {
        "" if typed.starts_with('/') => "/".to_owned(),
        "." => String::new(),
        shown => shown.to_owned(),
    }
}

fn names(operands: &[PathBuf]) -> String {
    operands.iter().map(|operand| operand.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Two operands of one name cannot both go into one directory: their trees would become one, and what is in both would be
/// left to chance.
fn check_names<'a>(sources: impl Iterator<Item = &'a String>) -> Result<(), Failure> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    for shown in sources {
        let name = shown.rsplit('/').next().unwrap_or_default();
        if let Some(other) = names.insert(name, shown) {
            let message = format!("would get the same name as {}", Escaped(other));
            return Err(Failure::usage(message).about(shown.as_str()));
        }
    }
    Ok(())
}

/// The failure of one file or directory of a tree.
fn failure(context: &Context, error: &Error, source: &str) -> Failure {
    let source = if source.is_empty() { "." } else { source };
    context.failure(error, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_mean_what_is_in_a_directory() {
        for (typed, contents) in [
            (".", true),
            ("./", true),
            ("..", true),
            ("a/.", true),
            ("a/..//", true),
            ("/", true),
            ("a", false),
            ("a/", false),
            ("a/.b", false),
            ("...", false),
        ] {
            assert_eq!(is_contents(OsStr::new(typed)), contents, "{typed}");
        }
    }

    #[test]
    fn what_is_in_an_operand_is_named_from_where_it_was_typed() {
        for (typed, expected) in
            [("a/b/", "a/b"), (".", ""), ("./", ""), ("..", ".."), ("/", "/"), ("/srv", "/srv")]
        {
            assert_eq!(shown(typed), expected, "{typed}");
        }
    }

    #[test]
    fn operands_have_names_of_their_own() {
        let check = |shown: &[&str]| {
            let shown: Vec<String> = shown.iter().map(|shown| (*shown).to_owned()).collect();
            check_names(shown.iter())
        };
        assert!(check(&["a/x", "b/y"]).is_ok());
        let refused = check(&["a/x", "b/x"]).expect_err("one name");
        assert_eq!((refused.code, refused.object.as_deref()), (ExitCode::Usage, Some("b/x")));
    }
}
