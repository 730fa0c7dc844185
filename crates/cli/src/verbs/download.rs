//! `download`: fetches remote files.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use fulmar_client::{DownloadTarget, Session, Transferred};

use super::{
    several::{self, Work},
    transfer::{self, Operands, Source, is_stdio, remote_text},
};
use crate::{
    exit_code::{ExitCode, Tally},
    glob::{
        self, Skipped, Wanted,
        remote::{RemoteMatch, RemoteMatches},
    },
    output::{Failure, objects::TransferDone, progress::FileProgress},
    remote_path::resolve_below_root,
    session::Context,
    verb::TransferArgs,
};

pub(super) async fn download(context: &mut Context, args: &TransferArgs) -> Result<ExitCode, Failure> {
    let operands = Operands::split(args);
    let to_stdout = args.to.is_none() && operands.target.as_deref().is_some_and(is_stdio);
    if to_stdout {
        transfer::check_stdio(context.mode, "standard output")?;
        if operands.files.len() > 1 {
            return Err(Failure::usage("only one file can go to standard output").about(transfer::STDIO));
        }
    }
    let session = context.session().await?;
    let context = &*context;
    if let (true, [file]) = (to_stdout, operands.files.as_slice()) {
        return fetch_to_stdout(context, &session, file, args).await;
    }
    let Sources { mut sources, by_pattern, tally } = find_sources(context, &session, &operands).await;
    transfer::check_names(&mut sources, args)?;
    let typed = operands.target.as_deref();
    let path = typed.map_or_else(|| context.local_dir.clone(), |typed| context.local_path(typed));
    let must_be_directory = typed.is_none() || operands.must_be_directory || by_pattern;
    let shown = path.to_string_lossy();
    let directory = must_be_directory.then(|| context.shown_local(&shown));
    let work = Work { verb: "download", sources: &sources, directory };
    let fetch = async |source: &Source, progress: &FileProgress<'_>| {
        let target = DownloadTarget::Path { path: path.clone(), must_be_directory };
        let result = run(context, &session, &source.typed, target, args, progress).await;
        result.map_err(|failure| hinted(failure, directory, typed))
    };
    Ok(several::run(context, &session, work, tally, fetch).await)
}

/// A failure that is about the target directory, with a hint if that looks like a pattern.
fn hinted(failure: Failure, directory: Option<&str>, typed: Option<&Path>) -> Failure {
    let hint = typed.and_then(Path::to_str).and_then(transfer::pattern_hint);
    match hint {
        Some(hint) if directory.is_some() && failure.object.as_deref() == directory => failure.hint(hint),
        _ => failure,
    }
}

/// The files that the operands stand for.
struct Sources {
    sources: Vec<Source>,
    /// A pattern is among the operands.
    by_pattern: bool,
    /// Operands that lead to nothing. The others are fetched all the same.
    tally: Tally,
}

async fn find_sources(context: &Context, session: &Session, operands: &Operands) -> Sources {
    let (mut sources, mut by_pattern, mut tally) = (Vec::new(), false, Tally::default());
    let mut skipped = Skipped::default();
    for typed in &operands.files {
        let found = match typed.to_str() {
            Some(text) => glob::remote::expand(context, session, text, Wanted::Files, false).await,
            None => Ok(None),
        };
        let found = match found {
            Ok(None) => Ok(vec![Source { typed: typed.clone(), bytes: None }]),
            Ok(Some(matches)) => {
                by_pattern = true;
                skipped += matches.skipped;
                matched_sources(typed, matches)
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
    Sources { sources, by_pattern, tally }
}

fn matched_sources(typed: &Path, matches: RemoteMatches) -> Result<Vec<Source>, Failure> {
    if matches.found.is_empty() {
        return Err(glob::no_match(&typed.to_string_lossy(), "ls shows what is there"));
    }
    let source = |file: RemoteMatch| Source { typed: file.typed.into(), bytes: Some(file.entry.size) };
    Ok(matches.found.into_iter().map(source).collect())
}

async fn fetch_to_stdout(
    context: &Context,
    session: &Session,
    file: &Path,
    args: &TransferArgs,
) -> Result<ExitCode, Failure> {
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    let stdout = stdout.map_err(|error| Failure::local(Path::new(transfer::STDIO), &error))?;
    let gone = Arc::new(AtomicBool::new(false));
    let writer = Watched { output: File::from(stdout), gone: Arc::clone(&gone) };
    let progress = context.progress("download", 1, None);
    let observer = progress.file(&file.to_string_lossy(), None);
    let target = DownloadTarget::Writer(Box::new(writer));
    let fetching = run(context, session, file, target, args, &observer);
    // A bar and what goes to the same terminal would be a mess.
    let result = match context.printer.stdout_is_terminal() {
        true => fetching.await,
        false => progress.watch(fetching).await,
    };
    observer.end(result.is_ok());
    drop(progress);
    if gone.load(Ordering::Relaxed) {
        // Whoever read it has seen enough and needs no words; yet the file was not all there.
        return Ok(ExitCode::Other);
    }
    let done = result?;
    // Standard output holds the file's bytes and nothing else.
    if context.printer.is_json() {
        context.printer.object_aside(&TransferDone::new("download", &done));
    } else {
        context.printer.note(transfer::done_line(remote_text(file)?, &done.destination, &done));
        context.printer.detail(several::detail_line(remote_text(file)?, &done));
    }
    Ok(ExitCode::Done)
}

async fn run(
    context: &Context,
    session: &Session,
    file: &Path,
    target: DownloadTarget,
    args: &TransferArgs,
    observer: &FileProgress<'_>,
) -> Result<Transferred, Failure> {
    let typed = remote_text(file)?;
    let path = resolve_below_root(&context.remote_dir, typed)?;
    let result = session.download(&path, target, &transfer::options(args), observer).await;
    result.map_err(|error| context.failure(&error, typed))
}

/// Standard output, and whether its reader has gone away.
struct Watched {
    output: File,
    gone: Arc<AtomicBool>,
}

impl Watched {
    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.gone.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.output.write(bytes);
        self.watch(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.output.flush();
        self.watch(result)
    }
}
