//! A process that plays one side of one contender, and its handle in the process that measures.
//!
//! Both talk in lines of JSON over the child's standard input and output: an order down, an answer up.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use fulmar_proto::digest::Digest;
use serde::{Deserialize, Serialize};

use super::{
    contenders::{Client, Job, new_client, new_server},
    plan::Contender,
};
use crate::{args::SideArgs, measure::process::Usage};

/// Which side a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Server,
    Client,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// What a side is told to do.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Say what you have used so far.
    Usage,
    /// Move a file (clients only).
    Transfer(Job),
}

/// What a side says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// It is there. A server says what its clients need to know, a client nothing.
    Ready(String),
    Usage(Usage),
    Done(Transfer),
    Failed(String),
}

/// A file that has been moved, as the client saw it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Transfer {
    /// From before connecting until the file was known to be durable under its name on the other side.
    pub(super) elapsed: Duration,
    /// The digest that both sides agreed on.
    pub(super) digest: Digest,
}

/// A child process that plays a side. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Side {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it said first.
    pub(super) greeting: String,
}

impl Side {
    /// Starts a side, and waits until it is there.
    pub(super) fn start(
        part: Part,
        contender: Contender,
        dir: &Path,
        state: &Path,
        server: Option<&str>,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["side", part.word(), "--contender", contender.word()]);
        command.arg("--dir").arg(dir).arg("--state").arg(state);
        if let Some(server) = server {
            command.arg("--server").arg(server);
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("cannot start another process of this program")?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        let orders = orders.context("a child without standard input")?;
        let answers = BufReader::new(answers.context("a child without standard output")?);
        let mut side = Self { child, orders, answers, greeting: String::new() };
        match side.answer()? {
            Answer::Ready(greeting) => side.greeting = greeting,
            other => bail!("a side began with {other:?}"),
        }
        Ok(side)
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        self.answers.read_line(&mut line).context("a side does not answer")?;
        match serde_json::from_str(&line) {
            Ok(Answer::Failed(message)) => bail!("{message}"),
            Ok(answer) => Ok(answer),
            Err(_) => bail!("a side has ended before its time"),
        }
    }

    fn ask(&mut self, order: &Order) -> Result<Answer> {
        let line = serde_json::to_string(order)? + "\n";
        self.orders.write_all(line.as_bytes()).context("a side has ended before its time")?;
        self.answer()
    }

    pub(super) fn usage(&mut self) -> Result<Usage> {
        match self.ask(&Order::Usage)? {
            Answer::Usage(usage) => Ok(usage),
            other => bail!("asked for its usage, a side said {other:?}"),
        }
    }

    /// Has a client move a file.
    pub(super) fn transfer(&mut self, job: Job) -> Result<Transfer> {
        match self.ask(&Order::Transfer(job))? {
            Answer::Done(transfer) => Ok(transfer),
            other => bail!("told to move a file, a side said {other:?}"),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // A child that has ended already needs no end, and there is nobody to tell of another error.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The life of a child: what `fulmar-bench side` does.
pub(crate) fn serve(args: &SideArgs) -> Result<()> {
    let result = match args.part {
        Part::Server => new_server(args.contender, &args.dir, &args.state).and_then(|server| {
            say(&Answer::Ready(server.greeting()))?;
            obey(|_| bail!("a server moves no files by itself"))
        }),
        Part::Client => {
            let server = args.server.as_deref().context("a client needs a server")?;
            new_client(args.contender, &args.dir, &args.state, server).and_then(|mut client| {
                say(&Answer::Ready(String::new()))?;
                obey(|job| transfer(client.as_mut(), &job))
            })
        }
    };
    match result {
        Ok(()) => Ok(()),
        Err(error) => {
            say(&Answer::Failed(format!("{} {}: {error:#}", args.contender.title(), args.part.word())))
        }
    }
}

/// Obeys until standard input ends.
fn obey(mut transfer: impl FnMut(Job) -> Result<Transfer>) -> Result<()> {
    for line in std::io::stdin().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Order::Usage => Answer::Usage(Usage::now()?),
            Order::Transfer(job) => Answer::Done(transfer(job)?),
        };
        say(&answer)?;
    }
    Ok(())
}

fn transfer(client: &mut dyn Client, job: &Job) -> Result<Transfer> {
    let begin = Instant::now();
    let digest = client.transfer(job)?;
    let elapsed = begin.elapsed();
    client.hang_up();
    Ok(Transfer { elapsed, digest })
}

fn say(answer: &Answer) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}

/// The path of a result.
pub(super) fn result_path(dir: &Path, job: &Job) -> PathBuf {
    dir.join(&job.target)
}
