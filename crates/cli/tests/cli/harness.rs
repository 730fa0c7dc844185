//! A laboratory: a temporary tree with a home, state folders, a served directory and a local one, and the real binary
//! run in it.

pub(crate) mod data;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod screen;
pub(crate) mod terminal;

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use self::{
    peer::Peer,
    process::{Invocation, Output, Process},
    relay::{Relay, Way},
    terminal::{Terminal, WIDE},
};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_fulmar");

/// The client that is enrolled unless a test needs several.
pub(crate) const ALICE: &str = "alice";

/// A tree of its own for one test.
#[derive(Debug)]
pub(crate) struct Lab {
    tree: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// A tree in memory, where the system has one, for tests with very many files.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self::below(if memory.is_dir() { memory } else { Path::new("/tmp") })
    }

    fn below(parent: &Path) -> Self {
        let tree = tempfile::Builder::new().prefix("fulmar-cli-test-").tempdir_in(parent).expect("a tree");
        for dir in ["home", "share", "local", "tmp", "state"] {
            fs::create_dir(tree.path().join(dir)).expect("a directory");
        }
        Self { tree }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.tree.path().join(name)
    }

    /// A file of the directory that clients run in.
    pub(crate) fn local(&self, name: &str) -> PathBuf {
        self.path("local").join(name)
    }

    /// A file of the served directory.
    pub(crate) fn share(&self, name: &str) -> PathBuf {
        self.path("share").join(name)
    }

    /// The state folder of `who`.
    pub(crate) fn state(&self, who: &str) -> PathBuf {
        self.path("state").join(who)
    }

    /// The binary with the state folder of `who`, in the local directory, with nothing of the outside environment.
    pub(crate) fn fulmar<S: AsRef<OsStr>>(&self, who: &str, args: impl IntoIterator<Item = S>) -> Invocation {
        let mut command = Command::new(BINARY);
        command.env_clear().envs(self.environment()).env("FULMAR_STATE", self.state(who));
        command.current_dir(self.path("local"));
        Invocation::new(command).args(args)
    }

    /// The binary in a terminal.
    pub(crate) fn terminal(&self, who: &str, args: &[&str]) -> Terminal {
        self.terminal_with(who, args, &[], WIDE)
    }

    /// The binary in a terminal of so many rows and columns, with more in its environment.
    pub(crate) fn terminal_with(
        &self,
        who: &str,
        args: &[&str],
        environment: &[(&str, &str)],
        size: (u16, u16),
    ) -> Terminal {
        let command = self.terminal_command(BINARY, who).args(args).envs(environment.iter().copied());
        Terminal::start(command, size, &format!("fulmar {} (in a terminal)", args.join(" ")))
    }

    /// The binary in a terminal, started by a shell with job control that runs `afterwards` once it has ended or
    /// stopped.
    pub(crate) fn terminal_below_sh(&self, who: &str, args: &[&str], afterwards: &str) -> Terminal {
        let script = format!("set -m; \"$0\" \"$@\"; {afterwards}");
        let command = self.terminal_command("/bin/sh", who).args(["-c", &script, BINARY]).args(args);
        Terminal::start(command, WIDE, &format!("fulmar {} (below sh, in a terminal)", args.join(" ")))
    }

    fn terminal_command(&self, program: &str, who: &str) -> pty_process::blocking::Command {
        pty_process::blocking::Command::new(program)
            .env_clear()
            .envs(self.environment())
            .env("FULMAR_STATE", self.state(who))
            .current_dir(self.path("local"))
    }

    fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let home = self.path("home");
        vec![
            ("XDG_STATE_HOME", home.join("state")),
            ("XDG_DATA_HOME", home.join("data")),
            ("XDG_CONFIG_HOME", home.join("config")),
            ("HOME", home),
            ("TMPDIR", self.path("tmp")),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm".into()),
        ]
    }

    /// The server of this tree, on a free port of loopback, with a log.
    pub(crate) fn serve(&self, options: &[&str]) -> Server {
        self.serve_on("127.0.0.1:0", options)
    }

    pub(crate) fn serve_on(&self, listen: &str, options: &[&str]) -> Server {
        let process = self.serve_command(listen).args(options).spawn();
        Server::bound(process)
    }

    /// A server that is about to be started.
    pub(crate) fn serve_command(&self, listen: &str) -> Invocation {
        let path = |name: &str| self.path(name).to_string_lossy().into_owned();
        let (share, log) = (path("share"), path("server.log"));
        self.fulmar("server", ["serve", &share, "--listen", listen, "--json", "--log-file", &log])
    }

    /// An invite of the server that used this tree last.
    pub(crate) fn invite(&self, options: &[&str]) -> String {
        let output = self.fulmar("server", ["invite"]).args(options).run().expect(0);
        output.out().trim().to_owned()
    }

    /// Makes `who` known to the server, and the server to `who`.
    #[track_caller]
    pub(crate) fn enrol(&self, who: &str, invite: &str) {
        self.fulmar(who, ["-s", invite, "connme"]).run().expect(0).says("connected to ");
    }

    /// The records of the server's log. Complete once the server has ended.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("server.log")).expect("the log is there");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The commands in the server's log: everything that a client sent beyond its greeting.
    pub(crate) fn commands(&self) -> Vec<Value> {
        self.log().into_iter().filter(|record| record["event"] == "command").collect()
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) addr: String,
    pub(crate) fingerprint: String,
    pub(crate) invite: Option<String>,
}

