//! The two machines of a document: a server's home and a client's, both empty at first.

use std::{path::PathBuf, process::Command};

use regex::Regex;
use rustix::process::Signal;

use super::script::Place;
use crate::harness::{BINARY, Invocation, Lab, Process, Terminal, terminal::WIDE};

/// The server's address in documents, where it listens on the usual port.
const DOCUMENTED_HOST: &str = "192.0.2.7";
/// The home folders in documents.
const DOCUMENTED_HOMES: [(&str, &str); 2] = [("server", "/home/ada"), ("client", "/home/bo")];

pub(super) struct Stage {
    // First, because it is to be gone before its files are.
    server: Option<Running>,
    lab: Lab,
    last_status: i32,
    last_invite: String,
    /// What has been exported, and on which side.
    exported: Vec<(bool, String, String)>,
}

struct Running {
    process: Process,
    addr: String,
}

impl Stage {
    pub(super) fn new() -> Self {
        let lab = Lab::new();
        for (home, _) in DOCUMENTED_HOMES {
            std::fs::create_dir(lab.path(home)).expect("a home");
        }
        Self { server: None, lab, last_status: 0, last_invite: String::new(), exported: vec![] }
    }

    /// Does what a document says and returns what is printed, in the document's words.
    pub(super) fn run(
        &mut self,
        place: Place,
        command: &str,
        typed: &[(String, String)],
        expected: &[String],
    ) -> String {
        let real = self.real(command, place);
        let got = if let Some(variable) = real.strip_prefix("export ") {
            let (name, value) = variable.split_once('=').expect("a value");
            self.exported.push((place.on_server, name.to_owned(), value.to_owned()));
            String::new()
        } else if place.on_server && command.starts_with("fulmar serve ") {
            self.serve(&real, expected.len())
        } else if !typed.is_empty() {
            self.converse(&real, typed, place)
        } else {
            let output = self.sh(&format!("{{ {real}\n}} 2>&1"), place).run();
            self.last_status = output.code.expect("an exit code");
            output.out().to_owned()
        };
        self.remember_invite(&got);
        self.documented(&got)
    }

    /// Starts a server, in place of the one before, and returns its first lines.
    fn serve(&mut self, command: &str, lines: usize) -> String {
        // The next one takes the place of the one before, as it would on one machine.
        let mut listen = "127.0.0.1:0".to_owned();
        if let Some(before) = self.server.take() {
            before.process.signal(Signal::TERM);
            before.process.wait().expect(0);
            listen = before.addr;
        }
        let place = Place::server();
        let process = self.sh(&format!("exec {command} --listen {listen}"), place).spawn();
        let mut end = 0;
        for _ in 0..lines {
            end = process.wait_for(end, "\n");
        }
        let said = String::from_utf8(process.stdout.bytes()[..end].to_vec()).expect("text");
        let addr = said.lines().find_map(|line| line.strip_prefix("listening ")?.split_whitespace().next());
        let addr = addr.unwrap_or_else(|| panic!("no address in {said}")).to_owned();
        self.server = Some(Running { process, addr });
        said
    }

    /// Types lines into an interactive shell on a terminal, each once its prompt is there.
    fn converse(&mut self, command: &str, typed: &[(String, String)], place: Place) -> String {
        let words = command.split_whitespace().skip(1).collect::<Vec<_>>();
        let mut process = pty_process::blocking::Command::new(BINARY).args(&words).env_clear();
        process = process.envs(self.environment(place)).current_dir(self.home(place));
        let terminal = Terminal::start(process, WIDE, command);
        for (prompt, line) in typed {
            terminal.shows(&self.real_host(prompt));
            terminal.enter(&self.real(line, place));
        }
        let (output, text) = terminal.wait_for_all();
        self.last_status = output.code.expect("an exit code");
        text.replace("\r\n", "\n")
    }

    fn sh(&self, script: &str, place: Place) -> Invocation {
        let mut command = Command::new("/bin/sh");
        command.env_clear().envs(self.environment(place)).current_dir(self.home(place));
        Invocation::new(command).args(["-c", script])
    }

    fn environment(&self, place: Place) -> Vec<(String, PathBuf)> {
        let programs = PathBuf::from(BINARY).parent().expect("it is in a directory").to_owned();
        let path = std::env::join_paths([programs, "/usr/bin".into(), "/bin".into()]).expect("no colons");
        let mut environment = vec![
            ("HOME".to_owned(), self.home(place)),
            ("PATH".to_owned(), path.into()),
            ("LANG".to_owned(), "C.UTF-8".into()),
            ("TERM".to_owned(), "dumb".into()),
        ];
        let exported = self.exported.iter().filter(|(on_server, ..)| *on_server == place.on_server);
        environment.extend(exported.map(|(_, name, value)| (name.clone(), value.into())));
        environment
    }

    fn home(&self, place: Place) -> PathBuf {
        self.lab.path(if place.on_server { "server" } else { "client" })
    }

    /// From a document's words to those of this run.
    fn real(&self, command: &str, place: Place) -> String {
        let invites = Regex::new(r"fulmar://\S+").expect("a pattern");
        let command = invites.replace_all(command, self.last_invite.as_str()).into_owned();
        let command = command.replace("$?", &self.last_status.to_string());
        let keys = Regex::new(r"SHA256:[A-Za-z0-9+/…]+").expect("a pattern");
        let command = match keys.is_match(&command) {
            true => keys.replace_all(&command, self.key_of_other_side(place)).into_owned(),
            false => command,
        };
        self.real_host(&command)
    }

    /// On the server a key in a command is the client's, and on the client the server's.
    fn key_of_other_side(&self, place: Place) -> String {
        let (other, of_client) =
            if place.on_server { (Place::client(), " --client") } else { (Place::server(), "") };
        let output = self.sh(&format!("fulmar fingerprint{of_client}"), other).run().expect(0);
        output.out().trim().to_owned()
    }

    fn real_host(&self, text: &str) -> String {
        let Some(server) = &self.server else { return text.to_owned() };
        // A prompt names the host alone.
        if text.starts_with("fulmar ") && text.ends_with("> ") {
            return text.replace(DOCUMENTED_HOST, "127.0.0.1");
        }
        let text = text.replace(&format!("{DOCUMENTED_HOST}:4433"), DOCUMENTED_HOST);
        text.replace(DOCUMENTED_HOST, &server.addr)
    }

    /// From the words of this run to a document's.
    fn documented(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some(server) = &self.server {
            text = text.replace(&server.addr, &format!("{DOCUMENTED_HOST}:4433"));
        }
        for (home, documented) in DOCUMENTED_HOMES {
            let home = self.lab.path(home).canonicalize().expect("there");
            text = text.replace(&*home.to_string_lossy(), documented);
        }
        text.replace("127.0.0.1", DOCUMENTED_HOST)
    }

    fn remember_invite(&mut self, text: &str) {
        let invite = Regex::new(r"fulmar://[a-z0-9]+\.[a-z0-9]+@\S+").expect("a pattern");
        if let Some(found) = invite.find(text) {
            self.last_invite = found.as_str().to_owned();
        }
    }
}
