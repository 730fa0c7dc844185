//! A process that plays one side of one contender, and its handle in the process that measures.
//!
//! Both talk in lines of JSON over the child's standard input and output: an order down, an answer up.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use fulmar_proto::digest::Digest;
use serde::{Deserialize, Serialize};

use super::{
    Congestion, Contender, Direction, Stage,
    contenders::{Client, Job, Received, new_client, new_server},
};
use crate::{args::SideArgs, measure::process::Usage};

/// Which side a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Server,
    Client,
}

impl Part {
    /// Who knows how much of a file has arrived: whoever receives it, but fulmar's client is told by its server.
    pub(super) fn counting(contender: Contender, direction: Direction) -> Self {
        match (contender, direction) {
            (Contender::Tcp | Contender::Tls, Direction::Upload) => Self::Server,
            (Contender::Fulmar, _) | (_, Direction::Download) => Self::Client,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// Where and how sides are started.
pub(crate) struct Venue<'a> {
    /// Where servers listen.
    pub(crate) listen: IpAddr,
    /// What TCP sends by; none leaves it to the system.
    pub(crate) congestion: Option<Congestion>,
    /// The keys in the folders for state know each other already: nothing is sent before the transfer.
    pub(crate) enrolled: bool,
    /// Makes the command that starts this program with these arguments.
    pub(crate) launch: &'a dyn Fn(Part, &[String]) -> Result<Command>,
}

impl Venue<'_> {
    /// This machine, by its loopback interface.
    pub(crate) fn loopback() -> Self {
        Self {
            listen: Ipv4Addr::LOCALHOST.into(),
            congestion: None,
            enrolled: false,
            launch: &|_, arguments| {
                let mut command = Command::new(env::current_exe().context("cannot find this program")?);
                command.args(arguments);
                Ok(command)
            },
        }
    }
}

/// What a side is told to do.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Say what you have used so far.
    Usage,
    /// Say how much of the last file the receiver has, as far as you know.
    Received,
    /// Move a file, and stop when it takes longer than the limit (clients only).
    Transfer { job: Job, limit: Option<Duration> },
}

/// What a side says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// It is there. A server says what its clients need to know, a client nothing.
    Ready(String),
    Usage(Usage),
    Received(u64),
    Ended(Ended),
    Failed(String),
}

/// How a transfer ended, as the client saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Ended {
    Done(Transfer),
    /// Its time was over. The client moves no other file.
    Stopped {
        elapsed: Duration,
    },
    /// It could not be moved.
    Failed {
        elapsed: Duration,
        reason: String,
    },
}

/// A file that has been moved, as the client saw it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    /// From before connecting until the file was known to be durable under its name on the other side.
    pub(crate) elapsed: Duration,
    /// The digest that both sides agreed on.
    pub(crate) digest: Digest,
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
    /// Starts a side, and waits until it is there. A client needs to know what its server told.
    pub(super) fn start(
        part: Part,
        contender: Contender,
        stage: &Stage,
        server: Option<&str>,
        venue: &Venue<'_>,
    ) -> Result<Self> {
        let mut command = (venue.launch)(part, &arguments(part, contender, stage, server, venue)?)?;
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

    /// The number of its process, which nobody else has before this is dropped.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
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

    /// How much of the last file has arrived, as far as this side knows.
    pub(super) fn received_bytes(&mut self) -> Result<u64> {
        match self.ask(&Order::Received)? {
            Answer::Received(bytes) => Ok(bytes),
            other => bail!("asked what has arrived, a side said {other:?}"),
        }
    }

    /// Has a client move a file.
    pub(super) fn transfer(&mut self, job: Job, limit: Option<Duration>) -> Result<Ended> {
        match self.ask(&Order::Transfer { job, limit })? {
            Answer::Ended(ended) => Ok(ended),
            other => bail!("told to move a file, a side said {other:?}"),
        }
    }
}

/// What a side is told when it is started.
fn arguments(
    part: Part,
    contender: Contender,
    stage: &Stage,
    server: Option<&str>,
    venue: &Venue<'_>,
) -> Result<Vec<String>> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a folder whose name is no text");
    let (dir, state) = match part {
        Part::Server => (&stage.server_dir, &stage.server_state),
        Part::Client => (&stage.client_dir, &stage.client_state),
    };
    let mut arguments = ["side", part.word(), "--contender", contender.word()].map(str::to_owned).to_vec();
    arguments.extend(["--dir".to_owned(), text(dir)?, "--state".to_owned(), text(state)?]);
    arguments.extend(["--listen".to_owned(), venue.listen.to_string()]);
    arguments.extend(server.into_iter().flat_map(|server| ["--server".to_owned(), server.to_owned()]));
    let congestion = venue.congestion.map(|congestion| ["--congestion", congestion.word()]);
    arguments.extend(congestion.into_iter().flatten().map(str::to_owned));
    arguments.extend(venue.enrolled.then(|| "--enrolled".to_owned()));
    Ok(arguments)
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
    let received = Received::default();
    let result = match args.part {
        Part::Server => new_server(args, &received).and_then(|server| {
            say(&Answer::Ready(server.greeting()))?;
            obey(&received, |_, _| bail!("a server moves no files by itself"))
        }),
        Part::Client => new_client(args, &received).and_then(|client| {
            say(&Answer::Ready(String::new()))?;
            let mut client = Some(client);
            obey(&received, |job, limit| transfer(&mut client, job, limit))
        }),
    };
    match result {
        Ok(()) => Ok(()),
        Err(error) => {
            say(&Answer::Failed(format!("{} {}: {error:#}", args.contender.title(), args.part.word())))
        }
    }
}

