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

use fulmar_client::{DownloadTarget, Error, Session, Transferred};
use fulmar_proto::error::ErrorCode;

use super::{
    find::{self, Sources},
    several::{self, Broken, Work},
    transfer::{self, Operands, Source, is_stdio, remote_text},
    trees,
};
use crate::{
    exit_code::ExitCode,
    glob::{Wanted, remote::RemoteMatch},
    output::{Failure, objects::TransferDone, progress::FileProgress},
    remote_path::resolve_below_root,
    session::Context,
    verb::TransferArgs,
};

pub(super) async fn download(context: &mut Context, args: &TransferArgs) -> Result<ExitCode, Failure> {
    let operands = Operands::split(args);
    if args.recursive || args.dry_run {
        return trees::download(context, args, &operands).await;
    }
    if args.to.is_none() && operands.target.as_deref().is_some_and(is_stdio) {
        return download_to_stdout(context, &operands, args).await;
    }
    let session = context.session().await?;
    let context = &*context;
    let named = |typed: &Path| Ok(Source::remote(typed.to_owned(), None));
    let matched = |file: RemoteMatch| Ok(Source::remote(file.typed.into(), Some(file.entry.size)));
    let found = find::remote(context, &session, &operands.files, Wanted::Files, named, matched).await;
    let Sources { mut sources, by_pattern, tally, .. } = match found {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    transfer::check_names(&mut sources, args.existing.on_exists())?;
    let typed = operands.target.as_deref();
    let path = typed.map_or_else(|| context.local_dir.clone(), |typed| context.local_path(typed));
    let must_be_directory = typed.is_none() || operands.must_be_directory || by_pattern;
    let work = Work { verb: "download", sources: &sources };
    let fetch = async |source: &Source, progress: &FileProgress<'_>| {
        let target = DownloadTarget::Path { path: path.clone(), must_be_directory };
        let result = run(context, &session, &source.typed, target, args, progress).await;
        result.map_err(|broken| hinted(broken, typed))
    };
    Ok(several::run(context, &session, work, tally, fetch).await)
}

/// A failure that is about the target directory, with a hint if that looks like a pattern.
fn hinted(broken: Broken, typed: Option<&Path>) -> Broken {
    match typed.and_then(Path::to_str).and_then(transfer::pattern_hint) {
        Some(hint) if broken.is_for_all => Broken { failure: broken.failure.hint(hint), ..broken },
        _ => broken,
    }
}

/// Whether an error is about the directory that files go into, and not about one of them.
fn is_of_directory(error: &Error, directory: &Path) -> bool {
    match error {
        Error::NoLocalDirectory { .. } => true,
        Error::Local { path, .. } => path == directory,
        _ => false,
    }
}

/// Fetches the one file that goes to standard output, which holds its bytes and nothing else: whatever there is to say
/// goes to standard error, with `--json` too.
async fn download_to_stdout(
    context: &mut Context,
    operands: &Operands,
    args: &TransferArgs,
) -> Result<ExitCode, Failure> {
    transfer::check_stdio(context.mode, "standard output")?;
    let [file] = operands.files.as_slice() else {
        return Err(Failure::usage("only one file can go to standard output").about(transfer::STDIO));
    };
    let fetched = match context.session().await {
        Ok(session) => fetch_to_stdout(context, &session, file, args).await,
        Err(failure) => Err(failure),
    };
    Ok(fetched.unwrap_or_else(|failure| {
        context.printer.failure_aside("download", context.line, &failure);
        failure.code
    }))
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
    let progress = context.progress("download", 1, None).aside();
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
    let done = result.map_err(|broken| broken.failure)?;
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
) -> Result<Transferred, Broken> {
    let typed = remote_text(file)?;
    let path = resolve_below_root(&context.remote_dir, typed)?;
    let directory = match &target {
        DownloadTarget::Path { path, must_be_directory: true } => Some(path.clone()),
        _ => None,
    };
    let result = session.download(&path, target, &transfer::options(args), observer).await;
    result.map_err(|error| Broken {
        failure: failure(context, &error, typed),
        is_for_all: directory.is_some_and(|directory| is_of_directory(&error, &directory)),
    })
}

fn failure(context: &Context, error: &Error, typed: &str) -> Failure {
    let failure = context.failure(error, typed);
    match error {
        Error::Server(refusal) if refusal.code == ErrorCode::IS_A_DIRECTORY => {
            failure.hint(transfer::recursive_hint("download", typed))
        }
        _ => failure,
    }
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
