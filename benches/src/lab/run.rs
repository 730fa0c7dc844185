//! A server and a command in their namespaces, for as long as the command runs.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use fulmar_netsim::tun::{Access, Lab, Report, Side};
use fulmar_proto::text::Escaped;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    runtime::{self, Runtime},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    args::RunArgs,
    hold::Signals,
    inside,
    plan::plan,
    processes::Inhabitants,
    state::{Folder, State},
};

/// How often the server's sockets are looked at until it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the last of a server's output may take after its end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a run went.
enum Ended {
    /// The command ended.
    Command(ExitStatus),
    /// This program was asked to.
    Signal(i32),
}

/// Runs the command, and returns its exit code.
pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let plan = plan(&args.link)?;
    let server = args.server.as_deref().map(words).transpose()?;
    let folder = Folder::open()?;
    let access = Access::obtain()?;
    let runtime = single_threaded()?;
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    let lab = Lab::start(access, plan)?;
    let state = State::of(&lab, access)?;
    let name = format!("run-{}", state.pid);
    let mut claim = folder.claim(&name)?.with_context(|| format!("{name} is taken"))?;
    claim.publish(&state)?;

    let mut output = JoinSet::new();
    let ended = runtime.block_on(session(&lab, &state, args, server.as_deref(), &mut signals, &mut output));
    let report = lab.report();
    let nobody_left = Inhabitants::of(&lab, &state.id).end();
    runtime.block_on(async { timeout(LAST_WORDS, output.join_all()).await.ok() });
    let ended = ended?;
    nobody_left?;
    let report = report?;
    write_counters(&report, args.counters.as_deref())?;
    tell_doubts(&report);
    Ok(match ended {
        Ended::Command(status) => exit_code(status),
        Ended::Signal(number) => signal_code(number),
    })
}

/// One thread does everything, since whoever is bound to the lab is bound to the thread that started it.
pub(super) fn single_threaded() -> Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

/// Starts the server, waits until it is ready, and runs the command.
async fn session(
    lab: &Lab,
    state: &State,
    args: &RunArgs,
    server: Option<&[String]>,
    signals: &mut Signals,
    output: &mut JoinSet<()>,
) -> Result<Ended> {
    if let Some(server) = server {
        let (mut server, heard) = start_server(state, server, args.ready.as_deref(), output)?;
        tokio::select! {
            ready = timeout(Duration::from_secs(args.ready_timeout_s), is_ready(lab, args.ready.is_some(), heard)) => {
                ready.map_err(|_| anyhow!("the server was not ready within {} s", args.ready_timeout_s))??;
            }
            status = server.wait() => bail!("the server ended before it was ready: {}", status?),
            number = signals.next() => return Ok(Ended::Signal(number)),
        }
    }
    let mut command = Command::from(inside::command(state, Side::Client, &args.command)?);
    let mut command = command.spawn().context("cannot start the command")?;
    tokio::select! {
        status = command.wait() => Ok(Ended::Command(status.context("cannot wait for the command")?)),
        number = signals.next() => Ok(Ended::Signal(number)),
    }
}

/// Starts the server. What it says goes to standard error; the receiver learns of a line that holds `ready`.
fn start_server(
    state: &State,
    words: &[String],
    ready: Option<&str>,
    output: &mut JoinSet<()>,
) -> Result<(Child, watch::Receiver<bool>)> {
    let mut command = Command::from(inside::command(state, Side::Server, words)?);
    // Ctrl-C is for the command; the server is ended once that has ended.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = command.spawn().context("cannot start the server")?;
    let (hear, heard) = watch::channel(false);
    if let Some(stdout) = server.stdout.take() {
        output.spawn(hand_on(stdout, ready.map(str::to_owned), hear.clone()));
    }
    if let Some(stderr) = server.stderr.take() {
        output.spawn(hand_on(stderr, ready.map(str::to_owned), hear));
    }
    Ok((server, heard))
}

/// Copies what a server says to standard error, and tells of a line that holds `ready`.
async fn hand_on(from: impl AsyncRead + Unpin, ready: Option<String>, hear: watch::Sender<bool>) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    // A server whose output cannot be read any more has closed it.
    while lines.read_until(b'\n', &mut line).await.is_ok_and(|bytes| bytes > 0) {
        let _ = io::stderr().write_all(&line);
        if ready.as_deref().is_some_and(|text| String::from_utf8_lossy(&line).contains(text)) {
            hear.send_replace(true);
        }
        line.clear();
    }
}

/// Waits until the server has said that it is ready, or can be reached.
async fn is_ready(lab: &Lab, by_a_line: bool, mut heard: watch::Receiver<bool>) -> Result<()> {
    if by_a_line {
        return match heard.wait_for(|heard| *heard).await {
            Ok(_) => Ok(()),
            Err(_) => bail!("the server closed its output before it was ready"),
        };
    }
    while !lab.somebody_listens(Side::Server)? {
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The words of a command line, as a shell has them, without its expansions.
fn words(line: &str) -> Result<Vec<String>> {
    let words = shell_words::split(line).with_context(|| format!("{} is no command line", Escaped(line)))?;
    if words.is_empty() { bail!("the server's command line is empty") } else { Ok(words) }
}

/// Writes what the link did to a file, or to standard error.
pub(super) fn write_counters(report: &Report, path: Option<&Path>) -> Result<()> {
    let text = serde_json::to_string_pretty(report)? + "\n";
    match path {
        Some(path) => File::create(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display())),
        None => io::stderr().write_all(text.as_bytes()).context("cannot write to standard error"),
    }
}

/// Says on standard error when figures do not count, and when they are less sure than they could be.
pub(super) fn tell_doubts(report: &Report) {
    if let Some(why) = &report.emulator.realtime_refused {
        eprintln!("fulmar-bench: lab: the emulator is an ordinary thread, without SCHED_FIFO: {why}");
    }
    for reason in &report.spoilt {
        eprintln!("fulmar-bench: lab: this run is spoilt: {reason}");
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        // What wait(2) gives is within one byte.
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(number)) => signal_code(number),
        (None, None) => u8::MAX,
    }
}

/// As shells have it.
pub(super) fn signal_code(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_as_in_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
        assert_eq!(signal_code(2), 130);
    }

    #[test]
    fn a_command_line_has_words() {
        assert_eq!(words("serve --dir 'a b'").expect("words"), ["serve", "--dir", "a b"]);
        assert!(words("serve 'a").is_err());
        assert!(words(" ").is_err());
    }

    #[test]
    fn a_line_is_heard_among_others_and_bytes_that_are_no_text() {
        let heard = |text: &'static [u8], ready: &str| {
            single_threaded().expect("a runtime").block_on(async {
                let (hear, heard) = watch::channel(false);
                hand_on(text, Some(ready.to_owned()), hear).await;
                *heard.borrow()
            })
        };
        assert!(heard(b"one\n\xff listening on 4433\n", "listening"));
        assert!(heard(b"without an end", "end"));
        assert!(!heard(b"one\ntwo\n", "listening"));
    }
}