/// Obeys until standard input ends.
fn obey(received: &Received, mut transfer: impl FnMut(Job, Option<Duration>) -> Result<Ended>) -> Result<()> {
    for line in io::stdin().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Order::Usage => Answer::Usage(Usage::now()?),
            Order::Received => Answer::Received(received.bytes()),
            Order::Transfer { job, limit } => Answer::Ended(transfer(job, limit)?),
        };
        say(&answer)?;
    }
    Ok(())
}

/// A client on its way between threads, and what has come of its transfer.
type Returned = (Box<dyn Client>, Result<Transfer>);

/// Moves a file on a thread of its own, which is left to itself when it takes too long: a call that blocks in the kernel
/// has no other end than that of the process.
fn transfer(client: &mut Option<Box<dyn Client>>, job: Job, limit: Option<Duration>) -> Result<Ended> {
    let mover = client.take().context("told to move a file after one was stopped")?;
    let (give_back, returned) = sync_channel(1);
    let begin = Instant::now();
    thread::spawn(move || timed(mover, &job, &give_back));
    let result = match limit {
        Some(limit) => returned.recv_timeout(limit),
        None => returned.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    match result {
        Ok((mut mover, transfer)) => {
            let elapsed = begin.elapsed();
            mover.hang_up();
            *client = Some(mover);
            Ok(match transfer {
                Ok(transfer) => Ended::Done(transfer),
                Err(error) => Ended::Failed { elapsed, reason: format!("{error:#}") },
            })
        }
        Err(RecvTimeoutError::Timeout) => Ok(Ended::Stopped { elapsed: begin.elapsed() }),
        Err(RecvTimeoutError::Disconnected) => bail!("the moving thread has panicked"),
    }
}

fn timed(mut mover: Box<dyn Client>, job: &Job, give_back: &SyncSender<Returned>) {
    let begin = Instant::now();
    let digest = mover.transfer(job);
    let elapsed = begin.elapsed();
    // Nobody waits any more for what took too long.
    drop(give_back.send((mover, digest.map(|digest| Transfer { elapsed, digest }))));
}

fn say(answer: &Answer) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::mpsc::Receiver};

    use super::*;

    /// A client that waits to be told, and hangs up once it was.
    struct Patient(Receiver<()>);

    impl Client for Patient {
        fn transfer(&mut self, _: &Job) -> Result<Digest> {
            self.0.recv()?;
            Ok(Digest([7; 32]))
        }

        fn hang_up(&mut self) {}
    }

    fn job() -> Job {
        Job { direction: Direction::Upload, source: PathBuf::new(), target: String::new() }
    }

    #[test]
    fn what_ends_in_time_is_done_and_the_client_can_go_on() {
        let (tell, told) = sync_channel(2);
        let mut client: Option<Box<dyn Client>> = Some(Box::new(Patient(told)));
        for limit in [None, Some(Duration::from_secs(3600))] {
            tell.send(()).expect("listening");
            let ended = transfer(&mut client, job(), limit).expect("moved");
            assert!(matches!(ended, Ended::Done(transfer) if transfer.digest == Digest([7; 32])));
        }
    }

    #[test]
    fn what_takes_too_long_is_stopped_for_good() {
        let (tell, told) = sync_channel(1);
        let mut client: Option<Box<dyn Client>> = Some(Box::new(Patient(told)));
        let limit = Duration::from_millis(5);
        let ended = transfer(&mut client, job(), Some(limit)).expect("stopped");
        assert!(matches!(ended, Ended::Stopped { elapsed } if elapsed >= limit), "{ended:?}");
        tell.send(()).expect("listening");
        assert!(transfer(&mut client, job(), None).is_err(), "it is still with the first file");
    }

    #[test]
    fn a_transfer_that_fails_says_why() {
        let (tell, told) = sync_channel(1);
        drop(tell);
        let ended = transfer(&mut Some(Box::new(Patient(told))), job(), None).expect("told");
        assert!(matches!(&ended, Ended::Failed { reason, .. } if reason.contains("closed")), "{ended:?}");
    }
}
