//! `fulmar demo`: a server and its client on this machine, with the commands that anybody would type.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    exit_code::ExitCode,
    output::{Failure, Printer},
    signals::Signals,
};

/// The length of the file that the demo sends.
const SAMPLE_BYTES: usize = 12 * 1024 * 1024;

/// Runs the demo. Whatever happens, its processes and files are gone afterwards.
pub(crate) async fn run(printer: &Printer) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch()?;
    let dir = tempfile::Builder::new().prefix("fulmar-demo-").tempdir();
    let dir = dir.map_err(|error| Failure::local(&std::env::temp_dir(), &error))?;
    let stage = Stage { printer, program: program()?, dir: dir.path().to_owned() };
    let result = tokio::select! {
        result = play(&stage) => result.map(|()| ExitCode::Done),
        // Dropping the play kills its processes.
        caught = signals.next() => Ok(caught.exit_code()),
    };
    drop(stage);
    dir.close().map_err(|error| Failure::local(Path::new("the demo's files"), &error))?;
    result
}

/// Where the demo plays: a temporary directory with a state folder for each side.
struct Stage<'a> {
    printer: &'a Printer,
    program: PathBuf,
    dir: PathBuf,
}

/// What the server says when it is bound.
struct Listening {
    addr: String,
    invite: String,
}

async fn play(stage: &Stage<'_>) -> Result<(), Failure> {
    let sample = stage.dir.join("sample.bin");
    fs::write(&sample, sample_bytes()).map_err(|error| Failure::local(&sample, &error))?;
    let (server, listening) = serve(stage).await?;
    let Listening { addr, invite } = &listening;
    stage.fulmar(&["-s", invite, "connme"]).await?;
    stage.fulmar(&["-s", addr, "upload", "sample.bin"]).await?;
    stage.fulmar(&["-s", addr, "ls", "-l"]).await?;
    stage.fulmar(&["-s", addr, "size", "sample.bin"]).await?;
    stage.fulmar(&["-s", addr, "download", "sample.bin", "copy.bin"]).await?;
    stage.fulmar(&["-s", addr, "verify", "copy.bin", "sample.bin"]).await?;
    stage.fulmar(&["-s", addr, "rm", "sample.bin"]).await?;
    stage.shell(&format!("connme {addr}\nls\nbyebye\n")).await?;
    stop(server).await?;
    stage.printer.data("everything worked");
    Ok(())
}

async fn serve(stage: &Stage<'_>) -> Result<(Child, Listening), Failure> {
    let args = ["serve", "share", "--listen", "127.0.0.1:0", "--json", "-q"];
    stage.say(&args);
    let mut command = stage.command(&args, "server-state");
    let mut server =
        command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().map_err(|e| cannot_start(&e))?;
    let output = server.stdout.take().ok_or_else(|| failed("serve", "it has no output"))?;
    let line = BufReader::new(output).lines().next_line().await;
    let line = line.ok().flatten().ok_or_else(|| failed("serve", "it did not start"))?;
    stage.printer.data(&line);
    let listening = listening(&line).ok_or_else(|| failed("serve", "it did not say where it listens"))?;
    Ok((server, listening))
}

fn listening(line: &str) -> Option<Listening> {
    let object: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| object[key].as_str().map(str::to_owned);
    Some(Listening { addr: text("addr")?, invite: text("invite")? })
}

/// Asks the server to stop, as an operator would, and waits until it has.
async fn stop(mut server: Child) -> Result<(), Failure> {
    let pid = server.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let pid = pid.ok_or_else(|| failed("serve", "it ended before its time"))?;
    kill_process(pid, Signal::TERM).map_err(|error| cannot_start(&error.into()))?;
    let status = server.wait().await.map_err(|error| cannot_start(&error))?;
    check("serve", status)
}

impl Stage<'_> {
    /// Runs one command to its end; its output goes where ours goes.
    async fn fulmar(&self, args: &[&str]) -> Result<(), Failure> {
        self.say(args);
        let mut command = self.command(args, "client-state");
        let status = command.stdin(Stdio::null()).status().await.map_err(|error| cannot_start(&error))?;
        check(&args.join(" "), status)
    }

    /// Types `script` into a shell.
    async fn shell(&self, script: &str) -> Result<(), Failure> {
        let shown = script.trim_end().replace('\n', "; ");
        self.say_line(&format!("$ fulmar shell    (typing: {shown})"));
        let mut command = self.command(&["shell"], "client-state");
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(|error| cannot_start(&error))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(script.as_bytes()).await.map_err(|error| cannot_start(&error))?;
        }
        check("shell", child.wait().await.map_err(|error| cannot_start(&error))?)
    }

    fn command(&self, args: &[&str], state: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.dir).env("FULMAR_STATE", self.dir.join(state));
        // The demo talks to its own server, whatever the user's usual one is.
        command.env_remove("FULMAR_SERVER").env("XDG_CONFIG_HOME", &self.dir).env_remove("FULMAR_CONFIG");
        command.kill_on_drop(true);
        command
    }

    fn say(&self, args: &[&str]) {
        self.say_line(&format!("$ fulmar {}", args.join(" ")));
    }

    /// Handed over at once: the next lines are written by another process.
    fn say_line(&self, line: &str) {
        self.printer.data(line);
        self.printer.flush();
    }
}

fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| cannot_start(&error))
}

fn check(what: &str, status: ExitStatus) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { Err(failed(what, &format!("it failed ({status})"))) }
}

fn failed(what: &str, how: &str) -> Failure {
    Failure::new(ExitCode::Other, "demo", how).about(what)
}

fn cannot_start(error: &std::io::Error) -> Failure {
    Failure::new(ExitCode::Other, "demo", format!("cannot run a process: {error}"))
}

/// Bytes without pattern, the same each time (xorshift64, Marsaglia 2003).
fn sample_bytes() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(SAMPLE_BYTES);
    while bytes.len() < SAMPLE_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_its_length() {
        assert_eq!(sample_bytes().len(), SAMPLE_BYTES);
    }

    #[test]
    fn the_servers_first_line_is_understood() {
        let line =
            r#"{"v":1,"type":"listening","addr":"127.0.0.1:1","fingerprint":"f","invite":"fulmar://x"}"#;
        let found = listening(line).expect("understood");
        assert_eq!((found.addr.as_str(), found.invite.as_str()), ("127.0.0.1:1", "fulmar://x"));
        assert!(listening(r#"{"addr":"127.0.0.1:1","invite":null}"#).is_none());
        assert!(listening("nonsense").is_none());
    }
}
