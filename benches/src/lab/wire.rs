//! Two namespaces for the contest that nothing lies between but a pair of the kernel's Ethernet devices.

use std::{net::IpAddr, process::Command};

use anyhow::Result;
use fulmar_netsim::tun::{Access, Side, Wire};

use super::{inside, state::State};
use crate::contest::Part;

/// What sides of the contest are started at the ends of. It ends when this is dropped and nobody is inside any more.
pub(crate) struct Wired {
    _wire: Wire,
    state: State,
}

impl Wired {
    /// Makes both ends. The process must have only one thread.
    pub(crate) fn start(mtu_bytes: u32) -> Result<Self> {
        let access = Access::obtain()?;
        let wire = Wire::start(access, mtu_bytes)?;
        let state = State::of_namespaces(|side| wire.namespace(side), access)?;
        Ok(Self { _wire: wire, state })
    }

    /// Where servers listen.
    pub(crate) fn server_address() -> IpAddr {
        Side::Server.address()
    }

    /// This program itself with these arguments, at the end at which a part is played.
    pub(crate) fn command(&self, part: Part, arguments: &[String]) -> Result<Command> {
        inside::command_of_this_program(&self.state, end(part), arguments)
    }
}

/// At which end a part is played.
pub(super) fn end(part: Part) -> Side {
    match part {
        Part::Client => Side::Client,
        Part::Server => Side::Server,
    }
}
