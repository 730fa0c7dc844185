//! The state folder, and the small files that the command line itself keeps there.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use fulmar_proto::address::HostPort;
use fulmar_transport::private_file::{self, PrivateFileError};

use crate::{
    exit_code::ExitCode,
    output::{Failure, failure::io_message},
    server_name::ServerName,
};

/// The environment variable that names the state folder.
const STATE_VARIABLE: &str = "FULMAR_STATE";
/// The environment variable that names the server.
const SERVER_VARIABLE: &str = "FULMAR_SERVER";

/// Holds the keys of the servers that a client knows; the client library keeps it.
pub(crate) const KNOWN_HOSTS: &str = "known_hosts";
/// Holds the address of the server that a client connected to last.
const LAST_SERVER: &str = "last_server";
/// Holds the address under which a server of this state folder listened last.
const SERVER_ADDRESS: &str = "server.address";
/// An address is much shorter than this.
const MAX_ADDRESS_BYTES: usize = 512;

/// The state folder: the option's, the environment's, or the user's own. It need not exist yet.
pub(crate) fn locate(option: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(dir) = option {
        return Ok(dir.to_owned());
    }
    // An empty variable is what scripts leave behind that mean none.
    if let Some(dir) = std::env::var_os(STATE_VARIABLE).filter(|dir| !dir.is_empty()) {
        return Ok(dir.into());
    }
    let unknown = || {
        Failure::new(ExitCode::Other, "no-state-dir", "there is no home directory to keep the state in")
            .hint("name one with --state DIR")
    };
    let strategy = etcetera::choose_base_strategy().map_err(|_| unknown())?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    Ok(base.join("fulmar"))
}

/// The server that the environment names.
pub(crate) fn server_of_environment() -> Result<Option<ServerName>, Failure> {
    let Some(text) = std::env::var_os(SERVER_VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    match text.parse() {
        Ok(server) => Ok(Some(server)),
        Err(error) => Err(Failure::usage(format!("{error}")).about(SERVER_VARIABLE)),
    }
}

/// The address of the server that was connected to last.
pub(crate) fn last_server(state: &Path) -> Option<HostPort> {
    read_address(&state.join(LAST_SERVER))
}

/// Remembers the server that was connected to last. A failure costs nothing but the convenience.
pub(crate) fn remember_last_server(state: &Path, address: &HostPort) {
    if last_server(state).as_ref() != Some(address) {
        let _ = private_file::write_private(&state.join(LAST_SERVER), format!("{address}\n").as_bytes());
    }
}

/// The address that invites to the server of this state folder carry.
pub(crate) fn server_address(state: &Path) -> Option<HostPort> {
    read_address(&state.join(SERVER_ADDRESS))
}

/// Remembers that address.
pub(crate) fn remember_server_address(state: &Path, address: &HostPort) -> Result<(), Failure> {
    let path = state.join(SERVER_ADDRESS);
    private_file::write_private(&path, format!("{address}\n").as_bytes())
        .map_err(|error| file_failure(&error))
}

/// Whatever cannot be read as an address is no address: these files are conveniences.
fn read_address(path: &Path) -> Option<HostPort> {
    let bytes = private_file::read_trusted(path, MAX_ADDRESS_BYTES).ok()??;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// What to say of a state file that cannot be used.
pub(crate) fn file_failure(error: &PrivateFileError) -> Failure {
    match error {
        PrivateFileError::Io { path, action, source } => Failure::new(
            ExitCode::LocalDisk,
            "local-disk",
            format!("cannot {action}: {}", io_message(source)),
        )
        .about(path.to_string_lossy()),
        other => Failure::new(ExitCode::LocalDisk, "local-disk", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_server_is_remembered() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = dir.path().join("state");
        assert_eq!(last_server(&state), None);
        let address: HostPort = "[2001:db8::1]:99".parse().expect("an address");
        remember_last_server(&state, &address);
        assert_eq!(last_server(&state), Some(address.clone()));
        assert_eq!(server_address(&state), None);
        remember_server_address(&state, &address).expect("written");
        assert_eq!(server_address(&state), Some(address));
    }

    #[test]
    fn a_damaged_file_is_no_address() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for content in [&b"\xff\xfe"[..], b"", b"a b", b"host:0"] {
            private_file::write_private(&dir.path().join(LAST_SERVER), content).expect("written");
            assert_eq!(last_server(dir.path()), None);
        }
    }

    #[test]
    fn the_option_decides() {
        assert_eq!(locate(Some(Path::new("here"))).expect("located"), Path::new("here"));
    }
}
