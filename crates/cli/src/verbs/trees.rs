//! `-r` and `--dry-run`: directories with all that is in them, and what would be done.

mod report;

use std::{
    borrow::Cow,
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use fulmar_client::{Error, Exclude, LocalSource, RemoteSource, TreeOptions};
use fulmar_proto::{text::Escaped, upload::OnExists};

use self::report::Report;
use super::{
    find,
    transfer::{self, KEEPS_BOTH, Operand, Operands, is_stdio},
    upload::target_failure,
};
use crate::{
    exit_code::ExitCode,
    glob::{Wanted, local::LocalMatch, remote::RemoteMatch},
    output::Failure,
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
    let named = |typed: &Path| named_local(context, args, typed);
    let matched = |found: LocalMatch| local(&found.typed, &found.real);
    let mut found = match find::local(context, &operands.files, wanted(args), named, matched).await {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    check(&mut found.sources, args)?;
    target.must_be_directory |= operands.must_be_directory || found.by_pattern;
    let session = context.session().await?;
    let context = &*context;
    let report = Report::new(context, "upload", args, names(&operands.files), found.tally);
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
    let named = |typed: &Path| remote(context, &typed.to_string_lossy());
    let matched = |found: RemoteMatch| remote(context, &found.typed);
    let found = find::remote(context, &session, &operands.files, wanted(args), named, matched).await;
    let mut found = match found {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    check(&mut found.sources, args)?;
    let typed = operands.target.as_deref();
    let path = typed.map_or_else(|| context.local_dir.clone(), |typed| context.local_path(typed));
    let must_be_directory = typed.is_none() || operands.must_be_directory || found.by_pattern;
    let report = Report::new(context, "download", args, names(&operands.files), found.tally);
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

/// What patterns are to match.
fn wanted(args: &TransferArgs) -> Wanted {
    if args.recursive { Wanted::Anything } else { Wanted::Files }
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

fn remote(context: &Context, typed: &str) -> Result<RemoteSource, Failure> {
    let path = RemotePath::resolve(&context.remote_dir, typed)?.path;
    let contents = is_contents(OsStr::new(typed)) || path.is_root();
    Ok(RemoteSource { path, shown: shown(typed), contents })
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

impl Operand for LocalSource {
    fn identity(&self) -> (&Path, &Path, bool) {
        (Path::new(&self.shown), &self.path, self.contents)
    }

    fn name(&self) -> Option<&OsStr> {
        Path::new(&self.shown).file_name().filter(|_| !self.contents)
    }

    fn shown(&self) -> Cow<'_, str> {
        shown_as(&self.shown)
    }
}

impl Operand for RemoteSource {
    fn identity(&self) -> (&Path, &Path, bool) {
        (Path::new(&self.shown), Path::new(self.path.as_str()), self.contents)
    }

    fn name(&self) -> Option<&OsStr> {
        Path::new(&self.shown).file_name().filter(|_| !self.contents)
    }

    fn shown(&self) -> Cow<'_, str> {
        shown_as(&self.shown)
    }
}

fn shown_as(shown: &str) -> Cow<'_, str> {
    Cow::Borrowed(if shown.is_empty() { "." } else { shown })
}

/// Leaves each operand in once, and looks whether what they stand for can go into one directory.
fn check<T: Operand>(sources: &mut Vec<T>, args: &TransferArgs) -> Result<(), Failure> {
    let on_exists = args.existing.on_exists();
    transfer::check_names(sources, on_exists)?;
    check_contents(sources, on_exists)
}

/// What is in a directory goes beside what the other operands stand for, and nobody knows yet by which names. Where files are
/// replaced, one of two that get the same name would be lost, and which one would be chance.
fn check_contents<T: Operand>(sources: &[T], on_exists: OnExists) -> Result<(), Failure> {
    if on_exists != OnExists::Overwrite || sources.len() < 2 {
        return Ok(());
    }
    match sources.iter().find(|source| source.name().is_none()) {
        None => Ok(()),
        Some(contents) => {
            let message = "what is in it and the other operands might replace each other";
            Err(Failure::usage(message).about(contents.shown()).hint(KEEPS_BOTH))
        }
    }
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

    fn source(typed: &str) -> LocalSource {
        local(Path::new(typed), &Path::new("/here").join(typed))
    }

    #[test]
    fn operands_have_names_of_their_own() {
        let check = |typed: &[&str], on_exists| {
            let mut sources: Vec<LocalSource> = typed.iter().map(|typed| source(typed)).collect();
            transfer::check_names(&mut sources, on_exists).map(|()| sources.len())
        };
        assert_eq!(check(&["a/x", "b/y"], OnExists::Fail), Ok(2));
        assert_eq!(check(&["a/x", "b/y", "a/x"], OnExists::Fail), Ok(2));
        assert_eq!(check(&["a/x", "a/x/"], OnExists::Fail), Ok(1));
        assert_eq!(check(&["a/x", "b/x"], OnExists::Rename), Ok(2));
        assert_eq!(check(&["a/.", "b/."], OnExists::Fail), Ok(2));
        assert_eq!(check(&["a", "a/."], OnExists::Fail), Ok(2));
        let refused = check(&["a/x", "b/x"], OnExists::Fail).expect_err("one name");
        assert_eq!((refused.code, refused.object.as_deref()), (ExitCode::Usage, Some("b/x")));
        assert!(refused.hint.is_some());
    }

    #[test]
    fn what_is_in_a_directory_is_not_replaced_by_another_operand() {
        let check = |typed: &[&str], on_exists| {
            check_contents(&typed.iter().map(|typed| source(typed)).collect::<Vec<_>>(), on_exists)
        };
        for typed in [&["a/.", "b/."][..], &["a", "."], &["a/.", "b"]] {
            let refused = check(typed, OnExists::Overwrite).expect_err("by chance");
            assert_eq!(refused.code, ExitCode::Usage, "{typed:?}");
            for kept in [OnExists::Fail, OnExists::Skip, OnExists::Rename] {
                assert_eq!(check(typed, kept), Ok(()), "{typed:?}");
            }
        }
        for typed in [&["a/."][..], &["a", "b"]] {
            assert_eq!(check(typed, OnExists::Overwrite), Ok(()), "{typed:?}");
        }
    }
}
