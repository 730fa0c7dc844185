//! The right to make namespaces and devices.

use std::{fs, io, path::Path};

use nix::sched::{CloneFlags, unshare};
use rustix::{
    process::{getegid, geteuid},
    thread::{CapabilitySet, capabilities},
};

use super::TunError;

/// The node of the TUN driver.
const NODE: &str = "/dev/net/tun";

/// The right to make namespaces and devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The process may configure the machine's network anyway, as root may.
    Granted,
    /// The process has moved to a user namespace of its own, in which it is root.
    UserNamespace,
}

impl Access {
    /// Takes the rights that the process has, or else moves it into a user namespace. The process must have only one thread.
    ///
    /// # Errors
    /// [`TunError::Unavailable`] when neither works or there is no TUN driver.
    pub fn obtain() -> Result<Self, TunError> {
        if !Path::new(NODE).exists() {
            return Err(TunError::Unavailable(format!(
                "there is no {NODE} (as root: modprobe tun; in a container, pass the device in)"
            )));
        }
        let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN;
        let sets =
            capabilities(None).map_err(io::Error::from).map_err(TunError::failed("read capabilities"))?;
        let access = if sets.effective.contains(needed) { Self::Granted } else { Self::own_namespace()? };
        fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(NODE)
            .map_err(TunError::refused(format!("open {NODE}")))?;
        Ok(access)
    }

    /// Moves the process into a user namespace of its own, as its root.
    fn own_namespace() -> Result<Self, TunError> {
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        unshare(CloneFlags::CLONE_NEWUSER)
            .map_err(|errno| TunError::Unavailable(format!("neither root nor a user namespace: {errno}")))?;
        // Groups can only be mapped by who has given up changing them (user_namespaces(7)).
        for (file, line) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("0 {user} 1")),
            ("gid_map", format!("0 {group} 1")),
        ] {
            let path = format!("/proc/self/{file}");
            fs::write(&path, line).map_err(TunError::refused(format!("write {path}")))?;
        }
        Ok(Self::UserNamespace)
    }
}
