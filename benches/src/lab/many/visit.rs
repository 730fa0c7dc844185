//! One transfer: a link of its own, a server at one end, a client at the other, and the time that the client takes.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use fulmar_netsim::{
    Direction, Profile,
    tun::{self, Access, Lab, Report, Side},
};
use fulmar_proto::text::Escaped;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Serialize;

use super::{
    Programs, Ssh, Trees,
    plan::{Planned, Task, link},
};
use crate::{
    contest::End,
    lab::{
        inside,
        processes::{Inhabitants, wait_for_all},
        state::State,
        table::Interruption,
    },
};

/// How long a server may take until it can be reached, and how often that is looked at.
const READY_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What one transfer came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) task: Task,
    pub(super) bytes: u64,
    pub(super) round: u32,
    /// From 0; all but the last of a round were spoilt.
    pub(super) attempt: u32,
    /// Whether it is the one of its round that counts: the last.
    pub(super) counts: bool,
    #[serde(flatten)]
    pub(super) end: End,
    /// From before the client's process was started until its end.
    pub(super) seconds: f64,
    /// How many files were there then, with the right bytes.
    pub(super) arrived_files: u32,
    /// What the link did, and whether it was on time.
    pub(super) lab: Report,
}

/// Everything that transfers need, whoever makes them.
pub(super) struct Visits<'a> {
    pub(super) access: Access,
    /// Where results go.
    pub(super) folder: &'a Path,
    pub(super) trees: &'a Trees,
    pub(super) programs: &'a Programs,
    pub(super) ssh: Option<&'a Ssh>,
    pub(super) interruption: &'a Interruption,
}

impl Visits<'_> {
    /// Lets fulmar's server know its client's key, and the client the server's, over a perfect wire.
    pub(super) fn enrol(&self) -> Result<()> {
        let dir = tempfile::tempdir_in(self.folder)?;
        let wire = Profile::symmetric("wire", Direction::default());
        let place = Place::start(self.access, wire, 1, None)?;
        let mut command =
            inside::command(&place.state, Side::Server, &self.programs.server(dir.path(), true)?)?;
        self.programs.isolate(&mut command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(self.folder.join("server.log"))?);
        let mut server = Running(command.spawn()?);
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().context("a server without standard output")?)
            .read_line(&mut line)?;
        let listening: serde_json::Value = serde_json::from_str(&line).context("the server did not start")?;
        let invite = listening["invite"].as_str().context("the server made no invite")?;
        let mut command = inside::command(&place.state, Side::Client, &self.programs.enrol(invite)?)?;
        self.programs.isolate(&mut command);
        let output = command.output()?;
        ensure!(output.status.success(), "{}", first_line(&output.stderr));
        Ok(())
    }

    /// Makes a transfer to an empty folder, which goes with it.
    pub(super) fn one(&self, planned: Planned, attempt: u32) -> Result<Row> {
        let Planned { round, task, seed, limit_s } = planned;
        let dir = tempfile::Builder::new().prefix("fresh-").tempdir_in(self.folder)?;
        let congestion = (!task.who.is_ours()).then_some(tun::Congestion::Bbr);
        let place = Place::start(self.access, link(), seed, congestion)?;
        let [server_log, client_log] = ["server.log", "client.log"].map(|name| self.folder.join(name));
        let mut server = self.start(&place, Side::Server, &self.server(task, dir.path())?, &server_log)?;
        place.wait_until_ready(&mut server).with_context(|| said_first(&server_log))?;
        let words = self.client(task, dir.path())?;

        let begin = Instant::now();
        let mut client = self.start(&place, Side::Client, &words, &client_log)?;
        self.interruption.wait_for([client.0.id(), server.0.id()])?;
        let ended = client.ended_within(Duration::from_secs(limit_s))?;
        let seconds = begin.elapsed().as_secs_f64();
        let end = match ended.then(|| client.0.wait()).transpose()? {
            None => End::Stopped,
            Some(status) if status.success() => End::Finished,
            Some(status) => End::Failed(format!("{status}: {}", said_first(&client_log))),
        };
        if let Some(code) = self.interruption.exit_code() {
            bail!("interrupted with {code}");
        }
        let lab = place.lab.report()?;
        // Whoever is inside is ended, so that nothing is written any more.
        drop((client, server, place));
        let arrived_files = self.trees.arrived(task, &target(task, dir.path()))?;
        let end = match end {
            End::Finished if arrived_files != task.files() => {
                End::Failed(format!("it succeeded, and {arrived_files} files are there as they should"))
            }
            end => end,
        };
        Ok(Row { task, bytes: task.bytes(), round, attempt, counts: true, end, seconds, arrived_files, lab })
    }

    fn server(&self, task: Task, dir: &Path) -> Result<Vec<String>> {
        if task.who.is_ours() { self.programs.server(dir, false) } else { self.ssh()?.server() }
    }

    fn client(&self, task: Task, dir: &Path) -> Result<Vec<String>> {
        let source = self.trees.source(task);
        if task.who.is_ours() {
            self.programs.client(task, &source)
        } else {
            self.ssh()?.client(task, &source, dir)
        }
    }

    fn ssh(&self) -> Result<&Ssh> {
        self.ssh.context("there is no ssh")
    }

    /// Starts a program at one end; what it says goes to a file.
    fn start(&self, place: &Place, side: Side, words: &[String], log: &Path) -> Result<Running> {
        let mut command = inside::command(&place.state, side, words)?;
        self.programs.isolate(&mut command);
        let log = File::create(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Running(command.spawn().context("cannot start a program")?))
    }
}

