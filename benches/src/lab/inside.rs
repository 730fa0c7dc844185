//! How a process gets into a namespace, and what it is told there.
//!
//! This program starts itself there, enters the namespace and becomes the command. Before that it asks to be killed with
//! the lab, so that a lab that is killed leaves no server behind.

use std::{
    env,
    fs::File,
    io,
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use fulmar_netsim::tun::{Namespace, Side};
use fulmar_proto::text::Escaped;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::{args::EnterArgs, state::State};

/// Holds the lab's id, in the environment of everything that runs inside.
pub(super) const MARK: &str = "FULMAR_LAB";

/// As env(1) has it: found, but it cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// As env(1) has it: not found.
const NOT_FOUND: u8 = 127;

/// This program itself with these arguments, at one end of a lab of this process.
pub(super) fn command_of_this_program(state: &State, side: Side, arguments: &[String]) -> Result<Command> {
    let program = env::current_exe().context("cannot find this program itself")?;
    let program = program.to_str().context("this program's path is no text")?.to_owned();
    command(state, side, &[&[program], arguments].concat())
}

/// A command that will run at one end of a lab of this process.
pub(super) fn command(state: &State, side: Side, words: &[String]) -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("cannot find this program itself")?);
    command.args(["lab", "enter", "--namespace"]).arg(state.namespace(side));
    command.args(["--parent", &state.pid.to_string(), "--"]).args(with_addresses(words));
    tell(&mut command, state);
    Ok(command)
}

/// Becomes a command at one end of the lab that somebody else has. Returns only when that fails.
pub(super) fn become_at(state: &State, side: Side, words: &[String]) -> Result<u8> {
    if state.user_namespace {
        let user = open(Path::new(&format!("/proc/{}/ns/user", state.pid)))?;
        Namespace::enter_user(user.as_fd()).context("cannot enter the lab's user namespace")?;
    }
    enter(&state.namespace(side))?;
    let words = with_addresses(words);
    let [program, arguments @ ..] = words.as_slice() else { bail!("there is no command") };
    let mut command = Command::new(program);
    command.args(arguments);
    tell(&mut command, state);
    Ok(become_command(program, &mut command))
}

/// Enters a namespace and becomes a command. Returns only when that fails.
pub(super) fn enter_and_exec(args: &EnterArgs) -> Result<u8> {
    enter(&args.namespace)?;
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot be bound to the lab")?;
    // It may have ended before it was bound to.
    if getppid() != Pid::from_raw(args.parent) {
        bail!("the lab has ended");
    }
    let [program, arguments @ ..] = args.command.as_slice() else { bail!("there is no command") };
    Ok(become_command(program, Command::new(program).args(arguments)))
}

fn become_command(program: &str, command: &mut Command) -> u8 {
    let error = command.exec();
    eprintln!("fulmar-bench: lab: cannot run {}: {error}", Escaped(program));
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE }
}

fn enter(path: &Path) -> Result<()> {
    let namespace = open(path)?;
    Namespace::enter(namespace.as_fd()).with_context(|| format!("cannot enter {}", path.display()))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

fn tell(command: &mut Command, state: &State) {
    command.env(MARK, &state.id);
    command.env("FULMAR_LAB_SERVER", Side::Server.address().to_string());
    command.env("FULMAR_LAB_CLIENT", Side::Client.address().to_string());
}

/// Words with `{server}` and `{client}` replaced.
fn with_addresses(words: &[String]) -> Vec<String> {
    let (server, client) = (Side::Server.address().to_string(), Side::Client.address().to_string());
    words.iter().map(|word| word.replace("{server}", &server).replace("{client}", &client)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_where_they_are_named() {
        let words = [
            "curl".to_owned(),
            "http://{server}:80/{server}".to_owned(),
            "{client}".to_owned(),
            "{}".to_owned(),
        ];
        assert_eq!(with_addresses(&words), ["curl", "http://10.77.0.2:80/10.77.0.2", "10.77.0.1", "{}"]);
    }
}
