//! Real programs over a bad link: two network namespaces, joined through the link model of `fulmar-netsim`.
//!
//! ```text
//! plan         which link, from a profile and what is laid over it
//! run          a server and a command in their namespaces, for as long as the command runs
//! hold         a lab that stays: up, status, down
//! inside       how a process gets into a namespace, and what it is told
//! processes    finding and ending whatever runs inside
//! state        what is written down about a lab, for later commands
//! check        how true the link is: round trip, loss, one TCP flow
//!   flow, datagrams   the traffic for that
//! wire         two namespaces without a link in between, for the bench over loopback
//! measuring    what the comparisons below are told
//! table        fulmar, TCP and TLS over TCP side by side on six links
//! cc           the matrix of links with a target for each
//! many         many small files, beside rsync and scp
//! ```

mod args;
mod awake;
mod cc;
mod check;
mod datagrams;
mod flow;
mod hold;
mod inside;
mod many;
mod measuring;
mod plan;
mod processes;
mod run;
mod state;
mod table;
mod wire;

use std::process::ExitCode;

use anyhow::Error;
use fulmar_netsim::tun::TunError;
use fulmar_proto::text::Escaped;

pub(crate) use args::LabArgs;
use args::LabCommand;
pub(crate) use wire::Wired;

/// The lab itself failed, whatever the command would have returned.
const FAILED: u8 = 125;

/// No lab may be had on this machine or by this user. Test drivers take this code for "skipped".
pub(crate) const UNAVAILABLE: u8 = 77;

/// Does what the command line says.
pub(crate) fn main(args: &LabArgs) -> ExitCode {
    let result = match &args.command {
        LabCommand::Run(args) => run::run(args),
        LabCommand::Up(_) => hold::up(),
        LabCommand::Hold(args) => hold::hold(args),
        LabCommand::Exec(args) => hold::exec(args),
        LabCommand::Status => hold::status(),
        LabCommand::Down => hold::down(),
        LabCommand::Enter(args) => inside::enter_and_exec(args),
        LabCommand::Check(args) => check::check(args),
        LabCommand::Tcp(args) => check::tcp(args),
        LabCommand::Table(args) => table::table(args),
        LabCommand::Cc(args) => cc::cc(args),
        LabCommand::Many(args) => many::many(args),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        eprintln!("fulmar-bench: lab: {}", Escaped(&format!("{error:#}")));
        exit_code(&error)
    }))
}

fn exit_code(error: &Error) -> u8 {
    if is_unavailable(error) { UNAVAILABLE } else { FAILED }
}

/// Whether something failed because no lab may be had here.
pub(crate) fn is_unavailable(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(TunError::Unavailable(_)))
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn what_is_not_possible_here_is_told_from_what_failed() {
        let refused = || Err::<(), _>(TunError::Unavailable("no".to_owned()));
        assert_eq!(exit_code(&refused().context("in a context").expect_err("refused")), UNAVAILABLE);
        assert_eq!(exit_code(&Error::from(TunError::Stopped("why".to_owned()))), FAILED);
        assert_eq!(exit_code(&Error::msg("something else")), FAILED);
    }
}
