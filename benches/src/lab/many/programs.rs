//! fulmar's own program as it is shipped, with keys and a home of its own.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use fulmar_netsim::tun::Side;
use fulmar_proto::text::Escaped;

use super::plan::{Task, Who};

/// Where the server listens, in a namespace of its own.
const PORT: u16 = 4433;

/// What the tree or the file is called at the server.
const TARGET: &str = "arrived";

/// Variables that would change what the program does.
const VARIABLES: [&str; 3] = ["FULMAR_SERVER", "FULMAR_STATE", "FULMAR_CONGESTION"];

/// The program, and the folders with what it knows.
#[derive(Debug)]
pub(super) struct Programs {
    program: PathBuf,
    home: PathBuf,
}

impl Programs {
    /// Finds the program: the one named, or the one beside this one.
    pub(super) fn prepare(home: &Path, program: Option<&Path>) -> Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => env::current_exe().context("cannot find this program itself")?.with_file_name("fulmar"),
        };
        let shown = program.display().to_string();
        let hint = "build it with cargo build --release -p fulmar, or name one with --fulmar";
        ensure!(program.is_file(), "there is no program {}: {hint}", Escaped(&shown));
        let this = Self { program: fs::canonicalize(program)?, home: home.to_owned() };
        for dir in [this.home.clone(), this.state(Side::Server), this.state(Side::Client)] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        Ok(this)
    }

    fn state(&self, side: Side) -> PathBuf {
        self.home.join(if side == Side::Server { "server" } else { "client" })
    }

    /// The server of a folder. With `invite` it says how the client is enrolled.
    pub(super) fn server(&self, dir: &Path, invite: bool) -> Result<Vec<String>> {
        let words = ["serve", text(dir)?, "--listen", &address(), "--json", "--state"];
        let mut words = self.words(&words)?;
        words.push(text(&self.state(Side::Server))?.to_owned());
        words.extend(invite.then(|| "--invite".to_owned()));
        Ok(words)
    }

    /// The client that enrols itself.
    pub(super) fn enrol(&self, invite: &str) -> Result<Vec<String>> {
        self.words(&["ls", "-s", invite, "--state", text(&self.state(Side::Client))?])
    }

    /// The client that does a task.
    pub(super) fn client(&self, task: Task, source: &Path) -> Result<Vec<String>> {
        let state = self.state(Side::Client);
        let mut words = self.words(&["upload", "-s", &address(), "--state", text(&state)?, "-q"])?;
        words.extend((task.who == Who::Fulmar).then(|| "-r".to_owned()));
        words.extend([text(source)?, TARGET].map(str::to_owned));
        Ok(words)
    }

    /// Where in the served folder it arrives.
    pub(super) fn target(dir: &Path) -> PathBuf {
        dir.join(TARGET)
    }

    /// Keeps the user's own settings from it.
    pub(super) fn isolate(&self, command: &mut Command) {
        VARIABLES.iter().for_each(|name| {
            command.env_remove(name);
        });
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            command.env(name, &self.home);
        }
    }

    fn words(&self, words: &[&str]) -> Result<Vec<String>> {
        Ok(std::iter::once(text(&self.program)?).chain(words.iter().copied()).map(str::to_owned).collect())
    }
}

fn address() -> String {
    format!("{}:{PORT}", Side::Server.address())
}

/// A path as a word of a command line.
pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = Programs::prepare(dir.path(), Some(Path::new("/nonexistent/fulmar"))).expect_err("none");
        assert!(error.to_string().contains("--fulmar"), "{error}");
    }

    #[test]
    fn only_many_files_are_a_tree() {
        let dir = tempfile::tempdir().expect("a folder");
        let this = env::current_exe().expect("known");
        let programs = Programs::prepare(dir.path(), Some(&this)).expect("there");
        let words = |who| programs.client(Task { who, count: 9 }, Path::new("/x/tree")).expect("words");
        assert!(words(Who::Fulmar).contains(&"-r".to_owned()));
        assert!(!words(Who::FulmarOneFile).contains(&"-r".to_owned()));
        assert_eq!(words(Who::Fulmar)[1..4], ["upload", "-s", "10.77.0.2:4433"]);
        let invited = |invite| {
            programs.server(Path::new("/x"), invite).expect("words").contains(&"--invite".to_owned())
        };
        assert!(invited(true) && !invited(false));
    }
}
