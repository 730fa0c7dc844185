//! Where the configuration file is, and reading it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy as _;
use rustix::fs::OFlags;

use crate::{
    exit_code::ExitCode,
    hints::quoted,
    output::{Failure, failure::io_message, hint::Hint},
};

/// The environment variable that names the file.
const CONFIG_VARIABLE: &str = "FULMAR_CONFIG";

/// The longest file that is read, in bytes: hundreds of servers.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024;

const OTHERS_MAY_WRITE: &str = "others may write it";

/// What to do when the file that the environment names is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Whoever names a file means it.
    Refused,
    /// It is about to be made.
    Accepted,
}

/// Where the file is, or would be.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// The environment names it.
    pub(super) named: bool,
}

/// The file that the environment names, or the user's own; none where the user has no home.
pub(super) fn locate() -> Option<Place> {
    // An empty variable is what scripts leave behind that mean none.
    if let Some(path) = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
        return Some(Place { path: path.into(), named: true });
    }
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(Place { path: strategy.config_dir().join("fulmar").join("config.toml"), named: false })
}

/// The text of the file; none when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, Failure> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(path, io_message(&error))),
    };
    let metadata = file.metadata().map_err(|error| failure(path, io_message(&error)))?;
    if let Some(reason) = distrusted(metadata.is_file(), metadata.uid(), metadata.mode()) {
        let failure = failure(path, reason);
        return Err(match reason {
            OTHERS_MAY_WRITE => failure.hint(only_me(path)),
            _ => failure,
        });
    }
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| failure(path, io_message(&error)))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(failure(path, format!("is longer than {MAX_FILE_BYTES} bytes")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(failure(path, "is not UTF-8 text")),
    }
}

/// Not blocking, so that a pipe in the file's place cannot hang the program.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The file says which servers are meant and which keys they have, so nobody else may write it. Its owner may be the system's
/// administrator, and links are followed: whoever can place one could place the file.
fn distrusted(is_file: bool, owner: u32, mode: u32) -> Option<&'static str> {
    if !is_file {
        return Some("is not a regular file");
    }
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Some("belongs to another user");
    }
    (mode & 0o022 != 0).then_some(OTHERS_MAY_WRITE)
}

fn only_me(path: &Path) -> Hint {
    Hint::system("take that right away", &format!("chmod go-w {}", quoted(&path.to_string_lossy())))
}

/// A file that cannot be used.
pub(super) fn failure(path: &Path, message: impl Into<String>) -> Failure {
    Failure::new(ExitCode::Usage, "config", message).about(path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn message(path: &Path) -> String {
        let failure = read(path).expect_err("refused");
        assert_eq!(failure.code, ExitCode::Usage);
        failure.message
    }

    #[test]
    fn a_missing_file_is_nothing_and_a_link_is_followed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (path, link) = (dir.path().join("config.toml"), dir.path().join("link"));
        assert_eq!(read(&path).expect("fine"), None);
        std::fs::write(&path, "# nothing\n").expect("written");
        symlink(&path, &link).expect("linked");
        for path in [path, link] {
            assert_eq!(read(&path).expect("fine").as_deref(), Some("# nothing\n"));
        }
    }

    #[test]
    fn the_file_is_bounded_on_both_sides_of_the_limit() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("config.toml");
        let limit = usize::try_from(MAX_FILE_BYTES).expect("small");
        std::fs::write(&path, "#".repeat(limit)).expect("written");
        assert!(read(&path).expect("fine").is_some());
        std::fs::write(&path, "#".repeat(limit + 1)).expect("written");
        assert_eq!(message(&path), "is longer than 65536 bytes");
    }

    #[test]
    fn what_is_no_file_no_text_or_open_to_others_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(message(dir.path()), "is not a regular file");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, [0xff, 0xfe]).expect("written");
        assert_eq!(message(&path), "is not UTF-8 text");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).expect("set");
        assert_eq!(message(&path), "others may write it");
        let hint = read(&path).expect_err("refused").shown_hint().expect("a hint");
        assert!(hint.ends_with(&format!(": chmod go-w {}", path.display())), "{hint}");
        assert_eq!(distrusted(true, 0, 0o644), None);
        let other = rustix::process::geteuid().as_raw() + 1;
        assert_eq!(distrusted(true, other, 0o644), Some("belongs to another user"));
    }
}