impl Server {
    fn bound(process: Process) -> Self {
        let end = process.wait_for(0, "\n");
        let line = String::from_utf8(process.stdout.bytes()[..end].to_vec()).expect("text");
        let object: Value = serde_json::from_str(&line).expect("an object");
        assert_eq!((&object["v"], &object["type"]), (&Value::from(1), &Value::from("listening")), "{line}");
        let text = |key: &str| object[key].as_str().map(str::to_owned);
        Self {
            process,
            addr: text("addr").expect("an address"),
            fingerprint: text("fingerprint").expect("a fingerprint"),
            invite: text("invite"),
        }
    }

    pub(crate) fn socket_addr(&self) -> SocketAddr {
        self.addr.parse().expect("an address")
    }

    /// Asks it to stop, as an operator would, and waits until it has. Its log is complete then.
    pub(crate) fn stop(self) -> Output {
        self.process.signal(Signal::TERM);
        self.process.wait()
    }
}

/// A server with one enrolled client.
#[derive(Debug)]
pub(crate) struct Online {
    // First, because it is to be gone before its files are.
    pub(crate) server: Server,
    pub(crate) lab: Lab,
}

impl Deref for Online {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Online {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With further options of the server.
    pub(crate) fn with(options: &[&str]) -> Self {
        Self::in_lab(Lab::new(), options)
    }

    pub(crate) fn in_lab(lab: Lab, options: &[&str]) -> Self {
        let server = lab.serve(options);
        lab.enrol(ALICE, server.invite.as_deref().expect("no client is enrolled yet"));
        Self { server, lab }
    }

    /// The binary of `who` with the server named.
    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        who: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Invocation {
        self.fulmar(who, ["-s", &self.server.addr]).args(args)
    }

    /// Runs one command of the enrolled client.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.command(ALICE, args).run()
    }

    /// Runs one command, which has to succeed.
    #[track_caller]
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.run(args).expect(0)
    }

    /// Runs one command, which has to fail with this code and nothing but an error line and a hint.
    #[track_caller]
    pub(crate) fn fails<S: AsRef<OsStr>>(&self, code: i32, args: impl IntoIterator<Item = S>) -> Output {
        let output = self.run(args).expect(code);
        assert!(output.stdout.is_empty(), "a failure is no data: {output}");
        assert!(output.stderr.starts_with("fulmar: "), "{output}");
        output
    }

    /// Pipes lines into a shell that is connected.
    pub(crate) fn batch(&self, script: &str) -> Output {
        self.command(ALICE, ["shell"]).stdin(script).run()
    }

    /// A relay to the server, of which the enrolled client knows the key.
    pub(crate) fn relay(&self) -> Relay {
        let relay = Relay::to(self.server.socket_addr());
        let addr = relay.addr.to_string();
        let args = ["-s", &addr, "--fingerprint", &self.server.fingerprint, "connme"];
        self.fulmar(ALICE, args).run().expect(0);
        relay
    }

    /// The binary of the enrolled client, going through a relay.
    pub(crate) fn through<S: AsRef<OsStr>>(
        &self,
        relay: &Relay,
        args: impl IntoIterator<Item = S>,
    ) -> Invocation {
        self.fulmar(ALICE, ["-s", &relay.addr.to_string()]).args(args)
    }

    /// A peer that speaks the protocol by hand, with the enrolled client's key.
    pub(crate) fn peer(&self) -> Peer {
        Peer::connect(&self.state(ALICE), &self.server.addr, &self.server.fingerprint)
    }

    /// Stops the server; the laboratory with its complete log stays.
    pub(crate) fn stop(self) -> Lab {
        let Self { server, lab } = self;
        server.stop().expect(0);
        lab
    }
}