/// Where a task's files arrive.
fn target(task: Task, dir: &Path) -> std::path::PathBuf {
    if task.who.is_ours() { Programs::target(dir) } else { Ssh::target(dir) }
}

/// A link. Whoever is inside is ended when this is dropped.
struct Place {
    lab: Lab,
    state: State,
}

impl Place {
    fn start(
        access: Access,
        profile: Profile,
        seed: u64,
        congestion: Option<tun::Congestion>,
    ) -> Result<Self> {
        let lab = Lab::start(access, tun::Plan { profile, seed, congestion })?;
        let state = State::of(&lab, access)?;
        Ok(Self { lab, state })
    }

    fn wait_until_ready(&self, server: &mut Running) -> Result<()> {
        let begin = Instant::now();
        while !self.lab.somebody_listens(Side::Server)? {
            if let Some(status) = server.0.try_wait()? {
                bail!("the server ended before it was ready: {status}");
            }
            ensure!(begin.elapsed() < READY_WITHIN, "the server is not ready");
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever cannot be ended has no link any more.
        drop(Inhabitants::of(&self.lab, &self.state.id).end());
    }
}

/// A process that ends when this is dropped.
struct Running(Child);

impl Running {
    /// Whether it has ended by then.
    fn ended_within(&self, limit: Duration) -> Result<bool> {
        let number =
            i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).context("no number of a process")?;
        let process = pidfd_open(number, PidfdFlags::empty()).context("cannot open a process")?;
        Ok(wait_for_all(vec![process], limit).is_empty())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn said_first(log: &Path) -> String {
    first_line(&fs::read(log).unwrap_or_default())
}

/// The first line of what a program said: why it failed. What to do about it follows.
fn first_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Escaped(first).to_string()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_first_line_that_says_something_is_told() {
        assert_eq!(first_line(b"\none\x1b\ntwo\n"), "one\\u{1b}");
        assert_eq!(first_line(b"\n"), "it said nothing");
    }

    #[test]
    fn a_process_has_ended_or_has_not() {
        let sleeper =
            |words: [&str; 2]| Running(Command::new(words[0]).arg(words[1]).spawn().expect("started"));
        assert!(sleeper(["true", ""]).ended_within(Duration::from_secs(60)).expect("waited"));
        assert!(!sleeper(["sleep", "600"]).ended_within(Duration::ZERO).expect("waited"));
    }
}
