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

use super::transfer::{self, Operands, is_stdio, remote_text};
use crate::{
    exit_code::{ExitCode, Tally},
    output::{Failure, objects::TransferDone},
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
    if let (true, [file]) = (to_stdout, operands.files.as_slice()) {
        return fetch_to_stdout(context, &session, file, args).await;
    }
    let mut tally = Tally::default();
    for file in &operands.files {
        if let Err(failure) = fetch(context, &session, file, &operands, args).await {
            context.report("download", &failure);
            tally.failed(failure.code);
            if session.is_closed() {
                break;
            }
        }
    }
    Ok(tally.code())
}

async fn fetch(
    context: &Context,
    session: &Session,
    file: &Path,
    operands: &Operands,
    args: &TransferArgs,
) -> Result<(), Failure> {
    let typed = operands.target.as_deref();
    let target = DownloadTarget::Path {
        path: typed.map_or_else(|| context.local_dir.clone(), |typed| context.local_path(typed)),
        must_be_directory: typed.is_none() || operands.must_be_directory,
    };
    let done = run(context, session, file, target, args).await?;
    context.printer.object(&TransferDone::new("download", &done));
    let destination = context.shown_local(&done.destination);
    context.printer.answer(transfer::done_line(remote_text(file)?, destination, &done));
    context.printer.flush();
    Ok(())
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
    let result = run(context, session, file, DownloadTarget::Writer(Box::new(writer)), args).await;
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
    }
    Ok(ExitCode::Done)
}

async fn run(
    context: &Context,
    session: &Session,
    file: &Path,
    target: DownloadTarget,
    args: &TransferArgs,
) -> Result<Transferred, Failure> {
    let typed = remote_text(file)?;
    let path = resolve_below_root(&context.remote_dir, typed)?;
    let progress = context.progress("download", typed);
    let result = session.download(&path, target, &transfer::options(args), &progress).await;
    drop(progress);
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
