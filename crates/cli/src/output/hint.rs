//! What may be run against a failure, as it can be run where it is read.

use std::path::Path;

use fulmar_client::Endpoint;

use crate::{hints::quoted, server_name::ServerName};

/// Commands that need no server, or name it themselves.
const LOCAL_COMMANDS: [&str; 10] =
    ["doctor", "hosts", "help", "lls", "clients", "invite", "fingerprint", "serve", "shell", "completions"];

/// Where the commands of a hint would be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// In the shell or in a batch, where a line begins with a verb.
    Lines,
    /// In the user's own shell, where `rm` is another program.
    CommandLine {
        /// The program, and the options that every command needs.
        program: String,
        /// `-s` and the server, if this command line names one.
        server: String,
    },
}

impl Default for Caller {
    fn default() -> Self {
        Self::CommandLine { program: "fulmar".to_owned(), server: String::new() }
    }
}

impl Caller {
    /// A command line with these options. The secret of an invite is not repeated: it works just once.
    pub(crate) fn command_line(state: Option<&Path>, server: Option<&ServerName>) -> Self {
        let state = state.map(|dir| format!(" --state {}", quoted(&dir.to_string_lossy())));
        let server = server.map(|server| match (&server.name, &server.endpoint) {
            (Some(name), _) => format!(" -s {}", name.as_str()),
            (None, Endpoint::Address(address)) => format!(" -s {}", quoted(&address.to_string())),
            (None, Endpoint::Invite(invite)) => format!(" -s {}", quoted(&invite.address.to_string())),
        });
        Self::CommandLine {
            program: format!("fulmar{}", state.unwrap_or_default()),
            server: server.unwrap_or_default(),
        }
    }

    /// A command of fulmar as it is typed here.
    fn typed(&self, command: &str) -> String {
        match self {
            Self::Lines => command.to_owned(),
            Self::CommandLine { program, server } => {
                let verb = command.split(' ').next().unwrap_or_default();
                let server = if LOCAL_COMMANDS.contains(&verb) { "" } else { server };
                format!("{program}{server} {command}")
            }
        }
    }
}

/// A part of a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A command of fulmar, beginning with its verb.
    Run(String),
}

/// A hint: one line, safe to print, in which the commands are known as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    pieces: Vec<Piece>,
    /// What is said on a command line instead.
    on_command_line: Option<Vec<Piece>>,
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self { pieces: vec![Piece::Text(text)], on_command_line: None }
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Hint {
    /// A command of fulmar, as it is typed in the shell.
    pub(crate) fn run(command: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Run(command.into())], on_command_line: None }
    }

    /// A command of the system, and what it is good for.
    pub(crate) fn system(purpose: &str, command: &str) -> Self {
        let in_shell = Self::from(format!("{purpose}, in your own shell: {command}"));
        in_shell.or_on_command_line(format!("{purpose}: {command}"))
    }

    /// The same hint, followed by a text.
    pub(crate) fn then(mut self, text: impl Into<String>) -> Self {
        self.pieces.push(Piece::Text(text.into()));
        self
    }

    /// The same hint, followed by a command.
    pub(crate) fn then_run(mut self, command: impl Into<String>) -> Self {
        self.pieces.push(Piece::Run(command.into()));
        self
    }

    /// The same hint, with something else to say on a command line.
    pub(crate) fn or_on_command_line(mut self, other: impl Into<Self>) -> Self {
        self.on_command_line = Some(other.into().pieces);
        self
    }

    /// The hint for somebody who types commands there.
    pub(crate) fn shown(&self, caller: &Caller) -> String {
        let pieces = match (caller, &self.on_command_line) {
            (Caller::CommandLine { .. }, Some(pieces)) => pieces,
            _ => &self.pieces,
        };
        let mut shown = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            match (piece, pieces.get(at + 1)) {
                (Piece::Text(text), _) => shown.push_str(text),
                // Words behind a command could be taken for its operands.
                (Piece::Run(command), Some(Piece::Text(next))) if next.starts_with(' ') => {
                    shown.push_str(&format!("`{}`", caller.typed(command)));
                }
                (Piece::Run(command), _) => shown.push_str(&caller.typed(command)),
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(server: &str) -> Caller {
        Caller::command_line(None, Some(&server.parse().expect("a server")))
    }

    #[test]
    fn a_command_is_whole_where_it_would_be_run() {
        let hint = Hint::run("rm -r reports");
        assert_eq!(hint.shown(&Caller::Lines), "rm -r reports");
        assert_eq!(hint.shown(&Caller::default()), "fulmar rm -r reports");
        assert_eq!(hint.shown(&named("lab")), "fulmar -s lab rm -r reports");
        let state = Caller::command_line(Some(Path::new("/my state")), Some(&"[::1]:7".parse().expect("v6")));
        assert_eq!(hint.shown(&state), "fulmar --state '/my state' -s '[::1]:7' rm -r reports");
        assert_eq!(Hint::run("hosts forget lab").shown(&named("lab")), "fulmar hosts forget lab");
    }

    #[test]
    fn words_behind_a_command_are_no_operands() {
        let hint = Hint::run("ls").then(" shows what is there");
        assert_eq!(hint.shown(&Caller::Lines), "`ls` shows what is there");
        let hint = Hint::run("upload a b").then(", or ").then_run("download b a");
        assert_eq!(
            hint.shown(&named("lab:1")),
            "fulmar -s lab:1 upload a b, or fulmar -s lab:1 download b a"
        );
    }

    #[test]
    fn the_secret_of_an_invite_is_not_repeated() {
        let invite = format!("fulmar://{}.{}@lab:7", "a".repeat(52), "a".repeat(26));
        assert_eq!(Hint::run("ls").shown(&named(&invite)), "fulmar -s lab:7 ls");
    }

    #[test]
    fn commands_of_the_system_are_for_the_users_own_shell() {
        let hint = Hint::system("how full it is", "df -h /mnt");
        assert_eq!(hint.shown(&Caller::Lines), "how full it is, in your own shell: df -h /mnt");
        assert_eq!(hint.shown(&Caller::default()), "how full it is: df -h /mnt");
    }
}
