//! A lab that stays: a process in the background has it, and answers what it has done so far.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    os::unix::net::{UnixListener as StdListener, UnixStream},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use fulmar_netsim::tun::{Access, Lab};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setsid};
use tokio::{
    io::AsyncWriteExt as _,
    net::UnixListener,
    signal::unix::{Signal as Listened, SignalKind, signal},
};

use super::{
    args::{ExecArgs, LinkArgs},
    inside,
    plan::plan,
    processes::{Inhabitants, wait_for_all},
    run::single_threaded,
    state::{Claim, Folder, Found, State, UP},
};

/// What the process in the background says once the lab is there.
const READY: &str = "ready\n";

/// How long it may take to end everything inside and itself.
const DOWN_PATIENCE: Duration = Duration::from_secs(20);

/// What asks this program to end.
pub(super) struct Signals {
    interrupt: Listened,
    terminate: Listened,
    hang_up: Listened,
}

impl Signals {
    /// From now on they no longer end the process by themselves.
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The number of the next one.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.hang_up.recv() => SignalKind::hangup().as_raw_value(),
        }
    }
}

/// Starts the process in the background and waits until the lab is there.
pub(super) fn up() -> Result<u8> {
    let folder = Folder::open()?;
    match folder.find(UP)? {
        Found::Nothing => {}
        Found::Held(_) => bail!("a lab is up already; take it down with: fulmar-bench lab down"),
        Found::Abandoned(state, claim) => clean_up(&folder, state.as_ref(), claim)?,
    }
    let log = fs::File::create(folder.log()).context("cannot make the log")?;
    let mut holder = Command::new(env::current_exe().context("cannot find this program itself")?)
        .args(["lab", "hold"])
        // Whatever followed `lab up`.
        .args(env::args_os().skip(3))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("cannot start the process in the background")?;
    let mut said = String::new();
    if let Some(stdout) = &mut holder.stdout {
        stdout.take(READY.len() as u64).read_to_string(&mut said)?;
    }
    if said == READY {
        return Ok(0);
    }
    let status = holder.wait()?;
    io::stderr().write_all(&fs::read(folder.log()).unwrap_or_default())?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.filter(|code| *code != 0).context("the process in the background was ended")
}

/// The process in the background.
pub(super) fn hold(args: &LinkArgs) -> Result<u8> {
    let plan = plan(args)?;
    let folder = Folder::open()?;
    // Whatever ends the terminal does not end the lab.
    setsid().context("cannot leave the session")?;
    let Some(mut claim) = folder.claim(UP)? else { bail!("a lab is up already") };
    let access = Access::obtain()?;
    let runtime = single_threaded()?;
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    let lab = Lab::start(access, plan)?;
    let state = State::of(&lab, access)?;
    remove_if_there(&folder)?;
    let listener = StdListener::bind(folder.socket()).context("cannot be asked")?;
    listener.set_nonblocking(true)?;
    claim.publish(&state)?;
    io::stdout().write_all(READY.as_bytes()).context("nobody waits for the lab")?;
    let answered = runtime.block_on(answer(&lab, listener, &mut signals));
    // Also when the emulator has failed: processes would stay behind otherwise.
    let nobody_left = Inhabitants::of(&lab, &state.id).end();
    remove_if_there(&folder)?;
    answered.and(nobody_left).map(|_| 0)
}

/// Tells everybody who asks what the link did, until a signal comes.
async fn answer(lab: &Lab, listener: StdListener, signals: &mut Signals) -> Result<()> {
    let listener = UnixListener::from_std(listener)?;
    loop {
        let mut asking = tokio::select! {
            asking = listener.accept() => asking?.0,
            _ = signals.next() => return Ok(()),
        };
        let text = match lab.report() {
            Ok(report) => serde_json::to_string_pretty(&report)? + "\n",
            Err(error) => bail!(error),
        };
        // Whoever asked may have gone. A report fits into the socket's buffer, so nobody is waited for.
        let _ = asking.write_all(text.as_bytes()).await;
    }
}

