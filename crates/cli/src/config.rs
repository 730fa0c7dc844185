//! The configuration file: servers with names, and defaults. What the environment or the command line says counts more.
//!
//! ```toml
//! [defaults]
//! server = "lab"
//! progress = "plain"
//! connect_timeout = "5s"
//!
//! [hosts.lab]
//! endpoint = "lab.example:4433"
//! fingerprint = "SHA256:..."
//! start_dir = "/incoming"
//! ```

mod edit;
mod file;
mod form;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use fulmar_client::Endpoint;
use fulmar_proto::{address::HostPort, fingerprint::Fingerprint, path::DirPath};

pub(crate) use self::file::Missing;
use crate::{
    exit_code::ExitCode,
    output::{Failure, hint::Hint, progress::ProgressMode},
    server_name::{HostName, ServerName},
};

/// What the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// Where the file is, or would be; none where there is no place for it.
    path: Option<PathBuf>,
    pub(crate) defaults: Defaults,
    /// In the order of their names.
    hosts: Vec<Host>,
}

/// What counts where neither the environment nor the command line says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub(crate) server: Option<ServerName>,
    pub(crate) progress: Option<ProgressMode>,
    pub(crate) connect_timeout: Option<Duration>,
}

/// A server with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: HostName,
    pub(crate) address: HostPort,
    /// The only key that is accepted.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The first remote directory of shells and batches.
    pub(crate) start_dir: Option<DirPath>,
}

/// A server to connect to, and what the file says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) pin: Option<Fingerprint>,
    pub(crate) start_dir: Option<DirPath>,
}

impl From<&Host> for Target {
    fn from(host: &Host) -> Self {
        Self {
            endpoint: Endpoint::Address(host.address.clone()),
            pin: host.fingerprint,
            start_dir: host.start_dir.clone(),
        }
    }
}

impl Target {
    /// The only key that is accepted of the server, as far as its name tells.
    pub(crate) fn demanded(&self) -> Option<Fingerprint> {
        match &self.endpoint {
            Endpoint::Invite(invite) => Some(invite.fingerprint),
            Endpoint::Address(_) => self.pin,
        }
    }
}

impl From<Endpoint> for Target {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, pin: None, start_dir: None }
    }
}

impl Config {
    /// Reads the file that `FULMAR_CONFIG` names, else the user's own.
    pub(crate) fn load(missing: Missing) -> Result<Self, Failure> {
        let Some(place) = file::locate() else { return Ok(Self::default()) };
        match file::read(&place.path)? {
            Some(text) => Self::parse(place.path, &text),
            None if place.named && missing == Missing::Refused => {
                let failure =
                    Failure::new(ExitCode::Usage, "config", "no such file, and FULMAR_CONFIG names it");
                Err(failure.about(place.path.to_string_lossy()))
            }
            None => Ok(Self { path: Some(place.path), ..Self::default() }),
        }
    }

    /// An empty configuration that is kept in this file.
    #[cfg(test)]
    pub(crate) fn in_file(path: PathBuf) -> Self {
        Self { path: Some(path), ..Self::default() }
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self, Failure> {
        match form::parse(text) {
            Ok((defaults, hosts)) => Ok(Self { path: Some(path), defaults, hosts }),
            Err(message) => Err(file::failure(&path, message)),
        }
    }

    /// The server of this name.
    pub(crate) fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == *name)
    }

    /// The first server with this address.
    pub(crate) fn host_at(&self, address: &HostPort) -> Option<&Host> {
        self.hosts.iter().find(|host| host.address == *address)
    }

    /// All servers with names, in the order of these.
    pub(crate) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The names of all servers, for completion and hints.
    pub(crate) fn host_names(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.name.as_str())
    }

    /// What a person means who names this server: the file's server before a host of the same name.
    pub(crate) fn resolve(&self, server: &ServerName) -> Target {
        match server.name.as_ref().and_then(|name| self.host(name)) {
            Some(host) => host.into(),
            None => Target::from(server.endpoint.clone()),
        }
    }

    /// Whether this is the server that is connected to by default.
    pub(crate) fn is_default(&self, host: &Host) -> bool {
        self.defaults.server.as_ref().and_then(|server| server.name.as_ref()) == Some(&host.name)
    }

    /// Writes a server into the file, which is made when absent. Comments and order stay. With `force` it takes the place of
    /// one of the same name.
    pub(crate) fn add(&mut self, host: &Host, default: bool, force: bool) -> Result<(), Failure> {
        let config = edit::change(self.place()?, |document, config| {
            if config.host(&host.name).is_some() && !force {
                let failure =
                    Failure::new(ExitCode::Exists, "exists", "there is a server of this name already");
                return Err(failure.about(host.name.as_str()).hint("-f puts this one in its place"));
            }
            edit::put(document, host);
            if default {
                edit::put_default(document, &host.name);
            }
            Ok(())
        })?;
        *self = config;
        Ok(())
    }

    /// Takes a server out of the file, and out of its defaults. Returns it, and whether it was the default.
    pub(crate) fn remove(&mut self, name: &HostName) -> Result<(Host, bool), Failure> {
        let mut removed = None;
        let config = edit::change(self.place()?, |document, config| {
            let host = config.host(name).ok_or_else(|| config.no_such_host(name))?;
            edit::remove(document, &host.name, config.is_default(host));
            removed = Some((host.clone(), config.is_default(host)));
            Ok(())
        })?;
        *self = config;
        removed.ok_or_else(|| self.no_such_host(name))
    }

    fn no_such_host(&self, name: &HostName) -> Failure {
        let failure = Failure::new(
            ExitCode::NotFound,
            "not-found",
            "the configuration file has no server of this name",
        );
        let names: Vec<&str> = self.host_names().take(10).collect();
        let what = match names.as_slice() {
            [] => " lists what is known".to_owned(),
            names => format!(" lists the names: {}", names.join(", ")),
        };
        let hint = Hint::run("hosts").then(what);
        failure.about(name.as_str()).hint(hint)
    }

    fn place(&self) -> Result<&Path, Failure> {
        self.path.as_deref().ok_or_else(|| {
            Failure::new(
                ExitCode::Other,
                "no-config-dir",
                "there is no home directory to keep the configuration in",
            )
            .hint("name the file in FULMAR_CONFIG")
        })
    }
}

#[cfg(test)]
mod tests;
