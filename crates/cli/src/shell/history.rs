//! The lines that were entered before: a private file of the state folder, shared by all shells.

use std::path::{Path, PathBuf};

use fulmar_transport::private_file;
use rustyline::history::{FileHistory, History as _};

use crate::{output::Failure, secrets::may_hold_secret, state_dir::file_failure, words::trim};

/// The file of the state folder.
const FILE: &str = "history";
/// How many lines are kept.
pub(super) const MAX_LINES: usize = 1_000;
/// A file that is longer than this is not read: 1,000 lines are far shorter.
const MAX_FILE_BYTES: usize = 16 << 20;
/// What the editor's files begin with.
const HEADING: &[u8] = b"#V2\n";

/// Keeps lines. What cannot be kept is remarked once, and then it is kept for this shell alone.
#[derive(Debug)]
pub(super) struct Keeper {
    /// None once it cannot be used.
    path: Option<PathBuf>,
}

impl Keeper {
    /// Reads what was kept in the state folder into `history`, and says why when it cannot be read.
    pub(super) fn open(state: &Path, history: &mut FileHistory) -> (Self, Option<Failure>) {
        let path = state.join(FILE);
        match read(&path, history) {
            Ok(()) => (Self { path: Some(path) }, None),
            Err(failure) => (Self { path: None }, Some(failure)),
        }
    }

    /// Keeps a line, unless it begins with a blank, repeats the last one or may hold a secret. Says why when it cannot
    /// be written.
    pub(super) fn keep(&mut self, line: &str, history: &mut FileHistory) -> Option<Failure> {
        if line.starts_with(char::is_whitespace) || may_hold_secret(line) {
            return None;
        }
        // Completion leaves a blank at the end, which makes no other line of it.
        if !matches!(history.add(trim(line)), Ok(true)) {
            return None;
        }
        let path = self.path.take()?;
        match append(&path, history) {
            Ok(()) => {
                self.path = Some(path);
                None
            }
            Err(failure) => Some(failure),
        }
    }
}

fn read(path: &Path, history: &mut FileHistory) -> Result<(), Failure> {
    check(path)?;
    history.load(path).map_err(|error| failure(path, &error))
}

fn append(path: &Path, history: &mut FileHistory) -> Result<(), Failure> {
    // Somebody may have replaced or removed it meanwhile.
    check(path)?;
    history.append(path).map_err(|error| failure(path, &error))
}

/// Makes the file when it is missing, and refuses what is not a private file of this user.
fn check(path: &Path) -> Result<(), Failure> {
    let checked = private_file::read_private(path, MAX_FILE_BYTES).and_then(|bytes| match bytes {
        Some(_) => Ok(()),
        None => private_file::create_private(path, HEADING).map(|_| ()),
    });
    checked.map_err(|error| file_failure(&error))
}

fn failure(path: &Path, error: &rustyline::error::ReadlineError) -> Failure {
    let error = match error {
        rustyline::error::ReadlineError::Io(error) => Failure::local(path, error),
        other => Failure::local(path, &std::io::Error::other(other.to_string())),
    };
    error.about(path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use rustyline::Config;

    fn history() -> FileHistory {
        let config = Config::builder().max_history_size(MAX_LINES).expect("a size");
        FileHistory::with_config(&config.history_ignore_space(true).build())
    }

    struct Shell {
        keeper: Keeper,
        history: FileHistory,
    }

    impl Shell {
        fn open(state: &Path) -> Self {
            let mut history = history();
            let (keeper, failure) = Keeper::open(state, &mut history);
            assert_eq!(failure, None);
            Self { keeper, history }
        }

        fn enter(&mut self, line: &str) {
            assert_eq!(self.keeper.keep(line, &mut self.history), None);
        }

        fn lines(&self) -> Vec<String> {
            self.history.iter().cloned().collect()
        }
    }

    fn state() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = dir.path().join("state");
        (dir, state)
    }

    #[test]
    fn lines_are_kept_but_for_blanks_repetitions_and_secrets() {
        let (_dir, state) = state();
        let mut shell = Shell::open(&state);
        let invite = format!("connme fulmar://{}.aaaa@lab", "a".repeat(52));
        for line in ["ls", "ls", "ls ", " pwd", &invite, "size 'a\\b'", "ls"] {
            shell.enter(line);
        }
        let kept = ["ls", "size 'a\\b'", "ls"];
        assert_eq!(shell.lines(), kept);
        assert_eq!(Shell::open(&state).lines(), kept);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    }

    #[test]
    fn shells_side_by_side_lose_nothing_of_each_others() {
        let (_dir, state) = state();
        let (mut a, mut b) = (Shell::open(&state), Shell::open(&state));
        for number in 0..20 {
            a.enter(&format!("stat a{number}"));
            b.enter(&format!("stat b{number}"));
        }
        let lines = Shell::open(&state).lines();
        assert_eq!(lines.len(), 40);
        for number in 0..20 {
            assert!(lines.contains(&format!("stat a{number}")) && lines.contains(&format!("stat b{number}")));
        }
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let (_dir, state) = state();
        let mut shell = Shell::open(&state);
        for number in 0..MAX_LINES + 5 {
            shell.enter(&format!("stat {number}"));
        }
        let lines = Shell::open(&state).lines();
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!((lines[0].as_str(), lines[MAX_LINES - 1].as_str()), ("stat 5", "stat 1004"));
    }

    #[test]
    fn a_file_that_is_not_to_be_trusted_is_told_once_and_left_alone() {
        let (dir, state) = state();
        fs::create_dir(&state).expect("made");
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, "#V2\nprecious\n").expect("written");
        let path = state.join(FILE);
        let spoil: [(&str, &dyn Fn()); 3] = [
            ("is a symbolic link", &|| std::os::unix::fs::symlink(&elsewhere, &path).expect("linked")),
            ("permissions", &|| {
                fs::write(&path, "#V2\nls\n").expect("written");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
            }),
            ("is not a regular file", &|| fs::create_dir(&path).expect("made")),
        ];
        for (said, spoil) in spoil {
            spoil();
            let mut history = history();
            let (mut keeper, failure) = Keeper::open(&state, &mut history);
            let failure = failure.expect(said);
            assert!(failure.message.contains(said), "{failure:?}");
            // Not a second time, and for this shell the line is there all the same.
            assert_eq!(keeper.keep("stat x", &mut history), None);
            assert_eq!(history.iter().last().map(String::as_str), Some("stat x"));
            let _ = fs::remove_dir(&path).or_else(|_| fs::remove_file(&path));
        }
        assert_eq!(fs::read_to_string(&elsewhere).expect("there"), "#V2\nprecious\n");
    }

    #[test]
    fn a_link_put_in_its_place_later_is_not_followed() {
        let (dir, state) = state();
        let mut shell = Shell::open(&state);
        shell.enter("ls");
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, "precious").expect("written");
        fs::remove_file(state.join(FILE)).expect("removed");
        std::os::unix::fs::symlink(&elsewhere, state.join(FILE)).expect("linked");
        assert!(shell.keeper.keep("pwd", &mut shell.history).is_some());
        assert_eq!(shell.keeper.keep("lpwd", &mut shell.history), None, "told once");
        assert_eq!(fs::read_to_string(&elsewhere).expect("there"), "precious");
    }
}