/// Becomes a command at one end of the lab that is up.
pub(super) fn exec(args: &ExecArgs) -> Result<u8> {
    let state = held(&Folder::open()?)?;
    inside::become_at(&state, args.side.into(), &args.command)
}

/// Prints what the lab that is up has done so far.
pub(super) fn status() -> Result<u8> {
    let folder = Folder::open()?;
    held(&folder)?;
    io::stdout().write_all(ask(&folder)?.as_bytes())?;
    Ok(0)
}

/// Takes the lab down that is up, prints what it has done, and cleans up after those that were killed.
pub(super) fn down() -> Result<u8> {
    let folder = Folder::open()?;
    for name in folder.names()? {
        match folder.find(&name)? {
            Found::Held(Some(state)) if name == UP => {
                if let Ok(report) = ask(&folder) {
                    io::stdout().write_all(report.as_bytes())?;
                }
                take_down(&folder, &state)?;
            }
            Found::Held(None) if name == UP => bail!("the lab is only being made; try again"),
            // Somebody runs a command in it.
            Found::Held(_) | Found::Nothing => {}
            Found::Abandoned(state, claim) => clean_up(&folder, state.as_ref(), claim)?,
        }
    }
    folder.tidy();
    Ok(0)
}

/// The lab that is up.
fn held(folder: &Folder) -> Result<State> {
    match folder.find(UP)? {
        Found::Held(Some(state)) => Ok(state),
        Found::Held(None) => bail!("the lab is only being made; try again"),
        Found::Nothing => bail!("no lab is up; make one with: fulmar-bench lab up --profile lossy-10"),
        Found::Abandoned(_, claim) => {
            // Only `lab down` and `lab up` clean up.
            claim.keep();
            bail!("the lab was killed; clean up with: fulmar-bench lab down")
        }
    }
}

fn ask(folder: &Folder) -> Result<String> {
    let mut text = String::new();
    let mut socket = UnixStream::connect(folder.socket()).context("cannot ask the lab")?;
    socket.read_to_string(&mut text).context("cannot ask the lab")?;
    if text.is_empty() { bail!("the lab did not answer; see {}", folder.log().display()) } else { Ok(text) }
}

/// Asks the process that has the lab to end, and kills it when it does not.
fn take_down(folder: &Folder, state: &State) -> Result<()> {
    let number =
        i32::try_from(state.pid).ok().and_then(Pid::from_raw).context("the lab's file is damaged")?;
    let Ok(holder) = pidfd_open(number, PidfdFlags::empty()) else { return remains(folder) };
    // It still has the lab, so the descriptor is its own.
    let Found::Held(_) = folder.find(UP)? else { return remains(folder) };
    let _ = pidfd_send_signal(&holder, Signal::TERM);
    let left = wait_for_all(vec![holder], DOWN_PATIENCE);
    for holder in &left {
        let _ = pidfd_send_signal(holder, Signal::KILL);
    }
    wait_for_all(left, DOWN_PATIENCE);
    remains(folder)
}

/// Cleans up what a lab may have left that has ended meanwhile.
fn remains(folder: &Folder) -> Result<()> {
    match folder.find(UP)? {
        Found::Nothing => Ok(()),
        Found::Abandoned(state, claim) => clean_up(folder, state.as_ref(), claim),
        Found::Held(_) => bail!("the lab cannot be taken down"),
    }
}

/// Ends what a killed lab has left running, and removes its files.
fn clean_up(folder: &Folder, state: Option<&State>, claim: Claim) -> Result<()> {
    if let Some(state) = state {
        let ended = Inhabitants::marked(&state.id).end()?;
        eprintln!("fulmar-bench: lab: a lab was killed; {ended} of its processes were still there");
    }
    if claim.is_for(UP) {
        remove_if_there(folder)?;
    }
    drop(claim);
    Ok(())
}

fn remove_if_there(folder: &Folder) -> Result<()> {
    match fs::remove_file(folder.socket()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context("cannot remove the lab's socket")
        }
        _ => Ok(()),
    }
}
